"""Whose turn it is in front of a bucket."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import RateLimit
from unlimcall_async.http.limiter import LocalLimiter
from unlimcall_async.http.turns import Turns, Waiter


def waiter(party: str) -> Waiter:
    return Waiter(party, float("inf"))


def served(turns: Turns) -> list[Waiter]:
    """Serve all, one after the other."""
    order = []
    while (head := turns.head) is not None:
        assert head.turn.is_set()
        order.append(head)
        turns.remove(head, served=True)
    return order


def of(parties: str) -> Turns:
    turns = Turns()
    for party in parties:
        turns.add(waiter(party), first=False)
    return turns


@pytest.mark.parametrize(
    ("came", "order"),
    [("aaaa", "aaaa"), ("aaab", "abaa"), ("aaabbc", "abcaba"), ("abcd", "abcd"), ("aabaaba", "ababaaa")],
)
def test_parties_are_served_by_turns(came: str, order: str) -> None:
    assert "".join(str(each.party) for each in served(of(came))) == order


@given(st.text("abcd", max_size=12), st.lists(st.integers(0, 11), max_size=6), st.sampled_from("abcde"))
def test_the_order_and_the_number_ahead_are_known_before(came: str, leave: list[int], party: str) -> None:
    turns = of(came)
    for place in leave:
        if place < len(waiting := turns.in_order()):
            turns.remove(waiting[place], served=False)
    late = waiter(party)
    ahead = turns.ahead_of(party)
    turns.add(late, first=False)
    expected = turns.in_order()
    assert expected.index(late) == ahead
    assert served(turns) == expected
    assert not len(turns)


def test_a_refused_request_goes_before_others_of_its_party_but_not_before_the_head() -> None:
    turns = of("aab")
    again, other = waiter("a"), waiter("b")
    turns.add(again, first=True)
    turns.add(other, first=True)
    order = served(turns)
    assert "".join(str(each.party) for each in order) == "ababa"
    assert (order.index(again), order.index(other)) == (2, 1)


@pytest.mark.looptime
async def test_a_cancelled_waiter_takes_no_token_and_leaves_no_hole() -> None:
    limiter, slots = LocalLimiter(RateLimit(60, burst=1)), asyncio.Semaphore(100)
    clock = asyncio.get_running_loop().time
    await limiter.acquire(slots)
    before = clock()
    waiting = [asyncio.create_task(limiter.acquire(slots, party=name)) for name in "abcab"]
    await asyncio.sleep(0.5)
    for place in (0, 2):
        waiting[place].cancel()
    # The party whose first waiter has left keeps its turn.
    times = [*await asyncio.gather(waiting[3], waiting[1], waiting[4])]
    refill = times[0] - before
    assert refill < 1.1
    assert times == sorted(times)
    assert times[-1] - before == pytest.approx(3 * refill, rel=0.01)


async def test_who_comes_when_a_token_is_ready_does_not_overtake_who_waits_for_it() -> None:
    """The one that waits has not woken yet: the event loop was busy when its token became ready."""
    limiter, slots = LocalLimiter(RateLimit(6000, burst=1)), asyncio.Semaphore(100)
    served = list[str]()

    async def take(name: str) -> None:
        await limiter.acquire(slots)
        served.append(name)

    await take("first")
    waiting = asyncio.create_task(take("waiting"))
    while not limiter.waits:  # noqa: ASYNC110 # a place in the queue sets no event
        await asyncio.sleep(0)
    while limiter.wait() > 0:
        pass  # the loop is held up, some ten milliseconds
    await take("late")
    await waiting
    assert served == ["first", "waiting", "late"]
