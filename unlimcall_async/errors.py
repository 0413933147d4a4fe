"""The errors of the package, split by who is to blame.

Every error is an `UnlimCallError`. An error keeps its evidence as attributes, survives `pickle` and `copy`, and never holds the
token. `category` sorts errors as the operations guide does. `outcome_unknown` is about requests that must not be repeated: a
phone call, a subscription. It says whether the request may have taken effect although no valid response came back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from attrs import define, field

from unlimcall_async._error_root import Category, CheckpointError, UnlimCallError, in_a_line
from unlimcall_async._lazy import LazyModule

if TYPE_CHECKING:
    from unlimcall_async import models
    from unlimcall_async.cdrs import checkpoint
else:
    # Only annotations name them.
    models = LazyModule("unlimcall_async.models")
    checkpoint = LazyModule("unlimcall_async.cdrs.checkpoint")

__all__ = [
    "APIError",
    "AccountNotProvisionedError",
    "AgentNotFoundError",
    "AgentNotProvisionedError",
    "AuthenticationError",
    "Category",
    "CheckpointError",
    "ClientClosedError",
    "ConflictError",
    "DialerRequiredError",
    "EngineNotConfiguredError",
    "EventError",
    "InvalidInputError",
    "InvalidRequestError",
    "InvalidTimestampError",
    "NotFoundError",
    "OriginateFailedError",
    "RateLimitedError",
    "RequestTimeoutError",
    "ResponseError",
    "ServerError",
    "SignatureError",
    "SignatureReason",
    "SuspendedError",
    "TransportCause",
    "TransportError",
    "UnlimCallError",
    "WindowOrderError",
    "WindowSaturatedError",
    "WindowTooWideError",
]


@define(eq=False, slots=False)
class APIError(UnlimCallError):
    """The API responded with an error.

    Attributes:
        status: The HTTP status.
        code: The documented code, for example `window_too_wide`, or `None` if the response has no code.
        detail: The server's own words, or `None`.
        method: The request's method.
        path: The request's path below the base URL.
        headers: The response's headers; names compare without case.
        body: The response's body. If the server has echoed the token, the token is struck out.
        retry_after: Seconds to wait, from the `Retry-After` header, or `None`.
        outcome_unknown: True if the request may have taken effect and must not be repeated: 408, 425, 499 and any 5xx on a POST,
            except `originate_failed` and `engine_not_configured`, which say that no call was placed.
        request_id: What the API called the request in `X-Request-Id`: the name of the request for its support. `None` if the
            response has no such header, or if the header is not an id: longer than 200 characters, not printable ASCII, or with the
            token in it.
        hint: What the caller can do if the response does not look like the API's, for example because the base URL is wrong; or an
            empty text.
    """

    status: int
    code: str | None = None
    detail: str | None = None
    method: str = ""
    path: str = ""
    # Headers and body may hold phone numbers. They are kept as evidence, but no repr shows them.
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    retry_after: float | None = None
    outcome_unknown: bool = False
    request_id: str | None = None
    hint: str = ""

    @property
    def category(self) -> Category:
        """`"application"` for a 4xx, `"provider"` for a 5xx."""
        return "provider" if self.status >= 500 else "application"

    def __str__(self) -> str:
        status = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        detail = f": {in_a_line(self.detail)}" if self.detail else ""
        return f"{self.method} {self.path} answered {status}{detail}{_outcome(self)}{_hint(self.hint)}{_request(self)}"


class InvalidRequestError(APIError):
    """400: the request is not valid."""


class InvalidTimestampError(InvalidRequestError):
    """400 `invalid_timestamp`: `from` or `till` cannot be parsed."""


class WindowOrderError(InvalidRequestError):
    """400 `till_must_be_after_from`: the window has zero or negative length."""


class WindowTooWideError(InvalidRequestError):
    """400 `window_too_wide`: the window exceeds 31 days."""


class InvalidInputError(InvalidRequestError):
    """400 `invalid_input`: the body is not JSON, or a field failed validation."""


class AuthenticationError(APIError):
    """401 `unauthorized`: the token is invalid, expired, revoked, or lacks the scope."""


class SuspendedError(APIError):
    """403 `suspended`: the account is suspended."""


class NotFoundError(APIError):
    """404 `not_found`: the account has nothing with this id or under this path."""


class AgentNotFoundError(NotFoundError):
    """404 `ai_agent_not_found`: the account has no agent with this id."""


class ConflictError(APIError):
    """409: the account is not in a state that allows the request."""


class AccountNotProvisionedError(ConflictError):
    """409 `account_not_provisioned`: the account has no trunk allocated yet."""


class AgentNotProvisionedError(ConflictError):
    """409 `ai_agent_not_provisioned`: the agent has no SIP extension yet."""


class DialerRequiredError(ConflictError):
    """409 `dialer_required`: outbound calls need the dialer add-on."""


@define(eq=False, slots=False)
class RateLimitedError(APIError):
    """429: too many requests. `retry_after` is how long to wait, if the server says so.

    The client itself raises this error if a call would have to wait for its rate limit for longer than `max_wait`. Then `sent` is
    false, `status` is 429 all the same, `retry_after` is how long the wait would be, and there are no headers and no body.

    Attributes:
        sent: False if the request was not sent at all.
    """

    sent: bool = True

    def __str__(self) -> str:
        return super().__str__() if self.sent else f"{self.method} {self.path} was not sent: {self.detail}"


class ServerError(APIError):
    """5xx: the provider failed."""


class OriginateFailedError(ServerError):
    """502 `originate_failed`: the upstream carrier rejected the call; `detail` says why. No call was placed."""


class EngineNotConfiguredError(ServerError):
    """503 `engine_not_configured`: calls cannot be originated in this environment. No call was placed."""


TransportCause: TypeAlias = Literal[
    "no_such_host",
    "name_lookup",
    "refused",
    "unreachable",
    "timeout",
    "reset",
    "disconnected",
    "certificate",
    "tls",
    "proxy_credentials",
    "proxy",
    "not_http",
    "body",
    "closed",
    "other",
]


@define(eq=False, slots=False)
class TransportError(UnlimCallError):
    """No response came: the connection, or TLS, failed.

    Attributes:
        reason: What happened, with the host and the port. No credentials and no query are in the text.
        method: The request's method.
        path: The request's path below the base URL.
        outcome_unknown: True if the server may have acted on a request that must not be repeated.
        permanent: True if another attempt cannot help, for example after a certificate that is not trusted.
        unanswered: True if the request was sent, and then the time ran out, or the connection broke before an answer came.
        cause: The kind of failure. `"no_such_host"` and `"name_lookup"`: the name does not exist, or the lookup failed.
            `"refused"`, `"unreachable"`, `"timeout"`, `"reset"` and `"disconnected"` are about the connection, `"certificate"` and
            `"tls"` about its encryption. `"proxy_credentials"`: the proxy wants a user name and a password, or other ones.
            `"proxy"`: it refuses for another reason. `"not_http"` and `"body"`: the response cannot be read. `"closed"`: the client
            is closed.
        host: The host that failed: that of the API, or the proxy.
        port: Its port, or `None` if no host is to blame.
        proxy: The host and the port of the proxy that the request was to go through, or an empty text.
        hint: What the caller can do, or an empty text.
        attempt: Which attempt of the call this was, refusals not counted.
        attempts: How many attempts the retry policy allows.
    """

    _category: ClassVar[Category] = "network"

    reason: str
    method: str = ""
    path: str = ""
    outcome_unknown: bool = False
    permanent: bool = False
    unanswered: bool = False
    cause: TransportCause = "other"
    host: str = ""
    port: int | None = None
    proxy: str = ""
    hint: str = ""
    attempt: int = 1
    attempts: int = 1

    def __str__(self) -> str:
        request = f"{self.method} {self.path}: " if self.method else ""
        count = ""
        # After a permanent failure no attempt follows, however many the policy allows.
        if self.attempts > 1 and not self.permanent:
            others = ", which is not repeated" if self.outcome_unknown else f" of {self.attempts}"
            count = f", attempt {self.attempt}{others}"
        return f"{request}{self.reason}{count}{_outcome(self)}{_hint(self.hint)}"


class RequestTimeoutError(TransportError):
    """No response came within `timeout` seconds.

    The class does not derive from `TimeoutError`, so that callers can tell it from the end of a time limit of their own.
    """


class ClientClosedError(TransportError, RuntimeError):
    """The client is closed, or the session that it was handed: before this call began, or while it was in progress.

    In the first case nothing was sent, and `permanent` is true.
    """


@define(eq=False, slots=False)
class ResponseError(UnlimCallError):
    """The response is not what the API promises: a redirect, not JSON, a missing field, a wrong type.

    Attributes:
        status: The HTTP status.
        where: The place in the response, for example `calls[17].startTime`, or `body`, or `status`.
        reason: What was expected there. What was found is not said, because the value may be a phone number.
        method: The request's method.
        path: The request's path below the base URL.
        outcome_unknown: True if the server may have acted on a request that must not be repeated.
        garbled: True if the response to a GET is not JSON at all: empty, cut off, or the page of a proxy. The next one may be good.
        window: In a stream, the `from` and `till` of the request.
        resume_after: In a stream, a checkpoint behind the row that cannot be read. If the whole response cannot be read, a
            checkpoint behind `window`, for a caller who accepts to lose the records of the window.
        hint: What the caller can do, or an empty text.
        request_id: What the API called the request, as in `APIError.request_id`.
    """

    _category: ClassVar[Category] = "provider"

    status: int
    where: str
    reason: str = "not as the API promises"
    method: str = ""
    path: str = ""
    outcome_unknown: bool = False
    garbled: bool = False
    window: tuple[datetime, datetime] | None = None
    resume_after: checkpoint.Checkpoint | None = None
    hint: str = ""
    request_id: str | None = None

    def __str__(self) -> str:
        request = f"{self.method} {self.path}".strip() or "the API"
        end = f"{_outcome(self)}{_hint(self.hint)}{_request(self)}"
        return f"{request} answered {self.status}, at {self.where}: {self.reason}{end}"


@define(eq=False, slots=False)
class WindowSaturatedError(UnlimCallError):
    """One instant, the shortest window that the server tells apart, holds as many records as a page can.

    Some records of the instant may be out of reach. All records before the instant have been handed out.

    Attributes:
        start: Where the instant begins.
        end: Where the instant ends.
        seen: The records of the instant that were received. A stream leaves out those that it had handed out before it was resumed.
        resume_after: A checkpoint behind the instant, for a caller who accepts the loss.
    """

    _category: ClassVar[Category] = "provider"

    start: datetime
    end: datetime
    # Records hold phone numbers.
    seen: Sequence[models.CallRecord] = field(repr=False)
    resume_after: checkpoint.Checkpoint = field(repr=False)

    def __str__(self) -> str:
        span = f"[{self.start.isoformat()}, {self.end.isoformat()})"
        return f"{span} fills a whole page: {len(self.seen)} records were received, and there may be more"


SignatureReason: TypeAlias = Literal["missing", "malformed", "too_old", "in_future", "mismatch"]

_SIGNATURE_REASONS: dict[SignatureReason, str] = {
    "missing": "the delivery has no signature",
    "malformed": "the delivery's signature does not have the form t=<unix>,v1=<hex>",
    "too_old": "the delivery was signed too long ago",
    "in_future": "the delivery was signed in the future",
    "mismatch": "no signature of the delivery was made with a known secret",
}


@define(eq=False, slots=False)
class SignatureError(UnlimCallError):
    """The signature of a webhook delivery is not valid.

    Attributes:
        reason: `"missing"`, `"malformed"` or `"mismatch"`; or, for a delivery that was signed with a known secret, `"too_old"` or
            `"in_future"`.
        age: How many seconds ago the delivery was signed, if it is `"too_old"` or, below 0, `"in_future"`; otherwise `None`.
    """

    _category: ClassVar[Category] = "application"

    reason: SignatureReason
    age: float | None = None

    def __str__(self) -> str:
        age = "" if self.age is None else f" ({self.age:+.0f} s old)"
        return f"{_SIGNATURE_REASONS[self.reason]}{age}"


@define(eq=False, slots=False)
class EventError(UnlimCallError):
    """The body of a webhook delivery is not a valid event.

    Attributes:
        where: The place in the body: `body`, or the name of a field.
        reason: What was expected there. What was found is not said, because the value may be a phone number.
    """

    _category: ClassVar[Category] = "application"

    where: str
    reason: str

    def __str__(self) -> str:
        return f"the delivery is not a valid event: {self.where}: {self.reason}"


def _outcome(error: UnlimCallError) -> str:
    """Return the end of a message: a warning if the error's request may have taken effect."""
    return " (the request may have taken effect)" if error.outcome_unknown else ""


def _request(error: APIError | ResponseError) -> str:
    """Return the end of a message: what the API called the request, for its support."""
    return "" if error.request_id is None else f" (request {error.request_id})"


def _hint(hint: str) -> str:
    """Return the end of a message: what the caller can do."""
    return f" ({hint})" if hint else ""
