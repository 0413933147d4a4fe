"""Times as microseconds, and multiples of a step beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cdrs.times import FIRST, LAST, Range, ceil, floor, to_datetime, to_micros

times = st.integers(FIRST, LAST)


@given(times)
def test_microseconds_survive_the_way_through_a_datetime(micros: int) -> None:
    assert to_micros(to_datetime(micros)) == micros


ZONES = [UTC, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu")]


# By the wall clock some of these moments come twice, which `fold` tells apart.
@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.sampled_from(ZONES)))  # noqa: DTZ001 # bounds of the strategy are naive
def test_datetimes_of_any_zone_are_the_same_instants_in_microseconds(moment: datetime) -> None:
    assert to_datetime(to_micros(moment)) == moment.astimezone(UTC)


@given(st.integers(1, 10**20))
def test_a_time_beyond_what_a_datetime_holds_becomes_the_nearest_one(far: int) -> None:
    assert to_datetime(LAST + far) == datetime.max.replace(tzinfo=UTC)
    assert to_datetime(FIRST - far) == datetime.min.replace(tzinfo=UTC)


@given(times, st.integers(1, 10**12))
def test_floor_and_ceil_are_the_multiples_beside_a_time(micros: int, step: int) -> None:
    below, above = floor(micros, step), ceil(micros, step)
    assert below % step == above % step == 0
    assert micros - step < below <= micros <= above < micros + step


@given(st.integers(-5, 5), st.integers(0, 5), st.integers(-12, 12))
def test_a_range_holds_its_start_and_not_its_end(start: int, length: int, micros: int) -> None:
    wanted = Range(start, start + length)
    assert len(wanted) == length
    assert wanted.holds(micros) == (micros in range(start, start + length))
