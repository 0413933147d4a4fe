"""What the token bucket tells its pace, and what a refusal or a token that comes back leaves, in figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from tests.core.buckets import DAY, MINUTE, after, bucket_of, unlimited
from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.http.pace import Pace
from unlimcall_async.http.rate_limits import RateLimit

pytestmark = pytest.mark.own_rules


class Heard(Pace):
    """A pace that writes down what the bucket tells it."""

    def __init__(self, top: float | None = None) -> None:
        super().__init__(top)
        self.seconds: list[float] = []
        self.refusals: list[tuple[float, float, float]] = []
        self.acceptances: list[tuple[float, float]] = []

    def held(self, seconds: float) -> None:
        self.seconds.append(seconds)
        super().held(seconds)

    def refused(self, granted_at: float, now: float, measured: float) -> None:
        self.refusals.append((granted_at, now, measured))
        super().refused(granted_at, now, measured)

    def accepted(self, granted_at: float, now: float) -> None:
        self.acceptances.append((granted_at, now))
        super().accepted(granted_at, now)


# --- what the pace is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "pauses_until", "then", "held"),
    [
        ([0.0], None, 0.0, 0),
        ([0.0] * 10, None, 9.0, MINUTE / 51),
        ([0.0] * 10, None, 0.5, 0.5),
        ([0.0] * 10, 30.0, 40.0, 30),
        ([0.0] * 10, 300.0, 300.0, MINUTE / 51 + 60),
    ],
)
def test_the_pace_hears_for_how_long_a_request_was_held(
    taken: list[float], pauses_until: float | None, then: float, held: float
) -> None:
    pace, begin = Heard(), 1000.0
    bucket = after(TokenBucket(RateLimit(60), pace), *(begin + at for at in taken))
    assert pace.seconds == [0] * (len(taken) - 1)
    if pauses_until is not None:
        bucket.pause(begin + pauses_until)
    bucket.take(begin + then)
    assert pace.seconds[len(taken) - 1 :] == [pytest.approx(held)]


def test_a_bucket_that_has_given_all_its_grants_back_has_held_nothing() -> None:
    pace = Heard()
    bucket = after(TokenBucket(RateLimit(1), pace), 0.0, 100.0, 200.0, 300.0)
    pace.seconds.clear()
    for at in (300.0, 200.0):
        bucket.give_back(at)
    bucket.take(310.0)
    assert pace.seconds == [0]


@pytest.mark.parametrize(
    ("taken", "now", "measured"),
    [
        ([], 5.0, 1.0),
        ([0.0] * 4, 0.5, 4.0),
        ([0.0] * 4, 8.0, 0.5),
        ([0.0, 1.0, 2.0], 60.0, 2 / 59),
        ([0.0, 1.0, 2.0], 59.0, 3 / 59),
        ([0.0], 61.0, 1.0),
    ],
)
def test_the_pace_hears_the_rate_of_the_last_minute(taken: list[float], now: float, measured: float) -> None:
    pace = Heard()
    after(TokenBucket(None, pace), *taken).refused(-1.0, now)
    ((granted_at, heard_at, rate),) = pace.refusals
    assert (granted_at, heard_at) == (-1.0, now)
    assert rate == pytest.approx(measured)


def test_the_rate_is_that_of_the_last_128_requests() -> None:
    pace = Heard()
    after(TokenBucket(None, pace), *[0.0] * 300).refused(-1.0, 32.0)
    assert pace.refusals == [(-1.0, 32.0, 4.0)]


def test_the_pace_hears_which_request_was_accepted_and_when() -> None:
    pace = Heard()
    TokenBucket(None, pace).accepted(3.0, 4.0)
    assert pace.acceptances == [(3.0, 4.0)]


@pytest.mark.parametrize(("limit", "rate"), [(RateLimit(120), 1.6), (None, 0.8)])
def test_a_bucket_begins_with_a_pace_whose_top_is_the_limit(limit: RateLimit | None, rate: float) -> None:
    bucket = TokenBucket(limit)
    assert bucket.rate(0.0) is None
    bucket.refused(0.0, 0.0)
    assert bucket.rate(0.0) == pytest.approx(rate)


# --- after a refusal --------------------------------------------------------------------------------------------------


def test_after_a_refusal_one_token_is_there_and_the_next_comes_at_the_pace() -> None:
    bucket = bucket_of(60, *[0.0] * 10)
    bucket.refused(0.0, 1.0)
    assert bucket.ready_at() == 1.0
    bucket.take(1.0)
    assert bucket.ready_at() == pytest.approx(1 + 1 / 0.8)


def test_without_a_limit_the_next_token_comes_at_the_pace_too() -> None:
    bucket = unlimited(*[0.0] * 8)
    bucket.refused(-1.0, 1.0)
    bucket.take(1.0)
    assert bucket.ready_at() == pytest.approx(1 + 1 / (0.8 * 8))


def test_a_refusal_leaves_one_token_for_the_time_after_the_pace_too() -> None:
    """With one request in the last 59 seconds, a token comes each 59 / 0.8 seconds until the next grant."""
    bucket = unlimited(0.0)
    bucket.refused(0.0, 59.0)
    bucket.accepted(60.0, 60.0)
    assert bucket.rate(660.0) is None
    assert bucket.free(660.0) == 1 + (660 - 59) // (59 / 0.8)


def test_a_refusal_that_is_heard_late_brings_no_token_back_before_the_last_grant() -> None:
    bucket = bucket_of(60, 0.0, 5.0)
    bucket.refused(0.0, 4.0)
    assert bucket.ready_at() == 5.0


def test_a_refusal_of_a_full_minute_waits_for_its_end() -> None:
    bucket = bucket_of(3, *[0.0] * 3, burst=3)
    bucket.refused(0.0, 1.0)
    assert bucket.ready_at() == MINUTE


def test_a_token_that_comes_back_while_a_pace_holds_is_one_at_most() -> None:
    bucket = bucket_of(60)
    bucket.refused(-1.0, 0.0)
    bucket.take(0.0)
    bucket.give_back(0.0)
    assert bucket.ready_at() == 0.0
    bucket.take(0.0)
    assert bucket.ready_at() == pytest.approx(1 / 0.8)
    for _ in range(2):
        bucket.give_back(0.0)
    bucket.take(0.0)
    assert bucket.ready_at() == pytest.approx(1 / 0.8)


def test_it_is_one_at_most_for_the_time_after_the_pace_too() -> None:
    bucket = bucket_of(60)
    bucket.refused(-1.0, 0.0)
    bucket.accepted(1.0, 1.0)
    after(bucket, 598.0, 599.5)
    for at in (599.5, 598.0):
        bucket.give_back(at)
    assert bucket.rate(601.0) is None
    assert bucket.free(601.0) == 2


def test_a_grant_that_comes_back_while_a_pace_holds_leaves_the_guards() -> None:
    bucket = bucket_of(3, 0.0, 1.0, 2.0, burst=3, per_day=3)
    bucket.refused(-1.0, 2.0)
    assert bucket.ready_at() == DAY
    bucket.give_back(1.0)
    assert bucket.ready_at() == 2.0
    bucket.take(2.0)
    bucket.give_back(9.0)
    assert bucket.ready_at() == DAY


# --- tokens that come back --------------------------------------------------------------------------------------------


def test_a_token_that_comes_back_to_a_bucket_that_was_full_since_is_lost() -> None:
    bucket = bucket_of(60, 0.0, 100.0, 100.0, burst=2)
    bucket.give_back(0.0)
    assert bucket.ready_at() > 100


def test_a_token_that_comes_back_to_a_bucket_that_was_never_full_since_can_be_taken() -> None:
    bucket = bucket_of(60, 0.0, 0.0, 0.5, burst=3)
    bucket.give_back(0.0)
    assert bucket.ready_at() == 0.5
    assert bucket.free(0.5) == 1


@pytest.mark.parametrize("taken_at", [0.0, 0.1, 0.2])
def test_a_token_that_comes_back_leaves_the_others_taken(taken_at: float) -> None:
    bucket = bucket_of(60, 0.0, 0.1, 0.2, burst=3)
    bucket.give_back(taken_at)
    assert bucket.free(0.2) == 1


def test_what_comes_back_and_was_never_taken_changes_nothing() -> None:
    bucket = bucket_of(60, *[0.0] * 10)
    before = bucket.ready_at()
    bucket.give_back(-1.0)
    assert bucket.ready_at() == before


def test_a_grant_that_comes_back_makes_room_in_the_day_and_in_the_minute() -> None:
    bucket = bucket_of(60, 0.0, 1.0, 2.0, per_day=3)
    bucket.give_back(1.0)
    assert bucket.ready_at() == 2.0
    bucket = bucket_of(3, 0.0, 1.0, 2.0, burst=3)
    bucket.give_back(0.0)
    bucket.take(2.0)
    assert bucket.ready_at() == 1 + MINUTE


def test_the_interval_is_that_of_the_grants_that_stay() -> None:
    bucket = bucket_of(60, 0.0, 0.0, 0.0, burst=2)
    expected = bucket_of(60, 0.0, 0.0, burst=2).ready_at()
    bucket.give_back(0.0)
    assert bucket.ready_at() == pytest.approx(expected)
    bucket = bucket_of(60, *[0.0] * 60, burst=60)
    for _ in range(60):
        bucket.give_back(0.0)
    assert bucket.ready_at() == -math.inf
    assert bucket.free(0.0) == 60
