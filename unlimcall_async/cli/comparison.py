"""Whether what was pulled is what the store holds. No I/O.

It judges the client, so it takes nothing from it but the records: neither its order nor how it tells records apart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
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


class Check:
    """Compares the records with the store as they come: every field of each, and the order by start and id.

    Rows that share both have no order among themselves, and are compared as multisets. Of what was pulled, only what is wrong is
    kept.
    """

    def __init__(self, store: Iterable[SandboxCall], *, newest_first: bool) -> None:
        # How often each row is still to come. A row that has come stays, with a zero: so that it is known if it comes again.
        self._left = Counter(map(_row, store))
        self._compared = self._left.total()
        self._newest_first = newest_first
        self._surplus: list[_Row] = []
        self._misplaced: list[_Row] = []
        self._before: _Row | None = None

    def add(self, records: Iterable[CallRecord]) -> None:
        """Take the records that were pulled next."""
        for record in records:
            row = _row(record)
            if self._left[row]:
                self._left[row] -= 1
            else:
                self._surplus.append(row)
            if self._before is not None and self._is_misplaced(self._before, row):
                self._misplaced.append(row)
            self._before = row

    def _is_misplaced(self, before: _Row, row: _Row) -> bool:
        return _key(before) < _key(row) if self._newest_first else _key(before) > _key(row)

    def result(self) -> Comparison:
        """Say how it went, once everything has come."""
        found = _differences(self._surplus, self._left)
        found["out of order"] = [(row, "out of order") for row in self._misplaced]
        every = [difference for kind in found.values() for difference in kind]
        first = min(every, key=lambda difference: _key(difference[0]), default=None)
        return Comparison(
            compared=self._compared,
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


def _differences(surplus: Iterable[_Row], left: Counter[_Row]) -> dict[str, list[tuple[_Row, str]]]:
    """Sort by kind what came and should not have, and what is left, each row with a description."""
    found: dict[str, list[tuple[_Row, str]]] = {"missing": [], "doubled": [], "altered": [], "foreign": []}
    lost: dict[_Row, list[_Row]] = {}
    for row in left.elements():
        lost.setdefault(_key(row), []).append(row)
    for row in surplus:
        if row in left:
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
