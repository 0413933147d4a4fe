"""The store against an oracle of a few lines: a plain list, filtered and sorted anew for each question."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, get_args

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.sandbox.calls import CallStore, SandboxCall, Window, call_json, epoch_ms, page_json
from unlimcall_async.sandbox.settings import Order, Resolution

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVERYTHING = Window(-5000, 5000)

ORDERS: tuple[Order, ...] = get_args(Order)


@frozen
class Question:
    """What a request and the settings say together."""

    from_ms: int
    till_ms: int
    from_inclusive: bool
    till_inclusive: bool
    resolution: Resolution
    order: Order
    limit: int

    @property
    def window(self) -> Window:
        return Window.between(
            self.from_ms,
            self.till_ms,
            from_inclusive=self.from_inclusive,
            till_inclusive=self.till_inclusive,
            resolution=self.resolution,
        )

    def matches(self, row: SandboxCall) -> bool:
        step = 1000 if self.resolution == "s" else 1
        time, start, end = epoch_ms(row.start_time) // step, self.from_ms // step, self.till_ms // step
        return (start <= time if self.from_inclusive else start < time) and (
            time <= end if self.till_inclusive else time < end
        )


# Few distinct times, on both sides of 1970, so that ties and edges are the rule.
times = st.integers(-2500, 2500).map(lambda ms: ms - ms % 250 + ms % 2)
questions = st.builds(
    Question,
    times,
    times,
    st.booleans(),
    st.booleans(),
    st.sampled_from(get_args(Resolution)),
    st.sampled_from(ORDERS),
    st.integers(1, 80),
)
# Blocks of a few rows, so that windows have whole and cut ones.  A first addition of many rows and then small ones, so
# that rows are sorted in one by one, and questions between them, so that blocks have remembered an order before.
blocks = st.integers(1, 6)
histories = st.tuples(
    st.lists(times, max_size=60), st.lists(st.tuples(st.lists(times, max_size=3), questions), min_size=1, max_size=12)
)


def row(number: int, ms: int) -> SandboxCall:
    return SandboxCall(id=str(number), start_time=EPOCH + timedelta(milliseconds=ms))


def rows_at(times: list[int], first: int = 0) -> list[SandboxCall]:
    return [row(number, ms) for number, ms in enumerate(times, first)]


def in_order(rows: list[SandboxCall], order: Order, everything: list[SandboxCall]) -> list[SandboxCall]:
    """Sort rows that are in order of insertion; the arbitrary order is one that holds for everything there is."""
    if order == "insertion":
        return rows
    if order == "arbitrary":
        wanted = {row.id for row in rows}
        return [row for row in everything if row.id in wanted]
    oldest_first = sorted(rows, key=lambda row: row.start_time)
    return oldest_first if order == "oldest_first" else oldest_first[::-1]


@given(histories, blocks)
def test_a_page_is_what_a_plain_list_gives(
    history: tuple[list[int], list[tuple[list[int], Question]]], block: int
) -> None:
    begin, steps = history
    store, rows = CallStore(block), rows_at(begin)
    store.add(rows)
    answers = []
    for batch, question in steps:
        added = rows_at(batch, len(rows))
        store.add(added)
        rows += added
        matches = [row for row in rows if question.matches(row)]
        answers.append((question, matches, store.select(question.window, order=question.order, limit=question.limit)))

    everything, _ = store.select(EVERYTHING, order="arbitrary", limit=len(rows))
    for question, matches, (page, count) in answers:
        assert count == len(matches)
        assert page == in_order(matches, question.order, everything)[: question.limit]


@given(histories, blocks, st.sampled_from(ORDERS))
def test_every_order_holds_every_row_once(
    history: tuple[list[int], list[tuple[list[int], Question]]], block: int, order: Order
) -> None:
    begin, steps = history
    rows = rows_at(begin + [ms for batch, _ in steps for ms in batch])
    store = CallStore(block)
    store.add(rows[: len(begin)])
    for single in rows[len(begin) :]:
        store.add([single])

    page, count = store.select(EVERYTHING, order=order, limit=len(rows) + 1)

    assert count == len(rows)
    assert sorted(page, key=lambda row: int(row.id)) == rows
    assert store.rows == tuple(rows)


def test_the_arbitrary_order_is_fixed_and_is_none_of_the_others() -> None:
    def page(block: int) -> list[str]:
        store = CallStore(block)
        store.add(row(number, number) for number in range(100))
        return [row.id for row in store.select(Window(0, 100), order="arbitrary", limit=100)[0]]

    ids = [int(name) for name in page(1000)]

    assert page(1000) == page(7)
    rising = sum(first < second for first, second in pairwise(ids))
    assert 25 < rising < 75


def test_rows_with_one_id_are_kept_apart() -> None:
    store = CallStore()
    legs = [SandboxCall(id="leg", start_time=EPOCH, src=src) for src in ("a", "b", "a")]
    store.add(legs)

    assert store.select(Window(0, 1), order="insertion", limit=10) == (legs, 3)


@pytest.mark.parametrize("order", ORDERS)
def test_an_empty_store_and_an_empty_window_have_no_rows(order: Order) -> None:
    store = CallStore(block=2)
    assert store.select(EVERYTHING, order=order, limit=10) == ([], 0)
    store.add(())
    assert store.select(EVERYTHING, order=order, limit=10) == ([], 0)
    store.add(rows_at([0, 1, 2, 3]))
    for window in [Window(-9, 0), Window(4, 9), Window(2, 2), Window(3, 1)]:
        assert store.select(window, order=order, limit=10) == ([], 0)


def test_of_rows_that_break_off_none_is_added() -> None:
    def broken() -> Iterator[SandboxCall]:
        yield row(0, 0)
        raise OSError("the file is over")

    store = CallStore()
    with pytest.raises(OSError, match="the file is over"):
        store.add(broken())
    store.add([row(1, 1)])

    assert store.select(EVERYTHING, order="insertion", limit=10) == ([row(1, 1)], 1)


@pytest.mark.parametrize("calls", [5, "call", [row(0, 0), {"id": "1"}], row(0, 0)], ids=["int", "str", "dict", "call"])
def test_what_is_not_a_list_of_calls_is_refused(calls: Any) -> None:
    store = CallStore()
    with pytest.raises(TypeError, match=r"^calls must (be an iterable of|hold) SandboxCall"):
        store.add(calls)
    assert store.rows == ()


def test_the_body_of_an_answer_is_the_rows_as_json() -> None:
    rows = [
        SandboxCall(
            id="Ünï\n", start_time=EPOCH - timedelta(milliseconds=1), src=None, extra={"é": [1.5, {"a": None}]}
        ),
        SandboxCall(id="b", start_time=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
    ]

    body = page_json(7, rows)

    assert json.loads(body) == {"count": 7, "calls": [call_json(row) for row in rows]}
    assert [call["startTime"] for call in json.loads(body)["calls"]] == [
        "1969-12-31T23:59:59.999Z",
        "2025-12-31T23:00:00.000Z",
    ]
    assert "é".encode() in body


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])))
def test_milliseconds_are_rounded_down(moment: datetime) -> None:
    ms = epoch_ms(moment)

    assert timedelta(0) <= moment - EPOCH - timedelta(milliseconds=ms) < timedelta(milliseconds=1)
