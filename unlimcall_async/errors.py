"""What can go wrong, split by who is to blame.

Every error of the package is an `UnlimCallError`. It keeps its evidence as attributes, survives `pickle` and `copy`,
and never holds the token. `category` sorts errors as the operations guide does; `outcome_unknown` says whether a
request that must not be repeated (a phone call, a subscription) may have taken effect although no good answer came
back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from attrs import define, field

if TYPE_CHECKING:
    from unlimcall_async.cdrs.checkpoint import Checkpoint
    from unlimcall_async.models import CallRecord

Category: TypeAlias = Literal["application", "provider", "network"]


class UnlimCallError(Exception):
    """The root of the tree."""

    _category: ClassVar[Category] = "application"
    outcome_unknown: bool = False

    @property
    def category(self) -> Category:
        """Who is to blame: `"application"` (the caller), `"provider"` (the API) or `"network"` (no answer came)."""
        return self._category


@define(eq=False, slots=False)
class APIError(UnlimCallError):
    """The API answered with an error.

    Attributes:
        status: The HTTP status.
        code: The documented code, such as `window_too_wide`, or `None` if the answer held none.
        detail: The server's own words, or `None`.
        method: The request's method.
        path: The request's path below the base URL.
        headers: The answer's headers; names compare without case.
        body: The answer's body, with the token struck out should the server have echoed it.
        retry_after: Seconds to wait, from the `Retry-After` header, or `None`.
        outcome_unknown: True for a 5xx on a request that must not be repeated: it may have taken effect.
    """

    status: int
    code: str | None = None
    detail: str | None = None
    method: str = ""
    path: str = ""
    # Headers and body may hold phone numbers: kept as evidence, out of every repr.
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    retry_after: float | None = None
    outcome_unknown: bool = False

    @property
    def category(self) -> Category:
        """`"application"` for a 4xx, `"provider"` for a 5xx."""
        return "provider" if self.status >= 500 else "application"

    def __str__(self) -> str:
        what = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.method} {self.path} answered {what}{detail}{_doubt(self)}"


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
    """404 `not_found`: no such thing on this account."""


class AgentNotFoundError(NotFoundError):
    """404 `ai_agent_not_found`: no agent with that id on this account."""


class ConflictError(APIError):
    """409: the account is not in a state that allows the request."""


class AccountNotProvisionedError(ConflictError):
    """409 `account_not_provisioned`: the account has no trunk allocated yet."""


class AgentNotProvisionedError(ConflictError):
    """409 `ai_agent_not_provisioned`: the agent has no SIP extension yet."""


class DialerRequiredError(ConflictError):
    """409 `dialer_required`: outbound calls need the dialer add-on."""


class RateLimitedError(APIError):
    """429: too many requests; `retry_after` says how long to wait where the server does."""


class ServerError(APIError):
    """5xx: the provider failed."""


class OriginateFailedError(ServerError):
    """502 `originate_failed`: the upstream rejected the call; `detail` says why. No call was placed."""


class EngineNotConfiguredError(ServerError):
    """503 `engine_not_configured`: calls cannot be originated in this environment. No call was placed."""


@define(eq=False, slots=False)
class TransportError(UnlimCallError):
    """There was no answer: the connection, or TLS, failed.

    Attributes:
        reason: What happened.
        method: The request's method.
        path: The request's path below the base URL.
        outcome_unknown: True where the server may have acted on a request that must not be repeated.
        permanent: True where trying again cannot help, as with a certificate that is not trusted.
    """

    _category: ClassVar[Category] = "network"

    reason: str
    method: str = ""
    path: str = ""
    outcome_unknown: bool = False
    permanent: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.reason}{_doubt(self)}"


class RequestTimeoutError(TransportError):
    """No answer within `timeout` seconds. It is not a `TimeoutError`, so that a caller's own time limit stays apart."""


class ClientClosedError(TransportError, RuntimeError):
    """The client was closed while this call was under way."""


