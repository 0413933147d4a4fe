"""The order of the output, and a record's place in it.

Pure: no I/O. Records are ordered by start and id. The legs of a call may share both; a digest of their fields then decides, so that
any two runs agree, whatever order the server gives. Rows that cannot be read stand behind the records of their instant, in both
directions.

A page has a thousand rows, so `sortedness_of` finds in one pass over its starts how they follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice, takewhile
from operator import attrgetter, gt, lt
from typing import Any, TypeVar

from attrs import frozen

from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.legs import digest, leg_of, new_of
from unlimcall_async.cdrs.rows import BadRow, Row
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.models import CallRecord

T = TypeVar("T", bound=Row)

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


def sort_ties(rows: list[T], changes: bytes) -> None:
    """Sort, in place, the rows that share a start, in a list that is sorted by starts.

    Args:
        rows: The rows, the oldest first.
        changes: `Sortedness.changes` of their starts.
    """
    for tie in ties_in(changes):
        legs: list[T] = sorted(rows[tie], key=_id)
        if len({leg.id for leg in legs}) < len(legs):
            legs = [leg for _, same_id in groupby(legs, key=_id) for leg in sorted(same_id, key=_leg)]
        rows[tie] = legs


def _leg(row: Row) -> tuple[str, str]:
    """Return what legs that share start and id are sorted by."""
    extra = {} if isinstance(row, BadRow) else row.extra
    return digest(row), repr(sorted(extra.items()))


def bad_rows_last(rows: Sequence[Row]) -> list[Row]:
    """Return ordered rows with the bad ones of each instant behind its records."""
    return [
        row for _, same in groupby(rows, key=_start) for row in sorted(same, key=lambda row: isinstance(row, BadRow))
    ]


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


def changes_of(starts: Sequence[datetime] | Sequence[int], before: Callable[[Any, Any], bool] = lt) -> bytes:
    """Return a byte for each start but the last: 1 if the start comes before the next one, else 0."""
    # A slice, because an `islice` takes as long for each start as the comparison.
    return bytes(map(before, starts, starts[1:]))


def ties_in(changes: bytes) -> Iterator[slice]:
    """Yield where two or more starts stand side by side without a change between them."""
    start = changes.find(0)
    while start >= 0:
        end = changes.find(1, start)
        end = len(changes) + 1 if end < 0 else end + 1
        yield slice(start, end)
        start = changes.find(0, end)


# --- a place in the output ------------------------------------------------------------------------------------------------


def place_behind(records: Sequence[CallRecord], count: int) -> Place:
    """Return the place behind the first `count`, at least one, of ordered records.

    `records` hold every record of each of their instants, as the records of a part do.
    """
    last = records[count - 1]
    backwards = (records[at] for at in range(count - 1, -1, -1))
    legs = [*takewhile(lambda record: _start_and_id(record) == _start_and_id(last), backwards)][::-1]
    known = digest(last)
    repeats = sum(digest(leg) == known for leg in legs)
    return Place(to_micros(last.start_time), last.id, known, repeats, tuple(leg_of(leg).hex() for leg in legs))


def place_behind_bad_row(row: BadRow, before: Place) -> Place:
    """Return the place behind a bad row; `before` is the place behind the row before it."""
    at = to_micros(row.start_time)
    again = (before.at, before.id, before.digest) == (at, None, row.digest)
    return Place(at, None, row.digest, before.repeats + 1 if again else 1)


def handed_out_first(rows: Sequence[T], place: Place, *, newest_first: bool) -> tuple[Sequence[T], int]:
    """Return ordered rows, and how many of them lie before a place: these were handed out, and stand first.

    Rows that share start and id with the row of the place may have changed since, and so stand in another order.
    """
    first = next((at for at, row in enumerate(rows) if _side_of(row, place, newest_first=newest_first) >= 0), len(rows))
    here = [*takewhile(lambda row: not _side_of(row, place, newest_first=newest_first), islice(rows, first, None))]
    if not place.legs:
        return rows, first + _number_before(here, place, newest_first=newest_first)
    new = new_of(here, [*map(bytes.fromhex, place.legs)])
    are_new = set(map(id, new))
    seen = [row for row in here if id(row) not in are_new]
    return [*rows[:first], *seen, *new, *rows[first + len(here) :]], first + len(seen)


def _number_before(here: Sequence[Row], place: Place, *, newest_first: bool) -> int:
    """Return how many of the rows with start and id of a place were handed out, if only the last one's digest is known."""
    digests = [digest(row) for row in here]
    before = sum(known > place.digest if newest_first else known < place.digest for known in digests)
    found = before + min(digests.count(place.digest), place.repeats)
    # Not fewer than the place counts: the row may have changed since.
    return max(found, min(place.repeats, len(here)))


def _side_of(row: Row, place: Place, *, newest_first: bool) -> int:
    """Return 1 for a row behind the place, -1 for a row before the place, 0 for a row with start and id of the place's row."""
    at = to_micros(row.start_time)
    if place.is_edge:
        # With the oldest first, the instant itself lies behind its edge.
        return 1 if (at < place.at if newest_first else at >= place.at) else -1
    if at != place.at:
        return 1 if (at > place.at) != newest_first else -1
    is_bad = isinstance(row, BadRow)
    if is_bad != (place.id is None):
        return 1 if is_bad else -1
    if is_bad or row.id == place.id:
        return 0
    return 1 if (row.id > (place.id or "")) != newest_first else -1
