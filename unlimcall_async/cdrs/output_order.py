"""The order of the output, and a record's place in it.

Pure: no I/O. Records are ordered by start and id. The legs of a call may share both; a digest of their fields then decides, so that
any two runs agree, whatever order the server gives.

A page has a thousand rows, so `sortedness_of` finds in one pass over its starts how they follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import groupby, islice
from operator import attrgetter, gt, itemgetter, lt
from typing import Any

from attrs import frozen

from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.models import CallRecord

_start = attrgetter("start_time")
_id = attrgetter("id")
_start_and_id = attrgetter("start_time", "id")


def in_output_order(records: Iterable[CallRecord], *, newest_first: bool) -> list[CallRecord]:
    """Return records sorted; `newest_first` is exactly the reverse of the other direction."""
    ordered = sorted(records, key=_start)
    sort_ties(ordered, changes_of([record.start_time for record in ordered]))
    if newest_first:
        ordered.reverse()
    return ordered


def sort_ties(records: list[CallRecord], changes: bytes) -> None:
    """Sort, in place, the records that share a start, in a list that is sorted by starts.

    Args:
        records: The records, the oldest first.
        changes: `Sortedness.changes` of their starts.
    """
    for tie in ties_in(changes):
        legs = sorted(records[tie], key=_id)
        if len({leg.id for leg in legs}) < len(legs):
            legs = [
                leg
                for _, same_id in groupby(legs, key=_id)
                for leg in sorted(
                    same_id, key=lambda leg: (digest(leg), repr(sorted(leg.extra.items(), key=itemgetter(0))))
                )
            ]
        records[tie] = legs


# --- how the starts of a page follow each other ---------------------------------------------------------------------------


@frozen
class Sortedness:
    """How the starts of a page follow each other.

    Attributes:
        ascending: Whether no start lies before the one of the row before.
        descending: Whether no start lies after the one of the row before.
        starts: All starts, sorted, the oldest first.
        changes: A byte for each of `starts` but the last: 0 if the next start is the same, else 1. `bytes.find` finds ties at once.
    """

    ascending: bool
    descending: bool
    starts: list[datetime]
    changes: bytes


def sortedness_of(starts: list[datetime]) -> Sortedness:
    """Return how the starts of a page follow each other."""
    rising = not starts or starts[0] <= starts[-1]
    changes = changes_of(starts, lt if rising else gt)
    # A 0 stands beside equal starts, and beside starts that run against the rest. Few rows of a sorted page share a start, so
    # hardly any two of them are compared twice.
    if any(starts[tie.start] != starts[tie.stop - 1] for tie in ties_in(changes)):
        ordered = sorted(starts)
        return Sortedness(ascending=False, descending=False, starts=ordered, changes=changes_of(ordered))
    if rising:
        return Sortedness(ascending=True, descending=1 not in changes, starts=starts, changes=changes)
    return Sortedness(ascending=False, descending=True, starts=starts[::-1], changes=changes[::-1])


def changes_of(starts: Sequence[datetime], before: Callable[[Any, Any], bool] = lt) -> bytes:
    """Return a byte for each start but the last: 1 if the start comes before the next one, else 0."""
    return bytes(map(before, starts, islice(starts, 1, None)))


def ties_in(changes: bytes) -> Iterator[slice]:
    """Yield where two or more starts stand side by side without a change between them."""
    start = changes.find(0)
    while start >= 0:
        end = changes.find(1, start)
        end = len(changes) + 1 if end < 0 else end + 1
        yield slice(start, end)
        start = changes.find(0, end)


# --- a place in the output ------------------------------------------------------------------------------------------------


# The documented fields alone, so that fields that the API, or a later release, adds do not change a digest that a user has stored.
_digested = attrgetter(
    *("id", "start_time", "duration", "billsec", "src", "dst", "disposition"),
    *("sip_username", "sell_price_cents", "currency", "country", "did"),
)


def digest(record: CallRecord) -> str:
    """Return 16 hexadecimal characters that stand for the documented fields of a record."""
    return blake2b(repr(_digested(record)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def place_behind(records: Sequence[CallRecord], count: int) -> Place:
    """Return the place behind the first `count`, at least one, of ordered records.

    `records` hold every record of each of their instants, as the records of a part do.
    """
    last = records[count - 1]
    last_digest = digest(last)
    repeats = 0
    for record in reversed(records[:count]):
        if _start_and_id(record) != _start_and_id(last) or digest(record) != last_digest:
            break
        repeats += 1
    return Place(to_micros(last.start_time), last.id, last_digest, repeats)


def count_before(records: Sequence[CallRecord], place: Place, *, newest_first: bool) -> int:
    """Return how many of the ordered records lie before a place: these were handed out already."""
    count = repeats = 0
    for record in records:
        side = _side_of(record, place, newest_first=newest_first)
        if side == 0:
            repeats += 1
        if side > 0 or repeats > place.repeats:
            break
        count += 1
    return count


def _side_of(record: CallRecord, place: Place, *, newest_first: bool) -> int:
    """Return 1 for a record behind the place, -1 for a record before the place, 0 for a record that the place describes."""
    at = to_micros(record.start_time)
    if place.id is None:
        # The place is the edge of an instant. With the oldest first, the instant itself lies behind its edge.
        return 1 if (at < place.at if newest_first else at >= place.at) else -1
    if at != place.at:
        later = at > place.at
    elif record.id != place.id:
        later = record.id > place.id
    elif (record_digest := digest(record)) != place.digest:
        later = record_digest > place.digest
    else:
        return 0
    return 1 if later != newest_first else -1
