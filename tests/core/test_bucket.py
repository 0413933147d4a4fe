"""The token bucket against the contract's arithmetic: every span, wherever it starts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.http.rate_limits import RateLimit

pytestmark = pytest.mark.own_rules

MINUTE, DAY = 60, 24 * 3600
EPSILON = 1e-6


class Arrive(NamedTuple):
    """A request comes `gap` seconds after the one before was served, and waits for its token."""

    gap: float


class Pause(NamedTuple):
    """An answer 429 stops the bucket for so many seconds."""

    seconds: float


class GiveBack(NamedTuple):
    """One of the requests that hold a token was never sent."""

    which: int


Step = Arrive | Pause | GiveBack


class Run:
    """Drive a bucket as its queue does, and write down what it granted."""

    def __init__(self, limit: RateLimit | None, steps: Sequence[Step]) -> None:
        self.bucket = TokenBucket(limit)
        self.now = 0.0
        self.grants: list[float] = []
        self.pauses: list[tuple[float, float]] = []
        self.paused_grants: list[float] = []
        for step in steps:
            if isinstance(step, Arrive):
                self.arrive(step.gap)
            elif isinstance(step, Pause):
                self.pauses.append((self.now, self.now + step.seconds))
                self.bucket.pause(self.now + step.seconds)
            elif self.grants:
                self.bucket.give_back(self.grants.pop(step.which % len(self.grants)))

    def arrive(self, gap: float) -> None:
        self.now = max(self.now + gap, self.bucket.ready_at())
        self.bucket.take(self.now)
        self.grants.append(self.now)
        if any(made <= self.now < until for made, until in self.pauses):
            self.paused_grants.append(self.now)

    def most_in(self, span: float) -> int:
        """Count the grants of the span, ends included, that holds the most. The fullest span starts at a grant."""
        return max((sum(start <= grant <= start + span for grant in self.grants) for start in self.grants), default=0)

    def beyond_the_bucket(self, burst: int, per_second: float) -> Iterator[tuple[float, float]]:
        """Find the spans that hold more than a bucket of `burst` tokens could have given."""
        for i, first in enumerate(self.grants):
            for count, last in enumerate(self.grants[i:], 1):
                if count > burst + (last - first) * per_second + EPSILON:
                    yield first, last


@st.composite
def limits(draw: st.DrawFn) -> RateLimit:
    per_minute = draw(st.integers(1, 12))
    return RateLimit(per_minute, draw(st.none() | st.integers(1, 40)), draw(st.none() | st.integers(1, per_minute)))


gaps = st.one_of(st.just(0.0), st.floats(0, 10), st.floats(0, 130), st.sampled_from([5.0, 60.0, 60.5, 1e5]))
arrivals = gaps.map(Arrive)
steps = st.lists(
    st.one_of(arrivals, arrivals, arrivals, st.floats(0, 100).map(Pause), st.integers(0, 50).map(GiveBack)), max_size=70
)


@settings(deadline=None)
@given(limits(), steps)
def test_no_span_holds_more_than_its_limit(limit: RateLimit, steps: list[Step]) -> None:
    run = Run(limit, steps)
    assert run.most_in(MINUTE) <= limit.per_minute
    assert run.most_in(DAY) <= (limit.per_day or len(steps))
    assert not list(run.beyond_the_bucket(limit.at_once(), limit.per_minute / MINUTE))
    assert not run.paused_grants


def greedy(limit: RateLimit, seconds: float) -> int:
    """Count what a consumer that never lets up gets."""
    bucket = TokenBucket(limit)
    count = 0
    while (now := max(0.0, bucket.ready_at())) < seconds:
        bucket.take(now)
        count += 1
    return count


BURSTS = [
    pytest.param(per_minute, burst, marks=pytest.mark.slow if per_minute == 120 else ())
    for per_minute in (1, 2, 7, 60, 61, 120)
    for burst in (None, *sorted({1, 2, per_minute // 2, per_minute - 1, per_minute} & set(range(1, per_minute + 1))))
]


@pytest.mark.slow
@pytest.mark.parametrize(("per_minute", "burst"), BURSTS)
def test_a_greedy_consumer_gets_nearly_all(per_minute: int, burst: int | None) -> None:
    got = greedy(RateLimit(per_minute, burst=burst), 100 * MINUTE)
    assert 0.98 * 100 * per_minute <= got <= 100 * per_minute + per_minute


@pytest.mark.slow
@pytest.mark.parametrize("per_day", [1, 10, 1000])
def test_a_greedy_consumer_gets_nearly_all_of_a_day(per_day: int) -> None:
    assert 0.98 * 30 * per_day <= greedy(RateLimit(60, per_day), 30 * DAY) <= 30 * per_day + per_day


@pytest.mark.parametrize(
    ("per_minute", "burst", "expected"),
    [(60, None, 10), (120, None, 20), (5, None, 1), (1, None, 1), (60, 1, 1), (60, 5, 5), (60, 60, 60)],
)
def test_a_rested_bucket_grants_its_burst_at_once(per_minute: int, burst: int | None, expected: int) -> None:
    run = Run(RateLimit(per_minute, burst=burst), [Arrive(1000.0)] + [Arrive(0.0)] * 80)
    assert run.grants[:expected] == [1000.0] * expected
    assert run.grants[expected] > 1000


@pytest.mark.parametrize(
    "per_minute", [6, 7, 30, 60, *(pytest.param(many, marks=pytest.mark.slow) for many in (120, 600))]
)
@pytest.mark.parametrize("burst", [None, 1, 3])
def test_the_wait_for_the_next_grant_is_about_one_refill_at_any_time(per_minute: int, burst: int | None) -> None:
    # What a burst has taken is spread over its minute, so nobody meets a bucket that has nothing left for long.
    run = Run(RateLimit(per_minute, burst=burst), [Arrive(0.0)] * (5 * per_minute))
    waits = [later - earlier for earlier, later in itertools.pairwise(run.grants)]
    assert max(waits) <= 1.3 * MINUTE / per_minute if burst is None else 2 * MINUTE / per_minute
    assert max(waits[2 * per_minute :]) <= 1.02 * MINUTE / per_minute


# --- pauses ---------------------------------------------------------------------------------------------------------


@given(st.none() | limits(), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_a_pause_is_never_shortened_by_another(limit: RateLimit | None, ends: list[float]) -> None:
    bucket = TokenBucket(limit)
    for end in ends:
        bucket.pause(end)
    assert bucket.ready_at() == max(ends)


def test_a_pause_is_not_shortened_by_a_token_that_comes_back() -> None:
    run = Run(RateLimit(60, burst=1), [Arrive(0.0), Pause(50.0), GiveBack(0)])
    assert run.bucket.ready_at() == 50


def test_a_pause_takes_no_token() -> None:
    run = Run(RateLimit(60, burst=3), [Pause(10.0), *[Arrive(0.0)] * 3])
    assert run.grants == [10, 10, 10]


@given(st.lists(st.floats(0, 10), max_size=30))
def test_without_a_limit_only_a_pause_makes_wait(gaps: list[float]) -> None:
    run = Run(None, [Arrive(gap) for gap in gaps])
    assert run.grants == list(itertools.accumulate(gaps))
    assert run.bucket.ready_at() <= run.now
    run.bucket.give_back(0.0)
    run.bucket.pause(1e3)
    assert run.bucket.ready_at() == 1e3


# --- tokens that come back ------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None)
@given(limits(), st.lists(arrivals, max_size=40), gaps)
def test_a_token_that_comes_back_at_once_was_never_taken(limit: RateLimit, steps: list[Step], gap: float) -> None:
    run = Run(limit, steps)
    now = max(run.now + gap, run.bucket.ready_at())
    run.bucket.take(now)
    run.bucket.give_back(now)
    assert run.bucket.ready_at() <= now + EPSILON
    # One token came back, not two: from here on the bucket goes on as one that never gave it.
    run.now, twin = now, Run(limit, steps)
    twin.now = now
    for _ in range(20):
        run.arrive(0.0)
        twin.arrive(0.0)
    assert run.grants == pytest.approx(twin.grants, abs=EPSILON)


@settings(deadline=None)
@example(RateLimit(60, burst=1), [Arrive(0.0), Arrive(0.0)], 0, 0.0)
@given(limits(), st.lists(st.floats(0, 5).map(Arrive), min_size=1, max_size=20), st.integers(0, 19), st.floats(0, 50))
def test_a_token_that_comes_back_late_gives_no_more_than_was_taken(
    limit: RateLimit, steps: list[Arrive], which: int, late: float
) -> None:
    run = Run(limit, steps)
    taken = run.grants.pop(which % len(steps))
    run.now += late
    run.bucket.give_back(taken)
    twin = TokenBucket(limit)
    for grant in run.grants:
        twin.take(grant)
    assert max(run.now, run.bucket.ready_at()) >= max(run.now, twin.ready_at()) - EPSILON
    for _ in range(20):
        run.arrive(0.0)
    assert not list(run.beyond_the_bucket(limit.at_once(), limit.per_minute / MINUTE))


@pytest.mark.parametrize("late", [0.0, 5.0, 30.0])
@pytest.mark.parametrize("burst", [1, 5, 60])
def test_a_burst_that_comes_back_can_be_taken_again(burst: int, late: float) -> None:
    run = Run(RateLimit(60, burst=burst), [Arrive(0.0)] * burst)
    run.now = late
    for grant in run.grants:
        run.bucket.give_back(grant)
    run.grants = []
    for _ in range(burst):
        run.arrive(0.0)
    assert run.grants == [late] * burst


# --- the limit ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("per_minute", None),
        *(
            (name, value)
            for name in ("per_minute", "per_day", "burst")
            for value in (0, -1, 1.5, 60.0, "60", True, [60])
        ),
    ],
)
def test_a_bad_limit_is_refused_by_name(argument: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=argument):
        RateLimit(**{"per_minute": 60, argument: value})


def test_a_burst_is_not_above_the_limit() -> None:
    assert RateLimit(60, burst=60).burst == 60
    with pytest.raises(ValueError, match="burst"):
        RateLimit(60, burst=61)


def test_a_limit_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RateLimit(60).per_minute = 61  # type: ignore[misc] # that is the point


# --- those who wait behind others ------------------------------------------------------------------------------------


@given(st.none() | limits(), steps, st.integers(0, 200), st.floats(0, 100))
# A burst that fills the minute or the day, and others in several rounds behind it.
@example(RateLimit(3), [Arrive(0.0)] * 3, 0, 0.0)
@example(RateLimit(3), [Arrive(0.0)] * 3, 8, 10.0)
@example(RateLimit(3, per_day=4), [Arrive(0.0)] * 4, 2, 0.0)
@example(RateLimit(6, burst=2), [Arrive(0.0), Pause(100.0)], 9, 0.0)
def test_the_time_behind_others_is_when_the_token_will_come(
    limit: RateLimit | None, before: list[Step], ahead: int, later: float
) -> None:
    run = Run(limit, before)
    now = run.now + later
    expected = run.bucket.ready_behind(ahead, now)
    for _ in range(ahead):
        now = max(now, run.bucket.ready_at())
        run.bucket.take(now)
    comes = max(now, run.bucket.ready_at())
    if limit is None or limit.per_day is None or ahead < limit.per_day:
        assert expected == pytest.approx(comes, rel=0, abs=EPSILON)
    else:
        assert expected <= comes + EPSILON


@given(
    per_minute=st.integers(1, 120),
    per_day=st.none() | st.integers(1, 50),
    taken=st.integers(0, 60),
    requests=st.integers(1, 120),
)
def test_the_time_for_further_requests_is_that_in_which_a_bucket_without_bursts_grants_them(
    per_minute: int, per_day: int | None, taken: int, requests: int
) -> None:
    bucket, now = TokenBucket(RateLimit(per_minute, per_day=per_day, burst=1)), 0.0
    for _ in range(taken):
        now = max(now, bucket.ready_at())
        bucket.take(now)
    said, at = bucket.seconds_for(requests, now), now
    for _ in range(requests):
        at = max(at, bucket.ready_at())
        bucket.take(at)
    # A request that has to wait for a day delays those behind it by up to the time that they need among themselves.
    assert said == pytest.approx(at - now, abs=1 + requests * 60 / per_minute)
    assert bucket.seconds_for(0, at) == 0


@pytest.mark.parametrize(
    ("limit", "idle_after"),
    [(RateLimit(5), 60.5), (RateLimit(5, per_day=9), 24 * 3600 + 0.5), (None, 0.0)],
)
def test_a_bucket_is_idle_once_each_grant_is_older_than_its_span(limit: RateLimit | None, idle_after: float) -> None:
    bucket = TokenBucket(limit)
    assert bucket.is_idle(0.0)
    bucket.take(0.0)
    assert limit is None or not bucket.is_idle(idle_after - 0.1)
    assert bucket.is_idle(idle_after)


def test_a_bucket_with_a_pause_or_a_pace_is_not_idle() -> None:
    bucket = TokenBucket(None)
    bucket.pause(100.0)
    assert not bucket.is_idle(99.0)
    assert bucket.is_idle(100.0)
    bucket.refused(100.0, 101.0)
    assert not bucket.is_idle(300.0)
