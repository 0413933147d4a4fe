"""The times, windows, limits and other numbers that callers pass in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

import pytest

from tests.core.refusals import MOMENT, refused
from unlimcall_async import _arguments as arguments

# --- times ----------------------------------------------------------------------------------------------------------


class Autumn(tzinfo):
    """A zone whose clocks go back from 3 to 2 o'clock on 25 October 2026."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        wall = moment.replace(tzinfo=None)
        back = datetime(2026, 10, 25, 2)  # noqa: DTZ001 # a wall clock's time
        summer = wall < back or (wall < back + timedelta(hours=1) and not moment.fold)
        return timedelta(hours=2 if summer else 1)

    def dst(self, moment: datetime | None) -> timedelta:
        return self.utcoffset(moment) - timedelta(hours=1)

    def tzname(self, _moment: datetime | None) -> str:
        return "autumn"


AUTUMN = Autumn()


def at(hour: int, minute: int, fold: int = 0) -> datetime:
    return datetime(2026, 10, 25, hour, minute, tzinfo=AUTUMN, fold=fold)


def test_times_are_given_in_utc() -> None:
    taken = arguments.utc(
        "start", datetime(2026, 5, 24, 18, 14, 2, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    )
    assert taken.isoformat() == "2026-05-24T12:44:02.123456+00:00"
    assert taken.tzinfo is UTC


def test_a_window_is_ordered_by_real_time_where_the_clock_went_back() -> None:
    early, late = at(2, 45), at(2, 15, fold=1)
    assert late < early  # so Python compares two times of one zone: by the wall clock
    assert arguments.window(early, late) == (
        datetime(2026, 10, 25, 0, 45, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 15, tzinfo=UTC),
    )
    refused("start", lambda: arguments.window(late, early))


SAME = MOMENT.astimezone(timezone(timedelta(hours=-8)))


@pytest.mark.parametrize(
    "window",
    [
        (None, None),
        (MOMENT, None),
        (None, MOMENT),
        (MOMENT, MOMENT),
        (MOMENT, SAME),
        (SAME, MOMENT + timedelta(days=99)),
    ],
)
def test_a_window_may_be_open_or_empty(window: tuple[datetime | None, datetime | None]) -> None:
    assert arguments.window(*window) == window


def test_a_window_in_the_wrong_order_is_refused() -> None:
    refused("start", lambda: arguments.window(MOMENT + timedelta(microseconds=1), SAME))


class Unsure(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, _moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


NAIVE = [datetime(2026, 5, 24), datetime.min, datetime.max, MOMENT.replace(tzinfo=Unsure())]  # noqa: DTZ001, DTZ901 # naive on purpose
OUT_OF_RANGE = [
    datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
]


@pytest.mark.parametrize("value", [*NAIVE, *OUT_OF_RANGE], ids=str)
def test_naive_times_and_those_beyond_the_calendar_are_refused(value: datetime) -> None:
    refused("start", lambda: arguments.window(value, None))
    refused("end", lambda: arguments.window(None, value))


@pytest.mark.parametrize("value", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=str)
def test_the_edges_of_the_calendar_are_taken(value: datetime) -> None:
    assert arguments.utc("start", value) == value


@pytest.mark.parametrize("value", ["2026-05-24T00:00:00Z", 1747852442, 1.5, date(2026, 5, 24), timedelta(days=1), True])
def test_what_is_no_time_is_a_type_error(value: object) -> None:
    refused("start", lambda: arguments.window(value, None), TypeError)
    refused("end", lambda: arguments.window(None, value), TypeError)


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 100, 1000])
def test_a_limit_is_from_1_to_1000(value: int) -> None:
    assert arguments.limit(value) == value


@pytest.mark.parametrize("value", [0, -1, 1001, 10**9])
def test_another_limit_is_refused(value: int) -> None:
    refused("limit", lambda: arguments.limit(value))


@pytest.mark.parametrize("value", [None, True, 1.0, 100.5, "100", Decimal(100)])
def test_a_limit_is_an_int(value: object) -> None:
    refused("limit", lambda: arguments.limit(value), TypeError)


@pytest.mark.parametrize("value", [1, 0.001, 30.0, 86400])
def test_seconds_are_any_finite_number_above_0(value: float) -> None:
    assert arguments.seconds("timeout", value) == value


@pytest.mark.parametrize(
    "value", [0, 0.0, -1, -0.5, float("inf"), float("-inf"), float("nan"), 10**400], ids=lambda v: str(v)[:9]
)
def test_other_seconds_are_refused(value: float) -> None:
    refused("timeout", lambda: arguments.seconds("timeout", value))


@pytest.mark.parametrize("value", [None, True, False, "30", Decimal(30), timedelta(seconds=30)])
def test_seconds_are_a_number(value: object) -> None:
    refused("timeout", lambda: arguments.seconds("timeout", value), TypeError)


def test_whole_numbers_have_a_least_value() -> None:
    assert [arguments.whole("n", 1), arguments.whole("n", 0, at_least=0), arguments.whole("n", 8, at_least=8)] == [
        1,
        0,
        8,
    ]
    refused("n", lambda: arguments.whole("n", 0))
    refused("n", lambda: arguments.whole("n", 7, at_least=8))


@pytest.mark.parametrize("value", [None, True, 1.0, "1"])
def test_whole_numbers_are_ints(value: object) -> None:
    refused("n", lambda: arguments.whole("n", value), TypeError)


@pytest.mark.parametrize("value", [442071838750, 10**5000], ids=["a phone number", "more digits than Python writes"])
def test_a_long_number_is_refused_and_not_shown(value: int) -> None:
    checks: list[Callable[[], object]] = [lambda: arguments.limit(value), lambda: arguments.whole("limit", -value)]
    for check in checks:
        with pytest.raises(ValueError, match="limit must be") as caught:
            check()
        assert "442071838750" not in str(caught.value)


def test_a_query_holds_no_number_that_python_does_not_write() -> None:
    refused("params", lambda: arguments.params({"a": 10**5000}))
