"""Answers as data: status, headers and the exact bytes of the body.  No I/O.

The reference gives every error a code and a status and says nothing of the body that carries them, so the shape of that
body is a setting.
"""

import html
import json
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from math import ceil
from typing import Any

from attrs import field, frozen

from unlimcall_async.sandbox.faults import Html, Redirect, Status
from unlimcall_async.sandbox.settings import ErrorShape, RetryAfter

__all__ = [
    "Answer",
    "RefusedError",
    "error",
    "html_page",
    "json_answer",
    "json_body",
    "json_members",
    "retry_after",
    "stand_in",
]

_JSON = {"Content-Type": "application/json; charset=utf-8"}
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}

# Every code of the reference with its status, and below the line two situations that it has no code for.
_STATUS: Mapping[str, int] = {
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
class Answer:
    """What goes on the wire."""

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

    def answer(self, shape: ErrorShape) -> Answer:
        """Return the refusal as an answer in this shape."""
        return error(_STATUS[self.code], self.code, self.detail, shape, self.headers)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_answer(value: object) -> Answer:
    """Return a success with this JSON value."""
    return json_body(_dump(value).encode())


def json_body(body: bytes) -> Answer:
    """Return a success with a body that is JSON already."""
    return Answer(200, body, _JSON)


def json_members(members: Mapping[str, str]) -> Answer:
    """Return a success with a JSON object whose values are JSON already, so that a number keeps its digits."""
    text = ",".join(f"{_dump(name)}:{value}" for name, value in members.items())
    return Answer(200, f"{{{text}}}".encode(), _JSON)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"


def html_page(status: int, detail: str = "") -> Answer:
    """Return the page that a proxy in front of the API would show."""
    title = f"{status} {_phrase(status)}"
    text = (
        f"<!doctype html><html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>{html.escape(detail)}</p></body></html>"
    )
    return Answer(status, text.encode(), _HTML)


def error(status: int, code: str, detail: str, shape: ErrorShape, headers: Mapping[str, str]) -> Answer:
    """Return an error with its code and detail in this shape."""
    if shape == "html":
        page = html_page(status, f"{code}: {detail}")
        return Answer(status, page.body, {**page.headers, **headers})
    if shape == "text":
        return Answer(status, f"{code}: {detail}".encode(), {**_TEXT, **headers})
    bodies: Mapping[str, Any] = {
        "flat": {"error": code, "detail": detail},
        "nested": {"error": {"code": code, "message": detail}},
        "code_message": {"code": code, "message": detail},
    }
    return Answer(status, _dump(bodies[shape]).encode(), {**_JSON, **headers})


def stand_in(fault: Status | Html | Redirect, shape: ErrorShape) -> Answer:
    """Return the answer that such a fault gives instead of processing the request."""
    if isinstance(fault, Html):
        return html_page(fault.status)
    if isinstance(fault, Redirect):
        return Answer(fault.status, headers={"Location": fault.location})
    headers = fault.headers or {}
    if fault.body is not None:
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        typed = any(name.lower() == "content-type" for name in headers)
        return Answer(fault.status, body, headers if typed else {**_JSON, **headers})
    if fault.code is not None:
        return error(fault.status, fault.code, "injected", shape, headers)
    return Answer(fault.status, headers=headers)


def retry_after(form: RetryAfter | None, *, wait: float, now: float) -> Mapping[str, str]:
    """Return the header that asks to wait `wait` seconds from the Unix time `now`.

    Both forms know whole seconds only; rounding up keeps the promise that the wait is long enough.
    """
    if form is None:
        return {}
    return {"Retry-After": str(ceil(wait)) if form == "seconds" else formatdate(ceil(now + wait), usegmt=True)}
