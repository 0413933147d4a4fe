"""The request that goes out, and the response that comes in.

Pure: no I/O. A `Request` holds all but the `Authorization` header. Only the transport adds that header, so no request that is held,
logged or shown has the token in it.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, SupportsIndex

from attrs import field, frozen
from yarl import URL

from unlimcall_async._lazy import LazyModule
from unlimcall_async._version import __version__
from unlimcall_async.http.endpoints import Endpoint

if TYPE_CHECKING:
    from unlimcall_async import _json, errors
else:
    # Only a response needs them.
    _json = LazyModule("unlimcall_async._json")
    errors = LazyModule("unlimcall_async.errors")

# The operations guide, Versioning: pin the version of the API.
ACCEPT: Final = "application/vnd.unlimcall.v1+json"
USER_AGENT: Final = f"unlimcall-async/{__version__}"
# Characters. A shorter token, which no real one is, is struck out only as a word of its own: "t" is in every second word.
_MIN_TOKEN: Final = 8
# Characters. A part of the token that is as long is struck out, too. Shorter ones are mostly what all tokens have in common.
_MIN_PART: Final = 12
# Hexadecimal digits of a digest of the token: 128 bits, so that no two tokens share one.
_DIGEST: Final = 32
# What an id of a request looks like: printable ASCII, of at most 200 characters. A UUID has 36, a trace of AWS has 74.
_REQUEST_ID: Final = re.compile(r"[!-~]([ -~]{0,198}[!-~])?")


class Authorization:
    """The bearer token, as the `Authorization` header (reference: Authentication).

    Not a text: tools that show the variables of a traceback cut a long text before they take its repr. So no variable of this
    package holds the token as a text once the client is made. Only the transport asks for the header, at the moment of sending.
    """

    __slots__ = ("_echo", "_token")

    def __init__(self, token: str) -> None:
        self._token = token
        self._echo: re.Pattern[str] | None = None

    def header(self) -> str:
        """Return the value of the header."""
        return masked_header("Bearer", self._token)

    def digest(self, purpose: bytes) -> str:
        """Return a text from which the token cannot be found: the same one for the same token and purpose, wherever it is made."""
        return hmac.digest(self._token.encode(), purpose, "sha256").hex()[:_DIGEST]

    def struck_out(self, text: str) -> str:
        """Return a text of the server without the token, in whatever spelling the server may have echoed the token."""
        # Made at the first error: most clients never need it.
        self._echo = self._echo or _echo_of(self._token)
        return self._without_parts(self._echo.sub("***", text))

    def _without_parts(self, text: str) -> str:
        """Return a text without the parts of the token. A server may show its beginning or end, or break it into lines."""
        parts = {self._token[start : start + _MIN_PART] for start in range(len(self._token) - _MIN_PART + 1)}
        kept, done = [], 0
        for start in range(len(text) - _MIN_PART + 1):
            if text[start : start + _MIN_PART] in parts:
                if start >= done:
                    kept += [text[done:start], "***"]
                done = start + _MIN_PART
        return "".join((*kept, text[done:]))

    def __repr__(self) -> str:
        return "<Bearer ***>"


def masked_header(scheme: str, secret: str) -> str:
    """Return the value of a header that holds a secret, in the form that aiohttp takes."""
    return _HeaderValue(f"{scheme} {secret}")


class _HeaderValue(str):
    """The value of a header with a secret. Its repr, its parts and its formats are masked; `str()` is what aiohttp sends."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{self:s}'"

    def __format__(self, _spec: str) -> str:
        return f"{self.partition(' ')[0]} ***"

    def __getitem__(self, _part: SupportsIndex | slice) -> str:
        return "***"

    def __iter__(self) -> Iterator[str]:
        return iter("***")


def _echo_of(token: str) -> re.Pattern[str]:
    """Return the pattern of a token in any case, escaped as in JSON, URLs and HTML, in base64, and in hexadecimal."""
    if len(token) < _MIN_TOKEN:
        return re.compile(rf"(?<![\w-]){re.escape(token)}(?![\w-])")
    spellings = ["".join(map(_spellings, token)), _in_any_case(token.encode().hex())]
    for shift in range(3):
        # In base64, each character but the first ones and the last says bits of the token alone.
        coded = base64.b64encode(bytes(shift) + token.encode()).decode()
        whole = coded[(0, 2, 3)[shift] : (shift + len(token)) * 8 // 6]
        spellings.append(re.escape(whole).replace(r"\+", "[+-]").replace("/", r"(?:\\?/|_)"))
    return re.compile("|".join(spellings))


def _spellings(char: str) -> str:
    """Return the pattern of one character of the token. Each choice starts with a literal, which makes the search faster."""
    code = ord(char)
    itself = "|".join(re.escape(each) for each in sorted({char, char.lower(), char.upper()}))
    hexadecimal = _in_any_case(f"{code:02x}")
    return (
        rf"(?:{itself}|\\\\{{0,3}}(?:(?:[uU]00|x){hexadecimal}|{itself})|%(?:25){{0,2}}{hexadecimal}"
        rf"|&#(?:0{{0,4}}{code}|[xX]0{{0,4}}{hexadecimal});?)"
    )


def _in_any_case(text: str) -> str:
    return "".join(f"[{char.lower()}{char.upper()}]" if char.isalpha() else char for char in text)


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
            raise errors.ResponseError(self.status, "body", "expected JSON") from None


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


def request_id_of(headers: Mapping[str, str], authorization: Authorization) -> str | None:
    """Return what the API called a request, in `X-Request-Id`.

    Return `None` if that header is missing or is not an id: it is too long, has other characters than printable ASCII, or echoes
    the token. A part of such a text would name no request.
    """
    text = headers.get("X-Request-Id", "").strip()
    if not _REQUEST_ID.fullmatch(text) or authorization.struck_out(text) != text:
        return None
    return text


def timestamp(moment: datetime) -> str:
    """Return a UTC time as the reference writes it: `2026-05-23T00:00:00Z`. A fraction is written only if it is not zero."""
    precision = "microseconds" if moment.microsecond % 1000 else "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
