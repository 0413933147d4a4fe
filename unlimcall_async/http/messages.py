"""The request that goes out, and the response that comes in.

Pure: no I/O. A `Request` holds all but the `Authorization` header. Only the transport adds that header, so no request that is held,
logged or shown has the token in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen
from yarl import URL

from unlimcall_async import _json
from unlimcall_async._version import __version__
from unlimcall_async.errors import ResponseError
from unlimcall_async.http.endpoints import Endpoint

# The operations guide, Versioning: pin the version of the API.
ACCEPT: Final = "application/vnd.unlimcall.v1+json"
USER_AGENT: Final = f"unlimcall-async/{__version__}"


class Authorization(str):
    """The value of the `Authorization` header. Its repr is masked, so that a traceback that shows variables hides the token."""

    __slots__ = ()

    @classmethod
    def of(cls, token: str) -> Authorization:
        """Return the header for a bearer token (reference: Authentication)."""
        return cls(f"Bearer {token}")

    @property
    def token(self) -> str:
        """The bare token."""
        return self.removeprefix("Bearer ")

    def __repr__(self) -> str:
        return "'Bearer ***'"


@frozen
class Request:
    """A request. The same object serves all attempts of a call.

    Attributes:
        endpoint: The endpoint: whether the request may be repeated, and which rate limit it draws on.
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


@frozen
class RawResponse:
    """A response as the server sent it.

    Attributes:
        status: The HTTP status.
        headers: The headers; names compare without case.
        body: The whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")

    def json(self) -> Any:
        """Return the body, read as JSON: integers as `int`, and numbers with a fraction or an exponent as `float`.

        Raises:
            ResponseError: The body is not JSON, or holds a number that is too large for a `float`.
        """
        try:
            return _json.read(self.body, fractions=float)
        except _json.JsonError:
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
    """Return a request for a path below the base URL. The arguments have been checked by the caller.

    The client's own headers win over `headers`.
    """
    # Neither `base_url / path`, which quotes a quoted path again, nor `join`, which drops the base URL's own path.
    url = URL(f"{base_url}{path}").with_query(params or None)
    own = {"Accept": ACCEPT, "User-Agent": USER_AGENT}
    if body is not None:
        own["Content-Type"] = "application/json"
    return Request(endpoint, path, url, {**(headers or {}), **own}, body)


def timestamp(moment: datetime) -> str:
    """Return a UTC time as the reference writes it: `2026-05-23T00:00:00Z`. A fraction is written only if it is not zero."""
    precision = "microseconds" if moment.microsecond % 1000 else "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
