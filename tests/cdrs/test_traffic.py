"""Which holes of a page are plausible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.traffic import Traffic
from unlimcall_async.cdrs.times import SECOND, Range, to_micros

pytestmark = pytest.mark.own_rules

# A Monday.
START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def page(*spans: tuple[timedelta, timedelta]) -> Page:
    """Return a page with a row for each minute of some spans, the oldest first."""
    starts = [
        START + first + place * MINUTE for first, last in spans for place in range(round((last - first) / MINUTE) + 1)
    ]
    return Page([], starts, len(starts), complete=False)


def covered(answer: Page) -> Range:
    return Range(to_micros(answer.starts[0]), to_micros(answer.starts[-1]) + 1)


def test_an_even_page_has_no_hole() -> None:
    assert not Traffic().has_odd_holes(page((0 * HOUR, 12 * HOUR)))


@pytest.mark.parametrize(("hole", "odd"), [(10 * MINUTE, False), (30 * MINUTE, True)])
def test_a_hole_is_odd_if_many_records_are_expected_in_it(hole: timedelta, odd: bool) -> None:
    assert Traffic().has_odd_holes(page((0 * HOUR, 6 * HOUR), (6 * HOUR + hole, 12 * HOUR))) is odd


def nights(day: timedelta, shift: timedelta = timedelta(0)) -> Page:
    return page((day + 9 * HOUR, day + 20 * HOUR), (day + DAY + 8 * HOUR + shift, day + DAY + 18 * HOUR))


def test_a_night_that_was_checked_explains_the_next() -> None:
    traffic = Traffic()
    assert traffic.has_odd_holes(nights(0 * DAY))
    traffic.check(covered(nights(0 * DAY)), nights(0 * DAY))
    assert not traffic.has_odd_holes(nights(1 * DAY))
    assert not traffic.has_odd_holes(nights(2 * DAY, shift=50 * MINUTE))


def test_a_night_does_not_explain_a_hole_by_day() -> None:
    traffic = Traffic()
    traffic.check(covered(nights(0 * DAY)), nights(0 * DAY))
    assert traffic.has_odd_holes(page((33 * HOUR, 36 * HOUR), (39 * HOUR, 44 * HOUR)))


def test_a_short_pause_explains_no_long_one() -> None:
    traffic = Traffic()
    pause = page((0 * HOUR, 6 * HOUR), (6 * HOUR + 20 * MINUTE, 12 * HOUR))
    traffic.check(covered(pause), pause)
    assert traffic.has_odd_holes(page((24 * HOUR, 30 * HOUR), (31 * HOUR + 40 * MINUTE, 36 * HOUR)))


def test_a_small_page_may_have_an_odd_hole() -> None:
    assert Traffic().has_odd_holes(page((0 * HOUR, 5 * MINUTE), (40 * MINUTE, 45 * MINUTE)))


def test_a_weekend_explains_weekends_alone() -> None:
    traffic = Traffic()
    weekend = page((4 * DAY + 9 * HOUR, 4 * DAY + 18 * HOUR), (7 * DAY + 9 * HOUR, 7 * DAY + 18 * HOUR))
    traffic.check(covered(weekend), weekend)
    later = page((11 * DAY + 9 * HOUR, 11 * DAY + 18 * HOUR), (14 * DAY + 9 * HOUR, 14 * DAY + 18 * HOUR))
    assert not traffic.has_odd_holes(later)
    assert traffic.has_odd_holes(page((8 * DAY, 8 * DAY + 9 * HOUR), (10 * DAY, 10 * DAY + 9 * HOUR)))


def test_odd_holes_are_checked_at_once_if_far_longer_than_all_and_else_now_and_then() -> None:
    traffic = Traffic()
    short = page((0 * HOUR, 6 * HOUR), (7 * HOUR, 12 * HOUR))
    traffic.check(covered(short), short)
    alike = page((24 * HOUR, 32 * HOUR), (34 * HOUR, 40 * HOUR))
    assert not traffic.suspicious(alike)
    assert traffic.suspicious(page((0 * HOUR, 6 * HOUR), (11 * HOUR, 18 * HOUR)))
    for _ in range(64):
        traffic.note_claim()
    assert traffic.suspicious(alike)
    assert not traffic.suspicious(alike)


@pytest.mark.parametrize("later", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize(("hole", "suspicious"), [(2 * MINUTE, False), (5 * MINUTE, True)])
def test_a_hole_at_the_edge_is_judged_by_the_rows_beside_it(hole: timedelta, suspicious: bool, later: bool) -> None:
    answer = page((12 * HOUR, 20 * HOUR))
    whole = covered(answer)
    micros = hole // timedelta(microseconds=1)
    beside = Range(whole.end, whole.end + micros) if later else Range(whole.start - micros, whole.start)
    assert Traffic().suspicious_at_edge(answer, beside) is suspicious


def every_four_hours() -> Page:
    starts = [START + hour * HOUR for hour in range(0, 9 * 24, 4)]
    return Page([], starts, len(starts), complete=True)


@pytest.mark.parametrize(
    ("checked", "explained"),
    [(every_four_hours(), False), (page((0 * HOUR, 9 * HOUR), (12 * HOUR, 20 * HOUR)), True)],
    ids=["quiet", "busy"],
)
def test_a_hole_of_quiet_traffic_explains_none_of_busy_traffic(checked: Page, explained: bool) -> None:
    """Where a call comes every four hours, hours without a call say nothing of an hour with sixty calls."""
    traffic = Traffic()
    traffic.check(covered(checked), checked)
    busy = page((12 * DAY + 12 * HOUR, 12 * DAY + 20 * HOUR))
    start = to_micros(busy.starts[0])
    assert traffic.suspicious_at_edge(busy, Range(start - 3 * 3600 * SECOND, start)) is not explained
