"""The polls of a follow, and the iterations over it.

A thin shell: what they hold while requests are under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from attrs import define, field

from unlimcall_async.cdrs.iteration import Iteration
from unlimcall_async.cdrs.rows import BadRow
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.cdrs.times import MILLISECOND, Range, floor, to_micros
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.rate_limits import DAY, MINUTE


class FollowIteration(Iteration):
    """One iteration over a follow, and the stream that it pulls."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: asyncio.Event = asyncio.Event()
        self.stream: CdrStream | None = None

    async def stop(self) -> None:
        """End the wait, and the requests of the stream."""
        self.ended.set()
        if self.stream is not None:
            await self.stream.aclose()

    async def wait_until(self, moment: float) -> None:
        """Wait for a time of the event loop's clock, or for the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self.ended.wait()


@define(eq=False)
class Poll:
    """A poll under way.

    Attributes:
        began: The event loop's time at its start.
        late: Whether the follow was so late that the poll gets all of the rate limit.
        limiter: The limiter of its requests.
        pace: Seconds that a request takes of the limit.
        ranges: The ranges that are still to be asked.
        requests: How many requests the follow had sent before.
        stream: The stream over the range that is being asked.
        left: What is left of that range behind the records that have come, in microseconds.
    """

    began: float
    late: bool
    limiter: Limiter
    pace: float
    ranges: Iterator[Range]
    requests: int
    stream: CdrStream | None = None
    left: Range = field(factory=lambda: Range(0, 0))

    def take(self, *, all_of_it: bool = False) -> Range:
        """Return the stretch of the range for which all records have come, and go on behind it."""
        end = self.left.end
        if self.stream is not None and not all_of_it:
            place, row = self.stream.place, self.stream.row_ahead
            # All records of an instant come one behind the other, and before a bad row.
            behind = place.at if place.is_edge else place.at + 1
            end = min(end, max(behind, to_micros(row.start_time)) if isinstance(row, BadRow) else behind)
        taken, self.left = Range(self.left.start, end), Range(end, self.left.end)
        return taken


def seconds_per_request(limiter: Limiter) -> float:
    """Return the seconds that a request takes of a limit, in the long run; 0 without a limit."""
    if limiter.limit is None:
        return 0.0
    per_day = limiter.limit.per_day
    return max(MINUTE / limiter.limit.per_minute, DAY / per_day if per_day is not None else 0.0)


def position_of(stream: CdrStream) -> int:
    """Return the time up to which all rows of a stream were handed out, those without a start included."""
    return floor(stream.place.settled, MILLISECOND)
