"""Call records for the tests, dated in seconds from a start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from unlimcall_async import CallRecord

START = datetime(2026, 6, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record(at: float = 0, disposition: str | None = "ANSWERED", **fields: Any) -> CallRecord:
    return CallRecord(
        id=f"{at}", start_time=after(at), disposition=disposition, **{"duration": 60, "billsec": 60, **fields}
    )


async def stream(records: Iterable[CallRecord]) -> AsyncIterator[CallRecord]:
    for each in records:
        yield each


class Endless:
    """A source that never ends, and knows whether its iterator was closed."""

    def __init__(self, records: Iterable[CallRecord]) -> None:
        self.records = records
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[CallRecord]:
        try:
            while True:
                for each in self.records:
                    yield each
        finally:
            self.closed = True
