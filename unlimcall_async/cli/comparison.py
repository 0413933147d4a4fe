"""Whether what was pulled is what the store holds. No I/O.

It judges the client, so it takes nothing from it but the records: neither its order nor how it tells records apart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final, TypeAlias

import attrs

from unlimcall_async import CallRecord
from unlimcall_async.sandbox import SandboxCall

# The sort key goes first, so that rows with one start and one id are neighbours.
FIELDS: Final = (
    "start_time",
    "id",
    *(name for name in attrs.fields_dict(CallRecord) if name not in {"start_time", "id", "extra"}),
)

_Row: TypeAlias = tuple[Any, ...]
_values = attrgetter(*FIELDS)


@attrs.frozen
class Comparison:
    """How far the pulled records differ from the store.

    Attributes:
        compared: The records in the store.
        missing: Records of the store that were not pulled.
        doubled: Records that were pulled more often than the store holds them.
        altered: Records of which a field differs.
        foreign: Records that the store does not know.
        misplaced: Records that stand on the wrong side of the one before.
        first: The earliest difference, without phone numbers; empty where there is none.
    """

    compared: int
    missing: int
    doubled: int
    altered: int
    foreign: int
    misplaced: int
    first: str

    @property
    def same(self) -> bool:
        """Whether every record is there, once, in order, as it was."""
        return not (self.missing or self.doubled or self.altered or self.foreign or self.misplaced)


def compare(pulled: Sequence[CallRecord], store: Iterable[SandboxCall], *, newest_first: bool) -> Comparison:
    """Compare every field of every record, and the order by start and id.

    Rows that share both have no order among themselves, and are compared as multisets.
    """
    got = [_row(record) for record in pulled]
    wanted = sorted((_row(call) for call in store), key=_key)
    found: dict[str, list[tuple[_Row, str]]] = _differences(Counter(got), Counter(wanted))
    found["out of order"] = [(row, "out of order") for row in _misplaced(got, newest_first=newest_first)]
    every = [difference for kind in found.values() for difference in kind]
    first = min(every, key=lambda difference: _key(difference[0]), default=None)
    return Comparison(
        compared=len(wanted),
        missing=len(found["missing"]),
        doubled=len(found["doubled"]),
        altered=len(found["altered"]),
        foreign=len(found["foreign"]),
        misplaced=len(found["out of order"]),
        first="" if first is None else f"{first[0][0].isoformat()}, id {first[0][1]}: {first[1]}",
    )


def _row(call: CallRecord | SandboxCall) -> _Row:
    extra = json.dumps(dict(call.extra), sort_keys=True, default=str) if call.extra else ""
    return (*_values(call), extra)


def _key(row: _Row) -> _Row:
    return row[:2]


def _misplaced(rows: Iterable[_Row], *, newest_first: bool) -> list[_Row]:
    if newest_first:
        return [row for before, row in pairwise(rows) if _key(before) < _key(row)]
    return [row for before, row in pairwise(rows) if _key(before) > _key(row)]


def _differences(got: Counter[_Row], wanted: Counter[_Row]) -> dict[str, list[tuple[_Row, str]]]:
    """Sort what one side has and the other has not by kind, each row with a description."""
    found: dict[str, list[tuple[_Row, str]]] = {"missing": [], "doubled": [], "altered": [], "foreign": []}
    lost: dict[_Row, list[_Row]] = {}
    for row in (wanted - got).elements():
        lost.setdefault(_key(row), []).append(row)
    for row in (got - wanted).elements():
        if row in wanted:
            found["doubled"].append((row, "doubled"))
        elif originals := lost.get(_key(row)):
            found["altered"].append((row, _altered(row, originals.pop())))
        else:
            found["foreign"].append((row, "not in the store"))
    found["missing"] = [(row, "missing") for rows in lost.values() for row in rows]
    return found


def _altered(row: _Row, original: _Row) -> str:
    """Name the fields that differ. Their values may be phone numbers."""
    names = [name for name, new, old in zip((*FIELDS, "extra"), row, original, strict=True) if new != old]
    return f"altered in {', '.join(names)}"
