"""The saved state of a pool: JSON that another process can load. Pure: no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from unlimcall_async import _arguments, _json
from unlimcall_async.operations import _checks
from unlimcall_async.operations.caller_ids import FOREVER, CallerId, Entry, PoolStateError

VERSION: Final = 1
_KIND: Final = "caller_ids"
_FOREVER: Final = "forever"
_FIELDS: Final = ("number", "country", "campaign", "turn", "burned_until")

T = TypeVar("T")


def dump(entries: Iterable[Entry]) -> str:
    """Return the entries of a pool as JSON. The text holds phone numbers."""
    rows = []
    for entry in entries:
        until = entry.burned_until
        rows.append(
            {
                "number": entry.caller_id.number,
                "country": entry.caller_id.country,
                "campaign": entry.caller_id.campaign,
                "turn": entry.turn,
                "burned_until": None if until is None else _FOREVER if until == FOREVER else until.isoformat(),
            }
        )
    return json.dumps({"version": VERSION, "kind": _KIND, "numbers": rows}, indent=1)


def load(text: str | bytes) -> list[Entry]:
    """Return the entries in a text that `dump` made.

    Raises:
        PoolStateError: The text is not the state of a pool, or is damaged.
    """
    try:
        content = _json.read(text)
    except _json.JsonError:
        raise PoolStateError("the top", "it is not JSON") from None
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise PoolStateError("kind", f"expected {_KIND!r}")
    # By type, because `True` and `1.0` are equal to 1.
    if type(content.get("version")) is not int or content["version"] != VERSION:
        raise PoolStateError("version", f"this release knows {VERSION} only")
    rows = content.get("numbers")
    if not isinstance(rows, list):
        raise PoolStateError("numbers", "expected a list")
    entries: dict[str, Entry] = {}
    for index, row in enumerate(rows):
        entry = _entry(f"numbers[{index}]", row)
        if entry.caller_id.number in entries:
            raise PoolStateError(f"numbers[{index}].number", "it is there twice")
        entries[entry.caller_id.number] = entry
    # Only the order of the turns counts. They are counted anew, so that none has too many digits for `dump`.
    turns = {turn: place for place, turn in enumerate(sorted({0, *(entry.turn for entry in entries.values())}))}
    for entry in entries.values():
        entry.turn = turns[entry.turn]
    return list(entries.values())


def _entry(where: str, row: Any) -> Entry:
    if not isinstance(row, dict):
        raise PoolStateError(where, "expected an object")
    if row.keys() != set(_FIELDS):
        raise PoolStateError(where, f"expected the fields {', '.join(_FIELDS)}, and no other")

    def checked(name: str, check: Callable[[object], T]) -> T:
        try:
            return check(row[name])
        except (ValueError, TypeError) as error:
            raise PoolStateError(f"{where}.{name}", str(error)) from None

    number = checked("number", partial(_arguments.number, "number"))
    country, campaign = checked("country", _checks.country), checked("campaign", _checks.campaign)
    if type(row["turn"]) is not int or row["turn"] < 0:
        raise PoolStateError(f"{where}.turn", "expected a whole number, 0 or above")
    return Entry(CallerId(number, country, campaign), row["turn"], checked("burned_until", _burn))


def _burn(value: object) -> datetime | None:
    if value is None:
        return None
    written = _arguments.text("burned_until", value)
    if written == _FOREVER:
        return FOREVER
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"burned_until must be {_FOREVER!r} or a time in ISO form") from None
    return _arguments.utc("burned_until", read)