@define(eq=False, slots=False)
class ResponseError(UnlimCallError):
    """An answer that is not what the API promises: a redirect, not JSON, a missing field, a wrong type.

    Attributes:
        status: The HTTP status.
        where: The place in the answer, such as `calls[17].startTime`, or `body`, or `status`.
        reason: What was expected there. Never what was found: that may be a phone number.
        method: The request's method.
        path: The request's path below the base URL.
        outcome_unknown: True where the server may have acted on a request that must not be repeated.
        window: In a stream, the `from` and `till` that were asked.
        resume_after: In a stream, a checkpoint behind that window, for a caller who accepts to lose it.
    """

    _category: ClassVar[Category] = "provider"

    status: int
    where: str
    reason: str = "not as the API promises"
    method: str = ""
    path: str = ""
    outcome_unknown: bool = False
    window: tuple[datetime, datetime] | None = None
    resume_after: Checkpoint | None = None

    def __str__(self) -> str:
        request = f"{self.method} {self.path}".strip() or "the API"
        return f"{request} answered {self.status}, at {self.where}: {self.reason}{_doubt(self)}"


@define(eq=False, slots=False)
class WindowSaturatedError(UnlimCallError):
    """One instant, the finest window that the server tells apart, holds as many records as a page can.

    Some of its records cannot be had. Everything before it was handed out.

    Attributes:
        start: Where the instant begins.
        end: Where it ends.
        seen: The records that were received on it.
        resume_after: A checkpoint behind it, for a caller who accepts the loss.
    """

    _category: ClassVar[Category] = "provider"

    start: datetime
    end: datetime
    # Records hold phone numbers.
    seen: Sequence[CallRecord] = field(repr=False)
    resume_after: Checkpoint = field(repr=False)

    def __str__(self) -> str:
        span = f"[{self.start.isoformat()}, {self.end.isoformat()})"
        return f"{span} holds more records than a page: {len(self.seen)} came, and there may be more"


class CheckpointError(UnlimCallError, ValueError):
    """A checkpoint that is none, is of another version, or does not fit the range that is asked for."""

    _category: ClassVar[Category] = "application"


SignatureReason: TypeAlias = Literal["missing", "malformed", "too_old", "in_future", "mismatch"]

_SIGNATURE_REASONS: dict[SignatureReason, str] = {
    "missing": "the delivery has no signature",
    "malformed": "the signature is not of the form t=<unix>,v1=<hex>",
    "too_old": "the delivery was signed too long ago",
    "in_future": "the delivery was signed in the future",
    "mismatch": "no signature of the delivery was made with a secret that is known here",
}


@define(eq=False, slots=False)
class SignatureError(UnlimCallError):
    """A webhook delivery whose signature does not hold.

    Attributes:
        reason: `"missing"`, `"malformed"`, `"mismatch"`; or `"too_old"`, `"in_future"`, which are said only of a delivery that was
            signed with one of the secrets.
        age: For those two, how many seconds ago it was signed, below 0 for a time to come; otherwise `None`.
    """

    _category: ClassVar[Category] = "application"

    reason: SignatureReason
    age: float | None = None

    def __str__(self) -> str:
        age = "" if self.age is None else f" ({self.age:+.0f} s old)"
        return f"{_SIGNATURE_REASONS[self.reason]}{age}"


@define(eq=False, slots=False)
class EventError(UnlimCallError):
    """The body of a webhook delivery that is no event.

    Attributes:
        where: The place in it: `body`, or the name of a field.
        reason: What was expected there. Never what was found: that may be a phone number.
    """

    _category: ClassVar[Category] = "application"

    where: str
    reason: str

    def __str__(self) -> str:
        return f"this is no event, at {self.where}: {self.reason}"


def _doubt(error: UnlimCallError) -> str:
    return " (the request may have taken effect)" if error.outcome_unknown else ""
