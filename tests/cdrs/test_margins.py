"""With its margins a window shows every row of its range, however the server shows times, compares them and treats its bounds."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product
from typing import Final, Literal, get_args

import pytest
from attrs import define, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import ORDERS, Order, Pull, Stopped, expected, record
from tests.selection import covering
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS, edge_behind
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, WIDEST, Range, Window

pytestmark = pytest.mark.own_rules

Mode = Literal["cut", "nearest", "up"]
STEPS: Final = (1, MILLISECOND, 100 * MILLISECOND, 250 * MILLISECOND, SECOND)


@frozen
class Clock:
    """How a server compares times, and how it shows them. Steps are in microseconds."""

    compared: int
    shown: int
    mode: Mode
    from_included: bool
    till_included: bool

    def show(self, at: int) -> int:
        """Return the time that an answer has of a call."""
        late = {"cut": 0, "nearest": self.shown // 2, "up": self.shown - 1}[self.mode]
        return (at + late) // self.shown * self.shown

    def covered(self, window: Window) -> range:
        """Return the times of the calls that are in the page of a window."""
        first, last = window.start // self.compared, window.till // self.compared
        return range((first + (not self.from_included)) * self.compared, (last + self.till_included) * self.compared)

    def covers(self, window: Window, at: int) -> bool:
        """Return whether a call is in the page of a window."""
        return at in self.covered(window)


CLOCKS: Final = [Clock(*each) for each in product(STEPS, STEPS, get_args(Mode), (True, False), (True, False))]
clocks = st.sampled_from(CLOCKS)


@given(clocks, st.integers(-3 * SECOND, 8 * SECOND), st.integers(0, 4 * SECOND), st.integers(1, 4 * SECOND))
def test_a_window_shows_every_row_of_its_range(clock: Clock, at: int, start: int, length: int) -> None:
    wanted = Range(start, start + length)
    window = WHOLE_SECONDS.around(wanted)
    if wanted.holds(clock.show(at)) or WHOLE_SECONDS.shown_by(window).holds(clock.show(at)):
        assert clock.covers(window, at)


def test_a_smaller_margin_before_a_range_loses_a_row() -> None:
    """Times that are rounded up, a bound that is excluded, whole seconds: the least that is enough is two seconds."""
    clock = Clock(SECOND, MILLISECOND, "up", from_included=False, till_included=False)
    at = 10 * SECOND - 1
    assert clock.show(at) == 10 * SECOND
    assert not clock.covers(Window(9 * SECOND, 20 * SECOND), at)
    assert clock.covers(WHOLE_SECONDS.around(Range(10 * SECOND, 11 * SECOND)), at)


@given(clocks, st.sampled_from(STEPS), st.integers(0, 9 * SECOND), st.integers(0, 9 * SECOND), st.booleans())
def test_what_a_full_page_leaves_out_lies_behind_its_edge(
    clock: Clock, sorted_by: int, last: int, left_out: int, descending: bool
) -> None:
    # A row that the page leaves out sorts behind its last row, or with it.
    sorts_behind = (
        left_out // sorted_by <= last // sorted_by if descending else left_out // sorted_by >= last // sorted_by
    )
    edge, shown = edge_behind(clock.show(last), SECOND, descending=descending), clock.show(left_out)
    if sorts_behind:
        assert shown < edge if descending else shown >= edge


# --- pulls ----------------------------------------------------------------------------------------------------------------


@define
class Server:
    """Answers windows by its clock; `grain` is the step by which it sorts."""

    calls: list[int]
    clock: Clock
    order: Order
    grain: int
    asked: int = 0
    records: list[CallRecord] = field(init=False)
    _rows: list[tuple[int, CallRecord]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        chance = random.Random(7)
        rows = [
            (at, record(self.clock.show(at), number, duration=chance.randrange(60)))
            for number, at in enumerate(self.calls)
        ]
        chance.shuffle(rows)
        if self.order == "insertion":
            rows.sort(key=lambda row: row[0] + row[1].duration * SECOND)
        elif self.order != "arbitrary":
            rows.sort(key=lambda row: row[0] // self.grain, reverse=self.order == "newest_first")
        self._rows, self.records = rows, [row for _, row in rows]

    def answer(self, window: Window, limit: int) -> tuple[list[CallRecord], bool]:
        """Return the rows of a window, and whether the page is complete."""
        assert 0 < len(window) <= WIDEST
        self.asked += 1
        covered = self.clock.covered(window)
        matches = [row for at, row in self._rows if at in covered]
        return matches[:limit], len(matches) < limit


def lost_by(server: Server, wanted: Range, limit: int, *, newest_first: bool, seek: bool) -> int:
    """Return how many records a pull loses; it hands out no record that is not due."""
    outcome = Pull(server, wanted, limit, newest_first, 2, random.Random(1), seek=seek).run()  # type: ignore[arg-type]
    assert not isinstance(outcome, Stopped)
    due = Counter(row.id for row in expected(server.records, wanted, newest_first=newest_first))
    came = Counter(row.id for row in outcome)
    assert not came - due
    return (due - came).total()


@pytest.mark.parametrize(("order", "seek"), covering(ORDERS, [True, False], together=1))
@pytest.mark.parametrize("every", [11, pytest.param(5, marks=pytest.mark.slow)], ids=["few", "some"])
def test_no_record_is_lost_whatever_the_clock(order: Order, seek: bool, every: int) -> None:
    """Four calls a second; the servers take turns in the two directions. Each order and strategy has other clocks than the next."""
    first = (2 * ORDERS.index(order) + seek) % every
    chance = random.Random(f"{order} {seek}")
    calls = [chance.randrange(-3 * SECOND, 83 * SECOND) for _ in range(344)]
    for number, clock in enumerate(CLOCKS[first::every]):
        server = Server(calls, clock, order, chance.choice((1, SECOND)))
        lost = lost_by(server, Range(0, 80 * SECOND), 60, newest_first=bool(number % 2), seek=seek)
        assert lost == 0, f"{clock}, sorted by {server.grain}: {lost} of {len(calls)} are lost"
