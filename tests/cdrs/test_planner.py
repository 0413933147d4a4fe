"""The planner against a simulated server: every record once, in order, whatever the server is like."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cdrs.simulated import ALL_HABITS, Habits, Pull, Saturated, Server, expected, record
from unlimcall_async.cdrs.instants import Range

MINUTE = 60_000


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], Habits, int, Range, bool, int, int]:
    limit = draw(st.integers(3, 25))
    millis = draw(
        st.lists(
            st.one_of(
                st.integers(0, 20 * MINUTE),
                st.integers(0, 30).map(lambda second: second * 1000),
                st.integers(5_000, 7_000),
                st.sampled_from([9_999, 10_000, 10_001, 10_999, 11_000]),
            ),
            min_size=draw(st.sampled_from([0, 3 * limit])),
            max_size=150,
        )
    )
    start = draw(st.one_of(st.just(0), st.integers(0, 12_000)))
    end = draw(st.one_of(st.just(20 * MINUTE), st.integers(start, 20 * MINUTE)))
    return (
        millis,
        draw(st.sampled_from(ALL_HABITS)),
        limit,
        Range(start, end),
        draw(st.booleans()),
        draw(st.sampled_from([1, 4])),
        draw(st.integers(0, 9)),
    )


def may_saturate(server: Server, limit: int) -> bool:
    """Whether the finest window around some instant that the server tells apart holds as many rows as a page can."""
    step = server.habits.step * 1000
    places = Counter(at // step for at, _, _ in server._rows)
    # With both bounds included, and steps as fine as the API writes times, two instants are the least that can be asked.
    pair = server.habits.from_included and server.habits.till_included and server.habits.step == 1
    return any(
        places[place] + (min(places[place - 1], places[place + 1]) if pair else 0) >= limit for place in list(places)
    )


@settings(max_examples=400, deadline=None)
@given(cases())
def test_every_record_comes_once_and_in_order(case: tuple[list[int], Habits, int, Range, bool, int, int]) -> None:
    millis, habits, limit, wanted, newest_first, concurrency, seed = case
    records = [record(at, number) for number, at in enumerate(millis)]
    server = Server(records, habits)
    pull = Pull(server, wanted, limit, newest_first, concurrency, random.Random(seed))
    whole = expected(records, wanted, newest_first=newest_first)
    outcome = pull.run()
    if isinstance(outcome, Saturated):
        assert outcome.before == whole[: len(outcome.before)]
        assert may_saturate(server, limit)
    else:
        assert outcome == whole
