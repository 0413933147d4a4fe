"""A source of the user's is closed at the end, if it can be closed."""

from __future__ import annotations

import pytest

from tests.operations.records import Endless, record
from unlimcall_async import CallRecord
from unlimcall_async.operations import CallerId, CallerIdHealth, CarrierMonitor

GB = [CallerId("+442079460812", "GB")]


async def test_an_iterator_that_cannot_be_closed_is_watched_too() -> None:
    class Once:
        def __init__(self) -> None:
            self.rest = [
                record(disposition="FAILED" if index < 4 else "ANSWERED", country="Germany") for index in range(300)
            ]

        def __aiter__(self) -> Once:
            return self

        async def __anext__(self) -> CallRecord:
            if not self.rest:
                raise StopAsyncIteration
            return self.rest.pop()

    assert [alert.state async for alert in CarrierMonitor().watch(Once())] == ["started", "started"]


async def test_the_source_is_closed_where_reading_fails() -> None:
    source, health = Endless([record(src=GB[0].number), None]), CallerIdHealth(GB)  # type: ignore[list-item] # that is the failure
    with pytest.raises(TypeError, match="record must be a CallRecord, not NoneType"):
        await health.read(source)
    assert source.closed
