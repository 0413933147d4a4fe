"""Checks of arguments, made before anything is sent.

Pure: no I/O. Every check returns the value to use, or raises `ValueError` or `TypeError` with the name of the argument and the
reason. A message never quotes a text, which may be a token or a phone number that was passed as the wrong argument. Nor does a
message quote a large number.

A subclass of `datetime`, `timedelta`, `str`, `int` or `float` may have arithmetic, comparisons and texts of its own: those of
pendulum, pandas and numpy do, and so do enumerations. So every check returns exactly the builtin type, made from the plain value.
"""

from __future__ import annotations

import inspect
import ipaddress
import json as stdlib_json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from yarl import URL

from unlimcall_async._lazy import LazyModule
from unlimcall_async._urls import url_of

if TYPE_CHECKING:
    from unlimcall_async import models
else:
    models = LazyModule("unlimcall_async.models")

# Rows (reference: `GET /cdrs`, limit).
MAX_LIMIT: Final = 1000
# Characters (reference: `POST /hooks`).
MAX_TARGET_URL: Final = 512

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_DIGITS: Final = re.compile(r"[0-9]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")

_HALF_A_PAIR: Final = "must not hold half of a surrogate pair, which no text in UTF-8 can hold"

_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
# The client sets these on every request, or aiohttp sets them to frame the body.
_OWN_HEADERS: Final = frozenset(
    {"accept", "authorization", "connection", "content-length", "content-type", "expect", "host"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)


def text(name: str, value: object) -> str:
    """Require a `str` that UTF-8 can hold.

    Return a plain one, because a member of an enumeration may have another `str()` than its text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    plain = str.__str__(value)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} {_HALF_A_PAIR}") from None
    return plain


def utc(name: str, value: object) -> datetime:
    """Require an aware datetime. Return the same instant in UTC.

    Python compares and subtracts two times of one zone by the wall clock, which is wrong across a change of offset.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, not {type(value).__name__}: write {_as_datetime(value)}")
    try:
        # Not by `astimezone` or `replace`, which return the subclass.
        wall = datetime(  # noqa: DTZ001 # the offset is subtracted below
            value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
        )
    except (TypeError, ValueError):  # for example the missing time of pandas, or a year after 9999
        raise ValueError(f"{name} must be a time from the year 1 to the year 9999") from None
    try:
        offset = value.utcoffset()
    except Exception as error:
        raise ValueError(f"{name} has a timezone that fails to give its offset: {type(error).__name__}") from error
    if offset is None:
        raise ValueError(
            f"{name} must be timezone-aware: {wall.isoformat()} could be any of many instants; write {_in_utc(wall)} for UTC"
        )
    try:
        return (wall - span(name, offset)).replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{name} is out of range in UTC: {wall.isoformat()}") from None


def _as_datetime(value: object) -> str:
    """Return how to write a datetime in place of a value that is not a datetime."""
    if isinstance(value, date):
        return _in_utc(datetime(value.year, value.month, value.day))  # noqa: DTZ001 # a day, for a message
    example = _in_utc(datetime(2026, 5, 24))  # noqa: DTZ001 # as just said
    if isinstance(value, str):
        return f"{example}, or datetime.fromisoformat(...) with a text that ends with its offset from UTC"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{example}, or datetime.fromtimestamp(..., tz=UTC) with seconds since 1970"
    return example


def _in_utc(wall: datetime) -> str:
    """Return the Python code for a time in UTC."""
    fields = [wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second, wall.microsecond]
    while len(fields) > 3 and not fields[-1]:
        fields.pop()
    return f"datetime({', '.join(map(str, fields))}, tzinfo=UTC)"


def span(name: str, value: object) -> timedelta:
    """Require a timedelta."""
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(value).__name__}")
    # Not by its attributes, to which pendulum gives another meaning. The operator of the class itself returns a plain timedelta.
    return timedelta.__pos__(value)


def window(start: object, end: object) -> tuple[datetime | None, datetime | None]:
    """Require `start` and `end` to be aware datetimes in order, or `None`."""
    first = None if start is None else utc("start", start)
    last = None if end is None else utc("end", end)
    if first is not None and last is not None and first > last:
        raise ValueError(f"start must not be after end: {first.isoformat()} is after {last.isoformat()}")
    return first, last


def limit(value: object, name: str = "limit") -> int:
    """Require a whole number from 1 to 1000 (reference: `GET /cdrs`, limit)."""
    rows = _int(name, value)
    if not 1 <= rows <= MAX_LIMIT:
        raise ValueError(f"{name} must be from 1 to {MAX_LIMIT}{_but_is(rows)}")
    return rows


