"""Whether a failed attempt may have taken effect, and whether the client may send the request again.

Pure: no I/O. "No call is placed twice" is decided here and nowhere else: `judge` is the one function that all other modules ask.

Theory. The API takes no idempotency key, so a second `POST /calls` is a second phone call. After an attempt the client knows three
facts: the endpoint, whether a byte of the request may have left this machine, and how the attempt ended. Two questions follow:

- May the server have acted on the request? If so, and the endpoint is not repeatable, the outcome of the call is unknown.
- May the next attempt fare better? If so, the client sends the request again, unless the outcome is unknown.

| outcome         | how the attempt ended              | acted?  | better? | why                                                  |
|-----------------|------------------------------------|---------|---------|------------------------------------------------------|
| `RATE_LIMITED`  | 429                                | no      | yes     | The server refused the request before it acted.      |
| `NOT_FOUND`     | 404 `not_found`                    | no      | no      | A refusal. For a repeated DELETE see below.          |
| `REFUSED`       | any other 4xx                      | no      | no      | The same request would be refused again.             |
| `ABANDONED`     | 499                                | yes     | no      | A proxy ended the request, and may have passed it on.|
| `CALL_REJECTED` | 502 `originate_failed`,            | no      | no      | By the reference no call was placed, and no retry    |
|                 | 503 `engine_not_configured`        |         |         | can help.                                            |
| `SERVER_FAILED` | any other 5xx, 408, 425            | yes     | yes     | The server, or a proxy before it, may fail before the|
|                 |                                    |         |         | request takes effect, or after.                      |
| `GARBLED`       | a 2xx to a GET whose body is empty,| yes     | yes     | The page of a portal, or of a proxy that lost the    |
|                 | cut off or not JSON                |         |         | server, which may be gone in a second.               |
| `UNREADABLE`    | any other 2xx that is not as       | yes     | no      | The server has answered, so it may have acted. The   |
|                 | promised, a redirect, a status out |         |         | next response would be the same.                     |
|                 | of range                           |         |         |                                                      |
| `NO_RESPONSE`   | a time-out, a broken connection    | if sent | yes     | A request that never left this machine has no effect.|
| `UNTRUSTED`     | a certificate that is not trusted, | if sent | no      | The certificate, or the rule of the proxy, will be   |
|                 | a proxy that refuses with a 4xx    |         |         | the same in four seconds.                            |
| `CLIENT_CLOSED` | the client was closed meanwhile    | if sent | no      | The user wants no more requests.                     |

"If sent" stands for `Sent.MAYBE_SENT`: doubt counts as sent. A response proves by itself that the request was sent.

A 503 without a documented code may also be a refusal: nginx sends 503 for its `limit_req`, unless it is told otherwise. Such a 503
counts as a refusal if requests were dense when it came (`is_refusal`, `TokenBucket.dense`). The client then slows down as after a
429. The row of the table stays `SERVER_FAILED`, because the server may also have failed, and a POST may have taken effect. So there
are no more attempts than after any other 5xx.

One row depends on the history of the call. `DELETE /hooks/{id}` is repeatable, so a broken connection makes the client send it
again. If the first attempt removed the hook and only its response was lost, the second attempt finds `not_found`. Then the call is
done. So `not_found` counts as success if an earlier attempt of the same call may have acted, and as an error otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, TypeGuard

from attrs import frozen

from unlimcall_async.errors import (
    APIError,
    ClientClosedError,
    EngineNotConfiguredError,
    NotFoundError,
    OriginateFailedError,
    RateLimitedError,
    ResponseError,
    ServerError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.http.endpoints import DELETE_HOOK, Endpoint


class Sent(Enum):
    """What is known of the request of one attempt."""

    NOT_SENT = auto()
    """Not a byte of it can have reached the server."""
    MAYBE_SENT = auto()
    """It may have reached the server, whole or in part."""


class Outcome(Enum):
    """How an attempt failed; the table above explains each member."""

    RATE_LIMITED = auto()
    NOT_FOUND = auto()
    REFUSED = auto()
    ABANDONED = auto()
    CALL_REJECTED = auto()
    SERVER_FAILED = auto()
    GARBLED = auto()
    UNREADABLE = auto()
    NO_RESPONSE = auto()
    UNTRUSTED = auto()
    CLIENT_CLOSED = auto()


class _Acted(Enum):
    NO = auto()
    YES = auto()
    IF_SENT = auto()


# Whether the server may have acted, and whether the next attempt may fare better: columns three and four of the table above.
_TABLE: Final[Mapping[Outcome, tuple[_Acted, bool]]] = {
    Outcome.RATE_LIMITED: (_Acted.NO, True),
    Outcome.NOT_FOUND: (_Acted.NO, False),
    Outcome.REFUSED: (_Acted.NO, False),
    Outcome.ABANDONED: (_Acted.YES, False),
    Outcome.CALL_REJECTED: (_Acted.NO, False),
    Outcome.SERVER_FAILED: (_Acted.YES, True),
    Outcome.GARBLED: (_Acted.YES, True),
    Outcome.UNREADABLE: (_Acted.YES, False),
    Outcome.NO_RESPONSE: (_Acted.IF_SENT, True),
    Outcome.UNTRUSTED: (_Acted.IF_SENT, False),
    Outcome.CLIENT_CLOSED: (_Acted.IF_SENT, False),
}


@frozen
class Verdict:
    """What a failed attempt means for its call.

    Attributes:
        already_done: Whether the failure shows that an earlier attempt has done what the call wants.
        may_have_acted: Whether the server may have acted on the request of this attempt.
        outcome_unknown: Whether the server may have acted on a request whose repetition could have a second effect.
        may_pass: Whether the failure is of a kind that may be gone at the next attempt.
        may_send_again: Whether the client may send the request again: the failure may pass, and the outcome is not unknown.
    """

    already_done: bool
    may_have_acted: bool
    outcome_unknown: bool
    may_pass: bool
    may_send_again: bool


def judge(endpoint: Endpoint, sent: Sent, outcome: Outcome, *, earlier_may_have_acted: bool = False) -> Verdict:
    """Return what a failed attempt means for its call, by the table above.

    Args:
        endpoint: The endpoint that was called.
        sent: What is known of the attempt's request.
        outcome: How the attempt failed.
        earlier_may_have_acted: Whether the server may have acted on an earlier attempt of the same call.
    """
    acted, may_pass = _TABLE[outcome]
    may_have_acted = acted is _Acted.YES or (acted is _Acted.IF_SENT and sent is Sent.MAYBE_SENT)
    outcome_unknown = may_have_acted and not endpoint.repeatable
    return Verdict(
        already_done=outcome is Outcome.NOT_FOUND and endpoint == DELETE_HOOK and earlier_may_have_acted,
        may_have_acted=may_have_acted,
        outcome_unknown=outcome_unknown,
        may_pass=may_pass,
        may_send_again=may_pass and not outcome_unknown,
    )


def is_refusal(error: UnlimCallError, *, dense: bool) -> TypeGuard[APIError]:
    """Return whether the server has refused a request because it had too many.

    Args:
        error: The error of the attempt.
        dense: Whether requests were dense when it came.
    """
    if isinstance(error, RateLimitedError):
        return True
    return (
        dense and isinstance(error, ServerError) and error.status == 503 and outcome_of(error) is Outcome.SERVER_FAILED
    )


def is_slow(error: UnlimCallError) -> bool:
    """Return whether an attempt failed because its response took too long, so that a request for less might be answered.

    A broken connection without an answer counts, too: a proxy that gives up on the server may end a request in this way.
    """
    match error:
        case APIError(status=408 | 504 | 524) | TransportError(unanswered=True):
            return True
        case _:
            return False


def outcome_of(error: UnlimCallError) -> Outcome:  # noqa: C901, PLR0911 # a list of cases, one for each row of the table
    """Return the row of the table that an attempt's error belongs to."""
    match error:
        case RateLimitedError():
            return Outcome.RATE_LIMITED
        # Not `ai_agent_not_found`, and not a 404 without a code: a proxy may send that, which knows no hooks.
        case NotFoundError(code="not_found"):
            return Outcome.NOT_FOUND
        case OriginateFailedError() | EngineNotConfiguredError():
            return Outcome.CALL_REJECTED
        case ServerError() | APIError(status=408 | 425):
            return Outcome.SERVER_FAILED
        case APIError(status=499):
            return Outcome.ABANDONED
        case APIError():
            return Outcome.REFUSED
        case ClientClosedError():
            return Outcome.CLIENT_CLOSED
        case TransportError(permanent=True):
            return Outcome.UNTRUSTED
        case TransportError():
            return Outcome.NO_RESPONSE
        case ResponseError(garbled=True):
            return Outcome.GARBLED
        case _:
            return Outcome.UNREADABLE
