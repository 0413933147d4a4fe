"""The tree of errors: base classes, categories, and what `pickle` and `copy` keep."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import CIMultiDict

from unlimcall_async import CallRecord, errors
from unlimcall_async.cdrs.checkpoint import Place, StreamCheckpoint
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.errors import (
    AccountNotProvisionedError,
    AgentNotFoundError,
    AgentNotProvisionedError,
    APIError,
    AuthenticationError,
    CheckpointError,
    ClientClosedError,
    ConflictError,
    DialerRequiredError,
    EngineNotConfiguredError,
    EventError,
    InvalidInputError,
    InvalidRequestError,
    InvalidTimestampError,
    NotFoundError,
    OriginateFailedError,
    RateLimitedError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    SignatureError,
    SuspendedError,
    TransportError,
    UnlimCallError,
    WindowOrderError,
    WindowSaturatedError,
    WindowTooWideError,
)

# (class, parent, a status that it stands for)
API_ERRORS: list[tuple[type[APIError], type[UnlimCallError], int]] = [
    (APIError, UnlimCallError, 418),
    (InvalidRequestError, APIError, 400),
    (InvalidTimestampError, InvalidRequestError, 400),
    (WindowOrderError, InvalidRequestError, 400),
    (WindowTooWideError, InvalidRequestError, 400),
    (InvalidInputError, InvalidRequestError, 400),
    (AuthenticationError, APIError, 401),
    (SuspendedError, APIError, 403),
    (NotFoundError, APIError, 404),
    (AgentNotFoundError, NotFoundError, 404),
    (ConflictError, APIError, 409),
    (AccountNotProvisionedError, ConflictError, 409),
    (AgentNotProvisionedError, ConflictError, 409),
    (DialerRequiredError, ConflictError, 409),
    (RateLimitedError, APIError, 429),
    (ServerError, APIError, 500),
    (OriginateFailedError, ServerError, 502),
    (EngineNotConfiguredError, ServerError, 503),
]
OTHERS: list[tuple[type[UnlimCallError], type[Exception]]] = [
    (UnlimCallError, Exception),
    (TransportError, UnlimCallError),
    (RequestTimeoutError, TransportError),
    (ClientClosedError, TransportError),
    (ResponseError, UnlimCallError),
    (SignatureError, UnlimCallError),
    (EventError, UnlimCallError),
]


def api_error(kind: type[APIError], status: int) -> APIError:
    headers = CIMultiDict([("X-Request-Id", "r1"), ("Set-Cookie", "a"), ("set-cookie", "b")])
    return kind(status, "code", "words", "POST", "/calls", headers, b"+14155551234", 1.5, outcome_unknown=True)


MOMENT = datetime(2026, 5, 24, tzinfo=UTC)
CHECKPOINT = StreamCheckpoint(MOMENT, MOMENT, newest_first=False, place=Place(to_micros(MOMENT)))
EXAMPLES: list[UnlimCallError] = [
    *(api_error(kind, status) for kind, _, status in API_ERRORS),
    APIError(400),
    RateLimitedError(429, None, "its rate limit", "GET", "/me", retry_after=3.0, sent=False),
    UnlimCallError("words"),
    TransportError("no connection", "GET", "/me", outcome_unknown=False, permanent=True),
    TransportError(
        "refused", "GET", "/me", cause="refused", host="a", port=1, proxy="b:2", hint="try", attempt=2, attempts=4
    ),
    NotFoundError(404, "x", "words", "GET", "/me", hint="the base URL may be wrong"),
    RequestTimeoutError("no answer within 30 s", "POST", "/calls", outcome_unknown=True, unanswered=True),
    ClientClosedError("closed", "POST", "/calls", outcome_unknown=True),
    ResponseError(200, "calls[17].startTime", "expected a time", "GET", "/cdrs", outcome_unknown=True),
    ResponseError(302, "status"),
    ResponseError(200, "body", garbled=True),
    ResponseError(200, "calls[0]", window=(MOMENT, MOMENT), resume_after=CHECKPOINT),
    WindowSaturatedError(MOMENT, MOMENT, [CallRecord("1", MOMENT, 1, 1)], CHECKPOINT),
    CheckpointError("this is no checkpoint"),
    SignatureError("mismatch"),
    SignatureError("too_old", 90001.0),
    EventError("body", "expected a JSON object"),
]
every_error = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


@pytest.mark.parametrize(("kind", "parent"), [*(row[:2] for row in API_ERRORS), *OTHERS])
def test_each_class_descends_from_its_group(kind: type[Exception], parent: type[Exception]) -> None:
    assert kind.__bases__[0] is parent


def test_an_error_without_an_answer_is_no_api_error() -> None:
    assert not any(issubclass(kind, APIError) for kind, _ in OTHERS)
    assert issubclass(ClientClosedError, RuntimeError)
    assert not issubclass(RequestTimeoutError, TimeoutError)


def test_every_class_of_the_module_has_an_example_here() -> None:
    defined = {item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, UnlimCallError)}
    assert defined == {type(error) for error in EXAMPLES}


@every_error
def test_category_says_who_is_to_blame(error: UnlimCallError) -> None:
    if isinstance(error, APIError):
        expected = "provider" if error.status >= 500 else "application"
    elif isinstance(error, TransportError):
        expected = "network"
    else:
        expected = "provider" if isinstance(error, (ResponseError, WindowSaturatedError)) else "application"
    assert error.category == expected


def state(error: BaseException) -> dict[str, Any]:
    return {**vars(error), "type": type(error), "str": str(error), "repr": repr(error), "args": error.args}


@every_error
def test_errors_survive_pickle_and_copy(error: UnlimCallError) -> None:
    pickles = [pickle.dumps(error, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for twin in (*map(pickle.loads, pickles), copy.copy(error), copy.deepcopy(error)):
        assert state(twin) == state(error)
        assert (twin.category, twin.outcome_unknown) == (error.category, error.outcome_unknown)
        if isinstance(error, APIError) and error.headers:
            assert twin.headers["x-request-ID"] == "r1"
            assert list(twin.headers.items()) == list(error.headers.items())


def test_what_was_set_after_an_error_was_made_survives_too() -> None:
    error = TransportError("no connection")
    error.method, error.path, error.outcome_unknown = "POST", "/calls", True
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 # made right here
    assert state(twin) == state(error)
    assert twin.outcome_unknown is True


@pytest.mark.parametrize("error", [error for error in EXAMPLES if getattr(error, "method", "")], ids=repr)
def test_the_text_says_what_was_asked_and_whether_it_may_have_worked(error: Any) -> None:
    assert f"{error.method} {error.path}" in str(error)
    sent = getattr(error, "sent", True)
    for part in ("status", "code", "detail", "where", "reason") if sent else ("detail",):
        assert str(getattr(error, part, "")) in str(error)
    assert ("may have taken effect" in str(error)) == error.outcome_unknown


@pytest.mark.parametrize(("kind", "_parent", "status"), API_ERRORS)
def test_headers_and_body_are_evidence_that_is_not_shown(kind: type[APIError], _parent: object, status: int) -> None:
    error = api_error(kind, status)
    assert error.body == b"+14155551234"
    assert "4155551234" not in f"{error} {error!r}"
    assert "r1" not in f"{error} {error!r}"


def test_words_of_the_server_stand_in_one_line_without_control_characters() -> None:
    error = ServerError(500, "internal_error", "first\r\n  second \x1b[31mred\u202e", "GET", "/me")
    assert str(error) == "GET /me answered 500 internal_error: first second \ufffd[31mred\ufffd"
    assert error.detail == "first\r\n  second \x1b[31mred\u202e", "the evidence stays as it came"


def test_two_errors_are_equal_only_if_they_are_one() -> None:
    first, second = APIError(400), APIError(400)
    assert len({first, second, first}) == 2
