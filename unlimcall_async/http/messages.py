"""What goes out and what comes in.

Pure: no I/O. A `Request` is complete but for the `Authorization` header, which only the transport adds, so that no request that
is held, logged or shown has the token in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from attrs import field, frozen
from yarl import URL

from unlimcall_async._version import __version__
from unlimcall_async.errors import ResponseError
from unlimcall_async.http.endpoints import Endpoint

# The operations guide, Versioning: pin the version of the API.
ACCEPT: Final = "application/vnd.unlimcall.v1+json"
USER_AGENT: Final = f"unlimcall-async/{__version__}"


class Authorization(str):
    """The value of the `Authorization` header. Its repr is masked, so that a traceback that shows variables hides it."""

    __slots__ = ()

    @classmethod
    def of(cls, token: str) -> Authorization:
        """Make the value for a bearer token (reference: Authentication)."""
        return cls(f"Bearer {token}")

    @property
    def token(self) -> str:
        """The bare token."""
        return self.removeprefix("Bearer ")

    def __repr__(self) -> str:
        return "'Bearer ***'"


@frozen
class Request:
    """A request, ready to be sent any number of times.

    Attributes:
        endpoint: What it is: may it be repeated, which limit does it draw on.
        path: The path below the base URL.
        url: The whole URL.
        headers: All headers but `Authorization`.
        body: The body's bytes, or `None`.
    """

    endpoint: Endpoint
    path: str
    url: URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.endpoint.method

    @property
    def must_not_repeat(self) -> bool:
        """Whether a second sending could have a second effect: then an attempt that failed may leave its outcome unknown."""
        return not self.endpoint.repeatable

    def unreadable(self, status: int, where: str, reason: str) -> ResponseError:
        """Make the error of an answer that is not what the API promises."""
        return ResponseError(status, where, reason, self.method, self.path, outcome_unknown=self.must_not_repeat)


@frozen
class RawResponse:
    """An answer as it came.

    Attributes:
        status: The HTTP status.
        headers: The headers; names compare without case.
        body: The whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")

    def json(self) -> Any:
        """Read the body as JSON, or raise `ResponseError`."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ResponseError(self.status, "body", "expected JSON") from None


def build(
    base_url: URL,
    endpoint: Endpoint,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """Make a request of arguments that the caller has checked, for a path below the base URL."""
    # Not `base_url / path` nor `join`: the one quotes what is quoted already, the other drops the base's own path.
    url = URL(f"{base_url}{path}").with_query(params or None)
    own = {"Accept": ACCEPT, "User-Agent": USER_AGENT}
    if body is not None:
        own["Content-Type"] = "application/json"
    return Request(endpoint, path, url, {**(headers or {}), **own}, body)


def timestamp(moment: datetime) -> str:
    """Write a UTC time as the reference does: `2026-05-23T00:00:00Z`, with a fraction only where there is one."""
    precision = "microseconds" if moment.microsecond % 1000 else "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
