"""Digests of days, and the records of each day: what `DayDigest.of` says of the records of that day alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.payloads import RECORD
from unlimcall_async import CallRecord
from unlimcall_async.proof import DayDigest
from unlimcall_async.proof.digest import Days, added, days_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (1, 2, 3))


def at(hour: int) -> CallRecord:
    """Return a record that starts so many hours after the noon of the first day."""
    return replace(RECORD, start_time=NOON + timedelta(hours=hour))


def sorted_by_start(hours: list[int], *, newest_first: bool) -> list[CallRecord]:
    return [at(hour) for hour in sorted(hours, reverse=newest_first)]


@given(st.lists(st.integers(0, 71), max_size=12), st.booleans())
@example([0, 0, 0, 24, 48], False)
def test_each_day_is_yielded_with_its_records(hours: list[int], newest_first: bool) -> None:
    records = sorted_by_start(hours, newest_first=newest_first)
    days = sorted({record.start_time.date() for record in records}, reverse=newest_first)
    assert [(day, list(some)) for day, some in islice(days_of(records), 4)] == [
        (day, [record for record in records if record.start_time.date() == day]) for day in days
    ]


def test_the_digests_of_days_are_those_of_their_records() -> None:
    days = Days()
    days.add([at(0), at(1), at(24)])
    days.add([at(2)])
    digests = {FIRST: DayDigest.of([at(0), at(1), at(2)]), SECOND: DayDigest.of([at(24)])}
    assert days.digests() == digests
    assert [days.digest_of(day) for day in (FIRST, SECOND, THIRD)] == [*digests.values(), DayDigest()]


def test_the_digests_come_with_the_oldest_day_first() -> None:
    days = Days()
    days.add([at(48), at(24), at(0)])
    assert list(days.digests()) == [FIRST, SECOND, THIRD]
    assert list(added({THIRD: DayDigest()}, {FIRST: DayDigest(), SECOND: DayDigest()})) == [FIRST, SECOND, THIRD]


def test_a_copy_stays_as_it_is() -> None:
    days = Days()
    days.add([at(0)])
    copy = days.copy()
    days.add([at(1), at(24)])
    copy.add([at(48)])
    assert copy.digests() == {FIRST: DayDigest.of([at(0)]), THIRD: DayDigest.of([at(48)])}
    assert days.digests() == {FIRST: DayDigest.of([at(0), at(1)]), SECOND: DayDigest.of([at(24)])}


def test_days_begin_with_the_sums_that_they_are_given() -> None:
    assert Days({FIRST: (2, 255)}).digests() == {FIRST: DayDigest(2, f"{255:064x}")}


def test_the_digests_of_one_day_are_added() -> None:
    one, other = DayDigest.of([at(0)]), DayDigest.of([at(1), at(2)])
    assert added({FIRST: one, SECOND: one}, {FIRST: other}) == {FIRST: one + other, SECOND: one}
    assert added() == {}


# --- `DayDigest` ----------------------------------------------------------------------------------------------------


def test_records_beyond_the_thousand_that_are_hashed_at_a_time_count() -> None:
    assert DayDigest.of([at(0)] * 1000 + [at(1)]) == DayDigest.of([at(0)] * 1000) + DayDigest.of([at(1)])


def test_records_that_were_hashed_are_not_held() -> None:
    first = at(0)

    def coming() -> Iterator[CallRecord]:
        free = sys.getrefcount(first)
        yield from [first] * 1000
        yield from [at(1)] * 1000
        yield at(2)
        assert sys.getrefcount(first) == free

    assert DayDigest.of(coming()).records == 2001


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "0" * 63 + "g", "0" * 63 + "A", "0" * 64 + "\n"])
def test_a_digest_that_is_not_of_64_hexadecimal_digits_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match=r"^digest must have 64 hexadecimal digits$"):
        DayDigest(0, digest)


def test_a_digest_is_made_of_an_iterable_of_records_alone() -> None:
    with pytest.raises(TypeError, match=r"^records must be an iterable of CallRecord, not int$"):
        DayDigest.of(5)  # type: ignore[arg-type] # on purpose


def test_the_digest_of_records_that_are_taken_away_is_subtracted() -> None:
    one, other = DayDigest.of([at(0)]), DayDigest.of([at(1), at(2)])
    assert one + other == DayDigest.of([at(0), at(1), at(2)])
    assert one + other - other == one
    assert one + other - one == other
    assert DayDigest() - DayDigest(0, f"{1:064x}") == DayDigest(0, "f" * 64)


@pytest.mark.parametrize("other", [1, None, "0" * 64], ids=repr)
def test_a_digest_is_added_to_digests_alone(other: Any) -> None:
    with pytest.raises(TypeError, match=r"^unsupported operand type\(s\) for \+: 'DayDigest' and "):
        DayDigest() + other
    with pytest.raises(TypeError, match=r"^unsupported operand type\(s\) for -: 'DayDigest' and "):
        DayDigest() - other
