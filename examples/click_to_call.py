"""Click-to-call: place a call for a contact, and update the contact's record when the call has ended.

    python examples/click_to_call.py

The example runs against the sandbox, so you need no account and nobody is called. The records are in the SQLite file of the webhook
store, so an event and its update are committed together: a repeated delivery changes nothing, and a failed one leaves nothing half
done.
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
# The event may come before the response that holds the call's id. So each of the two inserts the row or updates its own columns.
PLACED = (
    "INSERT INTO calls (call_id, contact) VALUES (?, ?) ON CONFLICT (call_id) DO UPDATE SET contact = excluded.contact"
)
ENDED = """INSERT INTO calls (call_id, seconds, outcome) VALUES (?, ?, ?)
ON CONFLICT (call_id) DO UPDATE SET seconds = excluded.seconds, outcome = excluded.outcome"""


class Crm:
    """A small CRM: places calls for contacts, and keeps a record of each call."""

    def __init__(self, path: Path, client: AsyncClient) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute(SCHEMA)
        self._client = client

    async def click(self, contact: str, tracker: CallTracker) -> None:
        """Place a call to a contact, and wait until it has ended."""
        call = await self._client.calls.create(ai_agent_id="27", to_number=CONTACTS[contact])
        self._connection.execute(PLACED, (call.call_id, contact))
        await tracker.ended(call.call_id, timeout=60)

    def show(self) -> None:
        """Print the record of each call."""
        for contact, seconds, outcome in self._connection.execute("SELECT contact, seconds, outcome FROM calls"):
            print(f"{contact}: {seconds:.0f} seconds, {outcome}")

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def receiver_of(secret: str, store: SQLiteStore) -> WebhookReceiver:
    """Return a receiver with the handler that updates the record of a call."""
    receiver = WebhookReceiver(secret, store=store, on_failing=lambda count: print(f"alarm: {count} failures in a row"))

    @receiver.on(CallEnded)
    async def update(event: CallEnded) -> None:
        values = (event.call_id, event.duration_sec, event.disposition_code)
        store.at_commit(lambda db: db.execute(ENDED, values))

    return receiver


async def main() -> None:
    """Serve the receiver, and place a call to each contact."""
    # The port is open before the hook exists, so that a delivery which comes at once waits for the server.
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
