"""`client.cdrs.verify`: asks the API again, and compares.

A thin shell. `comparison` compares, and `counts` decides which days to pull if counts are to be compared first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias

from attrs import evolve

from unlimcall_async.cdrs.stats import Progress
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.errors import ResponseError
from unlimcall_async.models import CallRecord, CdrPage, UnreadableRow
from unlimcall_async.proof.comparison import Comparison, Difference, Edges, Verification
from unlimcall_async.proof.counts import Counting, days_to_pull
from unlimcall_async.proof.manifest import Manifest

# Returns a stream of `[start, end)` that keeps rows that cannot be read.
Streams: TypeAlias = Callable[[datetime, datetime], CdrStream]
# Returns the answer for a window, asked with a `limit`.
Answers: TypeAlias = Callable[[datetime, datetime, int], Awaitable[CdrPage]]
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
    answer_of: Answers,
    on_progress: OnProgress | None,
) -> Verification:
    """Compare the number of records in windows of up to 31 days, and pull only the days on which it differs."""
    edges, start, end = _edges_of(manifest)
    counting = days_to_pull({day: each.records for day, each in manifest.days.items()}, start, end)
    requests, different = await _answered(counting, answer_of)
    ok, differences, unreadable = True, list[Difference](), list[UnreadableRow]()
    for first, last in sorted([*edges, *different]):
        one = await verified(_piece_of(manifest, first, last), given, stream_of, on_progress)
        ok, requests = ok and one.ok, requests + one.requests
        differences += one.differences
        unreadable += one.unreadable
    days = {*manifest.days, *(difference.day for difference in differences)}
    return Verification(ok, len(days), requests, tuple(differences), tuple(unreadable))


async def _answered(counting: Counting, answer_of: Answers) -> tuple[int, list[tuple[datetime, datetime]]]:
    """Ask for the counts that are wanted. Return the number of requests, and what is to be pulled."""
    requests, page = 0, None
    while True:
        try:
            request = counting.send(page)
        except StopIteration as ended:
            return requests, ended.value
        requests += 1
        try:
            page = await answer_of(*request)
        except ResponseError:
            # One of the few rows of the answer cannot be read.
            page = None


def _edges_of(manifest: Manifest) -> tuple[list[tuple[datetime, datetime]], datetime, datetime]:
    """Return the days that a count cannot tell of, and the time between them.

    Such a day has the start or the end of the manifest between two of its records that start together.
    """
    start, end = manifest.start, manifest.end
    if manifest.held_at_end is not None:
        end = max(start, datetime.combine(end.date(), time(), UTC))
    edges = [] if manifest.held_at_end is None else [(end, manifest.end)]
    if manifest.held_at_start is not None and start < end:
        behind = end if end.date() == start.date() else datetime.combine(start.date() + timedelta(days=1), time(), UTC)
        edges.append((start, behind))
        start = behind
    return edges, start, end


def _piece_of(manifest: Manifest, start: datetime, end: datetime) -> Manifest:
    """Return the manifest of whole days, or of what the manifest covers of them."""
    held_at_end = manifest.held_at_end if end == manifest.end else None
    last = (end if held_at_end is not None else end - _MICROSECOND).date()
    return evolve(
        manifest,
        start=start,
        end=end,
        windows=(),
        days={day: each for day, each in manifest.days.items() if start.date() <= day <= last},
        held_at_start=manifest.held_at_start if start == manifest.start else None,
        held_at_end=held_at_end,
    )
