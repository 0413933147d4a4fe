"""A world of call records that appear, change and vanish, and a mirror of it that is kept by what a follow hands out.

The mirror knows what the API held when the follow asked. It refuses a change that the API does not justify: a record that is handed
out as new although as many were, a revision to what was handed out last, a removal of what is there.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from attrs import define, evolve, field, frozen

from tests.cdrs.hostile import check
from tests.cdrs.raw_server import RawRow
from unlimcall_async import CallRecord, to_dict
from unlimcall_async.cdrs.changes import CdrChange
from unlimcall_async.cdrs.times import to_datetime, to_micros

Name = tuple[int, str]
# What may change of a record; the names are those of the API and of `CallRecord`.
_FIELDS: Final[dict[str, tuple[str, list[Any]]]] = {
    "sell_price_cents": ("sellPriceCents", [None, 0, 7, -1, -2]),
    "disposition": ("disposition", [None, "ANSWERED", "BUSY"]),
    "billsec": ("billsec", [0, 30, 31]),
    "country": ("country", ["DE", "AT"]),
    "src": ("src", [None, "+4930", "+4931"]),
    "extra": ("", [{}, {"note": 1}, {"note": True}, {"note": {"b": 1, "a": [2]}}]),
}

# With more calls, more are removed than are added.
_MANY: Final = 300


def contents(record: CallRecord) -> str:
    """Return what tells a record from one with other contents. To Python, 1 and true are equal."""
    return json.dumps(to_dict(record), sort_keys=True)


@define(eq=False)
class Call:
    """A row of the API."""

    record: CallRecord
    readable: bool = True

    @property
    def name(self) -> Name:
        return to_micros(self.record.start_time), self.record.id

    def row(self) -> RawRow:
        """Return the row as the API shows it."""
        values: dict[str, Any] = {
            "id": self.record.id,
            "startTime": self.record.start_time.isoformat(),
            "duration": self.record.duration,
            "dst": self.record.dst,
            **{shown: getattr(self.record, name) for name, (shown, _) in _FIELDS.items() if shown},
            **self.record.extra,
        }
        if not self.readable:
            values["billsec"] = "thirty"
        return RawRow(self.record.start_time, json.dumps(values).encode())


@define
class World:
    """The calls that the API holds, and ways to change them.

    Attributes:
        chance: Where choices come from.
        new_start: Returns the start of a new call, in whole milliseconds.
        calls: The calls.
        done: How many changes of each kind were made.
    """

    chance: random.Random
    new_start: Callable[[], int]
    calls: list[Call] = field(factory=list)
    _number: int = 0

    def change(self) -> None:
        """Make a change."""
        ways = [
            self._add,
            self._add,
            self._add_leg,
            *[self._revise] * 5,
            self._rename,
            self._move,
            self._spoil,
            self._mend,
        ]
        self.chance.choice([*ways, *[self._remove] * (5 if len(self.calls) > _MANY else 1)])()

    def _add(self) -> None:
        self._number += 1
        record = CallRecord(f"{self._number}", self._free_start(), 30, 30)
        self.calls.append(Call(record, readable=self.chance.random() > 0.02))

    def _free_start(self) -> Any:
        taken = {call.name[0] for call in self.calls}
        while (start := self.new_start()) in taken:
            pass
        return to_datetime(start)

    def _add_leg(self) -> None:
        if (call := self._one()) is not None:
            dst = self.chance.choice((call.record.dst, "0", "1", "2"))
            self.calls.append(Call(evolve(call.record, dst=dst)))

    def _revise(self) -> None:
        if (call := self._one()) is not None:
            name = self.chance.choice([*_FIELDS])
            call.record = evolve(call.record, **{name: self.chance.choice(_FIELDS[name][1])})

    def _remove(self) -> None:
        if self.calls:
            self.calls.remove(self.chance.choice(self.calls))

    def _rename(self) -> None:
        if (call := self._one()) is not None:
            self._number += 1
            call.record = evolve(call.record, id=f"{self._number}")

    def _move(self) -> None:
        if (call := self._one()) is not None:
            call.record = evolve(call.record, start_time=self._free_start())

    def _spoil(self) -> None:
        """Have a row that is no leg become unreadable."""
        if (call := self._one()) is not None and sum(each.name[0] == call.name[0] for each in self.calls) == 1:
            call.readable = False

    def _mend(self) -> None:
        for call in self.calls:
            if not call.readable:
                call.readable = True
                return

    def _one(self) -> Call | None:
        readable = [call for call in self.calls if call.readable]
        return self.chance.choice(readable) if readable else None

    def held(self) -> Held:
        """Return what the API holds now."""
        records = dict[Name, list[str]]()
        for call in self.calls:
            if call.readable:
                records.setdefault(call.name, []).append(contents(call.record))
        return Held(records, {call.name[0] for call in self.calls if not call.readable})


@frozen
class Held:
    """What the API held at some time.

    Attributes:
        records: The contents of the records, by start and id.
        doubtful: The starts of rows that cannot be read.
    """

    records: dict[Name, list[str]]
    doubtful: set[int]


@define
class Mirror:
    """What a reader has of the API's records, by the changes that it was handed.

    Attributes:
        records: The contents of the records, by start and id.
        counts: How many changes of each kind came.
    """

    records: dict[Name, list[str]] = field(factory=dict)
    counts: Counter[str] = field(factory=Counter)

    def copy(self) -> Mirror:
        """Return a copy, to go on from after a crash."""
        return Mirror({name: [*records] for name, records in self.records.items()}, self.counts.copy())

    def add(self, record: CallRecord) -> None:
        """Apply an addition that another view has handed out, which passes the other changes over."""
        name = to_micros(record.start_time), record.id
        self.records.setdefault(name, []).append(contents(record))

    def apply(self, change: CdrChange, held: Held) -> None:
        """Apply a change, if what the API holds justifies it."""
        name = to_micros(change.key.start_time), change.key.id
        mine, theirs = self.records.setdefault(name, []), held.records.get(name, [])
        self.counts[change.kind] += 1
        if change.kind == "added":
            check(len(mine) < len(theirs), f"{name} came as a new call, and was handed out before")
        else:
            surplus = len(mine) - len(theirs)
            is_gone = surplus > 0 and name[0] not in held.doubtful
            check(is_gone or change.kind == "revised", f"{name} came as removed, and is there")
            outdated = [each for each in mine if mine.count(each) > theirs.count(each)]
            check(outdated, f"{name} came as {change.kind}, and had not changed")
            mine.remove(outdated[0])
        if change.record is not None:
            check(contents(change.record) in theirs, f"{name} came as the API does not hold it")
            mine.append(contents(change.record))
        if not mine:
            del self.records[name]

    def compare(self, held: Held, asked: Callable[[int], bool] = lambda _: True) -> None:
        """Check that the mirror has what the API holds of the time that was asked, but for rows that cannot be read."""
        for name in self.records.keys() | held.records.keys():
            mine, theirs = sorted(self.records.get(name, [])), sorted(held.records.get(name, []))
            if asked(name[0]) and (theirs or name[0] not in held.doubtful):
                check(mine == theirs, f"{name} is {mine} in the mirror, and {theirs} in the API")
