"""Receive webhooks in FastAPI: the receiver is one route among the application's own.

    python examples/fastapi_receiver.py

The example needs `fastapi` and `uvicorn`, and runs against the sandbox. One handler fails at its first call of each event, to show
that the sender repeats the event until it is handled.
"""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn
from fastapi import FastAPI
from starlette.routing import Route

from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox, WebhookSettings
from unlimcall_async.webhooks import DncAdded, Event, WebhookReceiver

TARGET = "https://app.example/hooks/unlimcall"


def make_app(secret: str) -> FastAPI:
    """Return the application. In your own, read the secret from your secret store."""
    receiver = WebhookReceiver(secret)
    do_not_call: set[str] = set()
    failed_once: set[str | int | None] = set()

    @receiver.on(DncAdded)
    async def record(event: DncAdded) -> None:
        do_not_call.add(event.extra["contactId"])

    @receiver.on(Event)
    async def fail_at_first(event: Event) -> None:
        if event.id not in failed_once:
            failed_once.add(event.id)
            raise ConnectionError("the CRM does not answer")

    # A `Route`, not a `Mount`: a mount redirects to the path with a slash at its end, and the sender does not follow redirects.
    app = FastAPI(routes=[Route("/hooks/unlimcall", receiver.asgi_app())])

    @app.get("/do-not-call")
    async def listing() -> list[str]:
        return sorted(do_not_call)

    return app


async def main() -> None:
    """Serve the application, and let the sandbox deliver three events to it."""
    logging.getLogger("unlimcall_async").setLevel(logging.CRITICAL)  # the failures are intended
    listener = socket.create_server(("127.0.0.1", 0))
    local = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/unlimcall"
    quick = WebhookSettings(speed=3600)  # an hour of the retry schedule takes a second
    async with (
        Sandbox(deliver_to={TARGET: local}, webhooks=quick) as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url) as client,
    ):
        hook = await client.hooks.create(event="dnc.added", target_url=TARGET)
        server = uvicorn.Server(uvicorn.Config(make_app(hook.secret), log_level="warning", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        for contact in ("17", "4", "90210"):
            sandbox.deliver("dnc.added", {"contactId": contact})
        await sandbox.delivered()
        for attempt in sandbox.deliveries:
            print(f"attempt {attempt.number}, {attempt.age:.0f} s after the first: {attempt.status}")
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
