"""Recover the ends of calls whose events are lost, because the hook was disabled after ten failures.

    python examples/recover.py

The example runs against the sandbox, so you need no account and nobody is called. A receiver fails for a while, and its hook is
disabled: nothing more comes, and no one says so. `recover` compares the log of the receiver with the call records. It gives the
calls that have no event to the same handlers, marked as recovered. Run it every few minutes: an event that was recovered once is
not recovered again.
"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from unlimcall_async import AsyncClient
from unlimcall_async.operations import EventLog, EventReconciler, read_log
from unlimcall_async.sandbox import Sandbox, WebhookSettings
from unlimcall_async.webhooks import CallEnded, RecoveredCall, SQLiteStore, WebhookReceiver, recovered_event

TARGET = "https://crm.example/hooks/unlimcall"
# The lines of the dialer and of the AI agents. Calls of people have no events.
LINES = {"unl_001"}
ENDED = "INSERT INTO ended (seconds, source) VALUES (?, ?)"


class Crm:
    """A small CRM: keeps how each call ended, if its other systems let it."""

    def __init__(self, path: Path, store: SQLiteStore) -> None:
        self.works = True
        self._path = path
        self._store = store
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE ended (seconds REAL, source TEXT)")

    async def update(self, event: CallEnded) -> None:
        """Keep how a call ended: the handler of the receiver."""
        if not self.works:
            raise ConnectionError
        source = "recovered" if isinstance(event, RecoveredCall) else "delivered"
        self._store.at_commit(lambda db: db.execute(ENDED, (event.duration_sec, source)))

    def show(self) -> None:
        """Print how many calls ended, by the source of that knowledge."""
        with closing(sqlite3.connect(self._path)) as db:
            rows = db.execute("SELECT source, count(*) FROM ended GROUP BY source").fetchall()
        print(f"the CRM knows the end of {dict(rows)}")


async def recover(client: AsyncClient, receiver: WebhookReceiver, log: Path, *, now: datetime) -> int:
    """Handle the calls of the last day whose events did not come, and return the number of these calls."""
    reconciler = EventReconciler(lines=LINES)
    for event in await asyncio.to_thread(read_log, log):
        reconciler.add_seen(event)
    async with client.cdrs.stream(now - timedelta(days=1), now) as stream:
        async for record in stream:
            reconciler.add(record)
    reconciler.sweep(now=now)
    for call in reconciler.missed:
        outcome = await receiver.handle_event(recovered_event(call.record))
        print(f"call {call.record.id} has no event ({call.grade}): {outcome}")
    return len(reconciler.missed)


async def happens(sandbox: Sandbox, client: AsyncClient, receiver: WebhookReceiver, crm: Crm, log: Path) -> None:
    """End calls while all is well, while the CRM fails, and when the hook is disabled; then recover."""

    async def end_calls(*numbers: str) -> None:
        for number in numbers:
            call = await client.calls.create(ai_agent_id="27", to_number=number)
            sandbox.end_call(call.call_id, duration=1)
        await sandbox.delivered()

    await end_calls("+442071838750", "+442071838751")
    crm.works = False
    await end_calls("+442071838752")  # the event is sent ten times
    crm.works = True
    print("hooks enabled:", [hook.enabled for hook in sandbox.hooks.values()])
    await end_calls("+442071838753", "+442071838754")
    crm.show()
    # Events may come until some minutes after the end of a call. The example does not wait for them.
    later = datetime.now(UTC) + timedelta(minutes=10)
    for _ in range(2):
        print(f"recovered {await recover(client, receiver, log, now=later)} calls")
    crm.show()


async def main() -> None:
    """Serve the receiver, and let happen what happens."""
    listener = socket.create_server(("127.0.0.1", 0))
    local = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/unlimcall"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crm.db"
        async with (
            SQLiteStore(path) as store,
            Sandbox(deliver_to={TARGET: local}, webhooks=WebhookSettings(speed=1e6)) as sandbox,
            AsyncClient(sandbox.token, base_url=sandbox.url) as client,
        ):
            hook = await client.hooks.create(event="call.ended", target_url=TARGET)
            receiver = WebhookReceiver(hook.secret, store=store)
            crm = Crm(path, store)
            receiver.on(CallEnded)(EventLog(store).note)
            receiver.on(CallEnded)(crm.update)
            runner = web.AppRunner(receiver.aiohttp_app())
            await runner.setup()
            await web.SockSite(runner, listener).start()
            await happens(sandbox, client, receiver, crm, path)
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
