"""A web service that places calls, with one client for all its requests.

    UNLIMCALL_TOKEN=... python examples/service.py --port 8080
    curl -d '{"to": "+442071838750"}' http://127.0.0.1:8080/calls

Without a port it serves itself for a moment: it asks for the balance, and for a call that is refused, so that nobody is called.

The client lives as long as the service: its connections and its rate limits are shared by all requests, and closed at the end. To
make a client for each request would lose both. The same in FastAPI: make it in the `lifespan`, and keep it in `app.state`.
"""

from __future__ import annotations

import argparse
import asyncio
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
    """Hold a client for as long as the service runs."""
    async with AsyncClient() as client:
        app[CLIENT] = client
        yield


async def balance(request: web.Request) -> web.Response:
    """Tell the balance. Money is written as a text: a JSON number would be read as a float."""
    found = await request.app[CLIENT].balance()
    return web.json_response({"balance": str(found.balance), "currency": found.currency})


async def place_call(request: web.Request) -> web.Response:
    """Place a call, from a number of the destination's country where there is one."""
    wanted = await request.json()
    # The API takes `fromNumber` and checks it, but does not yet forward it to its engine (reference: `POST /calls`).
    caller_id = request.app[POOL].select(wanted["to"], campaign=wanted.get("campaign"), now=datetime.now(UTC))
    call = await request.app[CLIENT].calls.create(
        ai_agent_id=AGENT, to_number=wanted["to"], from_number=caller_id.number
    )
    return web.json_response({"call": call.call_id, "status": call.status, "from": caller_id.number}, status=202)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with what went wrong, by who is to blame."""
    try:
        return await handler(request)
    except NoCallerIdError as error:
        return web.json_response({"error": str(error)}, status=409)
    except UnlimCallError as error:
        # The call may have been placed: whoever asked must not simply ask again.
        content = {"error": str(error), "category": error.category, "outcome_unknown": error.outcome_unknown}
        return web.json_response(content, status=502)
    except (KeyError, TypeError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=400)


def make_app() -> web.Application:
    """Make the application."""
    app = web.Application(middlewares=[errors])
    app[POOL] = CallerIdPool(map(CallerId, NUMBERS))
    app.cleanup_ctx.append(shared_client)
    app.add_routes([web.get("/balance", balance), web.post("/calls", place_call)])
    return app


async def ask_yourself() -> None:
    """Serve on any free port, ask, and end."""
    runner = web.AppRunner(make_app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            async with session.get("/balance") as answer:
                print(answer.status, await answer.text())
            async with session.post("/calls", json={"to": "0044 20 7183 8750"}) as answer:
                print(answer.status, await answer.text())
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int)
    port = parser.parse_args().port
    if port is None:
        asyncio.run(ask_yourself())
    else:
        web.run_app(make_app(), host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()
