"""The order of the output, and a record's place in it.

Pure: no I/O. Records are ordered by start and id. The legs of a call may share both; then a digest of what they say decides, so
that any two runs agree, whatever order the server gives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import compress, count, groupby, islice
from operator import attrgetter, eq, itemgetter
from typing import Any, TypeVar

from unlimcall_async._rows import CallRow
from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.instants import micros_of
from unlimcall_async.models import CallRecord

# Rows are put in order before they are made into records.
Row = TypeVar("Row", CallRecord, CallRow)

_start = attrgetter("start_time")
_id = attrgetter("id")
_name = itemgetter(0)
_start_and_id = attrgetter("start_time", "id")


def in_order(records: Iterable[Row], *, newest_first: bool) -> list[Row]:
    """Sort records; `newest_first` gives exactly the reverse."""
    ordered = list(records)
    if ordered and ordered[0].start_time > ordered[-1].start_time:
        ordered.reverse()  # so that there is nothing to sort if the server gives the newest first
    starts = [record.start_time for record in ordered]
    if starts != sorted(starts):
        ordered.sort(key=_start)
        starts.sort()
    for same in _ties(starts):
        legs = sorted(ordered[same], key=_id)
        ordered[same] = [leg for _, group in groupby(legs, key=_id) for leg in _one_or_sorted(list(group))]
    if newest_first:
        ordered.reverse()
    return ordered


def _ties(starts: Sequence[datetime]) -> Iterator[slice]:
    """Yield where several that are equal stand side by side; few do, and so nothing is done here for each of the others."""
    end = 0
    for place in compress(count(), map(eq, starts, islice(starts, 1, None))):
        if place >= end:
            end = bisect_right(starts, starts[place], place)
            yield slice(place, end)


def _one_or_sorted(legs: list[Row]) -> list[Row]:
    return legs if len(legs) == 1 else sorted(legs, key=_by_digest)


# Of these alone, so that fields that the API, or a later release, adds do not change a digest that somebody has stored.
_digested = attrgetter(
    *("id", "start_time", "duration", "billsec", "src", "dst", "disposition"),
    *("sip_username", "sell_price_cents", "currency", "country", "did"),
)


def digest(record: CallRecord | CallRow) -> str:
    """Give a short digest of the documented fields of a record."""
    return blake2b(repr(_digested(record)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _by_digest(record: CallRecord | CallRow) -> tuple[str, str]:
    extra: Any = record.extra or {}
    # The order of the fields depends on what the page was decoded by.
    return digest(record), repr(sorted(extra.items(), key=_name))


def place_behind(records: Sequence[Row], count: int) -> Place:
    """Give the place behind the first `count`, at least one, of ordered records.

    All records of one instant must be among `records`, which they are where those are all of a part.
    """
    last = records[count - 1]
    mark = digest(last)
    repeats = 0
    for record in reversed(records[:count]):
        if _start_and_id(record) != _start_and_id(last) or digest(record) != mark:
            break
        repeats += 1
    return Place(micros_of(last.start_time), last.id, mark, repeats)


def count_behind(records: Sequence[Row], place: Place, *, newest_first: bool) -> int:
    """Count the ordered records that a place has behind it: so many at the start of them were handed out."""
    count = repeats = 0
    for record in records:
        order = _compare(record, place, newest_first=newest_first)
        repeats += order == 0
        if order > 0 or repeats > place.repeats:
            break
        count += 1
    return count


def _compare(record: CallRecord | CallRow, place: Place, *, newest_first: bool) -> int:
    """Tell whether a record comes after the place (1), is of the kind that it names (0), or came before (-1)."""
    at = micros_of(record.start_time)
    if place.id is None:
        return 1 if (at < place.at if newest_first else at >= place.at) else -1
    if at != place.at:
        ahead = at > place.at
    elif record.id != place.id:
        ahead = record.id > place.id
    elif (mark := digest(record)) != place.digest:
        ahead = mark > place.digest
    else:
        return 0
    return 1 if ahead != newest_first else -1
