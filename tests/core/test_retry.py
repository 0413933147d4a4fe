"""When a request is sent again, and when it is given up."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.errors import (
    APIError,
    ClientClosedError,
    EngineNotConfiguredError,
    RateLimitedError,
    ServerError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.http.endpoints import CREATE_CALL, ME, Endpoint
from unlimcall_async.http.outcome import Sent, is_refusal, judge, outcome_of
from unlimcall_async.http.retry import Patience, RetryPolicy, delay_after_429, delay_before_retry, pause_after

pytestmark = pytest.mark.own_rules


def delay(
    policy: RetryPolicy,
    error: UnlimCallError | None = None,
    retries: int = 0,
    chance: float = 0.5,
    endpoint: Endpoint = ME,
) -> float | None:
    error = error or ServerError(500)
    verdict = judge(endpoint, Sent.MAYBE_SENT, outcome_of(error))
    return delay_before_retry(policy, verdict, error, retries=retries, chance=chance)


# --- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ServerError(500), TransportError("broke")])
def test_by_default_after_1_2_and_4_seconds_then_given_up(error: UnlimCallError) -> None:
    assert [delay(RetryPolicy(), error, retries=n) for n in range(6)] == [1, 2, 4, None, None, None]


@pytest.mark.parametrize("error", [ServerError(500), TransportError("broke")])
def test_without_delays_nothing_is_tried_again(error: UnlimCallError) -> None:
    assert delay(RetryPolicy(delays=()), error) is None


@pytest.mark.parametrize("chance", [0, 0.25, 0.5, 1])
@pytest.mark.parametrize(("jitter", "base"), [(0.1, 1.0), (0.1, 4.0), (0, 2.0), (1, 2.0), (0.5, 0.0)])
def test_jitter_is_a_share_of_the_delay_up_and_down(jitter: float, base: float, chance: float) -> None:
    policy = RetryPolicy(delays=[base], jitter=jitter)
    by_chance = {0: 1 - jitter, 0.25: 1 - jitter / 2, 0.5: 1, 1: 1 + jitter}
    assert delay(policy, chance=chance) == pytest.approx(base * by_chance[chance])


share = st.floats(0, 1)


@given(st.lists(st.floats(0, 1e6), max_size=5), share, st.integers(0, 6), share)
def test_no_delay_leaves_the_bounds_of_its_jitter(
    delays: list[float], jitter: float, retries: int, chance: float
) -> None:
    seconds = delay(RetryPolicy(delays=tuple(delays), jitter=jitter), retries=retries, chance=chance)
    if retries < len(delays):
        assert seconds is not None
        assert max(0, delays[retries] * (1 - jitter) - 1e-6) <= seconds <= delays[retries] * (1 + jitter) + 1e-6
    else:
        assert seconds is None


@pytest.mark.parametrize("chance", [0, 1])
@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [(None, "jittered"), (0, "jittered"), (0.5, "jittered"), (7.5, 7.5), (60, 60), (60.1, None), (86400, None)],
)
def test_retry_after_makes_the_delay_longer_up_to_its_maximum_and_never_shorter(
    retry_after: float | None, wait: float | str | None, chance: float
) -> None:
    expected = pytest.approx(0.9 + 0.2 * chance) if wait == "jittered" else wait
    assert delay(RetryPolicy(), ServerError(503, retry_after=retry_after), chance=chance) == expected


@pytest.mark.parametrize("maximum", [1.1, 5, 600])
def test_the_maximum_can_be_chosen(maximum: float) -> None:
    policy = RetryPolicy(max_retry_after=maximum)
    assert delay(policy, ServerError(503, retry_after=maximum)) == maximum
    assert delay(policy, ServerError(503, retry_after=maximum + 0.1)) is None


# --- refusals -------------------------------------------------------------------------------------------------------

SINGLE, STREAM, FOLLOW = (120.0, False), (900.0, True), (math.inf, True)
Of = tuple[float, bool]


def waits(
    of: Of, retry_after: float | None, count: int, policy: RetryPolicy | None = None, endpoint: Endpoint = ME
) -> list[float | None]:
    """Refuse a request again and again; what is waited each time."""
    policy = policy or RetryPolicy(jitter=0)
    patience, now, waited = Patience(*of), 0.0, []
    error = RateLimitedError(429, retry_after=retry_after)
    verdict = judge(endpoint, Sent.MAYBE_SENT, outcome_of(error))
    for rounds in range(1, count + 1):
        wait = delay_after_429(policy, verdict, error, rounds=rounds, patience=patience, chance=0.5)
        waited.append(wait)
        if wait is None:
            break
        patience.wait(now, wait)
        now += wait
    return waited


def test_a_429_without_a_time_is_waited_out_by_doubling_up_to_a_minute() -> None:
    assert waits(FOLLOW, None, 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(("of", "seconds"), [(SINGLE, 120), (STREAM, 900)])
def test_a_429_is_waited_out_for_so_long_in_all_and_then_given_up(of: Of, seconds: float) -> None:
    *waited, last = waits(of, None, 1000)
    assert sum(wait for wait in waited if wait is not None) == seconds
    assert last is None
    assert sum(wait for wait in waits(of, 0, 1000) if wait is not None) <= seconds + 4


@pytest.mark.parametrize("of", [SINGLE, STREAM, FOLLOW])
@pytest.mark.parametrize(
    ("retry_after", "expected"), [(0, [1, 2, 4, 4]), (1, [1, 2, 4, 4]), (3.5, [3.5, 3.5, 4, 4]), (20, [20, 20, 20, 20])]
)
def test_a_429_with_a_time_is_waited_out_as_it_says_and_no_shorter_than_ours(
    of: Of, retry_after: float, expected: list[float]
) -> None:
    assert waits(of, retry_after, 4) == expected


@pytest.mark.parametrize(
    ("of", "retry_after", "first"),
    [
        *[(SINGLE, 60, 60), (SINGLE, 60.1, None), (STREAM, 60.1, 60.1), (STREAM, 900, 900), (STREAM, 900.1, None)],
        *[(FOLLOW, 3600, 3600), (FOLLOW, 86400, 86400), (FOLLOW, 1.8e9, 60)],
    ],
)
def test_a_429_that_asks_for_more_than_is_left_is_given_up_at_once(
    of: Of, retry_after: float, first: float | None
) -> None:
    assert waits(of, retry_after, 1) == [first]


def test_what_is_left_falls_with_each_wait() -> None:
    assert waits(SINGLE, 50, 5) == [50, 50, None]


def test_without_delays_a_429_is_not_tried_again() -> None:
    assert waits(SINGLE, 1, 1, RetryPolicy(delays=())) == [None]
    assert waits((0.0, False), None, 1) == [None]


@pytest.mark.parametrize("chance", [0, 1])
def test_the_jitter_is_that_of_the_delays(chance: float) -> None:
    error = RateLimitedError(429)
    verdict = judge(ME, Sent.MAYBE_SENT, outcome_of(error))
    wait = delay_after_429(RetryPolicy(), verdict, error, rounds=3, patience=Patience(120), chance=chance)
    assert wait == pytest.approx(4 * (0.9 + 0.2 * chance))


@pytest.mark.parametrize("retry_after", [0.0, 0.5, 1.0])
def test_a_429_with_a_time_is_waited_out_for_a_second_at_least(retry_after: float) -> None:
    error = RateLimitedError(429, retry_after=retry_after)
    verdict = judge(ME, Sent.MAYBE_SENT, outcome_of(error))
    # The jitter alone would make the first wait 0.9 s.
    wait = delay_after_429(RetryPolicy(), verdict, error, rounds=1, patience=Patience(120), chance=0.0)
    assert wait == 1.0


def test_a_post_is_sent_again_after_a_429_and_not_after_a_503() -> None:
    assert waits(SINGLE, 2, 1, endpoint=CREATE_CALL) == [2]
    error = ServerError(503)
    verdict = judge(CREATE_CALL, Sent.MAYBE_SENT, outcome_of(error))
    assert delay_before_retry(RetryPolicy(), verdict, error, retries=0, chance=0.5) is None


def test_one_pause_of_several_requests_counts_once() -> None:
    patience = Patience(900, of_pull=True)
    for at in (0.0, 0.1, 0.2):
        patience.wait(at, 10)
    assert patience.left == pytest.approx(900 - 10.2)
    patience.renew()
    assert patience.left == 900


@pytest.mark.parametrize(
    ("error", "dense", "refusal"),
    [
        (RateLimitedError(429), False, True),
        (RateLimitedError(429), True, True),
        (ServerError(503), True, True),
        (ServerError(503, "overloaded"), True, True),
        (ServerError(503), False, False),
        (EngineNotConfiguredError(503, "engine_not_configured"), True, False),
        (ServerError(500), True, False),
        (ServerError(502), True, False),
        (TransportError("broke"), True, False),
    ],
)
def test_a_503_is_a_refusal_if_requests_are_dense_and_it_has_no_documented_code(
    error: UnlimCallError, dense: bool, refusal: bool
) -> None:
    assert is_refusal(error, dense=dense) == refusal


@pytest.mark.parametrize(
    ("retry_after", "pause"), [(None, 0), (0, 0), (3600, 3600), (86400, 86400), (86401, 60), (1e9, 60)]
)
def test_a_429_that_is_given_up_stops_its_endpoint_for_a_day_at_most(retry_after: float | None, pause: float) -> None:
    assert pause_after(RetryPolicy(), RateLimitedError(429, retry_after=retry_after), None) == pause


def test_a_429_that_is_tried_again_stops_its_endpoint_until_then() -> None:
    assert pause_after(RetryPolicy(), RateLimitedError(429, retry_after=0), 1.05) == 1.05


def test_retry_after_makes_nothing_repeatable() -> None:
    assert delay(RetryPolicy(), ServerError(503, retry_after=1), endpoint=CREATE_CALL) is None
    assert delay(RetryPolicy(), APIError(409, retry_after=1)) is None
    assert delay(RetryPolicy(), ClientClosedError("closed"), endpoint=CREATE_CALL) is None


# --- the policy -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_operations_guide() -> None:
    assert RetryPolicy() == RetryPolicy((1, 2, 4), 0.1, 60, on_give_up=None, rate_limited_for=None)


async def alarm(error: UnlimCallError) -> None:
    raise error


ENDLESS, NAN, TOO_BIG = float("inf"), float("nan"), 10**400


def refusals_of(argument: str, *, most: float = ENDLESS) -> list[Any]:
    """A number that is not one, and a number that is out of range, for an argument or for a part of it."""
    wrong: list[tuple[Any, type[Exception], str]]
    wrong = [(value, TypeError, f"must be a number, not {type(value).__name__}") for value in (True, None, "1")]
    wrong += [(value, ValueError, "must be finite and not negative") for value in (-1, ENDLESS, NAN, TOO_BIG)]
    if most < ENDLESS:
        wrong += [(value, ValueError, f"must be a share from 0 to {most}") for value in (1.1, 2)]
    return [(argument, *each) for each in wrong]


@pytest.mark.parametrize(
    ("argument", "value", "error", "says"),
    [
        *(
            ("delays", value, TypeError, f"must be numbers of seconds, not {type(value).__name__}")
            for value in (5, None)
        ),
        *refusals_of("delays[1]"),
        *refusals_of("jitter", most=1),
        *refusals_of("max_retry_after"),
        *(each for each in refusals_of("rate_limited_for") if each[1] is not None),
        *(
            ("on_give_up", value, TypeError, "must be a plain function of one argument, or None")
            for value in (1, "print", alarm, object())
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_argument_is_refused_by_name(argument: str, value: Any, error: type[Exception], says: str) -> None:
    arguments: dict[str, Any] = {"delays": [1, value]} if argument == "delays[1]" else {argument: value}
    with pytest.raises(error, match=f"^{re.escape(argument)} {re.escape(says)}$"):
        RetryPolicy(**arguments)


def test_the_largest_float_is_a_number_of_seconds() -> None:
    assert RetryPolicy(max_retry_after=sys.float_info.max).max_retry_after == sys.float_info.max


@pytest.mark.parametrize("delays", [(), [], (0,), [0.5, 1], range(3), iter([1, 2])])
def test_delays_may_be_any_iterable_of_numbers(delays: Any) -> None:
    assert isinstance(RetryPolicy(delays=delays).delays, tuple)


@pytest.mark.parametrize("jitter", [0, 0.0, 0.5, 1])
def test_jitter_may_be_all_or_nothing(jitter: float) -> None:
    assert RetryPolicy(jitter=jitter).jitter == jitter


def test_on_give_up_may_be_any_plain_callable() -> None:
    seen: list[UnlimCallError] = []
    policy = RetryPolicy(on_give_up=seen.append)
    assert policy.on_give_up == seen.append


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RetryPolicy().jitter = 1  # type: ignore[misc] # that is the point
