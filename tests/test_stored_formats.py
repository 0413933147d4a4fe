"""What a program stores in order to go on later has a version, and a later release's is refused with a message that says so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.operations.ended import ended
from unlimcall_async import AsyncClient, Checkpoint, CheckpointError, CheckpointFile, CheckpointJournal
from unlimcall_async.cli.follow_place import PlaceFile
from unlimcall_async.cli.journal import Journal
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.cli.pull_file import stored_journal
from unlimcall_async.cli.sealed import sealed, unsealed
from unlimcall_async.operations import (
    CallerId,
    CallerIdPool,
    EventLog,
    EventLogError,
    EventReconciler,
    EventStateError,
    PoolStateError,
    read_log,
)
from unlimcall_async.proof import Manifest
from unlimcall_async.sandbox import Sandbox, SandboxCall
from unlimcall_async.sync import read_manifest, sync_cdrs
from unlimcall_async.webhooks import CallEnded, SQLiteStore, WebhookReceiver

pytestmark = pytest.mark.own_rules

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = 99


def of_a_later_release(text: str) -> str:
    """Return a stored JSON object as a later release might write it."""
    content = json.loads(text)
    assert type(content["version"]) is int
    return json.dumps({**content, "version": LATER})


def checkpoints() -> tuple[str, str]:
    """Return a checkpoint of a stream and one of a follow."""
    client = AsyncClient("token")
    return client.cdrs.stream(START, START + DAY).checkpoint.to_json(), client.cdrs.follow(START).checkpoint.to_json()


def load_events(text: str) -> None:
    EventReconciler().load(text)


STREAM, FOLLOW = checkpoints()


@pytest.mark.parametrize(
    ("text", "read", "error"),
    [
        pytest.param(STREAM, Checkpoint.from_json, CheckpointError, id="checkpoint of a stream"),
        pytest.param(FOLLOW, Checkpoint.from_json, CheckpointError, id="checkpoint of a follow"),
        pytest.param(FOLLOW, lambda text: CheckpointJournal([text]), CheckpointError, id="journal of checkpoints"),
        pytest.param(Manifest(START, START).to_json(), Manifest.from_json, ValueError, id="manifest"),
        pytest.param(
            CallerIdPool([CallerId("+442079460812")]).to_json(), CallerIdPool.from_json, PoolStateError, id="pool"
        ),
        pytest.param(EventReconciler().to_json(), load_events, EventStateError, id="reconciliation"),
    ],
)
def test_a_text_of_a_later_release_is_refused(text: str, read: Callable[[str], object], error: type[Exception]) -> None:
    read(text)
    with pytest.raises(error, match=f"this release (does not know .* version {LATER}|knows 1 only)"):
        read(of_a_later_release(text))


def test_a_checkpoint_file_of_a_later_release_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    path.write_text(f"{of_a_later_release(FOLLOW)}\n")
    path.chmod(0o600)
    for opened in (CheckpointFile, PlaceFile):
        with pytest.raises((CheckpointError, UnusableError), match=rf"follow\.checkpoint.*version {LATER}"):
            opened(path)


def test_a_pull_of_a_later_release_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv.checkpoint"
    fields = unsealed(Journal(START, START + DAY, "csv", checkpoint=Checkpoint.from_json(STREAM)).to_json())
    path.write_text(sealed(fields))
    path.chmod(0o600)
    assert stored_journal(path) is not None
    inner: dict[str, Any] = {"checkpoint": {**fields["checkpoint"], "version": LATER}}
    for later in ({"version": LATER}, inner):
        path.write_text(sealed({**fields, **later}))
        with pytest.raises(UnusableError, match=rf"calls\.csv\.checkpoint.* version {LATER}"):
            stored_journal(path)


@pytest.mark.parametrize("stored", ["unlimcall_sync.state", "unlimcall_sync_manifest.entry"])
async def test_a_table_of_a_later_release_is_not_touched(stored: str, tmp_path: Path) -> None:
    path, (table, column) = tmp_path / "calls.db", stored.split(".")
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        sandbox.add_calls([SandboxCall(id="1.1", start_time=START)])
        await sync_cdrs(client, f"sqlite:///{path}", START, end=START + DAY)
        with closing(sqlite3.connect(path)) as db, db:
            ((text,),) = db.execute(f"SELECT {column} FROM {table}").fetchall()  # noqa: S608 # ours
            db.execute(f"UPDATE {table} SET {column} = ?", [of_a_later_release(text)])  # noqa: S608 # ours
        sandbox.add_calls([SandboxCall(id="2.2", start_time=START)])
        with pytest.raises(CheckpointError, match=f"this release does not know.* version {LATER}"):
            await sync_cdrs(client, f"sqlite:///{path}", START, end=START + DAY)
        with pytest.raises(CheckpointError, match=f"this release does not know.* version {LATER}"):
            await read_manifest(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT id FROM cdrs").fetchall() == [("1.1",)]


async def test_a_log_of_events_of_a_later_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    async with SQLiteStore(path) as store:
        receiver = WebhookReceiver("secret", store=store)
        receiver.on(CallEnded)(EventLog(store).note)
        assert await receiver.handle_event(ended(1, "one")) == "handled"
    kept = read_log(path)
    with closing(sqlite3.connect(path)) as db, db:
        ((text,),) = db.execute("SELECT event FROM unlimcall_ended").fetchall()
        db.execute("UPDATE unlimcall_ended SET event = ?", [of_a_later_release(text)])
    with pytest.raises(EventLogError, match="of a version that this release does not know"):
        read_log(path)
    # Rows that were written before they had a version.
    first = {name: value for name, value in json.loads(text).items() if name != "version"}
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE unlimcall_ended SET event = ?", [json.dumps(first)])
    assert read_log(path) == kept
