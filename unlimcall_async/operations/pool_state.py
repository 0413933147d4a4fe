"""The state of a pool, as JSON that another process can go on from. Pure: no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, TypeVar

from unlimcall_async.operations import _arguments
from unlimcall_async.operations.caller_ids import FOREVER, CallerId, Entry, PoolStateError

VERSION: Final = 1
_KIND: Final = "caller_ids"
_FOREVER: Final = "forever"
_FIELDS: Final = ("number", "country", "campaign", "turn", "burned_until")

T = TypeVar("T")


def dump(entries: Iterable[Entry]) -> str:
    """Write the entries of a pool. The text holds phone numbers."""
    return json.dumps({"version": VERSION, "kind": _KIND, "numbers": [_row(entry) for entry in entries]}, indent=1)


def _row(entry: Entry) -> dict[str, Any]:
    until = entry.burned_until
    return {
        "number": entry.caller_id.number,
        "country": entry.caller_id.country,
        "campaign": entry.caller_id.campaign,
        "turn": entry.turn,
        "burned_until": None if until is None else _FOREVER if until == FOREVER else until.isoformat(),
    }


def load(text: str | bytes) -> list[Entry]:
    """Read what `dump` wrote.

    Raises:
        PoolStateError: It is something else, or damaged; it says where.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise PoolStateError("the top", "it is not JSON") from None
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise PoolStateError("kind", f"expected {_KIND!r}")
    if type(content.get("version")) is not int or content["version"] != VERSION:
        raise PoolStateError("version", f"this release knows {VERSION} only")
    rows = content.get("numbers")
    if not isinstance(rows, list):
        raise PoolStateError("numbers", "expected a list")
    entries = [_entry(f"numbers[{index}]", row) for index, row in enumerate(rows)]
    _check_once(entries)
    return entries


def _entry(where: str, row: Any) -> Entry:
    if not isinstance(row, dict):
        raise PoolStateError(where, "expected an object")
    if row.keys() != set(_FIELDS):
        raise PoolStateError(where, f"expected the fields {', '.join(_FIELDS)}, and no other")
    number = _checked(f"{where}.number", _arguments.number, row["number"])
    country = _checked(f"{where}.country", _arguments.country, row["country"])
    campaign = _checked(f"{where}.campaign", _arguments.campaign, row["campaign"])
    turn = row["turn"]
    if type(turn) is not int or turn < 0:
        raise PoolStateError(f"{where}.turn", "expected a whole number, 0 or above")
    until = None if row["burned_until"] is None else _checked(f"{where}.burned_until", _burn, row["burned_until"])
    return Entry(CallerId(number, country, campaign), turn, until)


def _checked(where: str, check: Callable[[str, object], T], value: object) -> T:
    try:
        return check("it", value)
    except (ValueError, TypeError) as error:
        raise PoolStateError(where, str(error)) from None


def _burn(name: str, value: object) -> datetime:
    written = _arguments.text(name, value)
    if written == _FOREVER:
        return FOREVER
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{name} must be {_FOREVER!r} or a time in ISO form") from None
    return _arguments.moment(name, read)


def _check_once(entries: Iterable[Entry]) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.caller_id.number in seen:
            raise PoolStateError(f"numbers[{index}].number", "it is there twice")
        seen.add(entry.caller_id.number)
