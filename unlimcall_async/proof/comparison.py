"""What has changed between the records of a day that were given, and those that the API holds now.

Pure: no I/O. Both are multisets, because call records have no key. Equal records cancel first. Of what is left, records with the
same start and id are pairs, in order: one was revised. Others are missing or were added.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from attrs import field, frozen

from unlimcall_async._model import Model
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.models import CallRecord, UnreadableRow
from unlimcall_async.proof.canonical import hashes, in_utc
from unlimcall_async.proof.digest import DayDigest, Days, days_of
from unlimcall_async.proof.manifest import Manifest


@frozen
class Difference(Model):
    """A UTC day on which what was given and what the API holds now differ.

    Attributes:
        day: The day.
        expected: The number and the digest of the records that were given.
        found: The number and the digest of the records that the API holds now.
        missing: Records that were given, and that the API does not hold. Without records to compare with, this is empty.
        added: Records that the API holds, and that were not given.
        revised: Pairs of a record that was given, and of the record with its start and id that the API holds instead.
    """

    day: date
    expected: DayDigest
    found: DayDigest
    missing: tuple[CallRecord, ...] = field(default=(), repr=False)
    added: tuple[CallRecord, ...] = field(default=(), repr=False)
    revised: tuple[tuple[CallRecord, CallRecord], ...] = field(default=(), repr=False)


@frozen
class Verification(Model):
    """Whether the API still holds just what was given.

    Attributes:
        ok: Whether no day differs.
        days: How many days were compared: those that have records on either side.
        requests: Answers to CDR requests.
        differences: The days that differ, by date.
        unreadable: Rows that the API holds now and that cannot be read. They are in no digest.
    """

    ok: bool
    days: int
    requests: int
    differences: tuple[Difference, ...]
    unreadable: tuple[UnreadableRow, ...] = field(default=(), repr=False)


class Comparison:
    """What the API holds now, day by day, against what was given.

    Records come in order, the oldest first. Those of one day at a time are held, and those of days that differ.

    Args:
        expected: The digest of each day that was given.
        given: The records that were given, by day, or `None` if there are digests alone.
    """

    def __init__(self, expected: Mapping[date, DayDigest], given: Mapping[date, Sequence[CallRecord]] | None) -> None:
        self._expected = expected
        self._given = given
        self._days = Days()
        self._day: list[CallRecord] = []
        self._found_on: dict[date, list[CallRecord]] = {}

    def add(self, records: Sequence[CallRecord]) -> None:
        """Add the records that the API holds next."""
        self._days.add(records)
        if self._given is not None:
            for day, some in days_of(records):
                if self._day and self._day[0].start_time.date() != day:
                    self._end_day()
                self._day += some

    def _end_day(self) -> None:
        """Drop the records of the day that has ended, unless the day differs."""
        if self._day:
            day, self._day, records = self._day[0].start_time.date(), [], self._day
            if self._days.digest_of(day) != self._expected.get(day):
                self._found_on[day] = records

    def differences(self) -> tuple[Difference, ...]:
        """Return the days that differ, now that all records came."""
        self._end_day()
        found = self._days.digests()
        return tuple(
            self._difference(day, self._expected.get(day, DayDigest()), found.get(day, DayDigest()))
            for day in self.days
            if self._expected.get(day, DayDigest()) != found.get(day, DayDigest())
        )

    @property
    def days(self) -> list[date]:
        """The days that have records on either side."""
        return sorted({*self._expected, *self._days.digests()})

    def _difference(self, day: date, expected: DayDigest, found: DayDigest) -> Difference:
        if self._given is None:
            return Difference(day, expected, found)
        missing, added, revised = _changes(self._given.get(day, ()), self._found_on.get(day, ()))
        return Difference(day, expected, found, missing, added, revised)


def _changes(
    given: Sequence[CallRecord], found: Sequence[CallRecord]
) -> tuple[tuple[CallRecord, ...], tuple[CallRecord, ...], tuple[tuple[CallRecord, CallRecord], ...]]:
    """Return the records that are missing, those that were added, and the pairs of those that were revised."""
    left = defaultdict[int, deque[CallRecord]](deque)
    for each, record in zip(hashes(given), given, strict=True):
        left[each].append(record)
    came = list[CallRecord]()
    for each, record in zip(hashes(found), found, strict=True):
        if left[each]:
            left[each].popleft()
        else:
            came.append(record)
    gone = in_output_order((record for same in left.values() for record in same), newest_first=False)
    partners = defaultdict[tuple[datetime, str], deque[CallRecord]](deque)
    for record in gone:
        partners[_key(record)].append(record)
    revised = [(partners[_key(record)].popleft(), record) for record in came if partners[_key(record)]]
    paired = {id(new) for _, new in revised}
    missing = (record for same in partners.values() for record in same)
    return tuple(missing), tuple(record for record in came if id(record) not in paired), tuple(revised)


def _key(record: CallRecord) -> tuple[datetime, str]:
    return record.start_time, record.id


def by_day(records: Iterable[CallRecord], start: datetime, end: datetime) -> dict[date, list[CallRecord]]:
    """Return records, in any order, by their UTC day.

    Raises:
        TypeError: An element is not a call record, or its id is not text, or its start not a datetime.
        ValueError: A record does not start in `[start, end)`, or its start has no zone.
    """
    days = defaultdict[date, list[CallRecord]](list)
    for place, record in enumerate(records):
        moved = in_utc(record)
        if not isinstance(moved.id, str):
            raise TypeError(f"id of records[{place}] must be a str, not {type(moved.id).__name__}")
        if not start <= moved.start_time < end:
            raise ValueError(
                f"records[{place}] starts at {moved.start_time.isoformat()}, which is outside of start and end"
            )
        days[moved.start_time.date()].append(moved)
    return dict(days)


class Edges:
    """Which records of the two ends of a manifest are part of it, if it was made between two records of one instant."""

    def __init__(self, manifest: Manifest) -> None:
        self._held = {
            at: Counter(held)
            for at, held in ((manifest.start, manifest.held_at_start), (manifest.end, manifest.held_at_end))
            if held is not None
        }

    def within(self, records: Sequence[CallRecord]) -> Sequence[CallRecord]:
        """Return the records without those that are not part of the manifest."""
        if not any(record.start_time in self._held for record in (records[0], records[-1])):
            return records
        return [record for record in records if self._holds(record)]

    def _holds(self, record: CallRecord) -> bool:
        held = self._held.get(record.start_time)
        if held is None:
            return True
        digest = DayDigest.of([record]).digest
        held[digest] -= 1
        return held[digest] >= 0
