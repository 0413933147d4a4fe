"""The order of the output, and a record's place in it.

Pure: no I/O. Records are ordered by start and id. The legs of a call may share both; then a digest of what they say decides, so
that any two runs agree, whatever order the server gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter, itemgetter

from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.instants import micros_of
from unlimcall_async.cdrs.sortedness import apart_of, ties_in
from unlimcall_async.models import CallRecord

_start = attrgetter("start_time")
_id = attrgetter("id")
_name = itemgetter(0)
_start_and_id = attrgetter("start_time", "id")


def in_order(records: Iterable[CallRecord], *, newest_first: bool) -> list[CallRecord]:
    """Sort records; `newest_first` gives exactly the reverse."""
    ordered = sorted(records, key=_start)
    put_ties_in_order(ordered, apart_of([record.start_time for record in ordered]))
    if newest_first:
        ordered.reverse()
    return ordered


def put_ties_in_order(records: list[CallRecord], apart: bytes) -> None:
    """Sort those of one start, where records are sorted by their starts, by what `Sortedness.apart` tells of them."""
    for same in ties_in(apart):
        legs = sorted(records[same], key=_id)
        if len({leg.id for leg in legs}) < len(legs):
            legs = [leg for _, group in groupby(legs, key=_id) for leg in _one_or_sorted(list(group))]
        records[same] = legs


def _one_or_sorted(legs: list[CallRecord]) -> list[CallRecord]:
    return legs if len(legs) == 1 else sorted(legs, key=_by_digest)


# Of these alone, so that fields that the API, or a later release, adds do not change a digest that somebody has stored.
_digested = attrgetter(
    *("id", "start_time", "duration", "billsec", "src", "dst", "disposition"),
    *("sip_username", "sell_price_cents", "currency", "country", "did"),
)


def digest(record: CallRecord) -> str:
    """Give a short digest of the documented fields of a record."""
    return blake2b(repr(_digested(record)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _by_digest(record: CallRecord) -> tuple[str, str]:
    # The order of the fields depends on what the page was decoded by.
    return digest(record), repr(sorted(record.extra.items(), key=_name))


def place_behind(records: Sequence[CallRecord], count: int) -> Place:
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


def count_behind(records: Sequence[CallRecord], place: Place, *, newest_first: bool) -> int:
    """Count the ordered records that a place has behind it: so many at the start of them were handed out."""
    count = repeats = 0
    for record in records:
        order = _compare(record, place, newest_first=newest_first)
        repeats += order == 0
        if order > 0 or repeats > place.repeats:
            break
        count += 1
    return count


def _compare(record: CallRecord, place: Place, *, newest_first: bool) -> int:
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
