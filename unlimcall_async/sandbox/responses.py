"""Responses as data: status, headers and the exact bytes of the body.

Pure: no I/O. The reference gives every error a code and a status. It does not describe the body that carries them, so the shape
of that body is a setting.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from math import ceil
from typing import Any, Final

from attrs import field, frozen

from unlimcall_async.sandbox.faults import Html, Redirect, Status
from unlimcall_async.sandbox.settings import ErrorShape, RetryAfter

_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
_HTML: Final = {"Content-Type": "text/html; charset=utf-8"}
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}

# Every code of the reference with its status, and below the line two situations for which the reference has no code.
_STATUS: Final[Mapping[str, int]] = {
    "unauthorized": 401,
    "suspended": 403,
    "internal_error": 500,
    "invalid_timestamp": 400,
    "till_must_be_after_from": 400,
    "window_too_wide": 400,
    "account_not_provisioned": 409,
    "invalid_input": 400,
    "ai_agent_not_found": 404,
    "ai_agent_not_provisioned": 409,
    "dialer_required": 409,
    "engine_not_configured": 503,
    "originate_failed": 502,
    "not_found": 404,
    # ---
    "method_not_allowed": 405,
    "rate_limited": 429,
}


@frozen
class Response:
    """The status, body and headers of one HTTP response."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)


class RefusedError(Exception):
    """The API refuses the request with one of its error codes."""

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.headers: Mapping[str, str] = headers or {}

    def response(self, shape: ErrorShape) -> Response:
        """Return the refusal as a response in this shape."""
        return error_response(_STATUS[self.code], self.code, self.detail, shape, self.headers)


def dump_json(value: object) -> str:
    """Return the value as JSON, written as the API writes it: without spaces, and not escaped to ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_response(body: str | bytes) -> Response:
    """Return a success whose body is JSON already."""
    return Response(200, body if isinstance(body, bytes) else body.encode(), _JSON)


def html_response(status: int, detail: str = "") -> Response:
    """Return the page that a proxy in front of the API would show."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
    title = f"{status} {phrase}"
    text = (
        f"<!doctype html><html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>{html.escape(detail)}</p></body></html>"
    )
    return Response(status, text.encode(), _HTML)


def error_response(status: int, code: str, detail: str, shape: ErrorShape, headers: Mapping[str, str]) -> Response:
    """Return an error with its code and detail in this shape."""
    if shape == "html":
        page = html_response(status, f"{code}: {detail}")
        return Response(status, page.body, {**page.headers, **headers})
    if shape == "text":
        return Response(status, f"{code}: {detail}".encode(), {**_TEXT, **headers})
    bodies: Mapping[str, Any] = {
        "flat": {"error": code, "detail": detail},
        "nested": {"error": {"code": code, "message": detail}},
        "code_message": {"code": code, "message": detail},
    }
    return Response(status, dump_json(bodies[shape]).encode(), {**_JSON, **headers})


def fault_response(fault: Status | Html | Redirect, shape: ErrorShape) -> Response:
    """Return the response that the fault sends instead of processing the request."""
    if isinstance(fault, Html):
        return html_response(fault.status)
    if isinstance(fault, Redirect):
        return Response(fault.status, headers={"Location": fault.location})
    headers = fault.headers or {}
    if fault.body is not None:
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        typed = any(name.lower() == "content-type" for name in headers)
        return Response(fault.status, body, headers if typed else {**_JSON, **headers})
    if fault.code is not None:
        return error_response(fault.status, fault.code, "injected", shape, headers)
    return Response(fault.status, headers=headers)


def retry_after_header(form: RetryAfter | None, *, wait: float, now: float) -> Mapping[str, str]:
    """Return the header that asks the client to wait `wait` seconds from the Unix time `now`.

    Both forms have whole seconds only. The wait is rounded up, so that it is always long enough.
    """
    if form is None:
        return {}
    return {"Retry-After": str(ceil(wait)) if form == "seconds" else formatdate(ceil(now + wait), usegmt=True)}
