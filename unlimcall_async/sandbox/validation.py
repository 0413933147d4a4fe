"""Reading what a request carries, as strictly as the reference words it.  No I/O.

Whatever is not readable raises `RefusedError` with the documented code.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from attrs import frozen

from unlimcall_async.sandbox.answers import RefusedError
from unlimcall_async.sandbox.calls import epoch_ms
from unlimcall_async.sandbox.events import EVENTS
from unlimcall_async.sandbox.targets import is_target

__all__ = ["CallRequest", "CdrQuery", "HookRequest", "call_request", "cdr_query", "hook_id", "hook_request"]

MAX_LIMIT = 1000

_DAY_MS = 24 * 60 * 60 * 1000

# A bare date and a time without offset are taken as UTC: JavaScript servers, which the API's camelCase suggests, read a
# bare date as UTC and a time without offset as the server's local time, on most servers the same.
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMERIC = re.compile(r"[0-9]+")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@frozen
class CdrQuery:
    """The query of `GET /cdrs`: bounds in milliseconds since 1970 UTC, and the number of rows wanted."""

    from_ms: int
    till_ms: int
    limit: int


@frozen
class CallRequest:
    """The body of `POST /calls`."""

    ai_agent_id: str
    to_number: str
    from_number: str | None
    metadata: Mapping[str, Any] | None


@frozen
class HookRequest:
    """The body of `POST /hooks`."""

    event: str
    target_url: str


def cdr_query(query: Mapping[str, str], now: datetime) -> CdrQuery:
    """Read the query of `GET /cdrs` as it stands at `now`."""
    now_ms = epoch_ms(now)
    # "Default: 24h ago" is read literally: before now, not before `till`.
    from_ms = _timestamp(query, "from", default=now_ms - _DAY_MS)
    till_ms = _timestamp(query, "till", default=now_ms)
    if till_ms <= from_ms:
        raise RefusedError("till_must_be_after_from", "`till` must be after `from`.")
    if till_ms - from_ms > 31 * _DAY_MS:
        raise RefusedError("window_too_wide", "The window exceeds 31 days.")
    return CdrQuery(from_ms, till_ms, _limit(query))


def _timestamp(query: Mapping[str, str], name: str, *, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    moment = _parsed(text)
    if moment is None:
        raise RefusedError("invalid_timestamp", f"`{name}` is not an ISO timestamp.")
    return epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _parsed(text: str) -> datetime | None:
    # Python reads more than RFC 3339 has, as week dates; the pattern keeps those out.
    if not _TIMESTAMP.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _limit(query: Mapping[str, str]) -> int:
    """Read `limit`: "Default 100, max 1000".

    The reference does not say what happens to a `limit` above the maximum or to one that is no positive integer; here
    the one is lowered to the maximum and the other is refused.
    """
    text = query.get("limit", "100")
    if not _INTEGER.fullmatch(text) or int(text) < 1:
        _invalid("`limit` must be a positive integer.")
    return min(int(text), MAX_LIMIT)


def call_request(body: bytes) -> CallRequest:
    """Read the body of `POST /calls`."""
    fields = _json_object(body)
    metadata = fields.get("metadata")
    if "metadata" in fields and not isinstance(metadata, dict):
        _invalid("`metadata` must be an object.")
    return CallRequest(
        ai_agent_id=_text(fields, "aiAgentId", _NUMERIC, "a numeric string"),
        to_number=_text(fields, "toNumber", _E164, "a number in E.164 form"),
        # Optional, but not nullable: the reference's type is a string.
        from_number=_text(fields, "fromNumber", _E164, "a number in E.164 form") if "fromNumber" in fields else None,
        metadata=metadata,
    )


def hook_request(body: bytes) -> HookRequest:
    """Read the body of `POST /hooks`."""
    fields = _json_object(body)
    event, target_url = fields.get("event"), fields.get("target_url")
    if event not in EVENTS:
        _invalid(f"`event` must be one of {', '.join(EVENTS)}.")
    if not isinstance(target_url, str) or not is_target(target_url):
        _invalid("`target_url` must be an https URL of at most 512 characters.")
    return HookRequest(str(event), target_url)


def hook_id(text: str) -> str:
    """Read the id of `DELETE /hooks/{id}`; any version of UUID is a UUID."""
    if not _UUID.fullmatch(text):
        _invalid("`id` is not a UUID.")
    return text.lower()


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode(), parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise RefusedError("invalid_input", "The body is not JSON.") from None
    if not isinstance(value, dict):
        _invalid("The body must be a JSON object.")
    return value


def _not_json(constant: str) -> NoReturn:
    # Python's parser takes NaN and Infinity, which JSON does not have.
    raise ValueError(constant)


def _text(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str], meaning: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        _invalid(f"`{name}` must be {meaning}.")
    return value


def _invalid(detail: str) -> NoReturn:
    raise RefusedError("invalid_input", detail)
