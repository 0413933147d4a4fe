"""What `doctor` makes of a server, under every setting of the sandbox and without a server."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Literal

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord, CdrPage
from unlimcall_async.cli.diagnosis import MOST, Question, Server, examine, lonely_row, order_of, skew
from unlimcall_async.sandbox import SandboxCall
from unlimcall_async.sandbox.calls import CallStore, Window, epoch_ms

NOW = datetime(2026, 5, 24, 12, tzinfo=UTC)


START = NOW - timedelta(days=10)


@frozen
class Behaviour:
    order: Literal["newest_first", "oldest_first", "insertion", "arbitrary"] = "newest_first"
    from_inclusive: bool = True
    till_inclusive: bool = False
    resolution: Literal["ms", "s"] = "ms"
    count: Literal["rows", "matches"] = "rows"
    cap: int = 1000


def answer(store: CallStore, how: Behaviour, question: Question) -> CdrPage:
    bounds: dict[str, Any] = {"from_inclusive": how.from_inclusive, "till_inclusive": how.till_inclusive}
    window = Window.between(epoch_ms(question.start), epoch_ms(question.end), **bounds, resolution=how.resolution)
    rows, matches = store.select(window, order=how.order, limit=min(question.limit, how.cap))
    count = matches if how.count == "matches" else len(rows)
    calls = tuple(CallRecord(row.id, row.start_time, row.duration, row.billsec) for row in rows)
    return CdrPage(count, calls, complete=len(calls) < question.limit and count <= len(calls))


def found(calls: Iterable[SandboxCall], how: Behaviour) -> Server:
    store = CallStore()
    store.add(calls)
    examination = examine(NOW)
    question, asked = next(examination), 1
    while True:
        assert question.start < question.end
        assert question.end - question.start <= timedelta(days=31)
        try:
            question = examination.send(answer(store, how, question))
        except StopIteration as end:
            server: Server = end.value
            return server
        asked += 1
        assert asked <= MOST


def calls_at(moments: Iterable[datetime]) -> list[SandboxCall]:
    return [SandboxCall(id=f"{number}", start_time=moment) for number, moment in enumerate(moments)]


def spread(count: int, *, milliseconds: bool) -> list[SandboxCall]:
    """Calls an hour and a bit apart, added in no order."""
    step = timedelta(minutes=67, milliseconds=123 if milliseconds else 0)
    moments = [START + number * step for number in range(count)]
    random.Random(3).shuffle(moments)
    return calls_at(moments)


EVERY = [
    Behaviour(*setting)  # type: ignore[arg-type] # one of each
    for setting in product(
        ("newest_first", "oldest_first", "insertion", "arbitrary"),
        (True, False),
        (True, False),
        ("ms", "s"),
        ("rows", "matches"),
        (9, 1000),
    )
]


ORDERS = {
    "newest_first": "newest first",
    "oldest_first": "oldest first",
    "insertion": "not sorted",
    "arbitrary": "not sorted",
}


@pytest.mark.parametrize("milliseconds", [True, False])
def test_every_setting_is_found_out(milliseconds: bool) -> None:
    for how in EVERY:
        server = found(spread(40, milliseconds=milliseconds), how)
        # Of such rows, both kinds of server give the same answers.
        alike = not milliseconds and not how.from_inclusive and how.till_inclusive
        assert server == Server(
            rows=min(40, how.cap),
            order=ORDERS[how.order],  # type: ignore[arg-type] # one of them
            from_included=how.from_inclusive,
            till_included=how.till_inclusive,
            resolution=None if alike else how.resolution,
            count=how.count,
            cap=how.cap if how.cap < 40 else None,
        ), how


def test_a_full_page_is_the_documented_cap() -> None:
    for how in (Behaviour(), Behaviour(count="matches"), Behaviour(order="arbitrary", resolution="s")):
        server = found(spread(200, milliseconds=True) * 6, how)
        assert (server.cap, server.rows, server.count) == (1000, 1000, how.count)


def test_no_calls_show_nothing() -> None:
    assert found([], Behaviour()) == Server()


def test_one_call_shows_the_bounds() -> None:
    server = found(spread(1, milliseconds=True), Behaviour(till_inclusive=True, resolution="s"))
    assert server == Server(rows=1, from_included=True, till_included=True, resolution="s")


def test_calls_of_the_last_hour_and_of_long_ago_are_left_alone() -> None:
    moments = [NOW - timedelta(minutes=59), NOW - timedelta(days=32)]
    assert found(calls_at(moments), Behaviour()) == Server()


@given(
    st.lists(st.integers(min_value=0, max_value=1500), max_size=60),
    st.sampled_from([how for how in EVERY if how.cap == 1000 or how.count == "matches"]),
)
def test_what_is_said_is_true(milliseconds: list[int], how: Behaviour) -> None:
    # Crowded: many rows in few seconds, many of them on one instant, and pages that cannot hold them all.
    server = found(calls_at(START + timedelta(milliseconds=at) for at in milliseconds), how)
    assert server.from_included in {None, how.from_inclusive}
    assert server.till_included in {None, how.till_inclusive}
    assert server.resolution in {None, how.resolution}
    assert server.count in {None, how.count}
    assert server.cap in ({None} if len(milliseconds) <= how.cap else {None, how.cap})


def record(moment: datetime) -> CallRecord:
    return CallRecord("1", moment, 1, 1)


def test_a_row_that_may_have_been_cut_off_shows_nothing() -> None:
    row, other = record(START), record(START + timedelta(milliseconds=1))
    examination = examine(NOW)
    next(examination)
    examination.send(CdrPage(1, (row,), complete=True))
    examination.send(CdrPage(2, (other,), complete=False))  # from the row on
    with pytest.raises(StopIteration) as ended:
        examination.send(CdrPage(1, (row,), complete=True))  # up to the row
    assert ended.value.value == Server(rows=1, till_included=True)


def test_few_rows_have_no_order() -> None:
    hours = [START + timedelta(hours=hour) for hour in range(6)]
    assert order_of([record(hour) for hour in hours]) == "oldest first"
    assert order_of([record(hour) for hour in hours[:5] * 3]) is None
    assert order_of([record(hour) for hour in [*hours, *hours]]) == "not sorted"


def test_the_row_to_look_for_is_lonely_and_within_its_second() -> None:
    window = Question(START, START + timedelta(days=1))
    crowd = [START + timedelta(hours=2, milliseconds=number) for number in (1, 300, 600)]
    lonely = START + timedelta(hours=3, milliseconds=250)
    whole = START + timedelta(hours=4)
    last_millisecond = START + timedelta(hours=5, milliseconds=999)
    at_the_edge = START + timedelta(milliseconds=500)
    moments = [*crowd, lonely, whole, last_millisecond, at_the_edge]
    assert lonely_row([record(moment) for moment in moments], window) == lonely
    assert lonely_row([record(moment) for moment in [whole, last_millisecond, at_the_edge]], window) == whole
    assert lonely_row([record(moment) for moment in [last_millisecond, at_the_edge]], window) is None


NOON = datetime(2026, 5, 24, 12, tzinfo=UTC)


DATE = "Sun, 24 May 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.0, 0.2, 0.0),
        # The date is cut to the second: it stands for any time up to 12:00:01.
        (0.9, 1.1, 0.0),
        (-0.1, 0.1, 0.0),
        (2.0, 2.5, -1.0),
        (-10.0, -9.5, 9.5),
        # A slow answer may have been dated at any time before it came.
        (-10.0, 5.0, 0.0),
    ],
)
def test_clocks_are_compared_as_far_as_that_goes(before: float, after: float, expected: float) -> None:
    assert skew(DATE, NOON + timedelta(seconds=before), NOON + timedelta(seconds=after)) == expected


@pytest.mark.parametrize("date", [None, "", "soon", "Sun, 24 May 2026 12:00:00 -0000"])
def test_a_server_need_not_tell_its_time(date: str | None) -> None:
    assert skew(date, NOON, NOON) is None


def test_a_server_may_be_at_the_end_of_time() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert skew("Fri, 31 Dec 9999 23:59:59 GMT", NOON, NOON) == (last - NOON).total_seconds()
