"""The retry decision, written down a second time from the contract's words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from unlimcall_async.errors import (
    APIError,
    ClientClosedError,
    RateLimitedError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.http.answers import failure_of
from unlimcall_async.http.endpoints import ENDPOINTS, Endpoint, endpoint_at
from unlimcall_async.http.messages import Authorization, RawResponse, build
from unlimcall_async.http.retry import RetryPolicy, delay_before_retry, may_pass

STEADY = RetryPolicy(jitter=0)
Failing = Callable[[Endpoint], UnlimCallError]


def answered(status: int, code: str = "") -> Failing:
    def fail(endpoint: Endpoint) -> UnlimCallError:
        request = build(URL("https://api.example"), endpoint, endpoint.path)
        answer = RawResponse(status, {}, f'{{"error": "{code}"}}'.encode())
        error = failure_of(request, answer, Authorization.of("unl_live_0123456789"), datetime(2026, 5, 24, tzinfo=UTC))
        assert error is not None
        return error

    return fail


def after_sending(kind: type[TransportError], *, permanent: bool = False) -> Failing:
    """Give a failure after which nobody can tell whether the server has acted: it counts where an action may not be repeated."""
    return lambda endpoint: kind("broke", outcome_unknown=endpoint.method == "POST", permanent=permanent)


def always(error: UnlimCallError) -> Failing:
    return lambda _endpoint: error


EVERYWHERE = {"GET /me", "GET /balance", "GET /cdrs", "GET /agents", "DELETE /hooks/{id}", "POST /calls", "POST /hooks"}
NOT_POST = EVERYWHERE - {"POST /calls", "POST /hooks"}
NOWHERE = set[str]()

TABLE: dict[str, tuple[Failing, set[str]]] = {
    "429": (answered(429), EVERYWHERE),
    "429 with a code": (answered(429, "slow_down"), EVERYWHERE),
    "429 with a code of a 5xx": (answered(429, "originate_failed"), EVERYWHERE),
    "nothing was sent": (always(TransportError("no connection")), EVERYWHERE),
    "time out before anything was sent": (always(RequestTimeoutError("no answer")), EVERYWHERE),
    "broken connection": (after_sending(TransportError), NOT_POST),
    "time out": (after_sending(RequestTimeoutError), NOT_POST),
    "500": (answered(500), NOT_POST),
    "500 internal_error": (answered(500, "internal_error"), NOT_POST),
    "502": (answered(502), NOT_POST),
    "503": (answered(503), NOT_POST),
    "503 brand_new": (answered(503, "brand_new"), NOT_POST),
    "504": (answered(504), NOT_POST),
    "599": (answered(599), NOT_POST),
    "502 originate_failed": (answered(502, "originate_failed"), NOWHERE),
    "503 engine_not_configured": (answered(503, "engine_not_configured"), NOWHERE),
    "certificate": (after_sending(TransportError, permanent=True), NOWHERE),
    "certificate, nothing sent": (always(TransportError("certificate", permanent=True)), NOWHERE),
    **{str(status): (answered(status), NOWHERE) for status in (400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 422, 425, 499)},
    **{
        f"{status} {code}": (answered(status, code), NOWHERE)
        for status, code in [
            (400, "invalid_timestamp"),
            (400, "till_must_be_after_from"),
            (400, "window_too_wide"),
            (400, "invalid_input"),
            (401, "unauthorized"),
            (403, "suspended"),
            (404, "not_found"),
            (404, "ai_agent_not_found"),
            (409, "account_not_provisioned"),
            (409, "ai_agent_not_provisioned"),
            (409, "dialer_required"),
            # A status is what it is, whatever the code says.
            (400, "internal_error"),
            (418, "internal_error"),
            (422, "internal_error"),
        ]
    },
    **{f"redirect {status}": (answered(status), NOWHERE) for status in (301, 302, 303, 307, 308)},
    "unreadable": (always(ResponseError(200, "body")), NOWHERE),
    "another error": (always(UnlimCallError("?")), NOWHERE),
}  # fmt: skip


def delay(
    policy: RetryPolicy, error: UnlimCallError | None = None, retries: int = 0, chance: float = 0.5
) -> float | None:
    return delay_before_retry(policy, error or ServerError(500), retries=retries, chance=chance)


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.mark.parametrize("failure", TABLE)
def test_what_is_tried_again_where(failure: str) -> None:
    failing, where = TABLE[failure]
    delays = {name_of(endpoint): delay(STEADY, failing(endpoint)) for endpoint in ENDPOINTS}
    assert delays == {name: 1.0 if name in where else None for name in EVERYWHERE}


@pytest.mark.parametrize(
    ("method", "repeated"),
    [
        ("GET", True),
        ("HEAD", True),
        ("OPTIONS", True),
        ("PUT", True),
        ("DELETE", True),
        ("POST", False),
        ("PATCH", False),
    ],
)
def test_of_other_paths_only_idempotent_methods_are_repeated(method: str, repeated: bool) -> None:
    error = answered(503)(endpoint_at(method, "/numbers"))
    assert (delay(STEADY, error) is not None) == repeated


@pytest.mark.parametrize(
    ("failing", "passing"),
    [
        (answered(429), True),
        (answered(500), True),
        (after_sending(TransportError), True),
        (after_sending(RequestTimeoutError), True),
        (after_sending(TransportError, permanent=True), False),
        (answered(502, "originate_failed"), False),
        (answered(503, "engine_not_configured"), False),
        (answered(404), False),
        (answered(302), False),
    ],
)
def test_a_failure_may_pass_even_where_it_must_not_be_repeated(failing: Failing, passing: bool) -> None:
    assert {may_pass(failing(endpoint)) for endpoint in ENDPOINTS} == {passing}


# --- when -----------------------------------------------------------------------------------------------------------


def test_by_default_after_1_2_and_4_seconds_then_given_up() -> None:
    assert [delay(RetryPolicy(), retries=n) for n in range(6)] == [1, 2, 4, None, None, None]


@pytest.mark.parametrize("error", [ServerError(500), RateLimitedError(429), TransportError("broke")])
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


@pytest.mark.parametrize("kind", [RateLimitedError, ServerError])
@pytest.mark.parametrize("chance", [0, 1])
@pytest.mark.parametrize(
    ("retry_after", "wait"), [(None, "jittered"), (0, 0), (7.5, 7.5), (60, 60), (60.1, None), (86400, None)]
)
def test_retry_after_replaces_the_delay_up_to_its_maximum(
    kind: type[APIError], retry_after: float | None, wait: float | str | None, chance: float
) -> None:
    expected = pytest.approx(0.9 + 0.2 * chance) if wait == "jittered" else wait
    assert delay(RetryPolicy(), kind(503, retry_after=retry_after), chance=chance) == expected


@pytest.mark.parametrize("maximum", [0, 0.5, 600])
def test_the_maximum_can_be_chosen(maximum: float) -> None:
    policy = RetryPolicy(max_retry_after=maximum)
    assert delay(policy, RateLimitedError(429, retry_after=maximum)) == maximum
    assert delay(policy, RateLimitedError(429, retry_after=maximum + 0.1)) is None


def test_a_429_uses_up_a_delay_too() -> None:
    error = RateLimitedError(429, retry_after=5)
    assert [delay(RetryPolicy(), error, retries=n) for n in range(5)] == [5, 5, 5, None, None]


def test_retry_after_makes_nothing_repeatable() -> None:
    assert delay(RetryPolicy(), ServerError(503, retry_after=1, outcome_unknown=True)) is None
    assert delay(RetryPolicy(), APIError(409, retry_after=1)) is None
    assert delay(RetryPolicy(), ClientClosedError("closed", outcome_unknown=True)) is None


# --- the policy -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_operations_guide() -> None:
    assert RetryPolicy() == RetryPolicy(delays=(1, 2, 4), jitter=0.1, max_retry_after=60, on_give_up=None)


async def alarm(error: UnlimCallError) -> None:
    raise error


ENDLESS, NAN, TOO_BIG = float("inf"), float("nan"), 10**400


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("delays", value) for value in (5, None, 1.5, "1")),
        *(("delays", [1, value]) for value in (-1, ENDLESS, NAN, TOO_BIG, True, None, "1")),
        *(("jitter", value) for value in (-0.1, 1.1, 2, ENDLESS, NAN, TOO_BIG, True, None, "0.1")),
        *(("max_retry_after", value) for value in (-1, ENDLESS, NAN, TOO_BIG, False, None, "60")),
        *(("on_give_up", value) for value in (1, "print", alarm, object())),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_argument_is_refused_by_name(argument: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=argument):
        RetryPolicy(**{argument: value})


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
