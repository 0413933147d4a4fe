"""Replace the signing secret of a webhook while events keep coming, without losing one.

    python examples/rotate_secret.py

The example runs against the sandbox, so you need no account. A secret belongs to its hook and cannot be changed, so a second hook
takes the place of the first; for a while both deliver each event, and the receiver handles it once.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from unlimcall_async import AsyncClient, Hook
from unlimcall_async.sandbox import Sandbox, WebhookSettings
from unlimcall_async.webhooks import DispositionSet, WebhookReceiver

TARGET = "https://app.example/hooks/unlimcall"


async def replace(old: Hook, client: AsyncClient, receiver: WebhookReceiver, overlap: float) -> Hook:
    """Create a new hook for the same event and target, and delete the old one after `overlap` seconds."""
    # The first delivery may come before the response that holds its secret. In this block it gets a 503, and comes again.
    with receiver.rotating():
        new = await client.hooks.create(event=old.event, target_url=TARGET)
        receiver.add_secret(new.secret)
    # From now on both hooks deliver every event. The old hook may still repeat earlier events, for 24 hours.
    await asyncio.sleep(overlap)
    await client.hooks.delete(old.id)
    receiver.remove_secret(old.secret)
    return new


async def events_happen(sandbox: Sandbox, done: asyncio.Event) -> int:
    """Cause events until `done` is set, and return how many."""
    count = 0
    while not done.is_set():
        sandbox.deliver("disposition.set")
        count += 1
        await asyncio.sleep(0.01)
    return count


async def main() -> None:
    """Serve a receiver, and replace its secret while events come."""
    listener = socket.create_server(("127.0.0.1", 0))
    local = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/unlimcall"
    async with (
        Sandbox(deliver_to={TARGET: local}, webhooks=WebhookSettings(speed=3600)) as sandbox,
        AsyncClient(sandbox.token, base_url=sandbox.url) as client,
    ):
        hook = await client.hooks.create(event="disposition.set", target_url=TARGET)
        receiver = WebhookReceiver(hook.secret)
        handled: list[DispositionSet] = []
        receiver.on(DispositionSet)(handled.append)
        runner = web.AppRunner(receiver.aiohttp_app())
        await runner.setup()
        await web.SockSite(runner, listener).start()

        done = asyncio.Event()
        happening = asyncio.create_task(events_happen(sandbox, done))
        await asyncio.sleep(0.1)
        await replace(hook, client, receiver, overlap=0.2)  # use 24 hours in production
        await asyncio.sleep(0.1)
        done.set()
        events = await happening
        await sandbox.delivered()
        await runner.cleanup()
    print(f"{len(sandbox.deliveries)} deliveries, {len(handled)} of {events} events handled, {receiver}")


if __name__ == "__main__":
    asyncio.run(main())
