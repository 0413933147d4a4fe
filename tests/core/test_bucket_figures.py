"""The figures of the token bucket in small cases, each worked out by hand from the rules in its docstring."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.core.buckets import DAY, MINUTE, after, bucket_of, unlimited
from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.http.rate_limits import RateLimit

pytestmark = pytest.mark.own_rules

# A table makes its buckets within the tests: `tests.mutation` tries a change of the bucket only after the tests were collected.
Made = Callable[[], TokenBucket]


# --- the limit --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "at_once"),
    [
        *((RateLimit(per_minute), burst) for per_minute, burst in [(1, 1), (6, 1), (11, 1), (12, 2), (60, 10)]),
        (RateLimit(60, burst=1), 1),
        (RateLimit(60, burst=60), 60),
    ],
)
def test_a_sixth_of_the_limit_goes_out_at_once_unless_the_user_says_otherwise(limit: RateLimit, at_once: int) -> None:
    assert limit.at_once() == at_once


def test_a_limit_has_no_limit_of_a_day_by_default() -> None:
    assert (RateLimit(60).per_day, RateLimit(60).burst) == (None, None)
    assert RateLimit(60, 1000, 5) == RateLimit(per_minute=60, per_day=1000, burst=5)


@pytest.mark.parametrize("name", ["per_minute", "per_day", "burst"])
def test_a_limit_that_is_no_number_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be an int, not str$"):
        RateLimit(**{"per_minute": 60, name: "60"})  # type: ignore[arg-type] # that is the point
    with pytest.raises(ValueError, match=f"^{name} must be 1 or more"):
        RateLimit(**{"per_minute": 60, name: 0})
    with pytest.raises(ValueError, match=f"^{name} must be at most 1000000000$"):
        RateLimit(**{"per_minute": 60, name: 10**9 + 1})


def test_the_error_of_a_burst_above_the_limit_has_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"^burst must not be above per_minute: 61 is above 60$"):
        RateLimit(60, burst=61)


# --- when the next token may be taken ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "ready_at"),
    [
        (lambda: bucket_of(60), -math.inf),
        (unlimited, -math.inf),
        (lambda: unlimited(3.0, 3.0), 3.0),
        (lambda: bucket_of(60, *[7.0] * 9), 7.0),
        # The grants that are left to the minute are spread over it: the 51st from now on has to wait for the first to be old.
        (lambda: bucket_of(60, *[7.0] * 10), 7 + MINUTE / 51),
        (lambda: bucket_of(60, 0.0, burst=1), MINUTE / 60),
        (lambda: bucket_of(60, *[7.0] * 60, burst=60), 7 + MINUTE),
        (lambda: bucket_of(1, 7.0), 7 + MINUTE),
        (lambda: bucket_of(2, 0.0, 10.0, burst=2), MINUTE),
        (lambda: bucket_of(60, 0.0, 1.0, 2.0, per_day=3), DAY),
        (lambda: bucket_of(60, 0.0, 1.0, 2.0, per_day=4), 2.0),
        (lambda: bucket_of(60, 0.0, DAY, DAY, per_day=2), 2 * DAY),
    ],
)
def test_the_next_token_comes_when_bucket_and_guards_allow(bucket: Made, ready_at: float) -> None:
    assert bucket().ready_at() == pytest.approx(ready_at)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("taken", "interval"),
    # Of 600 grants and more, every second one is looked at; of 1200 and more, every third.
    [(599, MINUTE / (1301 + 1)), (600, MINUTE / (1300 + 2)), (1199, MINUTE / (701 + 2)), (1200, MINUTE / (700 + 3))],
)
def test_of_many_grants_some_are_looked_at_for_the_spread(taken: int, interval: float) -> None:
    assert bucket_of(1900, *[0.0] * taken, burst=taken).ready_at() == pytest.approx(interval)


def test_grants_that_are_older_than_the_last_of_the_limit_are_not_spread() -> None:
    """Two grants a minute: the third one waited for the first, and the spread is over the second and the third."""
    bucket = bucket_of(2, 0.0, 10.0, MINUTE, burst=2)
    # The third grant left `10 / (MINUTE / 2)` of a token, and tokens come each `MINUTE / 2`.
    assert bucket.ready_at() == pytest.approx(MINUTE + MINUTE / 2 - 10)


def test_tokens_come_back_at_the_interval_of_the_last_grant() -> None:
    bucket = bucket_of(60, 0.0, 0.0, burst=2)
    interval = MINUTE / 59
    assert bucket.ready_at() == pytest.approx(interval)
    bucket.take(1.5 * interval)
    # Half a token was left. The third grant leaves 57 to the minute, and the first one is `1.5 * interval` old.
    assert bucket.ready_at() == pytest.approx(1.5 * interval + 0.5 * (MINUTE - 1.5 * interval) / 58)


# --- behind others ----------------------------------------------------------------------------------------------------


def test_one_behind_others_gets_the_token_after_theirs() -> None:
    bucket = bucket_of(6, 0.0, burst=1)
    gap = MINUTE / 6
    assert [bucket.ready_behind(ahead, 0.0) for ahead in (0, 1, 5, 6)] == pytest.approx(
        [gap, 2 * gap, MINUTE, MINUTE + gap], rel=1e-3
    )
    assert bucket.ready_behind(0, 20.0) == 20.0
    assert bucket.ready_at() == pytest.approx(gap)


@pytest.mark.parametrize(
    "change",
    [
        lambda bucket: bucket.take(0.0),
        lambda bucket: bucket.pause(500.0),
        lambda bucket: bucket.give_back(0.0),
        lambda bucket: bucket.refused(0.0, 90.0),
    ],
    ids=["take", "pause", "give back", "refused"],
)
def test_the_time_behind_others_follows_the_state_of_the_bucket(change: Callable[[TokenBucket], object]) -> None:
    bucket, new = bucket_of(6, 0.0, 0.0, burst=3), bucket_of(6, 0.0, 0.0, burst=3)
    before = bucket.ready_behind(1, 0.0)
    change(bucket)
    change(new)
    assert bucket.ready_behind(1, 0.0) == new.ready_behind(1, 0.0) != before


def test_the_time_behind_others_follows_the_pace() -> None:
    bucket = bucket_of(60, *[0.0] * 10)
    bucket.refused(0.0, 1.0)
    before = bucket.ready_behind(3, 1.0)
    assert before == pytest.approx(1 + 3 / 0.8, rel=0.01)
    bucket.accepted(1.5, 2.0)
    assert bucket.ready_behind(3, 1.0) != before


def test_a_bucket_that_others_wait_for_keeps_its_pause_and_its_guards() -> None:
    bucket = bucket_of(60, 0.0, 1.0, per_day=3, burst=1)
    bucket.pause(100.0)
    assert [bucket.ready_behind(ahead, 0.0) for ahead in range(4)] == pytest.approx(
        [100, DAY, DAY + MINUTE / 60, DAY + 100]
    )
    bucket = bucket_of(3, 0.0, 1.0, burst=3)
    assert [bucket.ready_behind(ahead, 1.0) for ahead in range(2)] == pytest.approx([1, MINUTE])


def test_one_who_waits_for_a_new_bucket_gets_the_first_token_at_once() -> None:
    assert bucket_of(60).ready_behind(0, 5.0) == 5.0


def test_a_forecast_holds_until_its_first_token_comes() -> None:
    bucket = bucket_of(6, 0.0, burst=1)
    first = bucket.ready_at()
    second = bucket.ready_behind(1, 0.0)
    assert bucket.ready_behind(1, first - 1) == second
    assert bucket.ready_behind(0, first) == first
    assert bucket.ready_behind(1, first + 4) > second + 3


# --- what is free -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "now", "free"),
    [
        (unlimited, 0.0, None),
        (lambda: unlimited(1.0), 1.0, None),
        (lambda: unlimited(1.0), 0.5, 0),
        (lambda: bucket_of(60), 0.0, 10),
        (lambda: bucket_of(60, *[0.0] * 4), 0.0, 6),
        (lambda: bucket_of(60, *[0.0] * 10), 0.0, 0),
        (lambda: bucket_of(60, *[0.0] * 10), MINUTE / 51, 1),
        (lambda: bucket_of(60, *[0.0] * 10), 2.1 * MINUTE / 51, 2),
        (lambda: bucket_of(5, *[0.0] * 3, burst=5), 60.4, 2),
        (lambda: bucket_of(5, *[0.0] * 3, burst=5), 60.5, 5),
        (lambda: bucket_of(60, per_day=4), 0.0, 4),
        (lambda: bucket_of(60, 0.0, per_day=4), 100.0, 3),
        (lambda: bucket_of(60, 0.0, per_day=4), DAY - 0.1, 3),
        (lambda: bucket_of(60, 0.0, per_day=4), DAY, 4),
    ],
)
def test_the_tokens_that_are_free_are_those_that_bucket_and_guards_have(
    bucket: Made, now: float, free: int | None
) -> None:
    assert bucket().free(now) == free


def test_nothing_is_free_in_a_pause_and_one_token_after_a_refusal() -> None:
    bucket = bucket_of(60)
    bucket.pause(10.0)
    assert (bucket.free(9.9), bucket.free(10.0)) == (0, 10)
    bucket.refused(0.0, 10.0)
    assert (bucket.free(10.0), bucket.free(100.0)) == (1, 1)


# --- how long further requests take -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "requests", "now", "seconds"),
    [
        (lambda: bucket_of(60, *[0.0] * 10), 0, 0.0, 0),
        (lambda: bucket_of(60, *[0.0] * 10), -1, 0.0, 0),
        (lambda: bucket_of(60, *[0.0] * 10), 0.5, 0.0, MINUTE / 51),
        (lambda: bucket_of(60, *[0.0] * 10), 1, 1.0, MINUTE / 51 - 1),
        (lambda: bucket_of(60), 1, 5.0, 0),
        (lambda: bucket_of(60), 3.5, 5.0, 2.5),
        (lambda: bucket_of(30), 3, 5.0, 4),
        (unlimited, 100, 0.0, 0),
        (lambda: bucket_of(60, per_day=3), 3, 20.0, 2),
        (lambda: bucket_of(60, per_day=3), 3.1, 20.0, DAY),
        (lambda: bucket_of(60, per_day=3), 7, 20.0, 2 * DAY),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=3), 1, 20.0, 0),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=3), 2, 20.0, DAY - 20),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=3), 3, 20.0, DAY - 10),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=3), 4, 20.0, DAY),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=3), 5, 20.0, 2 * DAY - 20),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=2), 1, DAY, 0),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=2), 2, DAY, 10),
        (lambda: bucket_of(60, 0.0, 10.0, per_day=2), 3, DAY - 0.2, DAY + 0.2),
        (lambda: bucket_of(60, 0.0, per_day=100_000), 90_000, 100.0, 89_999),
        (lambda: bucket_of(1, 0.0, per_day=2), 1500, 100.0, 750 * DAY - 100),
    ],
)
def test_further_requests_take_their_intervals_and_the_days_that_they_need(
    bucket: Made, requests: float, now: float, seconds: float
) -> None:
    assert bucket().seconds_for(requests, now) == pytest.approx(seconds)


def test_further_requests_go_out_at_the_pace() -> None:
    bucket = bucket_of(60)
    bucket.refused(0.0, 0.0)
    assert bucket.rate(0.0) == 0.8
    assert bucket.seconds_for(9, 0.0) == pytest.approx(10)


# --- idle, dense ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "idle_from"),
    [
        (lambda: bucket_of(5, 1.0), 1 + MINUTE),
        (lambda: bucket_of(5, 1.0, 2.0), 2 + MINUTE),
        (lambda: bucket_of(5, 1.0, 2.0, per_day=5), 2 + DAY),
        (lambda: bucket_of(5, 1.0, 2.0, 3.0, per_day=5), 3 + DAY),
    ],
)
def test_a_bucket_is_idle_from_the_moment_when_its_last_grant_is_old(bucket: Made, idle_from: float) -> None:
    assert not bucket().is_idle(idle_from - 0.01)
    assert bucket().is_idle(idle_from)


def test_a_bucket_is_idle_from_the_end_of_its_pause_unless_it_keeps_to_a_pace() -> None:
    bucket = bucket_of(60, per_day=5)
    bucket.pause(100.0)
    assert [bucket.is_idle(now) for now in (99.0, 100.0, 101.0)] == [False, True, True]
    bucket.refused(-1.0, 200.0)
    assert not bucket.is_idle(200.0)
    assert [unlimited(1.0).is_idle(now) for now in (1.0, 2.0)] == [True, True]


@pytest.mark.parametrize(
    ("per_minute", "taken", "dense_until"),
    [
        *((60, 2, None), (60, 3, 1.0), (60, 4, 1.0), (60, 5, 2.0), (30, 3, 2.0), (30, 5, 4.0)),
        *((6000, 3, 1.0), (None, 3, 1.0)),
    ],
)
def test_three_requests_within_a_refill_or_five_lately_are_dense_if_one_was_accepted(
    per_minute: int | None, taken: int, dense_until: float | None
) -> None:
    bucket = after(TokenBucket(None if per_minute is None else RateLimit(per_minute)), *[100.0] * taken)
    assert not bucket.dense(100.0)
    bucket.accepted(100.0, 100.0)
    assert bucket.dense(100.0) == (dense_until is not None)
    if dense_until is not None:
        assert bucket.dense(100 + dense_until)
        assert not bucket.dense(100 + dense_until + 0.01)


@pytest.mark.parametrize(("per_minute", "dense_until"), [(60, 10.0), (30, 20.0)])
def test_five_requests_within_ten_refills_are_dense(per_minute: int, dense_until: float) -> None:
    bucket = bucket_of(per_minute, *[0.0] * 5, burst=5)
    bucket.accepted(0.0, dense_until)
    assert bucket.dense(dense_until)
    assert not bucket.dense(dense_until + 0.01)


def test_requests_are_dense_by_the_refill_of_a_pace() -> None:
    bucket = bucket_of(60, 0.0, 0.0, 0.0)
    bucket.refused(0.0, 0.0)
    bucket.accepted(0.0, 1.0)
    assert bucket.dense(1.2)
    assert not bucket.dense(1.26)


def test_a_request_that_failed_or_was_never_sent_is_not_one_of_those_that_are_dense() -> None:
    for undo in (TokenBucket.failed, TokenBucket.give_back):
        bucket = bucket_of(60, 0.0, 0.1, 0.2)
        bucket.accepted(0.0, 0.3)
        undo(bucket, 9.0)
        assert bucket.dense(0.3)
        undo(bucket, 0.1)
        assert not bucket.dense(0.3)
