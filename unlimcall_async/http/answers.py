"""The error that a response stands for.

Pure: no I/O. The reference names the error codes but not the body that carries them. So this module reads every shape that such
APIs use: nested and flat JSON, plain text and HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from unlimcall_async import _json
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
    WindowOrderError,
    WindowTooWideError,
)
from unlimcall_async.http.advice import page_hint, redirect_hint, refusal_hint
from unlimcall_async.http.messages import Authorization, RawResponse, Request
from unlimcall_async.http.server_clock import http_date, server_date

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

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_KNOWN_CODE: Final = re.compile(rf"\b({'|'.join(BY_CODE)})\b")
# Characters. A detail is a sentence or two; a longer one would fill a log.
_MAX_DETAIL: Final = 500
# Characters. Pages of errors are short; of a long one the start is enough.
_MAX_TEXT: Final = 65536
# Seconds. Thirty years are for ever, and no clock overflows.
_MAX_RETRY_AFTER: Final = 1e9
# The detail is for people, who see a number as it came.
_as_json: Final = msgspec.json.Encoder(decimal_format="number").encode


def failure_of(
    request: Request, response: RawResponse, authorization: Authorization, now: datetime
) -> APIError | ResponseError | None:
    """Return the error that the status of a response stands for, or `None` for a success.

    The error says nothing about `outcome_unknown`, which `outcome.judge` decides.

    Args:
        request: The request.
        response: The response.
        authorization: The header that was sent, whose token is struck out of the error.
        now: The time of day, to read a date in `Retry-After`.
    """
    status, success = response.status, request.endpoint.success
    if 200 <= status < 300:
        if success is None or status in success:
            return None
        return unusable(request, response, "status", f"expected {' or '.join(map(str, sorted(success)))}")
    if 300 <= status < 400:
        reason = "redirects are not followed, so that the token stays with this host"
        hint = redirect_hint(request.url, authorization.struck_out(response.headers.get("Location", "")))
        return ResponseError(status, "status", reason, request.method, request.path, hint=hint)
    if not 400 <= status < 600:
        return ResponseError(status, "status", "no such status", request.method, request.path)
    struck_out = authorization.struck_out
    body = struck_out(response.body.decode("latin-1")).encode("latin-1")
    code, detail = read_error_body(body)
    # The class of the code, if it agrees with the status. The status wins, because proxies and retries go by the status.
    group = ServerError if status >= 500 else BY_STATUS.get(status, APIError)
    kind = group if group is APIError else BY_CODE.get(code or "", group)
    # The headers keep their own type, so that names go on to compare without case.
    same_type: Any = type(response.headers)
    return (kind if issubclass(kind, group) else group)(
        status,
        # Masked a second time: JSON may write a token with escapes, which only the parser has resolved.
        code and struck_out(code),
        detail and struck_out(detail)[:_MAX_DETAIL],
        request.method,
        request.path,
        same_type((struck_out(name), struck_out(value)) for name, value in response.headers.items()),
        body,
        retry_after(response.headers, now),
        hint=refusal_hint(
            request, status, code if code in BY_CODE else None, is_page=_is_page(response), is_json=_is_json(body)
        ),
    )


def unusable(request: Request, response: RawResponse, where: str, reason: str) -> ResponseError:
    """Return the error for a 2xx that is not as promised. `where` and `reason` are those of `ResponseError`."""
    is_json = _is_json(response.body)
    garbled = request.method == "GET" and not is_json
    hint = page_hint(request.url) if not is_json and _is_page(response) else ""
    return ResponseError(response.status, where, reason, request.method, request.path, garbled=garbled, hint=hint)


def raw_problem(request: Request, response: RawResponse) -> ResponseError | None:
    """Return the error for a response with a good status whose body cannot be the API's, or `None`.

    The API answers in JSON, but what an undocumented path answers is not known. So only four bodies count as faulty: an HTML page,
    one that is not the JSON that its type says, none at all where there must be one, and one of another type after a documented
    POST. The user would find the last to be no JSON only after the call, and could not know that it may have taken effect.
    """
    # The `not_found` of a repeated DELETE counts as success: see `outcome`.
    if response.status >= 300:
        return None
    kind = response.headers.get("Content-Type", "").lower()
    documented = request.endpoint.success is not None and response.status != 204
    if not response.body:
        faulty = documented or (request.method == "GET" and response.status == 200)
    else:
        must_be_json = "json" in kind or (documented and request.method == "POST")
        faulty = "html" in kind or (must_be_json and not _is_json(response.body))
    return unusable(request, response, "body", "expected JSON") if faulty else None


def _is_page(response: RawResponse) -> bool:
    return "html" in response.headers.get("Content-Type", "").lower() or b"<html" in response.body[:_MAX_TEXT].lower()


def _is_json(body: bytes) -> bool:
    try:
        _json.read(body)
    except _json.JsonError:
        return False
    return True


def read_error_body(body: bytes) -> tuple[str | None, str | None]:
    """Return the error code and the server's words in the body of an error, each `None` if the body has none."""
    try:
        value = _json.read(body)
    except _json.JsonError:
        return _read_text(body.decode("utf-8", "replace"))
    if isinstance(value, str):
        return _read_text(value)
    return _read_object(value) if isinstance(value, dict) else (None, None)


def _read_object(value: dict[str, Any]) -> tuple[str | None, str | None]:
    error, told = value.get("error"), value.get("detail")
    # The object that holds the code and the words, if they are not on the outer level.
    inner = next((item for item in (error, told) if isinstance(item, dict)), {})
    candidates = (inner.get("code"), error, value.get("code"), inner.get("type"))
    codes = [item for item in candidates if isinstance(item, str) and _CODE.fullmatch(item)]
    words = (inner.get("message"), inner.get("detail"), told, value.get("message"), None if error is inner else error)
    # A code that stands in the place of the words is not a sentence.
    detail = next((item for item in words if item not in (None, "", *codes)), None)
    if detail is not None and not isinstance(detail, str):
        detail = _as_json(detail).decode()
    # A documented code wins, also one in the words: beside it an error may hold a name, for example "Conflict".
    documented = [item for item in codes if item in BY_CODE] or _KNOWN_CODE.findall(detail or "")
    return next(iter(documented or codes), None), detail


def _read_text(text: str) -> tuple[str | None, str | None]:
    """Return the code and the words of a plain text or an HTML page. Only a documented code, as a word, counts as a code."""
    text = text[:_MAX_TEXT]
    words = _plain(re.sub(r"<[^<>]*>", " ", text))
    found = _KNOWN_CODE.search(words)
    code = found.group() if found else None
    title = re.search(r"<title[^<>]*>([^<]*)", text, re.IGNORECASE)
    detail = _plain(title.group(1)) if title else words.removeprefix(code or "").lstrip(" :-")
    return code, detail or None


def _plain(text: str) -> str:
    from html import unescape  # noqa: PLC0415 # it brings a table of all entities, and hardly any error is a page of HTML

    return " ".join(unescape(text).split())


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds from now that `Retry-After` asks for, or `None` if the header is missing or not valid.

    The header holds seconds or an HTTP date. A date is compared with the server's own `Date`, if the response has that header,
    because the two clocks may disagree.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,100}(\.[0-9]{1,100})?", value):
        seconds = float(value)
    elif (until := http_date(value)) is not None:
        seconds = (until - (server_date(headers) or now)).total_seconds()
    else:
        return None
    return min(max(0.0, seconds), _MAX_RETRY_AFTER)