def number(name: str, value: object) -> str:
    """Require a phone number in E.164 form, in ASCII digits (reference: `POST /calls`)."""
    digits = text(name, value)
    if not _E164.fullmatch(digits):
        raise ValueError(
            f"{name} must be in E.164 form: + and 2 to 15 ASCII digits, the first not 0, for example +14155551234"
        )
    return digits


def agent_id(value: object) -> str:
    """Require the id of an AI agent: ASCII digits (reference: `POST /calls`)."""
    digits = text("ai_agent_id", value)
    if not _DIGITS.fullmatch(digits):
        raise ValueError("ai_agent_id must be ASCII digits, for example '27'")
    return digits


def event(value: object) -> str:
    """Require an event of the allow-list (reference: `POST /hooks`)."""
    name = text("event", value)
    if name not in models.EVENTS:
        raise ValueError(f"event must be one of {', '.join(models.EVENTS)}")
    return name


def target_url(value: object) -> str:
    """Require an https URL of at most 512 characters (reference: `POST /hooks`)."""
    url = text("target_url", value)
    if len(url) > MAX_TARGET_URL:
        raise ValueError(f"target_url must have at most {MAX_TARGET_URL} characters, not {len(url)}")
    if not url.startswith("https://"):
        raise ValueError("target_url must start with https://")
    if not url.isprintable() or " " in url:
        raise ValueError("target_url must not contain spaces or control characters")
    if not _parsed("target_url", url).host:
        raise ValueError("target_url must name a host")
    return url


def hook_id(value: object) -> str:
    """Require a UUID in its usual form (reference: `DELETE /hooks/{id}`)."""
    uuid = text("hook_id", value)
    if not _UUID.fullmatch(uuid):
        raise ValueError("hook_id must be a UUID, for example 8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31")
    return uuid


def token_problem(value: object, name: str = "token") -> Exception | None:
    """Return the error for a token that cannot stand in a header, or `None` if it can. The secret of a webhook has the same form.

    The caller raises the error after it has dropped the token from its variables, because a traceback may show them.
    """
    if not isinstance(value, str):
        return TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not _VISIBLE_ASCII.fullmatch(value):
        return ValueError(
            f"{name} must be visible ASCII without spaces; is it empty, or is there a line break at its end?"
        )
    return None


def seconds(name: str, value: object, *, or_zero: bool = False) -> float:
    """Require a finite number of seconds above 0, or also 0."""
    count = real(name, value)
    if not 0 <= count <= sys.float_info.max or (count == 0 and not or_zero):
        raise ValueError(f"{name} must be a finite number of seconds{', 0 or more' if or_zero else ' above 0'}")
    return float(count)


