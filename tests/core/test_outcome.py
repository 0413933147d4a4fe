"""The whole table of "never dial twice", written down a second time from the contract's words."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from multidict import CIMultiDict
from yarl import URL

from unlimcall_async.errors import (
    APIError,
    ClientClosedError,
    RequestTimeoutError,
    ResponseError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.http.answers import BY_CODE, BY_STATUS, failure_of
from unlimcall_async.http.endpoints import CREATE_CALL, DELETE_HOOK, ENDPOINTS, ME, Endpoint, endpoint_at
from unlimcall_async.http.messages import Authorization, RawResponse, build
from unlimcall_async.http.outcome import Outcome, Sent, Verdict, is_slow, judge, outcome_of

pytestmark = pytest.mark.own_rules

NOT_SENT, MAYBE_SENT = Sent.NOT_SENT, Sent.MAYBE_SENT

# Every class of endpoint: the documented ones, and what `client.request` may name beside them.
EVERY_ENDPOINT = [
    *ENDPOINTS,
    *(endpoint_at(method, "/numbers") for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH")),
    endpoint_at("PATCH", "/hooks/8c6e3b7a"),
    endpoint_at("GET", "/calls"),
]
# The contract: no idempotency key, so each of these takes effect once more. HTTP promises nothing better of PATCH.
ONCE_ONLY = {"POST", "PATCH"}


class Row(NamedTuple):
    """What the contract says of one failure.

    Attributes:
        failure: The error.
        acted: When the server may have acted on the request.
        passes: Whether the failure may be gone at the next attempt.
    """

    failure: Callable[[Endpoint], UnlimCallError]
    acted: str
    passes: bool


def answered(status: int, code: str | None = None) -> Callable[[Endpoint], UnlimCallError]:
    """Return what makes the error of a response, by the way that every response takes."""

    def fail(endpoint: Endpoint) -> UnlimCallError:
        request = build(URL("https://api.example"), endpoint, endpoint.path)
        body = b"" if code is None else f'{{"error": "{code}"}}'.encode()
        response = RawResponse(status, CIMultiDict(), body)
        error = failure_of(request, response, Authorization("unl_live_0123456789"), datetime(2026, 5, 24, tzinfo=UTC))
        assert error is not None
        return error

    return fail


def always(error: UnlimCallError) -> Callable[[Endpoint], UnlimCallError]:
    return lambda _endpoint: error


# fmt: off
TABLE: dict[str, Row] = {
    "429": Row(answered(429), "no", passes=True),
    "429 with a code": Row(answered(429, "slow_down"), "no", passes=True),
    "429 with a code of a 5xx": Row(answered(429, "originate_failed"), "no", passes=True),
    # Documented: no call was placed, and no retry helps.
    "502 originate_failed": Row(answered(502, "originate_failed"), "no", passes=False),
    "503 engine_not_configured": Row(answered(503, "engine_not_configured"), "no", passes=False),
    **{
        f"5xx: {status} {code}": Row(answered(status, code), "yes", passes=True)
        for status, code in [
            (500, None), (500, "internal_error"), (501, None), (502, None), (502, "brand_new"), (503, None), (503, "brand_new"),
            (504, None), *((status, None) for status in (*range(520, 531), 599)), (502, "not_found"),
        ]
    },
    # Not refusals, though they are 4xx: the server, or a proxy, may have passed the request on.
    "408": Row(answered(408), "yes", passes=True),
    "408 with a code": Row(answered(408, "not_found"), "yes", passes=True),
    "425": Row(answered(425), "yes", passes=True),
    "499": Row(answered(499), "yes", passes=False),
    **{
        f"4xx: {status} {code}": Row(answered(status, code), "no", passes=False)
        for status, code in [
            *((status, None) for status in (400, 401, 402, 403, 404, 405, 407, 409, 410, 418, 421, 422, 423, 426, 431, 451, 498)),
            (400, "invalid_timestamp"), (400, "till_must_be_after_from"), (400, "window_too_wide"), (400, "invalid_input"),
            (401, "unauthorized"), (403, "suspended"), (404, "not_found"), (404, "ai_agent_not_found"),
            (409, "account_not_provisioned"), (409, "ai_agent_not_provisioned"), (409, "dialer_required"),
            # A status is what it is, whatever the code says.
            (400, "internal_error"), (418, "internal_error"), (422, "internal_error"), (400, "not_found"),
        ]
    },
    **{f"status {status}": Row(answered(status), "yes", passes=False) for status in (100, 301, 302, 303, 307, 308, 399, 600)},
    "unreadable 2xx": Row(always(ResponseError(200, "calls[17].startTime")), "yes", passes=False),
    "garbled": Row(always(ResponseError(200, "body", garbled=True)), "yes", passes=True),
    "body too large": Row(always(ResponseError(201, "body")), "yes", passes=False),
    "another error": Row(always(UnlimCallError("?")), "yes", passes=False),
    "no connection, broken connection": Row(always(TransportError("no connection")), "if sent", passes=True),
    "time out": Row(always(RequestTimeoutError("no answer")), "if sent", passes=True),
    "certificate": Row(always(TransportError("certificate", permanent=True)), "if sent", passes=False),
    "client closed": Row(always(ClientClosedError("closed")), "if sent", passes=False),
}
# fmt: on


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.mark.parametrize("failure", TABLE)
def test_the_whole_table(failure: str) -> None:
    row = TABLE[failure]
    verdicts, expected = {}, {}
    for endpoint, sent, earlier in itertools.product(EVERY_ENDPOINT, Sent, [False, True]):
        case = name_of(endpoint), sent.name, "after a doubt" if earlier else "first attempt"
        acted = row.acted == "yes" or (row.acted == "if sent" and sent is MAYBE_SENT)
        outcome = outcome_of(row.failure(endpoint))
        verdicts[case] = judge(endpoint, sent, outcome, earlier_may_have_acted=earlier)
        unknown = acted and endpoint.method in ONCE_ONLY
        expected[case] = Verdict(
            already_done=earlier and failure == "4xx: 404 not_found" and name_of(endpoint) == "DELETE /hooks/{id}",
            may_have_acted=acted,
            outcome_unknown=unknown,
            may_pass=row.passes,
            may_send_again=row.passes and not unknown,
        )
    assert verdicts == expected


def test_every_outcome_is_in_the_table() -> None:
    assert {outcome_of(row.failure(ME)) for row in TABLE.values()} == set(Outcome)


def test_every_documented_code_is_in_the_table() -> None:
    named = {row.failure(ME) for row in TABLE.values()}
    kinds = {type(error) for error in named if isinstance(error, APIError)}
    assert kinds >= {*BY_CODE.values(), *BY_STATUS.values()}


@pytest.mark.parametrize(
    ("failure", "slow"),
    [
        *((answered(status), status in {408, 504, 524}) for status in (400, 408, 425, 429, 499, 500, 502, 503, 504, 522, 524)),
        (always(RequestTimeoutError("no answer", unanswered=True)), True),
        (always(RequestTimeoutError("no answer")), False),
        (always(TransportError("broke", unanswered=True)), True),
        (always(TransportError("no connection")), False),
        (always(ClientClosedError("closed")), False),
        (always(ResponseError(200, "body")), False),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else "",
)  # fmt: skip
def test_what_counts_as_slow(failure: Callable[[Endpoint], UnlimCallError], slow: bool) -> None:
    assert is_slow(failure(ME)) is slow


# --- the promise, in its own words ----------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", [e for e in EVERY_ENDPOINT if e.method in ONCE_ONLY], ids=name_of)
def test_what_may_have_taken_effect_is_never_sent_again_and_said_to_be_in_doubt(endpoint: Endpoint) -> None:
    for outcome, sent, earlier in itertools.product(Outcome, Sent, [False, True]):
        verdict = judge(endpoint, sent, outcome, earlier_may_have_acted=earlier)
        assert verdict.outcome_unknown == verdict.may_have_acted
        assert not (verdict.may_send_again and verdict.may_have_acted)


@pytest.mark.parametrize("endpoint", [e for e in EVERY_ENDPOINT if e.method not in ONCE_ONLY], ids=name_of)
def test_what_may_be_repeated_is_never_in_doubt(endpoint: Endpoint) -> None:
    for outcome, sent, earlier in itertools.product(Outcome, Sent, [False, True]):
        verdict = judge(endpoint, sent, outcome, earlier_may_have_acted=earlier)
        assert not verdict.outcome_unknown
        assert verdict.may_send_again == verdict.may_pass


@pytest.mark.parametrize(
    ("sent", "unknown", "again"), [(NOT_SENT, False, True), (MAYBE_SENT, True, False)], ids=["before", "after"]
)
@pytest.mark.parametrize("error", [TransportError("broke"), RequestTimeoutError("no answer")], ids=repr)
def test_a_call_that_broke_is_placed_again_only_if_it_was_not_sent(
    error: UnlimCallError, sent: Sent, unknown: bool, again: bool
) -> None:
    verdict = judge(CREATE_CALL, sent, outcome_of(error))
    assert (verdict.outcome_unknown, verdict.may_send_again) == (unknown, again)


@pytest.mark.parametrize(
    ("earlier", "done"),
    [
        (judge(DELETE_HOOK, MAYBE_SENT, Outcome.NO_RESPONSE), True),
        (judge(DELETE_HOOK, MAYBE_SENT, Outcome.SERVER_FAILED), True),
        (judge(DELETE_HOOK, NOT_SENT, Outcome.NO_RESPONSE), False),
        (judge(DELETE_HOOK, MAYBE_SENT, Outcome.RATE_LIMITED), False),
    ],
    ids=["broken after sending", "5xx", "no connection", "429"],
)
def test_a_hook_that_is_not_found_was_removed_by_an_attempt_in_doubt(earlier: Verdict, done: bool) -> None:
    error = answered(404, "not_found")(DELETE_HOOK)
    verdict = judge(DELETE_HOOK, MAYBE_SENT, outcome_of(error), earlier_may_have_acted=earlier.may_have_acted)
    assert verdict.already_done is done


def test_a_hook_that_is_not_found_at_the_first_attempt_was_not_removed() -> None:
    assert not judge(DELETE_HOOK, MAYBE_SENT, outcome_of(answered(404, "not_found")(DELETE_HOOK))).already_done
