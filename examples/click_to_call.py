"""Click-to-call: place a call for a contact, keep its id, and update the contact's record when the call has ended.

    python examples/click_to_call.py

It runs against the sandbox: no account is needed, and nobody is called. The records stand in the SQLite file that also remembers
which events were handled, so the update of a record and the memory of its event are one transaction: a delivery that is repeated
changes nothing, and one that failed half-way never happened.
"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from aiohttp import web

from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox, WebhookSettings
from unlimcall_async.webhooks import CallEnded, CallTracker, SQLiteStore, WebhookReceiver

TARGET = "https://crm.example/hooks/unlimcall"
CONTACTS = {"Ada": "+14155551234", "Blaise": "+33145551234", "Charles": "+442071838750"}

SCHEMA = "CREATE TABLE IF NOT EXISTS calls (call_id TEXT PRIMARY KEY, contact TEXT, seconds REAL, outcome TEXT)"
# The event may be here before the answer that holds the call's id. So either may come first, and each fills in its part.
PLACED = (
    "INSERT INTO calls (call_id, contact) VALUES (?, ?) ON CONFLICT (call_id) DO UPDATE SET contact = excluded.contact"
)
ENDED = """INSERT INTO calls (call_id, seconds, outcome) VALUES (?, ?, ?)
ON CONFLICT (call_id) DO UPDATE SET seconds = excluded.seconds, outcome = excluded.outcome"""


class Crm:
    """Contacts and their calls."""

    def __init__(self, path: Path, client: AsyncClient) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute(SCHEMA)
        self._client = client

    async def click(self, contact: str, tracker: CallTracker) -> None:
        """Call a contact, and wait for the end of the call."""
        call = await self._client.calls.create(ai_agent_id="27", to_number=CONTACTS[contact])
        self._connection.execute(PLACED, (call.call_id, contact))
        await tracker.ended(call.call_id, timeout=60)

    def show(self) -> None:
        """Print the records."""
        for contact, seconds, outcome in self._connection.execute("SELECT contact, seconds, outcome FROM calls"):
            print(f"{contact}: {seconds:.0f} seconds, {outcome}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def receiver_of(secret: str, store: SQLiteStore) -> WebhookReceiver:
    """Make the receiver, with the handler that updates the record."""
    receiver = WebhookReceiver(secret, store=store, on_failing=lambda count: print(f"alarm: {count} failures in a row"))

    @receiver.on(CallEnded)
    async def update(event: CallEnded) -> None:
        values = (event.call_id, event.duration_sec, event.disposition_code)
        store.at_commit(lambda db: db.execute(ENDED, values))

    return receiver


async def main() -> None:
    """Serve the receiver, and call every contact."""
    # The port is open before anybody knows the secret: a delivery that comes too early waits.
    listener = socket.create_server(("127.0.0.1", 0))
    local = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/unlimcall"
    calls_end_at_once = WebhookSettings(call_seconds=0, twins=0.5, repeats=0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crm.db"
        async with (
            SQLiteStore(path) as store,
            Sandbox(deliver_to={TARGET: local}, webhooks=calls_end_at_once) as sandbox,
            AsyncClient(sandbox.token, base_url=sandbox.url) as client,
        ):
            hook = await client.hooks.create(event="call.ended", target_url=TARGET)
            receiver = receiver_of(hook.secret, store)
            tracker = CallTracker(receiver)
            runner = web.AppRunner(receiver.aiohttp_app())
            await runner.setup()
            await web.SockSite(runner, listener).start()
            with closing(Crm(path, client)) as crm:
                await asyncio.gather(*(crm.click(contact, tracker) for contact in CONTACTS))
                await sandbox.delivered()
                crm.show()
            await runner.cleanup()
        print(f"{len(sandbox.deliveries)} deliveries of {len(CONTACTS)} events")


if __name__ == "__main__":
    asyncio.run(main())
