"""The script of shared limits by itself, on a real server, at any time: no span above the limit, and nobody starves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.core.test_bucket import DAY, MINUTE, limits
from tests.shared.virtual import Crowd, VirtualServer, most_in
from unlimcall_async import RateLimit
from unlimcall_async.http.bucket import TokenBucket

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
GAPS = st.sampled_from([0.0, 0.0, 5.0, 60.0, 60.5, 1e4]) | st.floats(0, 130)
# A request that comes so many seconds later is accepted, or refused with a `Retry-After`.
STEPS = st.lists(st.tuples(GAPS, st.none() | st.none() | st.floats(1, 90)), max_size=30)


@shared
@given(limits(), STEPS)
def test_one_process_is_granted_what_a_bucket_of_its_own_would_grant(
    valkey: Redis, limit: RateLimit, steps: list[tuple[float, float | None]]
) -> None:
    server, bucket, now = VirtualServer(valkey, limit), TokenBucket(limit), 0.0
    for number, (gap, refused_for) in enumerate(steps):
        now += gap
        expected = max(now, bucket.ready_at())
        granted, name = server.grant(now, str(number))
        assert granted == pytest.approx(expected, abs=1e-3)
        bucket.take(granted)
        now = granted + 0.3
        if refused_for is not None:
            bucket.refused(granted, now)
            bucket.pause(now + refused_for)
            server.decide(now, reports=[("refused", name, 0), ("pause", "", refused_for)])
        else:
            bucket.accepted(granted, now)
            # As a process does that has learned of a pace.
            if server.last.rate > 0 or server.last.streak:
                server.decide(now, reports=[("accepted", name, 0)])


def every(gap: float) -> Iterator[float]:
    return itertools.repeat(gap)


@shared
@given(
    limits(),
    st.lists(st.lists(GAPS, min_size=1, max_size=12), min_size=1, max_size=5),
    st.sets(st.integers(0, 5)),
    st.randoms(use_true_random=False),
)
def test_no_span_holds_more_than_the_limit(
    valkey: Redis, limit: RateLimit, gaps: list[list[float]], dies: set[int], chance: Random
) -> None:
    crowd = Crowd(VirtualServer(valkey, limit))
    crowd.run(1e9, {process: iter(of) for process, of in enumerate(gaps)}, partial(chance.uniform, 0, 1), dies)
    assert most_in(MINUTE, crowd.times) <= limit.per_minute
    assert limit.per_day is None or most_in(DAY, crowd.times) <= limit.per_day


@pytest.mark.slow
@pytest.mark.parametrize("limit", [RateLimit(6), RateLimit(60), RateLimit(60, burst=1), RateLimit(120, burst=60)])
def test_in_steady_state_nearly_the_whole_limit_is_used_and_each_has_a_share(valkey: Redis, limit: RateLimit) -> None:
    crowd, chance = Crowd(VirtualServer(valkey, limit)), Random(1)
    minutes = max(10, 600 // limit.per_minute)
    crowd.run(minutes * MINUTE, {process: every(0.01) for process in range(8)}, partial(chance.uniform, 0, 0.02), set())
    assert most_in(MINUTE, crowd.times) <= limit.per_minute
    steady = sum(at >= MINUTE for at in crowd.times)
    assert steady >= 0.97 * limit.per_minute * (minutes - 1)
    counts = [sum(process == of for _, of in crowd.granted) for process in range(8)]
    assert max(counts) - min(counts) <= 1 + 0.1 * max(counts)
    # Each asks when it comes and when its wait is over, once a minute, and again if those before it were late.
    assert crowd.questions <= 4 * len(crowd.granted)


@pytest.mark.slow
def test_processes_that_die_in_the_queue_delay_the_others_by_seconds_alone(valkey: Redis) -> None:
    crowd = Crowd(VirtualServer(valkey, RateLimit(60, burst=1)))
    crowd.run(10 * MINUTE, {process: every(0.0) for process in range(9)}, lambda: 0.001, set(range(1, 8)))
    assert max(crowd.waited) <= 8 + 3
    assert len(crowd.granted) >= 0.97 * 600 - 10


def test_many_processes_behind_a_limit_of_a_day_cost_the_server_no_more_than_a_few(valkey: Redis) -> None:
    server = VirtualServer(valkey, RateLimit(1, per_day=1))
    server.grant(0, "a")
    # A question of the 200 waiters that took a second would fail by the connection's time limit.
    valkey.connection_pool.connection_kwargs["socket_timeout"] = 1
    valkey.connection_pool.disconnect()
    waits = [server.decide(1, f"{waiter}", "x").wait for waiter in range(200)]
    assert waits == [pytest.approx((day + 1) * (DAY + 0.5) - 1) for day in range(200)]


@pytest.mark.parametrize("dropped", ["waiters", "alive"])
def test_a_waiter_half_of_whose_place_was_dropped_is_forgotten(valkey: Redis, dropped: str) -> None:
    server = VirtualServer(valkey, RateLimit(60, burst=1))
    server.grant(0, "a")
    server.decide(0, "died", "died")
    valkey.delete(dropped)
    assert server.decide(0, "b", "b").wait == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("limit", [RateLimit(600, burst=100), None])
def test_a_process_with_a_low_limit_does_not_slow_one_with_a_high_limit(valkey: Redis, limit: RateLimit | None) -> None:
    server = VirtualServer(valkey, limit)
    server.grant(0, "a")
    server.limit = RateLimit(6, burst=1)
    server.grant(0, "b")
    server.limit = limit
    assert server.grant(0, "c")[0] <= 0.2


def test_a_token_that_comes_back_is_granted_to_another(valkey: Redis) -> None:
    server = VirtualServer(valkey, RateLimit(2, per_day=2, burst=2))
    _, first = server.grant(0, "a")
    server.grant(1, "b")
    assert server.decide(2, "c", "c").wait == pytest.approx(DAY + 0.5 - 2)
    server.decide(3, reports=[("give_back", first, 0)])
    # To give a token back twice, or one that nobody has, changes nothing.
    server.decide(3, reports=[("give_back", first, 0), ("give_back", "nobody's", 0)])
    assert server.decide(4, "c", "c").granted
    assert not server.decide(4, "d", "d").granted


def test_a_token_that_comes_back_does_not_wait_for_one_who_sleeps(valkey: Redis) -> None:
    server = VirtualServer(valkey, RateLimit(2, per_day=2, burst=2))
    _, first = server.grant(0, "a")
    server.grant(1, "b")
    assert server.decide(2, "sleeps", "c").wait > DAY / 2
    server.decide(3, reports=[("give_back", first, 0)])
    assert server.decide(4, "is awake", "d").granted
    # The first in the queue is still served first when it asks.
    assert server.decide(5, "is awake", "e").wait >= server.decide(6, "sleeps", "f").wait


def test_a_grant_that_is_used_late_counts_from_then_on(valkey: Redis) -> None:
    server = VirtualServer(valkey, RateLimit(1))
    _, first = server.grant(0, "a")
    server.decide(1.5, reports=[("late", first, 0)])
    assert server.grant(2, "b")[0] == pytest.approx(62)
    # The server has forgotten the grant, because it was told of the delay so late.
    server.decide(200, reports=[("late", first, 0)])
    assert server.grant(201, "c")[0] == pytest.approx(260.5)


def test_a_waiter_that_leaves_makes_room(valkey: Redis) -> None:
    server = VirtualServer(valkey, RateLimit(60, burst=1))
    server.grant(0, "a")
    assert [round(server.decide(0, waiter, waiter).wait, 1) for waiter in "bcd"] == [1, 2, 3]
    server.decide(0.5, reports=[("leave", "b", 0)])
    assert [round(server.decide(0.5, waiter, waiter).wait, 1) for waiter in "cde"] == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("limit", [RateLimit(60), None])
def test_a_refusal_stops_all_at_once_and_paces_them(valkey: Redis, limit: RateLimit | None) -> None:
    server = VirtualServer(valkey, limit)
    names = [server.grant(at / 10, f"{at}")[1] for at in range(8)]
    answer = server.decide(1, reports=[("refused", names[-1], 0)])
    assert answer.streak == 1
    assert answer.paused == pytest.approx(0.9)
    assert not server.decide(1, "a", "a").granted
    # Requests that were under way belong to the same round.
    assert server.decide(1, reports=[("refused", names[-2], 0), ("pause", "", 30)]).streak == 1
    assert server.decide(1.1, "b", "b").wait >= 29
    granted, name = server.grant(1.2, "a")
    assert granted == pytest.approx(31)
    answer = server.decide(31.1, reports=[("accepted", name, 0)])
    assert answer.streak == 0
    assert 0 < answer.rate < (8 if limit is None else 1)
    second, _ = server.grant(31.1, "b")
    assert server.grant(second, "c")[0] - second == pytest.approx(1 / answer.rate, rel=0.1)


# --- what the server forgets ------------------------------------------------------------------------------------------


def used_up(
    server: VirtualServer, now: float, mark: str = "", *, seen: bool = False, missed: bool = False
) -> float | None:
    """Return the seconds that the first request has to wait, or `None` if it goes out."""
    answer = server.decide(now, "x", "x", mark=mark, seen=seen, missed=missed)
    return None if answer.granted else answer.wait


LIMIT = RateLimit(5)


def test_a_new_server_grants_at_once(valkey: Redis) -> None:
    server = VirtualServer(valkey, LIMIT)
    server.started(999, "2")
    assert used_up(server, 1000) is None


def test_a_server_that_has_lost_its_mark_is_taken_for_used_up(valkey: Redis) -> None:
    server = VirtualServer(valkey, RateLimit(5, per_day=100))
    mark = server.decide(1000, "a", "a").mark
    valkey.flushdb()
    assert used_up(server, 1010, mark, seen=True) == pytest.approx(DAY + 0.5)
    # Others learn of it by the mark, and the wait does not begin anew.
    server.limit = LIMIT
    assert used_up(server, 1020, mark) == pytest.approx(50.5)
    assert used_up(server, 1020) == pytest.approx(50.5)
    assert used_up(server, 1070.6, mark) is None


def test_a_new_process_on_an_emptied_server_does_not_hide_what_was_lost(valkey: Redis) -> None:
    server = VirtualServer(valkey, LIMIT)
    mark = server.decide(1000, "a", "a").mark
    valkey.flushdb()
    assert used_up(server, 1010) is None
    assert used_up(server, 1015, mark) == pytest.approx(55.5)
    assert used_up(server, 1015) == pytest.approx(55.5)


def test_a_process_that_could_not_reach_the_server_takes_an_empty_one_for_used_up(valkey: Redis) -> None:
    assert used_up(VirtualServer(valkey, LIMIT), 1000, missed=True) == pytest.approx(60.5)


def test_a_server_that_was_started_again_is_taken_for_used_up_for_a_span(valkey: Redis) -> None:
    server = VirtualServer(valkey, LIMIT)
    mark = server.decide(1000, "a", "a").mark
    server.started(1010, "2")
    assert used_up(server, 1020, mark) == pytest.approx(51.5)
    assert used_up(server, 1030) == pytest.approx(41.5)
    assert used_up(server, 1072) is None


def test_a_replica_that_has_taken_over_is_taken_for_used_up(valkey: Redis) -> None:
    server = VirtualServer(valkey, LIMIT)
    server.started(10, "1")
    mark = server.decide(1000, "a", "a").mark
    # It has run for long, and the last grants of the other server have not reached it.
    server.started(20, "2")
    assert used_up(server, 1010, mark) == pytest.approx(60.5)
    assert used_up(server, 1030) == pytest.approx(40.5)
    assert used_up(server, 1071) is None


@pytest.mark.parametrize("dropped", [["grants"], ["state"], ["grants", "state"]])
def test_a_bucket_whose_keys_were_dropped_is_taken_for_used_up(valkey: Redis, dropped: list[str]) -> None:
    server = VirtualServer(valkey, LIMIT)
    mark = server.decide(1000, "a", "a").mark
    valkey.delete(*dropped)
    assert used_up(server, 1010, mark, seen=True) == pytest.approx(60.5)


def test_a_clock_that_is_set_back_holds_nothing_back_for_longer_than_a_span(valkey: Redis) -> None:
    server = VirtualServer(valkey, RateLimit(3, burst=3))
    for at in range(3):
        server.grant(10_000 + at, str(at))
    server.decide(10_003, reports=[("pause", "", 20)])
    assert used_up(server, 5000) == pytest.approx(60.5)


def test_a_clock_that_is_set_back_long_after_the_last_grant_prolongs_no_pause(valkey: Redis) -> None:
    server = VirtualServer(valkey, LIMIT)
    server.grant(1000, "a")
    server.decide(5000, reports=[("pause", "", 20)])
    assert used_up(server, 2000) == pytest.approx(20)


def test_a_clock_that_is_set_back_behind_the_start_of_the_server_makes_no_error(valkey: Redis) -> None:
    server = VirtualServer(valkey, LIMIT)
    mark = server.decide(1000, "a", "a").mark
    # It runs since -90 seconds, by its own clock.
    server.started(1100, "2")
    assert used_up(server, 1010, mark) == pytest.approx(60.5)
    assert used_up(server, 1030) == pytest.approx(40.5)
    assert used_up(server, 1071) is None


def test_a_day_passes_without_a_trace(valkey: Redis) -> None:
    server = VirtualServer(valkey, LIMIT)
    server.grant(0, "a")
    assert used_up(server, 2 * DAY) is None
    assert all(DAY < valkey.ttl(key) <= 1.1 * DAY for key in ("mark", "grants", "state"))
    assert valkey.zcard("grants") == 1
