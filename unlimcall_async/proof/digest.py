"""The digests of days: sums of the hashes of their records, which depend neither on order nor on pages.

Pure: no I/O. A day's digest is that of a multiset: the sum, modulo 2**256, of the hashes of its records (`canonical`). So the
digests of two halves of a day add up to that of the day, and records that are taken away can be subtracted. `docs/digest.md`
specifies both.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from typing import Final, Self

from attrs import field, frozen

from unlimcall_async._argument_kinds import many
from unlimcall_async._model import Model
from unlimcall_async.models import CallRecord
from unlimcall_async.proof.canonical import in_utc, sum_of_hashes

_BITS: Final = 256
_MODULUS: Final = 1 << _BITS
_is_digest: Final = re.compile(f"[0-9a-f]{{{_BITS // 4}}}").fullmatch
# Records that are hashed at a time.
_AT_ONCE: Final = 1000


def _hexadecimal(value: str) -> str:
    if _is_digest(value) is None:
        raise ValueError(f"digest must have {_BITS // 4} hexadecimal digits")
    return value


@frozen
class DayDigest(Model):
    """How many records there are, usually of one day, and a digest of all their fields.

    Equal records have equal digests, in whatever order, and two digests add up: `DayDigest.of(a) + DayDigest.of(b)` is the digest
    of the records of both. `docs/digest.md` says how to make the digest in another language.

    Attributes:
        records: The number of records.
        digest: 64 hexadecimal digits.
    """

    records: int = 0
    digest: str = field(default="0" * (_BITS // 4), converter=_hexadecimal)

    @classmethod
    def of(cls, records: Iterable[CallRecord]) -> Self:
        """Return the digest of records, in any order, of one day or of several.

        Raises:
            TypeError: An element is not a call record.
            ValueError: A record holds a value that JSON does not have, or its start has no zone.
        """
        number = total = 0
        rest = iter(many("records", records, CallRecord))
        while some := [in_utc(record) for record in islice(rest, _AT_ONCE)]:
            number += len(some)
            total += sum_of_hashes(some)
        return cls(number, _digits(total))

    def __add__(self, other: DayDigest) -> DayDigest:
        if not isinstance(other, DayDigest):
            return NotImplemented
        return DayDigest(self.records + other.records, _digits(int(self.digest, 16) + int(other.digest, 16)))

    def __sub__(self, other: DayDigest) -> DayDigest:
        if not isinstance(other, DayDigest):
            return NotImplemented
        return DayDigest(self.records - other.records, _digits(int(self.digest, 16) - int(other.digest, 16)))


def _digits(total: int) -> str:
    return f"{total % _MODULUS:0{_BITS // 4}x}"


class Days:
    """The digests of days, to which records are added."""

    def __init__(self, sums: Mapping[date, tuple[int, int]] | None = None) -> None:
        # The number of records, and the sum of their hashes.
        self._sums: dict[date, tuple[int, int]] = dict(sums or {})

    def copy(self) -> Days:
        """Return a copy, which later records do not change."""
        return Days(self._sums)

    def add(self, records: Sequence[CallRecord]) -> None:
        """Add records whose starts are in UTC, and sorted in either direction."""
        for day, some in days_of(records):
            number, total = self._sums.get(day, (0, 0))
            self._sums[day] = number + len(some), total + sum_of_hashes(some)

    def digest_of(self, day: date) -> DayDigest:
        """Return the digest of one day."""
        number, total = self._sums.get(day, (0, 0))
        return DayDigest(number, _digits(total))

    def digests(self) -> dict[date, DayDigest]:
        """Return the digest of each day that has records, by date, the oldest first."""
        return {day: DayDigest(number, _digits(total)) for day, (number, total) in sorted(self._sums.items())}


def days_of(records: Sequence[CallRecord]) -> Iterator[tuple[date, Sequence[CallRecord]]]:
    """Yield each UTC day of records that are sorted in either direction, with its records."""
    begin = 0
    while begin < len(records):
        day = _day(records[begin])
        # The records of most pages, at their end, are of one day: no search. A search looks at ten records of a page, not at all.
        if _day(records[-1]) == day:
            yield day, records[begin:]
            return
        end = bisect_left(records, True, begin, key=lambda record: _day(record) != day)  # called at once
        yield day, records[begin:end]
        begin = end


def _day(record: CallRecord) -> date:
    return record.start_time.date()


def added(*days: Mapping[date, DayDigest]) -> dict[date, DayDigest]:
    """Return the sum of the digests of each day, by date, the oldest first."""
    by_day = defaultdict[date, list[DayDigest]](list)
    for some in days:
        for day, digest in some.items():
            by_day[day].append(digest)
    return {day: total_of(digests) for day, digests in sorted(by_day.items())}


def total_of(digests: Iterable[DayDigest]) -> DayDigest:
    """Return the sum of digests."""
    summands = [*digests]
    # Most days are on one page, and a digest is made slowly.
    if len(summands) == 1:
        return summands[0]
    return DayDigest(sum(each.records for each in summands), _digits(sum(int(each.digest, 16) for each in summands)))
