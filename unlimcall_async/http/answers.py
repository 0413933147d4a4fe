"""From an answer to its meaning: the answer itself, or the error that it stands for.

Pure: no I/O. The reference names the error codes but not the body that carries them, so every shape that such APIs use is read.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from unlimcall_async.errors import (
    AccountNotProvisionedError,
    AgentNotFoundError,
    AgentNotProvisionedError,
    APIError,
    AuthenticationError,
    ConflictError,
    DialerRequiredError,
    EngineNotConfiguredError,
    InvalidInputError,
    InvalidRequestError,
    InvalidTimestampError,
    NotFoundError,
    OriginateFailedError,
    RateLimitedError,
    ResponseError,
    ServerError,
    SuspendedError,
    UnlimCallError,
    WindowOrderError,
    WindowTooWideError,
)
from unlimcall_async.http.messages import Authorization, RawResponse, Request

BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: SuspendedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitedError,
}

BY_CODE: Final[Mapping[str, type[APIError]]] = {
    "unauthorized": AuthenticationError,
    "suspended": SuspendedError,
    "internal_error": ServerError,
    "invalid_timestamp": InvalidTimestampError,
    "till_must_be_after_from": WindowOrderError,
    "window_too_wide": WindowTooWideError,
    "account_not_provisioned": AccountNotProvisionedError,
    "invalid_input": InvalidInputError,
    "ai_agent_not_found": AgentNotFoundError,
    "ai_agent_not_provisioned": AgentNotProvisionedError,
    "dialer_required": DialerRequiredError,
    "engine_not_configured": EngineNotConfiguredError,
    "originate_failed": OriginateFailedError,
    "not_found": NotFoundError,
}

# By the reference these say that no call was placed; any other 5xx leaves it open.
_NOTHING_DONE: Final = (OriginateFailedError, EngineNotConfiguredError)

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_KNOWN_CODE: Final = re.compile(rf"\b({'|'.join(BY_CODE)})\b")
_MAX_DETAIL: Final = 500
# Pages of errors are short; of a long one the start is enough.
_MAX_TEXT: Final = 65536
# Seconds; thirty years are for ever, and no clock overflows.
_MAX_RETRY_AFTER: Final = 1e9
# A token that is shorter than any real one is struck out only where it stands alone: "t" is in every second word.
_MIN_TOKEN: Final = 8


def failure_of(
    request: Request, answer: RawResponse, authorization: Authorization, now: datetime
) -> UnlimCallError | None:
    """Give the error that an answer stands for, or `None` for a good one. `now` is used to read a date in `Retry-After`."""
    if 200 <= answer.status < 300:
        return None
    if not 400 <= answer.status < 600:
        return _unexpected_status(request, answer)
    body = _without_token(answer.body.decode("latin-1"), authorization).encode("latin-1")
    code, detail = read_error_body(body)
    kind = _class_of(answer.status, code)
    return kind(
        answer.status,
        # Once more: JSON may write a token in other characters, which are themselves only now.
        code and _without_token(code, authorization),
        detail and _without_token(detail, authorization)[:_MAX_DETAIL],
        request.method,
        request.path,
        _headers_without_token(answer.headers, authorization),
        body,
        retry_after(answer.headers, now),
        outcome_unknown=answer.status >= 500 and request.must_not_repeat and kind not in _NOTHING_DONE,
    )


def _unexpected_status(request: Request, answer: RawResponse) -> ResponseError:
    redirect = 300 <= answer.status < 400
    reason = "redirects are not followed, so that the token stays with this host" if redirect else "no such status"
    return request.unreadable(answer.status, "status", reason)


def _class_of(status: int, code: str | None) -> type[APIError]:
    """The class of the code, where it agrees with the status; the status is what proxies and retries go by."""
    group = ServerError if status >= 500 else BY_STATUS.get(status)
    if group is None:
        return APIError
    kind = BY_CODE.get(code or "", group)
    return kind if issubclass(kind, group) else group


def read_error_body(body: bytes) -> tuple[str | None, str | None]:
    """Find the code and the words in the body of an error, whatever its shape."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_text(body.decode("utf-8", "replace"))
    if isinstance(value, str):
        return _read_text(value)
    return _read_object(value) if isinstance(value, dict) else (None, None)


def _read_object(value: dict[str, Any]) -> tuple[str | None, str | None]:
    error, told = value.get("error"), value.get("detail")
    inner = next((item for item in (error, told) if isinstance(item, dict)), {})
    candidates = (inner.get("code"), error, value.get("code"), inner.get("type"))
    codes = [item for item in candidates if isinstance(item, str) and _CODE.fullmatch(item)]
    words = (inner.get("message"), inner.get("detail"), told, value.get("message"), None if error is inner else error)
    detail = next((item for item in words if item not in (None, "", *codes)), None)
    if detail is not None and not isinstance(detail, str):
        detail = msgspec.json.encode(detail).decode()
    # A documented one first, be it in the words: beside it an error may also hold a name such as "Conflict".
    documented = [item for item in codes if item in BY_CODE] or _KNOWN_CODE.findall(detail or "")
    return next(iter(documented or codes), None), detail


def _read_text(text: str) -> tuple[str | None, str | None]:
    """Read a text or a page: a code is a documented one that stands in it as a word."""
    text = text[:_MAX_TEXT]
    words = _plain(re.sub(r"<[^<>]*>", " ", text))
    found = _KNOWN_CODE.search(words)
    code = found.group() if found else None
    title = re.search(r"<title[^<>]*>([^<]*)", text, re.IGNORECASE)
    detail = _plain(title.group(1)) if title else words.removeprefix(code or "").lstrip(" :-")
    return code, detail or None


def _plain(text: str) -> str:
    return " ".join(html.unescape(text).split())


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read `Retry-After`, seconds or an HTTP date, as seconds from now; `None` where it is missing or no such thing.

    A date is compared with the server's own `Date`, where there is one, because the two clocks may disagree.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,100}(\.[0-9]{1,100})?", value):
        return min(float(value), _MAX_RETRY_AFTER)
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(headers.get("Date", "")) or now)).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    # The oldest of the three forms of a date names no zone; it is GMT all the same (RFC 9110, 5.6.7).
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _without_token(text: str, authorization: Authorization) -> str:
    token = re.escape(authorization.token)
    pattern = token if len(authorization.token) >= _MIN_TOKEN else rf"(?<![\w-]){token}(?![\w-])"
    return re.sub(pattern, "***", text)


def _headers_without_token(headers: Mapping[str, str], authorization: Authorization) -> Mapping[str, str]:
    same_kind: Any = type(headers)  # so that names go on to compare without case
    cleaned: Mapping[str, str] = same_kind(
        (_without_token(name, authorization), _without_token(value, authorization)) for name, value in headers.items()
    )
    return cleaned
