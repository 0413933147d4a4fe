"""Which days counts have pulled, against servers of all habits. Many records start at midnight, at the bounds of windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord, CdrPage
from unlimcall_async.proof.counts import days_to_pull

BEGIN, DAY = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=1)
MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
WIDEST = 31 * DAY


@frozen
class Habits:
    """What the reference leaves open."""

    from_included: bool
    till_included: bool
    step: timedelta
    counts_matches: bool
    reverse: bool


@frozen
class Server:
    """Answers requests as its habits are."""

    starts: Sequence[datetime]
    habits: Habits

    def answer(self, first: datetime, last: datetime, limit: int) -> CdrPage:
        assert timedelta(0) < last - first <= WIDEST, "the API would refuse this window"
        rows = [start for start in self.starts if self._selects(first, last, start)]
        rows = sorted(rows, reverse=self.habits.reverse)
        shown = [CallRecord("1", start, 1, 1) for start in rows[:limit]]
        return CdrPage(len(rows) if self.habits.counts_matches else len(shown), tuple(shown), complete=False)

    def _selects(self, first: datetime, last: datetime, start: datetime) -> bool:
        low, high, at = ((time - BEGIN) // self.habits.step for time in (first, last, start))
        return (low <= at if self.habits.from_included else low < at) and (
            at <= high if self.habits.till_included else at < high
        )


def to_pull(
    server: Server, expected: Sequence[datetime], start: datetime, end: datetime
) -> tuple[list[tuple[datetime, datetime]], int]:
    """Return what is to be pulled, and the number of requests."""
    counting, page, requests = days_to_pull(Counter(at.date() for at in expected), start, end), None, 0
    while True:
        try:
            request = counting.send(page)
        except StopIteration as ended:
            return ended.value, requests
        requests += 1
        page = server.answer(*request)


def days_in(pieces: Sequence[tuple[datetime, datetime]]) -> set[date]:
    return {
        first.date() + number * DAY
        for first, last in pieces
        for number in range((last - timedelta(microseconds=1)).date().toordinal() - first.date().toordinal() + 1)
    }


HABITS = st.builds(
    Habits, st.booleans(), st.booleans(), st.sampled_from([MILLISECOND, SECOND]), st.booleans(), st.booleans()
)
AROUND_MIDNIGHT = st.sampled_from([0, 0, 0, 1, 1000, 86_399_000, 43_200_000])
STARTS = st.builds(lambda day, ms: BEGIN + day * DAY + ms * MILLISECOND, st.integers(-1, 70), AROUND_MIDNIGHT)
WHOLE = st.tuples(st.just(BEGIN), st.integers(1, 70).map(lambda days: BEGIN + days * DAY))
PARTS = st.tuples(STARTS, STARTS).map(lambda ends: (min(ends), max(ends)))


@given(HABITS, st.lists(STARTS, max_size=40), st.lists(STARTS, max_size=3), WHOLE | PARTS)
def test_each_day_on_which_records_only_came_is_pulled(
    habits: Habits, before: list[datetime], came: list[datetime], ends: tuple[datetime, datetime]
) -> None:
    start, end = ends
    expected, new = ([at for at in some if start <= at < end] for some in (before, came))
    pieces, _ = to_pull(Server([*before, *came], habits), expected, start, end)
    assert {at.date() for at in new} <= days_in(pieces)


@given(HABITS, st.lists(STARTS, max_size=40), st.data(), WHOLE | PARTS)
def test_each_day_on_which_records_only_went_is_pulled(
    habits: Habits, before: list[datetime], data: st.DataObject, ends: tuple[datetime, datetime]
) -> None:
    start, end = ends
    expected = [at for at in before if start <= at < end]
    gone = data.draw(st.sets(st.integers(0, len(expected) - 1), max_size=3)) if expected else set()
    outside = [at for at in before if not start <= at < end]
    left = [at for number, at in enumerate(expected) if number not in gone]
    pieces, _ = to_pull(Server([*outside, *left], habits), expected, start, end)
    assert {expected[number].date() for number in gone} <= days_in(pieces)


@given(HABITS, st.lists(STARTS, max_size=40), WHOLE)
def test_nothing_is_pulled_if_nothing_changed_and_count_counts_matches(
    habits: Habits, before: list[datetime], ends: tuple[datetime, datetime]
) -> None:
    start, end = ends
    expected = [at for at in before if start <= at < end]
    matches = Habits(
        habits.from_included, habits.till_included, habits.step, counts_matches=True, reverse=habits.reverse
    )
    pieces, requests = to_pull(Server(before, matches), expected, start, end)
    windows = -((start - end) // WIDEST)
    assert requests <= 2 * windows + 3
    assert pieces == []


def test_a_bound_within_a_second_hides_nothing() -> None:
    start, end = BEGIN + MILLISECOND, BEGIN + 5 * DAY
    # A server that compares whole seconds counts the first of these rows, which lies before the start.
    rows = [BEGIN, BEGIN + DAY / 2, BEGIN + 2 * DAY]
    server = Server([rows[0], rows[2]], Habits(True, False, SECOND, counts_matches=True, reverse=False))
    pieces, _ = to_pull(server, rows[1:], start, end)
    assert days_in(pieces) == {BEGIN.date()}


class Reticent(Server):
    """Says that there is nothing, and shows it."""

    def answer(self, first: datetime, last: datetime, limit: int) -> CdrPage:
        return evolve(super().answer(first, last, limit), count=0)


def test_rows_that_are_shown_are_there_whatever_count_says() -> None:
    server = Reticent([BEGIN + SECOND], Habits(True, False, MILLISECOND, counts_matches=False, reverse=False))
    assert to_pull(server, [], BEGIN, BEGIN + DAY)[0] == [(BEGIN, BEGIN + DAY)]
