"""The pace after a refusal, against servers that take less than the limit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.http.pace import CALM, Pace
from unlimcall_async.http.rate_limits import RateLimit

pytestmark = pytest.mark.own_rules

MINUTE = 60.0


def refused_at(bucket: TokenBucket, now: float) -> None:
    bucket.refused(now, now + 0.01)
    bucket.pause(now + 1)


@pytest.mark.slow
@given(st.integers(1, 600), st.lists(st.tuples(st.floats(0, 500), st.booleans()), max_size=60))
def test_the_pace_never_exceeds_the_limit(per_minute: int, steps: list[tuple[float, bool]]) -> None:
    limit = RateLimit(per_minute)
    bucket, now, grants = TokenBucket(limit), 0.0, []
    for gap, refuses in steps:
        now = max(now + gap, bucket.ready_at())
        bucket.take(now)
        grants.append(now)
        if refuses:
            refused_at(bucket, now)
        else:
            bucket.accepted(now, now + 0.01)
        rate = bucket.pace.rate(now)
        assert rate is None or 0 < rate <= per_minute / MINUTE
    assert max((sum(at <= other <= at + MINUTE for other in grants) for at in grants), default=0) <= per_minute


@pytest.mark.parametrize("limit", [RateLimit(60), RateLimit(600), None])
def test_after_a_refusal_grants_are_even_and_below_the_refused_rate(limit: RateLimit | None) -> None:
    bucket, now = TokenBucket(limit), 0.0
    for _ in range(5):
        bucket.take(now)
        bucket.accepted(now, now)
        now += 0.1
    bucket.take(now)
    refused_at(bucket, now)
    grants = []
    for _ in range(6):
        now = max(now, bucket.ready_at())
        bucket.take(now)
        grants.append(now)
        bucket.accepted(now, now + 0.01)
    gaps = [later - earlier for earlier, later in pairwise(grants)]
    # Without a limit, the refused rate is that of the last grants: six in a second.
    assert min(gaps) > (1 / 6 if limit is None else MINUTE / limit.per_minute)
    assert max(gaps[1:]) < 1.01 * min(gaps[1:])


def test_requests_that_were_under_way_together_are_one_round() -> None:
    pace = Pace(1.0)
    for now in (5.0, 5.1, 5.2, 5.3):
        pace.refused(4.0, now, 1.0)
    assert pace.streak == 1
    assert pace.rate(5.3) == pytest.approx(0.8, abs=0.001)
    pace.refused(6.0, 6.1, 1.0)
    assert pace.streak == 2
    pace.accepted(4.5, 6.2)  # sent before the refusals
    assert pace.streak == 2
    pace.accepted(8.0, 8.1)
    assert pace.streak == 0


def test_without_refusals_the_pace_finds_its_way_back_slowly() -> None:
    pace = Pace(1.0)
    pace.refused(0.0, 0.1, 1.0)
    pace.accepted(1.0, 1.1)
    rates = [pace.rate(60.0 * minute) for minute in range(1, 30)]  # a pace that has ended does not come back
    known = [rate for rate in rates if rate is not None]
    assert known == sorted(known)
    assert all(later - earlier <= 0.051 for earlier, later in pairwise(known))
    assert len(known) >= CALM / 60 - 1
    assert rates[-1] is None


def episode(pace: Pace, now: float, *, accepted: int, held: float) -> None:
    """One refusal, and then requests that are accepted, during which the bucket held others back for some seconds."""
    for _ in range(accepted - 1):
        pace.accepted(now, now)
    for part in (0.25, 0.75):
        pace.held(part * held)
    pace.refused(now, now, 1.0)
    pace.accepted(now + 0.5, now)


def test_the_rate_after_an_episode_is_the_goodput_and_rises_by_a_twentieth_of_the_limit_a_minute() -> None:
    pace = Pace(2.0)
    episode(pace, 0.0, accepted=20, held=20.0)
    assert [pace.rate(now) for now in (0, 60, 120, 180)] == pytest.approx([1.0, 1.1, 1.2, 1.3])
    assert pace.streak == 0


def test_the_rate_stays_a_tenth_below_that_of_the_last_refusal_for_two_minutes() -> None:
    pace = Pace(2.0)
    episode(pace, 1000.0, accepted=7, held=4.0)
    assert [pace.rate(1000 + now) for now in (0, 30, 60, 119, 180)] == pytest.approx([1.75, 1.8, 1.8, 1.8, 1.9])


@pytest.mark.parametrize(("at", "hold"), [(2.0, 480), (400.0, 120)], ids=["near", "far above"])
def test_a_third_refusal_near_the_second_doubles_that_time_again_and_one_far_above_begins_anew(
    at: float, hold: int
) -> None:
    pace = Pace(2.0)
    for now in (0.0, 1.0):
        episode(pace, now, accepted=10, held=50.0)
    refused = pace.rate(at)
    assert refused is not None
    assert (refused > 0.3) == (hold == 120)
    episode(pace, at, accepted=100, held=100 / (0.89 * refused))
    plateau = pace.rate(at + 60)
    assert plateau is not None
    assert plateau == pytest.approx(0.9 * refused)
    assert pace.rate(at + hold - 1) == plateau
    assert pace.rate(at + hold + 60) == pytest.approx(plateau + 0.1)


@pytest.mark.parametrize(
    ("accepted", "goodput", "rate"),
    [(4, 0.1, 0.8), (5, 0.1, 0.1), (5, 0.01, 0.1), (4, 9.0, 1.6), (5, 9.0, 1.9), (4, 1.0, 1.0)],
)
def test_the_goodput_of_few_requests_is_believed_within_narrower_bounds(
    accepted: int, goodput: float, rate: float
) -> None:
    pace = Pace(2.0)
    episode(pace, 0.0, accepted=accepted, held=accepted / goodput)
    assert pace.rate(0) == pytest.approx(rate)


def test_each_episode_counts_its_own_requests() -> None:
    pace = Pace(2.0)
    episode(pace, 0.0, accepted=100, held=100.0)
    episode(pace, 1.0, accepted=5, held=10.0)
    assert pace.rate(1) == pytest.approx(0.5, abs=0.01)


def test_the_pace_ends_ten_minutes_after_the_last_refusal_once_it_has_reached_the_limit() -> None:
    pace = Pace(2.0)
    episode(pace, 5.0, accepted=38, held=20.0)
    assert pace.rate(604.9) == 2.0
    assert pace.rate(605.0) is None
    pace.refused(606.0, 606.0, 1.0)
    assert pace.rate(606.0) == pytest.approx(1.6)


def test_a_request_that_was_granted_at_the_moment_of_the_refusal_belongs_to_its_round() -> None:
    pace = Pace(2.0)
    pace.refused(1.0, 5.0, 1.0)
    pace.refused(5.0, 6.0, 1.0)
    assert pace.streak == 1
    pace.accepted(5.0, 7.0)
    assert pace.streak == 1


def test_a_refusal_at_just_one_and_a_half_times_the_last_refused_rate_is_near() -> None:
    pace = Pace(3.0)
    episode(pace, 0.0, accepted=20, held=10.0)
    assert pace.rate(0.0) == 2.0
    pace.refused(0.6, 0.0, 1.0)
    pace.accepted(0.7, 0.0)
    episode(pace, 2000.0, accepted=27, held=10.0)  # the rate has come to 3.0
    assert pace.rate(2000.0 + 479) == pytest.approx(2.7)


def test_a_pace_begins_without_refusals() -> None:
    assert Pace(1.0).streak == 0
    assert Pace(1.0).rate(0.0) is None


class Server:
    """A token bucket of its own."""

    def __init__(self, per_minute: float, burst: int) -> None:
        self.rate, self.burst, self.tokens, self.at = per_minute / MINUTE, burst, float(burst), 0.0

    def takes(self, now: float) -> bool:
        self.tokens, self.at = min(self.burst, self.tokens + (now - self.at) * self.rate), now
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens -= 1
        return True


@pytest.mark.parametrize("burst", [1, 5, 20])
@pytest.mark.parametrize("per_minute", [6, 12, 30, 45, 59])
def test_a_smaller_server_sees_a_handful_of_refusals_and_is_used(per_minute: int, burst: int) -> None:
    bucket, server, now = TokenBucket(RateLimit(60)), Server(per_minute, burst), 0.0
    accepted = refusals = rounds = 0
    while accepted < 400:
        now = max(now + 0.05, bucket.ready_at())
        bucket.take(now)
        if server.takes(now):
            bucket.accepted(now, now + 0.05)
            accepted, rounds = accepted + 1, 0
        else:
            refusals, rounds = refusals + 1, rounds + 1
            bucket.refused(now, now + 0.05)
            bucket.pause(now + 0.05 + min(2 ** (rounds - 1), 60))
    assert refusals <= 24
    assert accepted / now * MINUTE >= 0.8 * per_minute


@pytest.mark.parametrize(("dense", "gap"), [(True, 0.1), (False, 4.0)])
def test_requests_are_dense_near_the_rate_of_the_bucket(dense: bool, gap: float) -> None:
    bucket, now = TokenBucket(RateLimit(60)), 0.0
    for _ in range(4):
        bucket.take(now)
        bucket.accepted(now, now)
        now += gap
    assert bucket.dense(now - gap) == dense
    assert not bucket.dense(now + 60)


def test_an_outage_does_not_make_its_own_attempts_dense() -> None:
    bucket = TokenBucket(RateLimit(60))
    bucket.take(0.0)
    bucket.accepted(0.0, 0.0)
    for now in (0.1, 1.0, 3.0, 7.0):
        bucket.take(now)
        assert not bucket.dense(now)
        bucket.failed(now)


def test_without_a_limit_some_requests_in_a_second_are_dense() -> None:
    bucket = TokenBucket(None)
    for _ in range(3):
        bucket.take(0.0)
    assert not bucket.dense(0.0)
    bucket.accepted(0.0, 0.1)
    assert bucket.dense(0.1)
    assert not bucket.dense(3.0)
