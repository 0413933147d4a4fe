"""`client.cdrs.verify`: asks the API again, and compares.

A thin shell. `comparison` compares, and `counts` decides which days to pull if counts are to be compared first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

from attrs import evolve

from unlimcall_async.cdrs.stats import Progress
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.errors import ResponseError
from unlimcall_async.models import CallRecord, UnreadableRow
from unlimcall_async.proof.comparison import Comparison, Edges, Verification
from unlimcall_async.proof.counts import Counting, days_to_pull
from unlimcall_async.proof.manifest import Manifest

# Returns a stream of `[start, end)` that keeps rows that cannot be read.
Streams: TypeAlias = Callable[[datetime, datetime], CdrStream]
# Returns the `count` of the answer for a window, asked with a `limit`.
Counts: TypeAlias = Callable[[datetime, datetime, int], Awaitable[int]]
OnProgress: TypeAlias = Callable[[Progress], object]

_MICROSECOND: Final = timedelta(microseconds=1)


async def verified(
    manifest: Manifest,
    given: Mapping[date, Sequence[CallRecord]] | None,
    stream_of: Streams,
    on_progress: OnProgress | None,
) -> Verification:
    """Pull the time of a manifest again, and compare.

    Args:
        manifest: What was pulled.
        given: The records of the manifest, by day, if there are any to compare with.
        stream_of: Returns a stream.
        on_progress: Called with the progress of the stream after each of its batches.
    """
    end = manifest.end if manifest.held_at_end is None else manifest.end + _MICROSECOND
    edges, comparison = Edges(manifest), Comparison(manifest.days, given)
    stream = stream_of(manifest.start, end)
    unreadable = list[UnreadableRow]()
    async with stream, aclosing(stream.batches()) as batches:
        async for batch in batches:
            comparison.add(edges.within(batch))
            unreadable += stream.unreadable
            stream.unreadable.clear()
            if on_progress is not None:
                on_progress(stream.progress)
    unreadable += stream.unreadable
    found = comparison.differences()
    return Verification(not found, len(comparison.days), stream.stats.requests, found, tuple(unreadable))


async def verified_by_counts(
    manifest: Manifest,
    given: Mapping[date, Sequence[CallRecord]] | None,
    stream_of: Streams,
    count_of: Counts,
    on_progress: OnProgress | None,
) -> Verification:
    """Compare the number of records in windows of up to 31 days, and pull only the days on which it differs."""
    counting = days_to_pull({day: each.records for day, each in manifest.days.items()}, manifest.start, manifest.end)
    requests, to_pull = await _answered(counting, count_of)
    result = Verification(ok=True, days=len(manifest.days), requests=requests, differences=())
    for start, end in to_pull:
        one = await verified(_piece_of(manifest, start, end), given, stream_of, on_progress)
        result = evolve(
            result,
            ok=result.ok and one.ok,
            requests=result.requests + one.requests,
            differences=(*result.differences, *one.differences),
            unreadable=(*result.unreadable, *one.unreadable),
        )
    return result


async def _answered(counting: Counting, count_of: Counts) -> tuple[int, list[tuple[datetime, datetime]]]:
    """Ask for the counts that are wanted. Return the number of requests, and what is to be pulled."""
    requests, count = 0, None
    while True:
        try:
            window = counting.send(count)
        except StopIteration as ended:
            return requests, ended.value
        requests += 1
        try:
            count = await count_of(*window)
        except ResponseError:
            # One of the few rows of the answer cannot be read.
            count = None


def _piece_of(manifest: Manifest, start: datetime, end: datetime) -> Manifest:
    """Return the manifest of whole days, or of what the manifest covers of them."""
    return evolve(
        manifest,
        start=start,
        end=end,
        windows=(),
        days={day: each for day, each in manifest.days.items() if start.date() <= day <= (end - _MICROSECOND).date()},
        held_at_start=manifest.held_at_start if start == manifest.start else None,
        held_at_end=manifest.held_at_end if end == manifest.end else None,
    )
