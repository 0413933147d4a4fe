"""`EventReconciler.watch`: sweeps in virtual time, also while no records come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest

from tests.operations.ended import HOUR, ended, record
from tests.operations.records import Endless, after, stream
from unlimcall_async import CallRecord, _clock
from unlimcall_async.operations import EventReconciler

pytestmark = pytest.mark.looptime

# Seconds between two calls, and from the end of a call to its record.
APART, LATE = 20, 60


@pytest.fixture(autouse=True)
async def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(_clock, "utc_now", lambda: after(loop.time()))


def number(index: int) -> str:
    return f"+4420{index:08d}"


async def follow(reconciler: EventReconciler, disabled_at: float, till: float) -> AsyncGenerator[CallRecord, None]:
    """Yield the records of calls as a follow does, and let the receiver see their events until its hook is disabled."""
    index = 0
    while (end := index * APART) < till:
        await asyncio.sleep(max(0.0, end - asyncio.get_running_loop().time()))
        if end < disabled_at:
            reconciler.seen(ended(end + 1, f"{index}", phone=number(index)))
        if index * APART >= LATE:
            due = index - LATE // APART
            yield record(due * APART, f"{due}", dst=number(due))
        index += 1


async def test_an_alarm_comes_within_ten_minutes_of_the_hooks_end() -> None:
    reconciler, disabled_at = EventReconciler(), HOUR
    loop = asyncio.get_running_loop()
    async with aclosing(reconciler.watch(follow(reconciler, disabled_at, 2 * HOUR))) as alerts:
        alert = await anext(alerts)
        assert alert.state == "started"
        assert disabled_at < loop.time() <= disabled_at + 600
        assert alert.at == after(loop.time())
    assert all(call.record.start_time >= after(disabled_at - 60) for call in reconciler.missed)


async def test_sweeps_go_on_while_no_record_comes() -> None:
    reconciler = EventReconciler()

    async def silent() -> AsyncIterator[CallRecord]:
        for index in range(5):
            yield record(0, f"{index}", dst=number(index))
        await asyncio.Event().wait()

    async with aclosing(reconciler.watch(silent(), every=timedelta(seconds=30))) as alerts:
        assert (await anext(alerts)).state == "started"
        assert asyncio.get_running_loop().time() == 300


async def test_the_end_of_the_records_is_swept_and_ends_the_watch() -> None:
    reconciler = EventReconciler()
    await asyncio.sleep(HOUR)
    given = [record(0, f"{index}", dst=number(index)) for index in range(5)]
    assert [alert.state async for alert in reconciler.watch(stream(given))] == ["started"]
    assert asyncio.get_running_loop().time() == HOUR


async def test_an_error_of_the_records_comes_after_a_last_sweep() -> None:
    reconciler = EventReconciler()
    await asyncio.sleep(HOUR)

    async def broken() -> AsyncIterator[CallRecord]:
        yield record(0)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        _ = [alert async for alert in reconciler.watch(broken())]
    assert len(reconciler.missed) == 1


async def test_a_watch_that_is_left_closes_its_records() -> None:
    class Slow(Endless):
        async def __aiter__(self) -> AsyncIterator[CallRecord]:
            try:
                for each in self.records:
                    yield each
                await asyncio.Event().wait()
            finally:
                self.closed = True

    source = Slow([record(0, f"{index}", dst=number(index)) for index in range(5)])
    async with aclosing(EventReconciler().watch(source)) as alerts:
        await anext(alerts)
        assert not source.closed
    assert source.closed
    with pytest.raises(ValueError, match="every must be"):
        EventReconciler().watch(source, every=timedelta(0))
