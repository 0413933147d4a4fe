"""Compares the records that the demo pulled with the sandbox's store. No I/O.

The comparison judges the client. So it takes nothing from the client but the records: neither the client's order of records nor its
rule for telling records apart.
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
    """How the pulled records differ from the store.

    Attributes:
        compared: The number of records in the store.
        missing: Records of the store that were not pulled.
        doubled: Records that were pulled more often than the store holds them.
        altered: Records with a field that differs.
        foreign: Records that the store does not hold.
        misplaced: Records on the wrong side of the record before.
        first: The earliest difference, without phone numbers; empty if the records are equal.
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
        """Whether every record of the store was pulled once, in order and unaltered."""
        return not (self.missing or self.doubled or self.altered or self.foreign or self.misplaced)


class Check:
    """Compares the records with the store while they are pulled: every field, and the order by start and id.

    Rows with the same start and id have no order among themselves, and are compared as multisets. Of the pulled records, only those
    that differ are kept.
    """

    def __init__(self, store: Iterable[SandboxCall], *, newest_first: bool) -> None:
        # How often each row is still to come. A row that has come stays with a zero, so that a second one is known as doubled.
        self._left = Counter(map(_row, store))
        self._compared = self._left.total()
        self._newest_first = newest_first
        self._surplus: list[_Row] = []
        self._misplaced: list[_Row] = []
        self._before: _Row | None = None

    def add(self, records: Iterable[CallRecord]) -> None:
        """Compare the records that were pulled next."""
        for record in records:
            row = _row(record)
            if self._left[row]:
                self._left[row] -= 1
            else:
                self._surplus.append(row)
            if self._before is not None:
                first, second = (row, self._before) if self._newest_first else (self._before, row)
                if _key(first) > _key(second):
                    self._misplaced.append(row)
            self._before = row

    def result(self) -> Comparison:
        """Return how the records differ, once all have been added."""
        # Each difference is a row with its description.
        missing, doubled, altered, foreign = self._sorted_by_kind()
        misplaced = [(row, "out of order") for row in self._misplaced]
        every = [*missing, *doubled, *altered, *foreign, *misplaced]
        first = min(every, key=lambda difference: _key(difference[0]), default=None)
        return Comparison(
            compared=self._compared,
            missing=len(missing),
            doubled=len(doubled),
            altered=len(altered),
            foreign=len(foreign),
            misplaced=len(misplaced),
            first="" if first is None else f"{first[0][0].isoformat()}, id {first[0][1]}: {first[1]}",
        )

    def _sorted_by_kind(self) -> tuple[list[tuple[_Row, str]], ...]:
        """Return the missing, doubled, altered and foreign rows."""
        lost: dict[_Row, list[_Row]] = {}
        for row in self._left.elements():
            lost.setdefault(_key(row), []).append(row)
        doubled, altered, foreign = [], [], []
        for row in self._surplus:
            if row in self._left:
                doubled.append((row, "doubled"))
            # A row that was not pulled has the same start and id: one row, with other values. Only the fields are named, because
            # their values may be phone numbers.
            elif originals := lost.get(_key(row)):
                pairs = zip((*FIELDS, "extra"), row, originals.pop(), strict=True)
                names = [name for name, new, old in pairs if new != old]
                altered.append((row, f"altered in {', '.join(names)}"))
            else:
                foreign.append((row, "not in the store"))
        missing = [(row, "missing") for rows in lost.values() for row in rows]
        return missing, doubled, altered, foreign


def _row(call: CallRecord | SandboxCall) -> _Row:
    extra = json.dumps(dict(call.extra), sort_keys=True, default=str) if call.extra else ""
    return (*_values(call), extra)


def _key(row: _Row) -> _Row:
    return row[:2]
