"""Records that come one by one, and a sweep again and again meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable

from unlimcall_async import CallRecord
from unlimcall_async.operations.event_alarm import EventAlert
from unlimcall_async.operations.iteration import iterating


async def watching(
    records: AsyncIterable[CallRecord],
    add: Callable[[CallRecord], None],
    sweep: Callable[[], list[EventAlert]],
    every: float,
) -> AsyncGenerator[EventAlert, None]:
    """Add the records as they come, sweep every so many seconds and at the end of the records, and yield the alerts.

    A task of its own reads the records: a sweep is due also while none come, for example because the account has no calls.
    """
    async with iterating(records) as iterator:
        reading = asyncio.create_task(_read(iterator, add))
        try:
            over = False
            while not over:
                await asyncio.wait([reading], timeout=every)
                # Asked before the sweep: the last records must be in one.
                over = reading.done()
                for alert in sweep():
                    yield alert
            reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(iterator: AsyncIterator[CallRecord], add: Callable[[CallRecord], None]) -> None:
    async for record in iterator:
        add(record)
