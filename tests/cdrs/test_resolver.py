"""A second that is taken apart by windows without margins, for every server that the reference allows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product
from typing import get_args

import pytest
from attrs import evolve, frozen

from tests.cdrs.simulated import ALL_HABITS, Habits, Pull, Server, Stopped, expected, page_of, readable, record
from tests.cdrs.test_margins import Clock, Mode
from tests.selection import covering
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.bounds import STEPS, Bounds
from unlimcall_async.cdrs.planner.page import Basis, Page
from unlimcall_async.cdrs.planner.parts import Done, Part
from unlimcall_async.cdrs.planner.resolver import Resolver, is_within_a_step
from unlimcall_async.cdrs.planner.tasks import Resolve
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, floor, to_micros

pytestmark = pytest.mark.own_rules

LIMIT = 12
MOST_ASKED = 21
MOST_EXTRA = 10
MOST_ASKED_OF_A_PART = 40
WHOLE = Range(0, SECOND)
# Step, and whether the server includes each bound. The fast run has each step once.
SERVERS = covering(STEPS, [True, False], [True, False], together=1)


@pytest.mark.parametrize(
    ("wanted", "within"),
    [(Range(0, SECOND), True), (Range(0, SECOND + 1), False), (Range(-1, 1), False), (Range(SECOND, SECOND + 1), True)],
)
def test_a_range_is_within_a_step_if_no_whole_second_cuts_it(wanted: Range, within: bool) -> None:
    assert is_within_a_step(wanted) is within


@frozen
class Outcome:
    """What came of a second.

    Attributes:
        records: Its records.
        saturated: The ranges that were given up as saturated.
        asked: The number of windows that were asked until the first of these.
        windows: The number of all windows.
        pieces: The parts that it fell into.
    """

    records: list[CallRecord]
    saturated: list[Range]
    asked: int
    windows: int
    pieces: list[Part]


def answers(truth: Bounds, rows: Sequence[CallRecord]) -> Callable[[Window], Page]:
    """Return what answers a window with the first rows of it."""
    timed = [(to_micros(row.start_time), row) for row in rows]

    def answer(window: Window) -> Page:
        within = [row for at, row in timed if truth.covers(window, at)]
        return page_of(within[:LIMIT], complete=len(within) < LIMIT)

    return answer


def shown_by(
    clock: Clock, calls: Sequence[int], chance: random.Random
) -> tuple[list[CallRecord], Callable[[Window], Page]]:
    """Return the rows of calls by a clock, and what answers a window with any rows of it."""
    rows = [(at, record(clock.show(at), number)) for number, at in enumerate(calls)]
    chance.shuffle(rows)

    def answer(window: Window) -> Page:
        covered = clock.covered(window)
        within = [row for at, row in rows if at in covered]
        return page_of(within[:LIMIT], complete=len(within) < LIMIT)

    return [row for _, row in rows], answer


def take_apart_by(
    answered: Callable[[Window], Page], whole: Range = WHOLE, resolver: Resolver | None = None
) -> Outcome:
    resolver = resolver or Resolver()
    done, saturated, fallen_into = list[CallRecord](), list[Range](), list[Part]()
    asked = until_first = 0
    to_do = [(whole, Resolve(with_margins(whole)))]
    while to_do:
        wanted, following = to_do.pop(0)
        page = answered(following.window)
        asked += 1
        until_first = until_first if saturated else asked
        # The window with margins was found to be full by others.
        complete = page.complete and asked > 1
        match resolver.use(wanted, following, page, complete=complete):
            case Done(records=records):
                done += readable(records)
            case Resolve() as task:
                to_do.insert(0, (wanted, task))
            case []:
                saturated.append(wanted)
            case pieces:
                fallen_into += pieces
                to_do[:0] = [(piece.range, piece.task) for piece in pieces if isinstance(piece.task, Resolve)]
    return Outcome(expected(done, whole, newest_first=False), saturated, until_first, asked, fallen_into)


def rows_of_a_second(count: int, seed: str) -> list[CallRecord]:
    """Return rows of three seconds, the second to take apart in the middle. One millisecond of it is crowded, or too full."""
    chance = random.Random(seed)
    crowded = chance.choice([LIMIT // 2, LIMIT + 1])
    starts = [chance.randrange(-1000, 2000) for _ in range(count - crowded)] + [chance.randrange(1000)] * crowded
    rows = [record(millis * MILLISECOND, number) for number, millis in enumerate(starts)]
    chance.shuffle(rows)
    return rows


@pytest.mark.parametrize(("step", "from_included", "till_included"), SERVERS)
def test_each_row_of_a_full_second_comes_once_or_lies_in_a_range_that_is_saturated(
    step: int, from_included: bool, till_included: bool
) -> None:
    truth = Bounds(step, from_included, till_included)
    rows = rows_of_a_second(120, str(truth))
    answer = answers(truth, rows)
    outcome = take_apart_by(answer)
    lost = [row for row in rows if any(each.holds(to_micros(row.start_time)) for each in outcome.saturated)]
    assert outcome.records == expected([row for row in rows if row not in lost], WHOLE, newest_first=False)
    # A range is saturated only if the finest window for it is full.
    for wanted in outcome.saturated:
        assert not answer(truth.narrowest(wanted.start, wanted.end - MILLISECOND)).complete


@pytest.mark.parametrize(("step", "from_included", "till_included"), SERVERS)
def test_no_row_that_a_finer_window_shows_is_skipped(step: int, from_included: bool, till_included: bool) -> None:
    """Rows beside a crowded instant, within a few milliseconds of it: what is saturated holds none that has a page of its own."""
    truth = Bounds(step, from_included, till_included)
    chance = random.Random(f"beside {truth}")
    crowded = chance.randrange(10, 990)
    starts = [crowded] * (LIMIT + 1) + [crowded + chance.choice((-4, -3, -2, -1, 1, 2, 3)) for _ in range(9)]
    rows = [record(millis * MILLISECOND, number) for number, millis in enumerate(starts)]
    chance.shuffle(rows)
    answer = answers(truth, rows)
    for wanted in take_apart_by(answer).saturated:
        for at in {to_micros(row.start_time) for row in rows if wanted.holds(to_micros(row.start_time))}:
            assert not answer(truth.narrowest(at, at)).complete


@pytest.mark.parametrize(
    ("step", "from_included", "till_included", "apart"),
    covering(STEPS, [True, False], [True, False], [200, 333], together=1, at_all=2),
)
def test_few_starts_that_stand_at_round_times_by_chance_are_not_saturated(
    step: int, from_included: bool, till_included: bool, apart: int
) -> None:
    """Times look as if they were written in steps that no step of the bounds divides, and nothing could be cut at both."""
    truth = Bounds(step, from_included, till_included)
    starts = [millis for millis in range(0, 1000, apart) for _ in range(LIMIT // 2 - 1)]
    rows = [record(millis * MILLISECOND, number) for number, millis in enumerate(starts)]
    answer = answers(truth, rows)
    outcome = take_apart_by(answer)
    for wanted in outcome.saturated:
        instants = {millis * MILLISECOND for millis in starts if wanted.holds(millis * MILLISECOND)}
        assert not all(answer(truth.narrowest(at, at)).complete for at in instants)


@pytest.mark.parametrize(("step", "apart"), [(8, 250), (25, 40), (125, 200), (200, 250)])
def test_starts_at_round_times_are_told_apart_by_a_server_whose_steps_are_others(step: int, apart: int) -> None:
    """A range that both steps divide holds more starts than fit on a page: pieces of it by the server's steps do not."""
    truth = Bounds(step * MILLISECOND, from_included=False, till_included=False)
    starts = [millis for millis in range(0, 1000, apart) for _ in range(LIMIT // 2 - 1)]
    rows = [record(millis * MILLISECOND, number) for number, millis in enumerate(starts)]
    outcome = take_apart_by(answers(truth, rows))
    assert not outcome.saturated
    assert outcome.records == expected(rows, WHOLE, newest_first=False)


def test_a_part_rests_on_the_page_that_shows_most_of_it_and_few_more_windows_are_asked() -> None:
    """Ten more, in case times are rounded. Another cap may have been found before."""
    rows = [record(millis * MILLISECOND, millis) for millis in (2, 3)]
    answer = answers(Bounds(MILLISECOND, from_included=True, till_included=False), rows)
    wanted, resolver = Range(0, 5 * MILLISECOND), Resolver()
    resolver.heed_cap(1)
    state: Resolve | Done = Resolve(Window(-MILLISECOND, 6 * MILLISECOND))
    extra = 0
    while isinstance(state, Resolve):
        page = answer(state.window)
        following = resolver.use(wanted, state, page, complete=page.complete)
        assert not isinstance(following, list)
        assert not isinstance(following, Resolve) or following.extra in {extra, extra + 1}
        extra = following.extra if isinstance(following, Resolve) else extra
        state = following
    assert readable(state.records) == rows
    assert (state.rows, state.basis) == (2, Basis(Window(-MILLISECOND, 6 * MILLISECOND), 2, 2))
    assert extra == MOST_EXTRA


@pytest.mark.parametrize(("starts", "asked"), [((3,), True), ((2, 4), True), ((2,), False)], ids=["odd", "two", "one"])
def test_more_windows_are_asked_in_case_times_are_rounded_unless_one_start_alone_looks_like_a_step(
    starts: Sequence[int], asked: bool
) -> None:
    """Before and after another cap is found."""
    truth = Bounds(MILLISECOND, from_included=True, till_included=False)
    answer = answers(truth, [record(millis * MILLISECOND, millis) for millis in starts])
    resolver = Resolver()
    for caps in range(2):
        resolver.heed_cap(caps)
        state: Resolve | Done | list[Part] = Resolve(Window(-MILLISECOND, 7 * MILLISECOND))
        extra = 0
        while isinstance(state, Resolve):
            extra = state.extra
            state = resolver.use(Range(0, 6 * MILLISECOND), state, answer(state.window), complete=True)
        assert isinstance(state, Done)
        assert (extra > 0) is asked


def test_a_part_has_the_rows_without_a_start_that_its_pages_have_shown() -> None:
    lost = UnplacedRow(where="calls[0]", reason="expected a time", body=b"7", window=Window(0, 1), before=0)
    state: Resolve | Done | list[Part] = Resolve(Window(-MILLISECOND, 6 * MILLISECOND))
    resolver = Resolver()
    while isinstance(state, Resolve):
        came = page_of(
            [record(2 * MILLISECOND, 1)] if state.window.start <= 2 * MILLISECOND <= state.window.till else [],
            complete=True,
        )
        came = evolve(came, unplaced=[lost], new_unplaced=[lost])
        state = resolver.use(Range(0, 5 * MILLISECOND), state, came, complete=True)
    assert isinstance(state, Done)
    assert [row.body for row in state.unplaced] == [b"7"]


def windows_asked(resolver: Resolver, truth: Bounds, rows: Sequence[CallRecord]) -> list[Window]:
    """Return the windows that a resolver asks for five milliseconds."""
    wanted, asked = Range(0, 5 * MILLISECOND), list[Window]()
    to_do = [(wanted, Resolve(Window(-MILLISECOND, 6 * MILLISECOND)))]
    while to_do:
        piece, task = to_do.pop(0)
        asked.append(task.window)
        page = answers(truth, rows)(task.window)
        match resolver.use(piece, task, page, complete=page.complete):
            case Resolve() as following:
                to_do.insert(0, (piece, following))
            case [*pieces]:
                to_do[:0] = [(part.range, part.task) for part in pieces if isinstance(part.task, Resolve)]
            case Done():
                pass
    return asked


@pytest.mark.parametrize("step", [MILLISECOND, 5 * MILLISECOND])
def test_what_pages_have_shown_of_the_bounds_is_forgotten_once_another_cap_is_found(step: int) -> None:
    truth = Bounds(step, from_included=False, till_included=True)
    rows = [record(millis * MILLISECOND, number) for number, millis in enumerate([0, 1, 2, 2, 3, 4] * 2 + [2] * 3)]
    resolver, fresh = Resolver(), Resolver()
    first = windows_asked(fresh, truth, rows)
    assert windows_asked(resolver, truth, rows) == first
    # The same again takes other windows, because the bounds are known.
    second = windows_asked(resolver, truth, rows)
    assert second != first
    resolver.heed_cap(0)
    assert windows_asked(resolver, truth, rows) == second
    resolver.heed_cap(1)
    assert windows_asked(resolver, truth, rows) == first
    resolver.heed_cap(1)
    assert windows_asked(resolver, truth, rows) == second


def test_the_pieces_of_a_part_are_asked_anew_if_another_cap_is_found_meanwhile() -> None:
    """Pages that came before may have lacked rows. Those that were full still are, and the starts that came are known."""
    starts = [0] * (LIMIT - 1) + [600 * MILLISECOND] * 8
    rows = [record(at, number) for number, at in enumerate(starts)]
    resolver, asked = Resolver(), list[Window]()
    answer = answers(Bounds(SECOND // 2, from_included=True, till_included=True), rows)

    def answered(window: Window) -> Page:
        asked.append(window)
        if len(asked) == 13:
            resolver.heed_cap(1)
        return answer(window)

    outcome = take_apart_by(answered, WHOLE, resolver)
    assert not outcome.saturated
    assert outcome.records == expected(rows, WHOLE, newest_first=False)
    tasks = [piece.task for piece in outcome.pieces]
    assert all(isinstance(task, Resolve) and task.shown.starts == {*starts} for task in tasks)
    assert all(isinstance(task, Resolve) and with_margins(WHOLE) in task.full for task in tasks)


@pytest.mark.parametrize("another_cap", [False, True])
def test_a_row_between_milliseconds_beside_a_full_one_is_not_lost_once_times_are_known_to_be_finer(
    another_cap: bool,
) -> None:
    """Whether a cap was found since. All pages of the part itself are full of rows at whole milliseconds."""
    finer, coarser = (page_of([record(at, 99)], complete=True) for at in (10 * SECOND + 500, 10 * SECOND))
    resolver = Resolver()
    resolver.observe(finer)
    resolver.observe(coarser)
    if another_cap:
        resolver.heed_cap(1)
    rows = [record(MILLISECOND, number) for number in range(LIMIT + 1)] + [record(MILLISECOND - 1, 100)]
    answer = answers(Bounds(1, from_included=True, till_included=True), rows)
    outcome = take_apart_by(answer, Range(0, 3 * MILLISECOND), resolver)
    assert not outcome.records
    assert any(each.holds(MILLISECOND - 1) for each in outcome.saturated)


@pytest.mark.parametrize(("step", "from_included", "till_included"), SERVERS)
def test_few_windows_show_that_one_instant_is_saturated(step: int, from_included: bool, till_included: bool) -> None:
    """A pull that is cut off after 30 requests has come to the second by some of them."""
    truth = Bounds(step, from_included, till_included)
    rows = [record(175 * MILLISECOND, number) for number in range(LIMIT + 1)]
    outcome = take_apart_by(answers(truth, rows))
    assert outcome.saturated
    assert outcome.asked <= MOST_ASKED


def test_a_second_whose_times_are_cut_to_be_written_is_read() -> None:
    """A window that is not a second wide tells that times are cut. Then one window has all that is shown in the second."""
    chance = random.Random(0)
    starts = [chance.randrange(-3000, 4000) * MILLISECOND for _ in range(40)]
    rows = [record(floor(at, SECOND), number) for number, at in enumerate(starts)]
    truth = Bounds(MILLISECOND, from_included=True, till_included=False)

    def answered(window: Window) -> Page:
        within = [row for row, at in zip(rows, starts, strict=True) if truth.covers(window, at)]
        return page_of(within[:LIMIT], complete=len(within) < LIMIT)

    outcome = take_apart_by(answered)
    assert not outcome.saturated
    assert outcome.records == expected(rows, WHOLE, newest_first=False)


@pytest.mark.parametrize(("from_included", "till_included"), [*product([True, False], repeat=2)])
def test_a_second_whose_times_are_cut_to_tenths_is_read(from_included: bool, till_included: bool) -> None:
    """Pages refute that times are compared as they are written, in tenths of seconds."""
    clock = Clock(MILLISECOND, 100 * MILLISECOND, "cut", from_included, till_included)
    calls = [(91 + 10 * number) * MILLISECOND for number in range(20)]
    rows, answered = shown_by(clock, calls, random.Random(0))
    outcome = take_apart_by(answered)
    assert not outcome.saturated
    assert outcome.records == expected(rows, WHOLE, newest_first=False)


def test_a_part_that_nothing_takes_apart_is_given_up_after_forty_windows() -> None:
    """All rows start at one time, which is rounded up to a whole second."""
    clock = Clock(10 * MILLISECOND, SECOND, "up", from_included=True, till_included=True)
    _, answered = shown_by(clock, [694 * MILLISECOND] * (LIMIT + 1), random.Random(0))
    outcome = take_apart_by(answered)
    assert (outcome.saturated, outcome.windows) == ([WHOLE], MOST_ASKED_OF_A_PART)


@pytest.mark.parametrize("written", [4, 5, 10, 250])
def test_a_window_within_a_written_step_of_a_row_is_asked_first(written: int) -> None:
    """A row of another step would show that times are rounded."""
    starts = [written * MILLISECOND * place for place in (3, 4) for _ in range(LIMIT)]
    asked = list[Window]()
    answer = answers(
        Bounds(MILLISECOND, from_included=True, till_included=True),
        [record(at, number) for number, at in enumerate(starts)],
    )

    def answered(window: Window) -> Page:
        asked.append(window)
        return answer(window)

    take_apart_by(answered, Range(0, 8 * written * MILLISECOND))
    assert starts[0] < asked[1].start < asked[1].till < starts[0] + written * MILLISECOND


@pytest.mark.parametrize("finer", [MILLISECOND, 100 * MILLISECOND])
def test_a_second_that_is_written_as_one_instant_is_not_cut(finer: int) -> None:
    """Times are compared as they are, and shown in whole seconds: pieces of the second would lose what the others show."""
    chance = random.Random(finer)
    starts = [chance.randrange(-1000, 2000) * MILLISECOND for _ in range(25)]
    rows = [record(floor(at, SECOND), number) for number, at in enumerate(starts)]
    truth = Bounds(finer, from_included=True, till_included=False)

    def answered(window: Window) -> Page:
        within = [row for row, at in zip(rows, starts, strict=True) if truth.covers(window, at)]
        return page_of(within[:LIMIT], complete=len(within) < LIMIT)

    outcome = take_apart_by(answered)
    lost = [row for row in rows if any(each.holds(to_micros(row.start_time)) for each in outcome.saturated)]
    assert outcome.records == expected([row for row in rows if row not in lost], WHOLE, newest_first=False)


@pytest.mark.parametrize(
    ("before", "behind", "till_included"), [(0, 2, True), (0, 3, True), (2, 2, False), (2, 1, False), (3, 1, False)]
)
def test_what_lies_beside_the_only_full_instant_of_a_range_is_not_saturated_with_it(
    before: int, behind: int, till_included: bool
) -> None:
    """No known row tells how finely times are compared. Windows beside the instant show that its rows do not lie there."""
    at = 505 * MILLISECOND
    wanted = Range(at - before * MILLISECOND, at + behind * MILLISECOND)
    truth = Bounds(MILLISECOND, from_included=True, till_included=till_included)
    outcome = take_apart_by(answers(truth, [record(at, number) for number in range(LIMIT + 1)]), wanted)
    assert [each for each in outcome.saturated if each.holds(at)] == [Range(at, at + MILLISECOND)]


@pytest.mark.parametrize("wanted", [Range(500, 900), Range(2647, 3047), Range(2001, 3001), Range(1500, 4999)], ids=str)
@pytest.mark.parametrize("habits", ALL_HABITS[::7], ids=str)
def test_a_full_instant_beside_an_end_between_two_milliseconds_is_not_lost(wanted: Range, habits: Habits) -> None:
    """A range that ends now has such an end."""
    instant = 3 * MILLISECOND if wanted.holds(3 * MILLISECOND) else 0
    rows = [record(instant, number) for number in range(LIMIT + 2)]
    outcome = Pull(Server(rows, habits), wanted, LIMIT).run()
    assert isinstance(outcome, Stopped)
    assert not outcome.before
    assert len(outcome.seen) == (LIMIT if outcome.where.holds(instant) else 0)


# --- times that are rounded, or compared more finely than they are written --------------------------------------------------

WRITTEN = (1, 250, MILLISECOND, 10 * MILLISECOND, SECOND)
COMPARED = (1, 250, MILLISECOND, 10 * MILLISECOND, SECOND)


def calls_at_edges(chance: random.Random) -> list[int]:
    """Return when calls start: a crowd at the edges of two milliseconds, and others around."""
    first = chance.randrange(1, 999) * MILLISECOND
    beside = (0, 0, -1, 1, -300, 300, -500, 500, -501, 499, -999, 999)
    crowd = [
        first + chance.choice((0, 0, MILLISECOND)) + chance.choice(beside) for _ in range(chance.randrange(12, 20))
    ]
    return crowd + [chance.randrange(-SECOND, 2 * SECOND) for _ in range(chance.choice((0, 10, 60)))]


@pytest.mark.parametrize(
    ("compared", "shown", "mode", "from_included", "till_included"),
    covering(COMPARED, WRITTEN, get_args(Mode), [True, False], [True, False], together=1, at_all=2),
)
def test_no_row_is_lost_in_silence_if_times_are_rounded(
    compared: int, shown: int, mode: Mode, from_included: bool, till_included: bool
) -> None:
    """Each row comes once, or is shown within a written step of a range that is named as saturated."""
    clock = Clock(compared, shown, mode, from_included, till_included)
    for seed in range(2):
        chance = random.Random(f"{clock} {seed}")
        rows, answered = shown_by(clock, calls_at_edges(chance), chance)
        outcome, step = take_apart_by(answered), max(shown, MILLISECOND)
        came = Counter(row.id for row in outcome.records)
        assert max(came.values(), default=1) == 1
        for row in rows:
            at = to_micros(row.start_time)
            hidden = any(each.start - step <= at < each.end + step for each in outcome.saturated)
            assert not WHOLE.holds(at) or row.id in came or hidden, f"{clock}: {row.id} at {at}"


# --- how many windows that takes ------------------------------------------------------------------------------------------


def beside_a_crowd(truth: Bounds) -> list[CallRecord]:
    """Rows at a crowded millisecond, and within a few milliseconds of that."""
    chance = random.Random(f"cost {truth}")
    crowded = chance.randrange(10, 990)
    starts = [crowded] * (LIMIT - 2) + [crowded + chance.choice((-4, -3, -2, -1, 1, 2, 3)) for _ in range(9)]
    return [record(millis * MILLISECOND, number) for number, millis in enumerate(starts)]


def at_round_times(truth: Bounds) -> list[CallRecord]:
    apart = random.Random(f"round {truth}").choice((40, 125, 200, 333))
    starts = [millis for millis in range(0, 1000, apart) for _ in range(LIMIT // 2 - 1)]
    return [record(millis * MILLISECOND, number) for number, millis in enumerate(starts)]


TRAFFIC: dict[str, tuple[Callable[[Bounds], list[CallRecord]], int]] = {
    "a full second": (lambda truth: rows_of_a_second(120, f"cost {truth}"), 574),
    "little more than a page": (lambda truth: rows_of_a_second(30, f"few {truth}"), 501),
    "beside a crowd": (beside_a_crowd, 581),
    "round times": (at_round_times, 622),
    "one instant": (lambda _: [record(175 * MILLISECOND, number) for number in range(LIMIT + 1)], 541),
}


@pytest.mark.slow
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_a_second_takes_no_more_windows_than_it_did(traffic: str) -> None:
    """Over all servers together. If the resolver has become better, the number goes down."""
    rows_for, most = TRAFFIC[traffic]
    truths = [Bounds(*each) for each in [*product(STEPS, [True, False], [True, False])][::3]]
    assert sum(take_apart_by(answers(truth, rows_for(truth))).windows for truth in truths) <= most


@pytest.mark.slow
def test_a_second_whose_times_are_rounded_takes_no_more_windows_than_it_did() -> None:
    clocks = [*product(COMPARED, WRITTEN, get_args(Mode), [True, False], [True, False])][::7]
    windows = 0
    for clock in (Clock(*each) for each in clocks):
        chance = random.Random(f"cost {clock}")
        windows += take_apart_by(shown_by(clock, calls_at_edges(chance), chance)[1]).windows
    assert windows <= 1229
