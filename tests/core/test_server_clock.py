"""The server's clock, as seen through the `Date` of its responses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from unlimcall_async.http.server_clock import LARGE_SKEW, ServerClock, http_date, server_date

NOW = datetime(2026, 5, 24, 12, tzinfo=UTC)
DAY = 86400.0


def headers(at: datetime, **more: str) -> CIMultiDict[str]:
    return CIMultiDict({"Date": format_datetime(at.replace(microsecond=0), usegmt=True), **more})


def answer(
    clock: ServerClock, skew: float, *, at: datetime = NOW, there: float = 0.0, back: float = 0.0
) -> float | None:
    """Have a server write a response at `at`, by its own clock, on a machine whose clock differs by `skew`."""
    local = at + timedelta(seconds=skew)
    return clock.note(headers(at), local - timedelta(seconds=there), local + timedelta(seconds=back))


seconds = st.floats(0, 1)
moments = st.integers(0, 10**15).map(lambda micros: datetime(2020, 1, 2, tzinfo=UTC) + timedelta(microseconds=micros))
skews = st.floats(-1e8, 1e8)


@given(moments, skews, seconds, seconds)
def test_the_skew_is_right_to_half_a_second_and_half_the_time_of_the_response(
    at: datetime, skew: float, there: float, back: float
) -> None:
    clock = ServerClock()
    answer(clock, skew, at=at, there=there, back=back)
    assert clock.skew_s == pytest.approx(skew, abs=0.5 + (there + back) / 2 + 1e-5)


@given(skews, st.lists(st.tuples(moments, st.floats(0, 300), st.floats(0, 300)), min_size=1))
def test_a_slow_response_does_not_spoil_what_is_known(skew: float, times: list[tuple[datetime, float, float]]) -> None:
    clock = ServerClock()
    answer(clock, skew)
    for at, there, back in times:
        answer(clock, skew, at=at, there=there, back=back)
        assert clock.skew_s == pytest.approx(skew, abs=0.5 + 1e-5)


@given(st.lists(st.sampled_from([0.0, DAY, -DAY, 3600.0]), min_size=1))
def test_a_clock_that_was_set_is_known_from_the_next_response(skews: list[float]) -> None:
    clock = ServerClock()
    for skew in skews:
        answer(clock, skew)
        assert clock.skew_s == pytest.approx(skew, abs=0.5)


def test_nothing_is_known_before_a_response() -> None:
    assert ServerClock().skew_s is None


@pytest.mark.parametrize("skew", [DAY, -DAY, LARGE_SKEW + 1.001, -LARGE_SKEW - 0.001])
def test_a_large_skew_is_reported_once(skew: float) -> None:
    clock = ServerClock()
    reports = [answer(clock, each) for each in (0, skew, skew, 0, skew)]
    assert reports == [None, pytest.approx(skew, abs=0.501), None, None, None]


@pytest.mark.parametrize("skew", [LARGE_SKEW, -LARGE_SKEW, 5, 0])
def test_a_skew_of_half_a_minute_is_not_large(skew: float) -> None:
    assert answer(ServerClock(), skew) is None


@pytest.mark.parametrize(("there", "back"), [(600, 0), (0, 600), (300, 300)])
def test_a_slow_response_is_not_a_large_skew(there: float, back: float) -> None:
    assert answer(ServerClock(), 0, there=there, back=back) is None


def test_a_clock_that_is_set_during_a_request_is_in_doubt() -> None:
    clock = ServerClock()
    assert clock.note(headers(NOW), NOW, NOW - timedelta(days=1)) is None
    assert answer(clock, -DAY) == pytest.approx(-DAY, abs=0.5)


# fmt: off
UNUSABLE = [
    {}, {"Date": ""}, {"Date": "yesterday"}, {"Date": "Sun, 32 May 2026 12:00:00 GMT"}, {"Date": "x" * 65_000},
    {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Date": "Tue, 31 Dec 2019 23:59:59 GMT"}, {"Date": "Fri, 01 Jan 2100 00:00:00 GMT"},
    {"Date": "Fri, 31 Dec 9999 23:59:59 -2359"}, {"Date": "Mon, 01 Jan 0001 00:00:00 +2359"}, {"Date": "1779624000"},
    {"Date": "Sun, 24 May 2026 12:00:00 +99999999"},
]
# fmt: on


@pytest.mark.parametrize("unusable", UNUSABLE, ids=lambda headers: headers.get("Date", "missing")[:40])
def test_what_is_not_a_date_of_today_is_ignored(unusable: dict[str, str]) -> None:
    clock = ServerClock()
    answer(clock, 2)
    assert clock.note(unusable, NOW, NOW) is None
    assert clock.skew_s == pytest.approx(2, abs=0.5)
    assert server_date(unusable) is None


@pytest.mark.parametrize(
    ("age", "counts"), [("0", True), ("00", True), ("", True), ("1", False), ("86400", False), ("old", False)]
)
def test_a_response_out_of_a_cache_says_nothing_of_the_clock(age: str, counts: bool) -> None:
    clock = ServerClock()
    clock.note(headers(NOW - timedelta(days=1), Age=age), NOW, NOW)
    assert (clock.skew_s is not None) is counts


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 24 May 2026 12:00:00 GMT", "Sunday, 24-May-26 12:00:00 GMT", "Sun May 24 12:00:00 2026",
        "Sun, 24 May 2026 14:00:00 +0200", "24 May 2026 12:00:00 -0000",
    ],
)  # fmt: skip
def test_each_form_of_a_date_is_read(text: str) -> None:
    date = http_date(text)
    assert date == NOW
    assert date.tzinfo is UTC
