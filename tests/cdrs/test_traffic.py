"""Which holes of a page are plausible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.traffic import Traffic
from unlimcall_async.cdrs.times import SECOND, Range, to_datetime, to_micros

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
    for _ in range(3):
        for _ in range(63):
            traffic.note_claim()
            assert not traffic.suspicious(alike)
        traffic.note_claim()
        assert traffic.suspicious(alike)
        assert not traffic.suspicious(alike)


def test_a_hole_that_is_four_times_as_long_as_all_that_were_checked_is_far_longer() -> None:
    traffic, first = Traffic(), to_micros(START)
    traffic.check(Range(first, first + 3600 * SECOND), page_at())
    assert not traffic.suspicious(page((30 * HOUR, 36 * HOUR), (39 * HOUR + 59 * MINUTE, 45 * HOUR)))
    assert traffic.suspicious(page((30 * HOUR, 36 * HOUR), (40 * HOUR, 45 * HOUR)))


# --- which holes are alike ------------------------------------------------------------------------------------------------


def at(hours: float, minutes: float = 0) -> int:
    """A time after the start, in microseconds."""
    return to_micros(START + hours * HOUR + minutes * MINUTE)


def page_at(*starts: int) -> Page:
    return Page([], [to_datetime(start) for start in starts], len(starts), complete=True)


@pytest.mark.parametrize(
    ("begin", "end", "odd"),
    [
        # A hole of four hours may begin an hour earlier, or end an hour later, than the checked one of six.
        (timedelta(hours=19), timedelta(hours=23), False),
        (timedelta(hours=18, minutes=59), timedelta(hours=22, minutes=59), True),
        (timedelta(hours=23), timedelta(hours=27), False),
        (timedelta(hours=23, minutes=1), timedelta(hours=27, minutes=1), True),
        # A longer one may be more beside it at each end: by a quarter of its length.
        (timedelta(hours=17), timedelta(hours=29), False),
        (timedelta(hours=17), timedelta(hours=29, minutes=1), True),
    ],
)
@pytest.mark.parametrize("days", [1, -1, 12])
def test_a_hole_is_like_a_checked_one_at_the_same_hours_of_any_day(
    begin: timedelta, end: timedelta, days: int, odd: bool
) -> None:
    traffic = Traffic()
    traffic.check(Range(at(20), at(26)), page_at())
    whole = page((days * DAY + begin - 9 * HOUR, days * DAY + begin), (days * DAY + end, days * DAY + end + 9 * HOUR))
    assert traffic.has_odd_holes(whole) is odd


@pytest.mark.parametrize(
    ("checked", "days", "odd"),
    [
        (timedelta(hours=23, minutes=59), 1, False),
        (timedelta(hours=24), 1, True),
        (timedelta(hours=24), 7, False),
        # A hole of a week has all hours, and tells of its own week alone.
        (timedelta(days=6, hours=23), 7, False),
        (timedelta(days=7), 7, True),
        (timedelta(days=7), 0, False),
    ],
)
def test_a_hole_of_a_day_tells_of_the_same_day_of_the_week_and_one_of_a_week_of_itself(
    checked: timedelta, days: int, odd: bool
) -> None:
    traffic = Traffic()
    traffic.check(Range(at(0), to_micros(START + checked)), page_at())
    begin = days * DAY + 6 * HOUR
    assert traffic.has_odd_holes(page((begin - 4 * HOUR, begin), (begin + 8 * HOUR, begin + 12 * HOUR))) is odd


@pytest.mark.parametrize("hours", [24, 25])
def test_a_hole_that_is_itself_a_day_long_is_compared_by_the_week(hours: int) -> None:
    traffic = Traffic()
    traffic.check(Range(at(0), at(23)), page_at())
    holes = [(begin, begin + hours * HOUR) for begin in (7 * DAY, 8 * DAY)]
    found = [traffic.has_odd_holes(page((first - DAY, first), (last, last + DAY))) for first, last in holes]
    assert found == [False, True]


@pytest.mark.parametrize(
    ("begin", "end", "odd"),
    [(0, 168, False), (-56, 168, False), (-60, 168, True), (0, 224, False), (0, 228, True), (-2, 174, False)],
)
def test_a_hole_of_a_week_explains_what_lies_in_it_or_a_little_beside(begin: int, end: int, odd: bool) -> None:
    """By a quarter of the hole: one of 224 hours may reach 56 hours beyond."""
    traffic = Traffic()
    traffic.check(Range(at(0), at(168)), page_at())
    assert traffic.has_odd_holes(page(((begin - 72) * HOUR, begin * HOUR), (end * HOUR, (end + 72) * HOUR))) is odd


# --- how busy it is beside a checked hole ---------------------------------------------------------------------------------


def explained(traffic: Traffic, hole: Range) -> float:
    """Return how many rows may be expected in a hole at the near edge, by the rows beside it, without being suspicious."""
    gaps = [1, len(hole)]  # from one row to the next: suspicious, and not
    while gaps[1] - gaps[0] > 1:
        gap = sum(gaps) // 2
        gaps[not traffic.suspicious_at_edge(page_at(*range(hole.end, hole.end + 20 * gap, gap)), hole)] = gap
    return inf if gaps[1] == 2 else len(hole) * 20 / (19 * gaps[1])


def minutes(first: float, last: float, each: float) -> list[int]:
    """The starts of rows, one after so many minutes each, in microseconds."""
    return list(range(at(0, first), at(0, last) + 1, at(0, each) - at(0)))


HOLE = Range(at(15), at(16))
BEFORE, BEHIND = minutes(0, 840, 1), minutes(1020, 1440, 2)


@pytest.mark.parametrize(
    ("covered", "rows", "expected"),
    [
        # In a hole of three hours. Ten rows on either side count: 21 gaps in 30 minutes, the hole itself aside.
        pytest.param(Range(at(0), at(24)), [*BEFORE, *BEHIND], 180 * 21 / 30, id="in the middle"),
        pytest.param(Range(at(13), at(17, 11)), [*BEFORE[-61:], *BEHIND[:6]], 180 * 16 / 20, id="few rows behind"),
        pytest.param(Range(at(13, 56), at(24)), [*BEFORE[-5:], *BEHIND], 180 * 15 / 24, id="few rows before"),
        pytest.param(Range(at(14), at(24)), [at(14), *BEHIND], 180 * 11 / 20, id="one row before"),
        # Ten gaps on one side.
        pytest.param(Range(at(14), at(24)), BEHIND, 180 * 10 / 20, id="at the beginning"),
        pytest.param(Range(at(0), at(17)), BEFORE, 180 * 10 / 10, id="at the end"),
    ],
)
def test_a_checked_hole_explains_one_in_which_sixteen_times_as_many_rows_are_expected(
    covered: Range, rows: list[int], expected: float
) -> None:
    traffic = Traffic()
    traffic.check(covered, page_at(*rows))
    assert explained(traffic, HOLE) == pytest.approx(16 * expected, rel=1e-3)


@pytest.mark.parametrize("rows", [[], [at(23)], [at(1)]], ids=["none", "behind", "before"])
def test_a_hole_that_takes_in_nearly_all_rows_explains_one_however_busy_it_is_beside_that(rows: list[int]) -> None:
    traffic = Traffic()
    traffic.check(Range(at(0), at(24)), page_at(*rows))
    assert explained(traffic, HOLE) == inf


def test_holes_that_touch_are_one_and_others_are_not() -> None:
    for first, second in ((12, 14), (14, 12)):
        for apart in (0, 1):
            traffic = Traffic()
            for begin in (first, second):
                rows = [*minutes(60 * (begin + 2), 60 * 24, 6)]
                rest = Range(at(begin), at(begin + 2) - apart)
                traffic.check(rest, page_at())
                traffic.check(Range(at(begin + 12), at(24)), page_at(*rows[-9:]))
            assert (explained(traffic, Range(at(13), at(15))) == inf) is (apart == 0), (first, apart)


def test_what_is_expected_in_holes_that_touch_adds_up() -> None:
    traffic = Traffic()
    # A row a minute before the hole, and a row each two minutes behind it: 180 and 90 of them in three hours.
    traffic.check(Range(at(0), at(15)), page_at(*minutes(0, 720, 1)))
    traffic.check(Range(at(15), at(24)), page_at(*minutes(1080, 1440, 2)))
    assert explained(traffic, Range(at(13), at(17))) == pytest.approx(16 * (180 + 90), rel=1e-3)


def test_only_so_many_holes_are_remembered() -> None:
    traffic = Traffic()
    traffic.check(Range(at(3), at(5)), page_at())
    for day in range(1, 64):
        traffic.check(Range(at(24 * day + 12), at(24 * day + 13)), page_at())
    assert explained(traffic, Range(at(27), at(28))) == inf
    traffic.check(Range(at(24 * 64 + 12), at(24 * 64 + 13)), page_at())
    assert explained(traffic, Range(at(27), at(28))) < 16


# --- the near edge of a range ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize(("hole", "suspicious"), [(170 * SECOND, False), (171 * SECOND, True)])
def test_three_rows_that_are_expected_in_a_hole_at_the_edge_are_suspicious(
    hole: int, suspicious: bool, later: bool
) -> None:
    """The twenty rows next to the hole count, one a minute: three are expected in 171 seconds."""
    whole = (
        page_at(*minutes(0, 540, 10), *minutes(541, 600, 1))
        if later
        else page_at(*minutes(0, 60, 1), *minutes(70, 600, 10))
    )
    span = whole.span
    assert span is not None
    beside = Range(span[1], span[1] + hole) if later else Range(span[0] - hole, span[0])
    assert Traffic().suspicious_at_edge(whole, beside) is suspicious


@pytest.mark.parametrize(
    ("begin", "end", "suspicious"),
    [
        # By twenty rows, one a minute, sixteen take 912 seconds: so far may a hole reach beyond a checked one.
        (36_000 - 911, 43_200, False),
        (36_000 - 912, 43_200, True),
        (36_000 + 1, 43_200 + 912, False),
        (36_000 + 1, 43_200 + 913, True),
    ],
)
def test_in_busy_traffic_a_hole_at_the_edge_is_compared_closely(begin: int, end: int, suspicious: bool) -> None:
    traffic, day = Traffic(), at(12 * 24)
    traffic.check(Range(at(0), at(20)), page_at(*minutes(0, 600, 1), *minutes(720, 1200, 1)))
    hole = Range(day + begin * SECOND, day + end * SECOND)
    rows = range(hole.end, hole.end + 7200 * SECOND, 60 * SECOND)
    assert traffic.suspicious_at_edge(page_at(*rows), hole) is suspicious


def test_a_hole_that_is_chance_itself_explains_no_other() -> None:
    for last, suspicious in ((16, False), (16.01, True)):
        traffic = Traffic()
        # At the beginning of the range, where calls come each ten minutes: sixteen are expected in 160 minutes.
        rows = minutes(160, 600, 10) if last == 16 else minutes(159, 600, 10)
        traffic.check(Range(at(0), at(10)), page_at(*rows))
        hole = Range(at(24, 20), at(24, 140))
        beside = range(hole.end, hole.end + 3600 * SECOND, 60 * SECOND)
        assert traffic.suspicious_at_edge(page_at(*beside), hole) is suspicious


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
