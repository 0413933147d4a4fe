"""`EventLog`: what a receiver has handled is in its store's database, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.operations.ended import HOUR, NUMBER, OTHER, ended, missed, pairs, record
from tests.operations.records import after
from tests.webhooks.oracle import NOW, SECRET, event_body, headers
from unlimcall_async import _clock
from unlimcall_async.operations import EventLog, EventLogError, EventReconciler, read_log
from unlimcall_async.webhooks import (
    CallEnded,
    MemoryStore,
    RecoveredCall,
    SQLiteStore,
    WebhookReceiver,
    recovered_event,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seen #1.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(path) as store:
        yield store


def receiver_of(store: SQLiteStore, **options: timedelta) -> WebhookReceiver:
    receiver = WebhookReceiver(SECRET, store=store, clock=lambda: NOW)
    receiver.on(CallEnded)(EventLog(store, **options).note)
    return receiver


async def test_what_was_handled_is_in_the_log(store: SQLiteStore, path: Path) -> None:
    receiver = receiver_of(store)
    body = event_body("evt_1")
    for _ in range(2):
        assert (await receiver.handle(body, headers(body)))[0] == 200
    assert await receiver.handle_event(ended(3, "late")) == "handled"
    assert await receiver.handle_event(recovered_event(record(0, "lost"))) == "handled"
    log = read_log(path)
    assert len(log) == 3
    assert all(event.arrived_at is not None for event in log)
    reconciler = EventReconciler()
    for event in log:
        reconciler.add_seen(event)
    for each in (record(0, "late"), record(0, "lost", dst="+12")):
        reconciler.add(each)
    reconciler.sweep(now=after(HOUR))
    assert pairs(reconciler) == {("call-late", "late")}
    assert reconciler.missed == ()
    assert [call.record.id for call in reconciler.recovered] == ["lost"]
    assert NUMBER not in repr(log)


async def test_two_hooks_that_tell_of_one_call_are_one_event_in_the_log(store: SQLiteStore, path: Path) -> None:
    receiver = receiver_of(store)
    for name in ("event-1", "event of another hook"):
        event = CallEnded(id=name, type="call.ended", occurred_at=after(0), call_id="call-1", phone=NUMBER)
        assert await receiver.handle_event(event) == "handled"
    assert len(read_log(path)) == 1


async def test_what_failed_is_not_in_the_log(store: SQLiteStore, path: Path) -> None:
    receiver = receiver_of(store)

    @receiver.on(CallEnded)
    def fail(event: CallEnded) -> None:
        if event.call_id == "call-bad":
            raise RuntimeError

    assert await receiver.handle_event(ended(1, "bad")) == "failed"
    assert await receiver.handle_event(ended(1, "good")) == "handled"
    assert [event.call_id for event in read_log(path)] == ["call-good"]


async def test_a_store_that_has_handled_nothing_yet_has_an_empty_log(store: SQLiteStore, path: Path) -> None:
    receiver = WebhookReceiver(SECRET, store=store, clock=lambda: NOW)

    @receiver.on(CallEnded)
    def fail(event: CallEnded) -> None:
        # As the store is while the first event is being handled.
        assert read_log(path) == []
        if event.call_id == "call-bad":
            raise RuntimeError

    assert await receiver.handle_event(ended(1, "bad")) == "failed"
    assert read_log(path) == []
    assert await receiver.handle_event(ended(1)) == "handled"
    with pytest.raises(EventLogError, match="no EventLog has kept a"):
        read_log(path)


async def test_an_event_that_failed_until_its_hook_was_disabled_is_missed() -> None:
    receiver, reconciler = WebhookReceiver(SECRET, store=MemoryStore(), clock=lambda: NOW), EventReconciler()
    receiver.on(CallEnded)(reconciler.seen)

    @receiver.on(CallEnded)
    def fail(event: CallEnded) -> None:
        if event.call_id == "call-bad":
            raise RuntimeError

    assert {await receiver.handle_event(ended(1, "bad")) for _ in range(10)} == {"failed"}
    assert await receiver.handle_event(ended(1, "good", phone=OTHER)) == "handled"
    for each in (record(0, "bad"), record(0, "good", dst=OTHER)):
        reconciler.add(each)
    reconciler.sweep(now=after(HOUR))
    assert (pairs(reconciler), missed(reconciler)) == ({("call-good", "good")}, {"bad"})


async def test_old_events_leave_the_log(store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = receiver_of(store, keep=timedelta(hours=2))
    for hour in range(5):
        monkeypatch.setattr(_clock, "utc_now", lambda hour=hour: after(hour * HOUR))
        assert await receiver.handle_event(ended(hour * HOUR, f"{hour}")) == "handled"
    assert [event.call_id for event in read_log(path)] == ["call-2", "call-3", "call-4"]


async def test_an_event_is_handled_once_whether_it_is_delivered_or_given(store: SQLiteStore) -> None:
    receiver = receiver_of(store)
    handled: list[CallEnded] = []
    receiver.on(CallEnded)(handled.append)
    event = recovered_event(record(0))
    assert [await receiver.handle_event(event) for _ in range(2)] == ["handled", "seen"]
    assert await receiver.handle_event(recovered_event(record(0, billsec=7))) == "seen"
    assert handled == [event]
    assert isinstance(handled[0], RecoveredCall)
    with pytest.raises(ValueError, match="event must have an id"):
        await receiver.handle_event(CallEnded(type="call.ended"))
    with pytest.raises(TypeError, match="event must be an Event, not CallRecord"):
        await receiver.handle_event(record(0))  # type: ignore[arg-type] # as just said


def test_what_is_no_log_is_told_without_its_contents(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_log(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    other = tmp_path / "other.db"
    other.write_bytes(b"+442079460811" * 100)
    with pytest.raises(EventLogError, match="not a database") as caught:
        read_log(other)
    assert "4420" not in str(caught.value)
    other.unlink()
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE unlimcall_ended (key, event, at)")
        connection.execute("INSERT INTO unlimcall_ended VALUES ('a', '{\"phone\": \"+442079460811\"}', 0)")
    with pytest.raises(EventLogError, match="expected the fields") as caught:
        read_log(other)
    assert "4420" not in str(caught.value)


def test_a_log_needs_a_store_that_writes() -> None:
    with pytest.raises(TypeError, match="store must be an SQLiteStore, not MemoryStore"):
        EventLog(MemoryStore())  # type: ignore[arg-type] # as just said


def test_a_recovered_event_holds_what_the_record_knows() -> None:
    event = recovered_event(record(0, disposition="ANSWERED"))
    assert (event.type, event.phone, event.duration_sec, event.occurred_at) == ("call.ended", NUMBER, 60, after(0))
    assert (event.call_id, event.disposition_code, event.record.id) == (None, None, "1")
    with pytest.raises(TypeError, match="record must be a CallRecord"):
        recovered_event(event)  # type: ignore[arg-type] # as just said
    with pytest.raises(ValueError, match="timezone"):
        recovered_event(type(record(0))("1", datetime(2026, 1, 1), 1, 1))  # noqa: DTZ001 # as just said
