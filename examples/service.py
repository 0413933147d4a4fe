"""A web service that places calls, with one client for all its requests.

    UNLIMCALL_TOKEN=... python examples/service.py --port 8080
    curl -d '{"to": "+442071838750"}' http://127.0.0.1:8080/calls

Without `--port` the service sends two requests to itself, one of them invalid, and ends; nobody is called. One client for the life
of the service shares its connections and rate limits; in FastAPI, make it in the `lifespan` and keep it in `app.state`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from unlimcall_async import AsyncClient, UnlimCallError
from unlimcall_async.operations import CallerId, CallerIdPool, NoCallerIdError

CLIENT = web.AppKey("client", AsyncClient)
POOL = web.AppKey("pool", CallerIdPool)

AGENT = "27"
NUMBERS = ("+442079460812", "+442079460813", "+16465550112")


async def shared_client(app: web.Application) -> AsyncIterator[None]:
    """Open the client when the service starts, and close it when the service ends."""
    async with AsyncClient() as client:
        app[CLIENT] = client
        yield


async def balance(request: web.Request) -> web.Response:
    """Respond with the balance. Money is written as text, because many readers make a float of a JSON number."""
    found = await request.app[CLIENT].balance()
    return web.json_response({"balance": str(found.balance), "currency": found.currency})


async def place_call(request: web.Request) -> web.Response:
    """Place a call, from a number of the destination's country if there is one."""
    order = await request.json()
    # The API takes `fromNumber` and checks it, but does not yet forward it to its engine (reference: `POST /calls`).
    caller_id = request.app[POOL].select(order["to"], campaign=order.get("campaign"), now=datetime.now(UTC))
    call = await request.app[CLIENT].calls.create(
        ai_agent_id=AGENT, to_number=order["to"], from_number=caller_id.number
    )
    return web.json_response({"call": call.call_id, "status": call.status, "from": caller_id.number}, status=202)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to an error with its text, and with a status that says who is to blame."""
    try:
        return await handler(request)
    except NoCallerIdError as error:
        return web.json_response({"error": str(error)}, status=409)
    except UnlimCallError as error:
        # With `outcome_unknown` the call may have been placed: the caller must not simply repeat the request.
        content = {"error": str(error), "category": error.category, "outcome_unknown": error.outcome_unknown}
        return web.json_response(content, status=502)
    except (KeyError, TypeError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=400)


def make_app() -> web.Application:
    """Return the application."""
    app = web.Application(middlewares=[errors])
    app[POOL] = CallerIdPool(map(CallerId, NUMBERS))
    app.cleanup_ctx.append(shared_client)
    app.add_routes([web.get("/balance", balance), web.post("/calls", place_call)])
    return app


async def try_it() -> None:
    """Serve on a free port, send two requests, and end."""
    runner = web.AppRunner(make_app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            async with session.get("/balance") as response:
                print(response.status, await response.text())
            async with session.post("/calls", json={"to": "0044 20 7183 8750"}) as response:
                print(response.status, await response.text())
    finally:
        await runner.cleanup()


def main() -> None:
    """Parse the arguments, and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="serve on this port of 127.0.0.1")
    port = parser.parse_args().port
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    if port is None:
        asyncio.run(try_it())
    else:
        web.run_app(make_app(), host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()