def real(name: str, value: object) -> int | float:
    """Require a number of seconds: an int or a float, which may be infinite."""
    if isinstance(value, float):
        return float.__float__(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    return int.__int__(value)


def is_plain_function(value: object) -> bool:
    """Return whether a value can be called, and is not a coroutine function, whose result nothing would await."""
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return callable(value) and not any(kind(each) for kind in kinds for each in (value, type(value).__call__))


def makes_generator(value: object) -> bool:
    """Return whether a call of a value makes a generator: nothing of it runs until something iterates over it."""
    kinds = (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    called = (value, type(value).__call__) if callable(value) else (value,)
    return any(kind(each) for kind in kinds for each in called)


def whole(name: str, value: object, *, at_least: int = 1) -> int:
    """Require a whole number of `at_least` or more."""
    count = _int(name, value)
    if count < at_least:
        raise ValueError(f"{name} must be {at_least} or more{_but_is(count)}")
    return count


def _int(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    return int.__int__(value)


def _but_is(count: int) -> str:
    """Return the end of a message about a number. A long number is left out: a phone number, or too many digits for `str`."""
    return f", not {count}" if abs(count) < 10**6 else ""


def tls(name: str, value: object) -> SSLContext:
    """Require the settings of TLS of a client."""
    if not isinstance(value, SSLContext):
        advice = "ssl.create_default_context(cafile=...) makes one that trusts a file of certificates"
        raise TypeError(f"{name} must be an ssl.SSLContext, not {type(value).__name__}: {advice}")
    if value.protocol is PROTOCOL_TLS_SERVER:
        raise ValueError(f"{name} must be made for a client, as by ssl.create_default_context(), not for a server")
    return value


def base_url(value: object, *, allow_plain_http: bool, name: str = "base_url") -> URL:
    """Require an http or https URL that paths can be put under. Plain http to another machine must be allowed."""
    if not isinstance(value, (str, URL)):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    given = value if isinstance(value, URL) else text(name, value)
    # The parser drops some of these characters, and keeps others: the requests would fail, and nobody would see why.
    if isinstance(given, str) and (not given.isprintable() or " " in given):
        raise ValueError(f"{name} must not contain spaces or control characters")
    url = _parsed(name, given)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{name} must be an absolute http or https URL, for example https://app.unlimcall.com/api/v1")
    if url.user is not None or url.password is not None:
        raise ValueError(f"{name} must not hold credentials")
    if url.raw_query_string or url.raw_fragment:
        raise ValueError(f"{name} must not have a query or a fragment")
    if url.scheme == "http" and not allow_plain_http and not is_loopback(url.host):
        raise ValueError(
            f"{name}: plain http would send the token to {url.host} for anyone to read; "
            "use https, or allow_plain_http=True"
        )
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


def method(value: object) -> str:
    """Require an HTTP method, in capitals."""
    name = text("method", value)
    if name not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(sorted(_METHODS))}")
    return name


def path(value: object) -> str:
    """Require a path without a query, which stays below the base URL."""
    route = text("path", value)
    if "://" in route or route.startswith("//"):
        raise ValueError("path must be a path below the base URL, for example /numbers, not an absolute URL")
    if not route.startswith("/"):
        raise ValueError("path must start with /")
    if "?" in route or "#" in route:
        raise ValueError("path must have no query or fragment; pass params instead")
    # Decoded, because a server may read an escaped `..` as one that is not escaped.
    decoded = unquote(route)
    if "\\" in decoded or not decoded.isprintable():
        raise ValueError("path must not contain backslashes or control characters")
    if any(segment in {".", ".."} for segment in decoded.split("/")):
        raise ValueError("path must not contain . or .. segments")
    return route


def params(value: object) -> dict[str, str]:
    """Require a mapping of names to texts or numbers. Return all values as texts."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"params must be a mapping, not {type(value).__name__}")
    taken = {}
    for name, item in value.items():
        if not isinstance(name, str) or not isinstance(item, (str, int, float)) or isinstance(item, bool):
            raise TypeError(f"params must map str to str, int or float, not {_kinds(name, item)}")
        try:
            taken[text("params", name)] = text("params", item) if isinstance(item, str) else str(real("params", item))
        except ValueError:  # Python writes no more than 4300 digits
            raise ValueError("params must not hold an int of thousands of digits") from None
    return taken


def headers(value: object) -> dict[str, str]:
    """Require a mapping of header names to values. A header that the client sets itself is refused."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"headers must be a mapping, not {type(value).__name__}")
    for pair in value.items():
        if not all(isinstance(each, str) for each in pair):
            raise TypeError(f"headers must map str to str, not {_kinds(*pair)}")
    taken = {text("headers", name): text("headers", item) for name, item in value.items()}
    for name, item in taken.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(item):
            raise ValueError("headers have a character that HTTP does not allow in a name or a value")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"headers must not hold {name}: the client sets it")
    return taken


def _kinds(name: object, item: object) -> str:
    """Return the types of a pair. The pair itself is not shown: it may hold what nobody else may see."""
    return f"{type(name).__name__} to {type(item).__name__}"


def encoded(name: str, value: object) -> bytes:
    """Require a value that JSON can hold. Return it as JSON.

    NaN and infinity are refused: they are not JSON, and the server could not read the body.
    """
    try:
        # With each character as itself. Escaped, half of a surrogate pair would be sent, and `_json` refuses such a text.
        return stdlib_json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} {_HALF_A_PAIR}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply to be written as JSON") from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} cannot be written as JSON: {error}") from None


def metadata(value: object) -> dict[str, Any]:
    """Require a mapping with text keys (reference: `POST /calls`, metadata)."""
    if not isinstance(value, Mapping):
        raise TypeError(f"metadata must be a mapping, not {type(value).__name__}")
    if not all(isinstance(key, str) for key in value):
        raise TypeError("metadata must have str keys")
    return {text("metadata", key): item for key, item in value.items()}


def _parsed(name: str, value: str | URL) -> URL:
    try:
        url = url_of(value)
        # The parser accepts a host name that no resolver can take; the encoding does not.
        (url.host or "").encode("idna")
    except ValueError:
        # The parser's own message may quote the URL, and with it credentials.
        raise ValueError(f"{name} is not a valid URL") from None
    return url


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by its name or its address alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
