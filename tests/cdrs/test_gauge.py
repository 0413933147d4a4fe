"""Dense traffic: what one window shows of the server's bounds makes margins finer than whole seconds, and a wrong guess shows."""

from __future__ import annotations

import random
from bisect import bisect_left
from itertools import product
from math import ceil

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.planner_pulls import pull as pull_a_year
from benchmarks.planner_server import Bounds, Calls
from benchmarks.planner_server import Server as YearServer
from tests.cdrs.hostile import Case, Manners, Row, Run
from tests.cdrs.hostile_pull import run
from tests.cdrs.simulated import Order, Pull, expected, page_of, record
from tests.cdrs.test_margins import CLOCKS, Clock
from tests.cdrs.test_margins import Server as ClockServer
from tests.selection import covering, slow_but
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.gauge import KnownMargins, without_gaps
from unlimcall_async.cdrs.planner.margins import COARSE, WHOLE_SECONDS, Margins
from unlimcall_async.cdrs.planner.sizes import BUFFER
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, floor, to_micros

pytestmark = pytest.mark.own_rules

PAGE = 1000
HOUR = 3600 * SECOND


@define
class Server:
    """Answers windows of many calls fast. It shows milliseconds, and compares by `step`; by `then` from the answer `turn` on."""

    calls: list[CallRecord]
    order: Order
    step: int
    from_included: bool = True
    till_included: bool = False
    then: int = MILLISECOND
    turn: int = 10**9
    asked: list[Window] = field(factory=list)
    records: list[CallRecord] = field(init=False)
    _starts: list[int] = field(init=False)
    _ranks: list[float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.records = sorted(self.calls, key=lambda call: call.start_time)
        self._starts = [to_micros(call.start_time) for call in self.records]
        chance = random.Random(3)
        self._ranks = [chance.random() for _ in self.records]

    def answer(self, window: Window, limit: int) -> tuple[list[CallRecord], bool]:
        """Return the rows of a window, and whether the page is complete."""
        step = self.step if len(self.asked) < self.turn else self.then
        self.asked.append(window)
        low = (window.start // step + (not self.from_included)) * step
        high = (window.till // step + self.till_included) * step
        first, end = bisect_left(self._starts, low), bisect_left(self._starts, high)
        places = list(range(first, max(first, end)))
        if self.order == "newest_first":
            places.reverse()
        elif self.order == "arbitrary":
            places.sort(key=self._ranks.__getitem__)
        return [self.records[place] for place in places[:limit]], len(places) < limit


def dense_calls(rate: int, count: int, first: int = 0) -> list[CallRecord]:
    """Return calls at so many a second."""
    chance = random.Random(rate)
    millis = count * 1000 // rate
    return [record(first + chance.randrange(millis) * MILLISECOND, number) for number in range(count)]


def requests_for(server: Server, wanted: Range, *, newest_first: bool, concurrency: int = 4, seek: bool = True) -> int:
    """Return how many requests a pull takes; it must give exactly the records."""
    pull = Pull(server, wanted, PAGE, newest_first, concurrency, seek=seek)  # type: ignore[arg-type] # as much of a server as it uses
    assert pull.run() == expected(server.records, wanted, newest_first=newest_first)
    return len(server.asked)


# --- what dense traffic costs ---------------------------------------------------------------------------------------------


DENSE: list[tuple[Order, int, float]] = [
    ("newest_first", 100, 1.2),
    ("newest_first", 300, 1.2),
    ("newest_first", 900, 1.3),
    ("oldest_first", 100, 1.2),
    ("oldest_first", 300, 1.3),
    ("oldest_first", 900, 1.6),
    ("arbitrary", 300, 2.8),
]


@pytest.mark.rest_slow
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
@pytest.mark.parametrize(("order", "rate", "most"), slow_but(DENSE[1::4], DENSE))
def test_dense_traffic_costs_little_more_than_any_other(
    order: Order, rate: int, most: float, newest_first: bool
) -> None:
    """Before, at 300 records a second: 7 to 10 times the fewest requests."""
    count = 20_000
    server = Server(dense_calls(rate, count), order, MILLISECOND)
    wanted = Range(0, count // rate * SECOND)
    assert requests_for(server, wanted, newest_first=newest_first) <= most * count / PAGE


def calls_in_bursts(bursts: int, *, every: int, millis: int, rows: int) -> tuple[list[CallRecord], Range]:
    """Return calls in bursts, one each so many seconds, and the range that holds them all."""
    chance = random.Random(1)
    starts = [
        at * every * SECOND + chance.randrange(millis) * MILLISECOND for at in range(1, bursts + 1) for _ in range(rows)
    ]
    return [record(at, number) for number, at in enumerate(starts)], Range(0, (bursts + 1) * every * SECOND)


@pytest.mark.slow
def test_gaps_beside_which_each_second_is_taken_apart_are_doubted_a_few_times_alone() -> None:
    """A page with whole seconds never holds a burst and the one beside it: 26 times the fewest requests if each gap is doubted."""
    calls, wanted = calls_in_bursts(40, every=2, millis=20, rows=800)
    assert requests_for(Server(calls, "newest_first", MILLISECOND), wanted, newest_first=False) <= 6 * len(calls) / PAGE


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
def test_bursts_of_which_a_page_covers_less_than_a_second_are_read_with_margins_of_hundredths(
    newest_first: bool,
) -> None:
    """With margins of tenths of a second: 13 to 14 times the fewest requests."""
    calls, wanted = calls_in_bursts(30, every=7, millis=300, rows=1500)
    server = Server(calls, "oldest_first", MILLISECOND)
    assert requests_for(server, wanted, newest_first=newest_first) <= 9 * len(calls) / PAGE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "from_included", "till_included", "newest_first"),
    [
        ("oldest_first", False, True, False),
        ("newest_first", True, False, True),
        ("newest_first", False, True, False),
        ("oldest_first", True, False, True),
        ("oldest_first", False, False, False),
        ("newest_first", True, True, False),
    ],
)
def test_a_server_that_compares_whole_seconds_costs_little_more(
    order: Order, from_included: bool, till_included: bool, newest_first: bool
) -> None:
    """At 200 records a second a page holds five of the server's steps. Before, some took 3.9 times the fewest requests."""
    count, rate = 60_000, 200
    server = Server(dense_calls(rate, count), order, SECOND, from_included, till_included)
    assert requests_for(server, Range(0, count // rate * SECOND), newest_first=newest_first) <= 1.45 * count / PAGE


@pytest.mark.rest_slow
@pytest.mark.parametrize(("from_included", "till_included", "newest_first"), [*product([True, False], repeat=3)])
def test_a_server_that_compares_whole_seconds_and_does_not_sort_costs_little_more(
    from_included: bool, till_included: bool, newest_first: bool
) -> None:
    """A page holds four of the server's steps, of which one is asked twice. Before, some took 5.5 times the fewest requests."""
    count, rate = 24_000, 200
    server = Server(dense_calls(rate, count), "arbitrary", SECOND, from_included, till_included)
    requests = requests_for(server, Range(0, count // rate * SECOND), newest_first=newest_first, concurrency=1)
    assert requests <= 2.5 * count / PAGE


@pytest.mark.slow
def test_a_piece_that_was_wrongly_expected_to_be_dense_is_asked_once_more_and_not_without_end() -> None:
    """A minute of each hour is two hundred times as dense as the rest. Its last piece is almost empty, which looks like a gap."""
    chance = random.Random(0)
    hours, minute = range(2), HOUR // 60
    starts = [chance.randrange(len(hours) * HOUR // MILLISECOND) for _ in range(7_200)]
    for hour in hours:
        begins = (hour * HOUR + 20 * minute) // MILLISECOND
        starts += [begins + chance.randrange(minute // MILLISECOND) for _ in range(12_000)]
    calls = Calls((start, chance.randrange(60) * 1000) for start in sorted(starts))
    server = YearServer(calls, "insertion", Bounds(from_included=True, till_included=True, step=1))
    wanted, most = Range(0, len(hours) * HOUR), 4 * ceil(len(starts) / PAGE)
    pull_a_year(server, newest_first=False, concurrency=1, seek=True, buffer=BUFFER, enough=most, wanted=wanted)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("order", "newest_first"),
    slow_but([("oldest_first", False)], [*product(["newest_first", "oldest_first", "arbitrary"], [False, True])]),
)
def test_calls_that_start_in_bursts_cost_few_requests_for_each_burst(order: Order, newest_first: bool) -> None:
    """Each burst leaves a gap. Before, each hundredth of a second in it was asked with finer margins, doubted and asked anew: up
    to 343 times the fewest requests."""
    chance, seconds, rate = random.Random(5), 12, 500
    calls = [
        record(chance.randrange(seconds) * SECOND + chance.randrange(400) * MILLISECOND, number)
        for number in range(seconds * rate)
    ]
    requests = requests_for(Server(calls, order, MILLISECOND), Range(0, seconds * SECOND), newest_first=newest_first)
    assert requests <= 20 * seconds * rate / PAGE


@pytest.mark.slow
def test_a_long_dense_pull_against_the_order_of_the_server_keeps_room_for_its_chains() -> None:
    """Before, each chain left one page more that had to be held to the end, until chains were two pages long: 1.29 times."""
    count, rows = 45_000, 150
    server = Server(dense_calls(rows, count), "oldest_first", MILLISECOND)
    pull = Pull(server, Range(0, count // rows * SECOND), rows, True, 1)  # type: ignore[arg-type] # as above
    assert pull.run() == expected(server.records, pull.wanted, newest_first=True)
    assert len(server.asked) <= 1.22 * count / rows


@pytest.mark.slow
@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
def test_a_few_dense_minutes_amid_normal_traffic_cost_as_much_as_others(order: Order) -> None:
    chance = random.Random(1)
    quiet = [record(chance.randrange(24 * 3600 * 1000) * MILLISECOND, 10**6 + number) for number in range(20_000)]
    server = Server(quiet + dense_calls(300, 30_000, 11 * HOUR), order, MILLISECOND)
    assert requests_for(server, Range(0, 24 * HOUR), newest_first=False) <= 1.35 * ceil(50_000 / PAGE)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("dense", "order", "newest_first"),
    covering(
        [(60, 120, 365), (200, 60, 30), (40, 25, 60)], ["newest_first", "oldest_first"], [False, True], together=1
    ),
)
def test_a_dense_minute_alone_in_a_long_range_ends(
    dense: tuple[int, int, int], order: Order, newest_first: bool
) -> None:
    """A claim that lost its seam was never proven, and the pull stood still."""
    rate, seconds, days = dense
    wanted = Range(0, 24 * days * HOUR)
    server = Server(dense_calls(rate, rate * seconds, 16 * days * HOUR), order, MILLISECOND)
    requests_for(server, wanted, newest_first=newest_first)


# --- bursts and rows that cannot be read ----------------------------------------------------------------------------------


# Bursts: from which second of the range on, up to which, and how many calls.
BURSTS: list[tuple[float, float, int]] = [
    (0.2, 0.9, 11),
    (2.4, 2.8, 16),
    (7.3, 8.7, 72),
    (14.5, 15.1, 31),
    (16.1, 17, 41),
]


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest out", "newest out"])
@pytest.mark.parametrize("first", [0, 366])
def test_a_gap_beside_a_seam_is_no_doubt(first: int, newest_first: bool) -> None:
    """The window reaches beyond the gap, into the rows that it repeats. Before, an error ended the pull."""
    chance = random.Random(0)
    starts = [chance.randrange(int(a * 1000), int(b * 1000)) for a, b, calls in BURSTS for _ in range(calls)]
    rows = tuple(Row((first + start) * MILLISECOND, number) for number, start in enumerate(starts))
    manners = Manners("newest_first", from_included=False, till_included=True, grain=SECOND)
    begin, end = first * MILLISECOND, (first + 15_699) * MILLISECOND
    run(Case(rows, manners, begin, end, newest_first, seek=True, runs=(Run(150, 1),)))


def test_rows_seem_to_be_missing_only_where_whole_seconds_would_show_more() -> None:
    wanted, window = Range(SECOND // 2, 4 * SECOND), Window(-2 * SECOND, 9 * SECOND)
    page = page_of([record(2 * SECOND + number * MILLISECOND, number) for number in range(50)], complete=True)
    assert without_gaps(page, wanted, window, [], SECOND, page_size=PAGE) == wanted
    assert without_gaps(page, wanted, Window(0, 9 * SECOND), [], SECOND, page_size=PAGE) == Range(
        2 * SECOND, wanted.end
    )
    assert without_gaps(page, wanted, Window(-2 * SECOND, 4 * SECOND), [], SECOND, page_size=PAGE) == Range(
        wanted.start, 3 * SECOND
    )
    assert without_gaps(page, wanted, Window(0, 4 * SECOND), [], SECOND, page_size=PAGE) is None


@pytest.mark.parametrize(("order", "newest_first"), [("newest_first", False), ("oldest_first", True)])
def test_a_row_without_a_start_on_the_first_page_does_not_end_finer_margins(order: Order, newest_first: bool) -> None:
    """Before, the page was not used to gauge by, and neither was any other: up to 94 requests in place of 20."""
    chance, count = random.Random(1), 3000
    rows = [Row(chance.randrange(30_000) * MILLISECOND, number) for number in range(count)]
    rows.sort(key=lambda row: row.at)
    place = -1 if order == "newest_first" else 0
    rows[place] = evolve(rows[place], fault="start")
    case = Case(tuple(rows), Manners(order), 0, 30 * SECOND, newest_first, seek=True, runs=(Run(200, 4),))
    story = run(case)
    assert story.unreadable == 1
    assert story.answers <= 50


# --- what is learned ------------------------------------------------------------------------------------------------------


def known_by_gauging(server: ClockServer | Server, limit: int = PAGE, gauges: int = 1) -> KnownMargins:
    """Return what so many gauges at most, by a page of all that the server has, show."""
    known, asked = KnownMargins(), Window(-SECOND, 1000 * SECOND)
    rows, complete = server.answer(asked, limit)
    page = page_of(rows, complete=complete)
    for _ in range(gauges):
        gauge = known.gauge_for(page, Range(0, 999 * SECOND), asked, 1)
        if gauge is None:
            break
        rows, complete = server.answer(gauge.window, limit)
        known.settle(gauge, page_of(rows, complete=complete), complete=complete)
    return known


@pytest.mark.parametrize("order", ["newest_first", "oldest_first", "arbitrary"])
def test_one_gauge_shows_that_a_server_compares_milliseconds(order: Order) -> None:
    known = known_by_gauging(Server(dense_calls(300, 5000), order, MILLISECOND))
    assert known.grain_of(dense=True).margins.step <= 100 * MILLISECOND
    assert known.grain_of(dense=False) == COARSE


@pytest.mark.slow
@given(st.sampled_from(CLOCKS), st.sampled_from(["newest_first", "oldest_first", "arbitrary"]), st.integers(0, 10**6))
def test_with_the_margins_of_gauges_a_window_shows_every_row_of_its_range_and_few_others(
    clock: Clock, order: Order, seed: int
) -> None:
    chance = random.Random(seed)
    calls = [chance.randrange(6 * SECOND) for _ in range(600)]
    margins = (
        known_by_gauging(ClockServer(calls, clock, order, 1), 300, chance.randrange(1, 4)).grain_of(dense=True).margins
    )
    for _ in range(20):
        start = floor(chance.randrange(5 * SECOND), MILLISECOND)
        wanted = Range(start, start + chance.randrange(1, 2 * SECOND))
        window = margins.around(wanted)
        shown = Range(window.start - margins.shows_before, window.till + margins.shows_behind + 1)
        assert all(clock.covers(window, at) for at in calls if wanted.holds(clock.show(at)))
        assert all(shown.holds(clock.show(at)) for at in calls if clock.covers(window, at))


@pytest.mark.parametrize(
    ("from_included", "till_included", "finest"),
    [(True, True, SECOND), (True, False, SECOND), (False, True, SECOND), (False, False, SECOND // 2)],
)
def test_three_gauges_show_how_a_server_that_compares_whole_seconds_treats_its_bounds(
    from_included: bool, till_included: bool, finest: int
) -> None:
    """Before, the same window was asked three times. If both bounds are excluded, three leave half seconds possible."""
    known = known_by_gauging(
        Server(dense_calls(200, 5000), "newest_first", SECOND, from_included, till_included), gauges=3
    )
    assert known.grain_of(dense=True).margins == Margins(
        SECOND,
        before=MILLISECOND + (0 if from_included else SECOND),
        behind=-finest if till_included else 0,
        written=MILLISECOND,
        shows_before=MILLISECOND - (0 if from_included else finest),
        shows_behind=SECOND if till_included else 0,
    )


@pytest.mark.parametrize("written", [320, 8 * MILLISECOND])
def test_a_row_that_is_shown_before_a_bound_and_compared_behind_it_is_in_its_window(written: int) -> None:
    """The steps of a server that compares half seconds need not be multiples of those in which it writes times."""
    clock = Clock(SECOND // 2, written, "cut", from_included=False, till_included=True)
    chance = random.Random(1)
    calls = [chance.randrange(6 * SECOND) for _ in range(600)]
    margins = known_by_gauging(ClockServer(calls, clock, "newest_first", 1), 300, 3).grain_of(dense=True).margins
    wanted = Range(SECOND, SECOND + SECOND // 2)
    last = floor(wanted.end - 1, written)
    assert clock.show(wanted.end) == last
    assert margins.behind < 0
    assert clock.covers(margins.around(wanted), wanted.end)


def test_a_row_from_where_a_window_shows_none_leads_back_to_whole_seconds() -> None:
    server = Server(dense_calls(300, 5000), "newest_first", MILLISECOND)
    known = known_by_gauging(server)
    assert known.grain_of(dense=True).margins is not WHOLE_SECONDS
    outside = page_of([record(5 * SECOND + 900 * MILLISECOND)], complete=True)
    assert known.learn(Window(5 * SECOND, 5 * SECOND + 300 * MILLISECOND), outside, [], complete=True)
    assert known.grain_of(dense=True).margins is WHOLE_SECONDS


@pytest.mark.parametrize(
    ("order", "rate", "turn", "newest_first"),
    [
        ("oldest_first", 148, 9, True),
        ("oldest_first", 134, 5, True),
        ("oldest_first", 155, 5, False),
        ("newest_first", 169, 9, False),
    ],
)
def test_rows_that_are_left_out_at_both_ends_of_a_window_are_missed_though_neither_end_has_a_gap(
    order: Order, rate: int, turn: int, newest_first: bool
) -> None:
    """The server compares whole seconds from some answer on. Both bounds of a window happen to lie beside whole seconds."""
    server = Server(dense_calls(rate, 60 * rate), order, MILLISECOND, False, False, SECOND, turn)
    requests_for(server, Range(0, 60 * SECOND), newest_first=newest_first, seek=False)


# --- what was learned is wrong --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "newest_first", "seek"),
    covering(["newest_first", "oldest_first", "arbitrary"], [False, True], [True, False], together=1),
)
def test_a_server_that_compares_more_coarsely_than_it_did_is_noticed(
    order: Order, newest_first: bool, seek: bool
) -> None:
    """What it gave before was right; what it gives later is taken with margins of whole seconds."""
    count, rate = 12_000, 150
    for turn in (5, 14):
        server = Server(dense_calls(rate, count), order, MILLISECOND, False, False, SECOND, turn)
        requests_for(server, Range(0, count // rate * SECOND), newest_first=newest_first, seek=seek)
