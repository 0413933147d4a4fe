"""What pages of dense traffic show of how finely a server compares and sorts, and what is known of that then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cdrs.simulated import page_of, record
from tests.cdrs.test_gauge import known_by_gauging
from tests.cdrs.test_margins import Clock
from tests.cdrs.test_margins import Server as ClockServer
from unlimcall_async.cdrs.planner.gauge import KnownMargins
from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS, Margins
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.tasks import Gauge
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window

pytestmark = pytest.mark.own_rules

ASKED, WANTED = Window(-SECOND, 1000 * SECOND), Range(0, 999 * SECOND)
# A row each seven milliseconds, and the same in the steps of a tenth of a second.
STARTS = [7 * MILLISECOND * place for place in range(1500)]
TENTHS = [at // (100 * MILLISECOND) * (100 * MILLISECOND) for at in STARTS]


def page(starts: Sequence[int], *, complete: bool = False) -> Page:
    return page_of([record(at, number) for number, at in enumerate(starts)], complete=complete)


def gauge_of(known: KnownMargins, starts: Sequence[int] = STARTS, *, number: int = 7) -> Gauge | None:
    return known.gauge_for(page(starts), WANTED, ASKED, number)


def gauged(compared: int, *, gauges: int = 1) -> KnownMargins:
    """Return what is known of a server that compares by a step, and includes no bound."""
    clock = Clock(compared, MILLISECOND, "cut", from_included=False, till_included=False)
    return known_by_gauging(ClockServer(STARTS, clock, "newest_first", 1), 1400, gauges)


# --- how finely a server sorts --------------------------------------------------------------------------------------------


def of_one_second(times: int, *, rows: int = 120) -> list[int]:
    """Return starts within one second, at so many times that differ."""
    return [8 * MILLISECOND * (place * times // rows) for place in range(rows)]


@pytest.mark.parametrize(("pairs", "fine"), [((40,), True), ((39,), False), ((20, 20), True), ((20, 19), False)])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_server_sorts_finely_if_forty_rows_follow_another_of_their_second(
    newest_first: bool, pairs: tuple[int, ...], fine: bool
) -> None:
    known = KnownMargins()
    for number in pairs:
        starts = of_one_second(number + 1)
        assert not known.observe(page(starts[::-1] if newest_first else starts))
    assert known.sorted_by == (10 * MILLISECOND if fine else SECOND)


def test_a_server_that_writes_hundredths_of_seconds_may_sort_finely() -> None:
    known = KnownMargins()
    known.observe(page([10 * MILLISECOND * place for place in range(1000)]))
    assert known.sorted_by == 10 * MILLISECOND


def test_rows_of_different_seconds_show_nothing() -> None:
    known = KnownMargins()
    known.observe(page([place // 2 * SECOND // 20 * 20 for place in range(100)]))
    assert known.sorted_by == SECOND


@pytest.mark.parametrize(
    "starts", [TENTHS, [at * 20 for at in STARTS], STARTS[:99]], ids=["tenths of seconds", "not dense", "few"]
)
def test_other_pages_do_not_show_how_finely_a_server_sorts(starts: list[int]) -> None:
    known = KnownMargins()
    known.observe(page(starts))
    assert known.sorted_by == SECOND


def test_a_page_that_is_not_sorted_refutes_for_good_that_a_server_sorts_finely() -> None:
    known = KnownMargins()
    known.observe(page(STARTS))
    assert known.sorted_by == 10 * MILLISECOND
    odd = [*STARTS[1:], STARTS[0], STARTS[5]]
    assert [known.observe(page(odd)) for _ in range(2)] == [True, False]
    known.observe(page(STARTS))
    assert known.sorted_by == SECOND


# --- gauges ---------------------------------------------------------------------------------------------------------------


def test_the_page_of_a_gauge_is_kept_with_what_it_was_asked_for() -> None:
    gauge = gauge_of(KnownMargins())
    assert gauge is not None
    assert (gauge.page.micros, gauge.range, gauge.asked, gauge.number) == (STARTS, WANTED, ASKED, 7)
    assert STARTS[0] < gauge.window.start < gauge.window.till < STARTS[-1]
    # In the middle half.
    assert STARTS[375] < gauge.window.start < gauge.window.till < STARTS[1125]


def test_the_bounds_of_a_gauge_lie_between_rows_that_are_close_together() -> None:
    """Amid rows that lie far apart, a bound would not show fine steps."""
    pairs = [Range(at * MILLISECOND, (at + 3) * MILLISECOND) for at in (3658, 4338)]
    starts = [20 * MILLISECOND * place for place in range(400) for _ in range(3)]
    gauge = gauge_of(KnownMargins(), starts + [at for pair in pairs for at in (pair.start, pair.end)])
    assert gauge is not None
    for bound, pair in zip((gauge.window.start, gauge.window.till), pairs, strict=True):
        assert pair.start < bound < pair.end


def test_a_gauge_is_so_long_that_it_holds_about_a_hundred_known_rows() -> None:
    starts = [49 * MILLISECOND * place for place in range(1000)]
    gauge = gauge_of(KnownMargins(), starts)
    assert gauge is not None
    assert 50 < sum(gauge.window.start <= at <= gauge.window.till for at in starts) < 150


BURST = [500 * SECOND + place // 50 * MILLISECOND for place in range(1000)]


@pytest.mark.parametrize("starts", [BURST, BURST[::-1]], ids=["oldest first", "newest first"])
def test_a_burst_that_no_window_lies_amid_is_gauged_by_a_window_that_tells_hypotheses_apart(starts: list[int]) -> None:
    known = KnownMargins()
    gauge = gauge_of(known, starts, number=31)
    assert gauge is not None
    clock = Clock(SECOND, MILLISECOND, "cut", from_included=True, till_included=True)
    rows, complete = ClockServer(starts, clock, "newest_first", 1).answer(gauge.window, 2000)
    before = len(known.bounds.left)
    known.settle(gauge, page_of(rows, complete=complete), complete=complete)
    assert len(known.bounds.left) < before


@pytest.mark.parametrize(
    ("starts", "number"), [([*BURST[1::2], *BURST[::2]], 31), (BURST, 30)], ids=["a sample", "of a short pull"]
)
def test_other_bursts_that_no_window_lies_amid_are_not_gauged_by(starts: list[int], number: int) -> None:
    assert gauge_of(KnownMargins(), starts, number=number) is None


def test_a_burst_is_gauged_by_until_the_margins_can_become_no_finer() -> None:
    """Margins of tenths of a second are more than its page covers."""
    known, steps = KnownMargins(), list[int]()
    clock = Clock(MILLISECOND, MILLISECOND, "cut", from_included=False, till_included=False)
    server = ClockServer([500 * SECOND + place // 10 * MILLISECOND for place in range(5000)], clock, "newest_first", 1)
    burst = [500 * SECOND + place // 10 * MILLISECOND for place in range(1000)]
    while (gauge := gauge_of(known, burst, number=31)) is not None:
        rows, complete = server.answer(gauge.window, 1000)
        known.settle(gauge, page_of(rows, complete=complete), complete=complete)
        steps.append(known.grain_of(dense=True).margins.step // MILLISECOND)
    assert steps == [100, 100, 10]


@pytest.mark.parametrize(("last", "again"), [(999, True), (1000, False)])
def test_a_page_that_covers_ten_steps_of_the_margins_is_not_gauged_by(last: int, again: bool) -> None:
    known = gauged(10 * MILLISECOND)
    assert known.grain_of(dense=True).margins.step == 100 * MILLISECOND
    starts = [500 * SECOND + place * MILLISECOND for place in (*range(500), last)]
    assert (gauge_of(known, starts) is not None) is again


def test_three_gauges_are_asked_at_most() -> None:
    known = KnownMargins()
    for _ in range(3):
        gauge = gauge_of(known)
        assert gauge is not None
        # The answer is full, and shows nothing.
        known.settle(gauge, page([]), complete=False)
        assert known.grain_of(dense=True).margins is WHOLE_SECONDS
    assert gauge_of(known) is None


@pytest.mark.parametrize(
    "starts",
    [TENTHS, [at // SECOND * SECOND for at in STARTS], [0] * 1000],
    ids=["tenths of seconds", "whole seconds", "one time"],
)
def test_other_pages_are_not_gauged_by(starts: list[int]) -> None:
    assert gauge_of(KnownMargins(), starts) is None


@pytest.mark.parametrize("written", [7, 10])
def test_a_page_in_hundredths_of_seconds_is_gauged_by(written: int) -> None:
    """A row may be compared up to such a step earlier or later than the time that it shows."""
    known = KnownMargins()
    assert gauge_of(known, [written * MILLISECOND * place for place in range(1000)]) is not None
    within = (10 if written == 10 else 1) * MILLISECOND - 1
    assert {(bounds.earlier, bounds.later) for bounds in known.bounds.left} == {(within, within)}


@pytest.mark.parametrize("refuted_before", [True, False])
def test_nothing_is_gauged_once_the_margins_are_known_or_refuted(refuted_before: bool) -> None:
    known = KnownMargins() if refuted_before else gauged(MILLISECOND)
    if refuted_before:
        known.refute()
    assert gauge_of(known) is None
    known.refute()
    assert gauge_of(known) is None
    assert known.grain_of(dense=True).margins is WHOLE_SECONDS


def test_a_gauge_that_comes_after_the_margins_were_refuted_changes_nothing() -> None:
    known = KnownMargins()
    gauge = gauge_of(known)
    assert gauge is not None
    known.refute()
    came = [at for at in STARTS if gauge.window.start <= at <= gauge.window.till]
    known.settle(gauge, page(came, complete=True), complete=True)
    assert known.grain_of(dense=True).margins is WHOLE_SECONDS


@pytest.mark.parametrize(
    ("compared", "step"),
    [(1, 10), (1000, 10), (20_000, 100), (50_000, 100), (100_000, 100)],
)
def test_margins_are_of_the_finest_of_two_steps_that_the_server_s_step_divides(compared: int, step: int) -> None:
    margins = gauged(compared, gauges=3).grain_of(dense=True).margins
    assert margins == Margins.unknown(step * MILLISECOND)


def test_steps_between_a_tenth_and_a_whole_second_have_margins_of_what_is_known_of_bounds() -> None:
    margins = gauged(SECOND // 2, gauges=3).grain_of(dense=True).margins
    assert margins.step == SECOND
    assert margins != WHOLE_SECONDS


# --- what refutes finer margins -------------------------------------------------------------------------------------------

INSIDE = Window(3000 * MILLISECOND, 5000 * MILLISECOND)


def rows_between(first: int, last: int) -> list[int]:
    return [at for at in STARTS if first * MILLISECOND < at < last * MILLISECOND]


@pytest.mark.parametrize(
    ("known_rows", "refuted"),
    [
        pytest.param([4001], True, id="inside"),
        pytest.param([2900, 5100], False, id="outside"),
        pytest.param([1000, 7000], False, id="far outside"),
        pytest.param([4004], False, id="came"),
    ],
)
def test_a_known_row_that_a_complete_page_lacks_refutes_the_margins(known_rows: list[int], refuted: bool) -> None:
    known = gauged(MILLISECOND)
    came = page(rows_between(3000, 5000), complete=True)
    starts = [at * MILLISECOND for at in known_rows]
    assert known.learn(INSIDE, came, starts, complete=True) is refuted
    assert (known.grain_of(dense=True).margins is WHOLE_SECONDS) == refuted
    # That is said once.
    assert not known.learn(INSIDE, came, starts, complete=True)


def test_an_empty_page_that_is_complete_refutes_the_margins_and_a_full_one_without_rows_says_nothing() -> None:
    known = gauged(MILLISECOND)
    assert not known.learn(INSIDE, page([]), [4000 * MILLISECOND], complete=False)
    assert known.learn(INSIDE, page([], complete=True), [4000 * MILLISECOND], complete=True)


@pytest.mark.parametrize(
    ("descending", "missing", "refuted"),
    [
        # A page that ends at 4.004 s surely holds all from 6 s on, and in ascending order all before 3 s.
        (True, 5_999, False),
        (True, 6_000, True),
        (True, 6_950, True),
        (True, 7_050, False),
        (False, 3_000, False),
        (False, 2_999, True),
        (False, 1_050, True),
        (False, 950, False),
    ],
)
def test_a_known_row_that_a_full_page_should_repeat_refutes_the_margins(
    descending: bool, missing: int, refuted: bool
) -> None:
    known = gauged(MILLISECOND)
    rows = rows_between(4_000, 7_000)[::-1] if descending else rows_between(1_000, 4_005)
    assert rows[-1] == 4_004 * MILLISECOND
    window = Window(1_000 * MILLISECOND, 7_000 * MILLISECOND)
    came = page([at for at in rows if at != missing * MILLISECOND])
    assert known.learn(window, came, [missing * MILLISECOND], complete=False) is refuted


def test_rows_that_a_full_page_without_an_order_lacks_refute_nothing() -> None:
    known = gauged(MILLISECOND)
    rows = rows_between(3000, 5000)
    assert not known.learn(INSIDE, page([*rows[5:], *rows[:5]]), [4001 * MILLISECOND], complete=False)
    assert not known.learn(INSIDE, page([rows[0]] * 5), [4001 * MILLISECOND], complete=False)
    # The last row of such a page is not the last in time.
    window = Window(1_000 * MILLISECOND, 9_000 * MILLISECOND)
    rows = [*rows_between(6_000, 8_900), *rows_between(4_500, 5_000), *rows_between(8_900, 8_990)]
    assert not known.learn(window, page(rows), [2_999 * MILLISECOND], complete=False)


def test_before_the_first_gauge_pages_show_nothing_of_the_bounds() -> None:
    known = KnownMargins()
    before = known.bounds.left
    assert not known.learn(INSIDE, page(rows_between(3000, 5000), complete=True), [4001 * MILLISECOND], complete=True)
    assert known.bounds.left == before
    assert known.grain_of(dense=True).margins is WHOLE_SECONDS


def test_a_row_from_far_outside_the_window_refutes_the_margins_of_a_full_page_too() -> None:
    known = gauged(MILLISECOND)
    assert known.learn(INSIDE, page([*rows_between(3000, 5000), 5100 * MILLISECOND]), [], complete=False)
    assert known.grain_of(dense=True).margins is WHOLE_SECONDS


def test_a_part_that_is_not_dense_has_margins_of_whole_seconds_whatever_is_known() -> None:
    known = gauged(MILLISECOND)
    known.observe(page(STARTS))
    dense, other = (known.grain_of(dense=dense) for dense in (True, False))
    assert (dense.sorted_by, other.sorted_by) == (10 * MILLISECOND, SECOND)
    assert other.margins is WHOLE_SECONDS
