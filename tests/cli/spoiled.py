"""A server between the command and the sandbox that spoils rows: what the sandbox itself never sends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from unlimcall_async.sandbox import Sandbox


@asynccontextmanager
async def spoiled(sandbox: Sandbox, changes: Mapping[bytes, bytes]) -> AsyncIterator[str]:
    """Serve the sandbox with texts of its answers changed; give the URL."""

    async def forward(request: web.Request) -> web.Response:
        headers = {"Authorization": request.headers["Authorization"]}
        async with session.get(f"{sandbox.url}{request.rel_url}", headers=headers) as answer:
            body = await answer.read()
            for text, other in changes.items():
                body = body.replace(text, other)
            return web.Response(status=answer.status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
