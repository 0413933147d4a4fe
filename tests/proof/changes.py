"""Records, and one change of them at a time: what a verification must name."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import frozen
from msgspec.structs import replace

from tests.cdrs.raw_server import RawRow
from tests.proof import second_digest
from unlimcall_async import CallRecord
from unlimcall_async.proof import DayDigest, Difference

Kind: TypeAlias = Literal["deleted", "altered", "doubled", "moved"]
KINDS: Final = get_args(Kind)
BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_WIRE_NAMES: Final = (
    *("id", "startTime", "duration", "billsec", "src", "dst", "disposition", "sipUsername"),
    *("sellPriceCents", "currency", "country", "did"),
)


def some_records(chance: random.Random, count: int, days: int) -> list[CallRecord]:
    """Return records, the oldest first. Some share start and id, some are equal, some have other fields or start at midnight."""
    starts = sorted(chance.randrange(days * 86_400_000) for _ in range(count))
    records = list[CallRecord]()
    for number, start in enumerate(starts):
        at = BEGIN + start * _MILLISECOND
        kind = chance.random()
        if kind < 0.002:
            at = datetime(at.year, at.month, at.day, tzinfo=UTC)
        elif kind < 0.02 and records:
            leg = records[-1]
            records.append(leg if kind < 0.005 else replace(leg, duration=leg.duration + number % 3))
            continue
        extra: dict[str, Any] = {"leg": number % 2} if kind > 0.97 else {}
        talked = int(chance.expovariate(1 / 60))
        price = None if not talked else talked // 6
        records.append(
            CallRecord(
                f"{number}",
                at,
                talked + 9,
                talked,
                "+14155550100",
                f"+44{chance.randrange(10**10):010}",
                "ANSWERED" if talked else "NO ANSWER",
                "unl_001",
                price,
                "USD",
                "United Kingdom",
                extra=extra,
            )
        )
    return sorted(records, key=lambda record: record.start_time)


def row_of(record: CallRecord) -> RawRow:
    """Return the row with which a server sends a record."""
    fields = [getattr(record, name) for name in CallRecord.__struct_fields__[:12]]
    fields[1] = second_digest.time(record.start_time)
    members = [*zip(_WIRE_NAMES, fields, strict=True), *record.extra.items()]
    text = ",".join(f"{second_digest.string(name)}:{second_digest.json(value)}" for name, value in members)
    return RawRow(record.start_time, f"{{{text}}}".encode())


@frozen
class Change:
    """What happens to one record of a server: which rows go, and which come."""

    kind: Kind
    what: str
    gone: tuple[CallRecord, ...] = ()
    came: tuple[CallRecord, ...] = ()

    @property
    def days(self) -> list[date]:
        return sorted({record.start_time.date() for record in (*self.gone, *self.came)})

    def is_named_by(self, differences: Sequence[Difference], *, with_records: bool) -> bool:
        """Return whether the differences are those of this change, and no others."""
        named = defaultdict[date, list[list[Any]]](lambda: [[], [], []])
        revised = len(self.gone) == len(self.came) == 1 and _key(self.gone[0]) == _key(self.came[0])
        if revised:
            named[self.days[0]][2].append((self.gone[0], self.came[0]))
        else:
            for place, records in enumerate((self.gone, self.came)):
                for record in records:
                    named[record.start_time.date()][place].append(record)
        if [difference.day for difference in differences] != self.days:
            return False
        return all(
            self._is_sum(difference)
            and (
                not with_records
                or _texts(difference.missing, difference.added, difference.revised) == _texts(*named[difference.day])
            )
            for difference in differences
        )

    def _is_sum(self, difference: Difference) -> bool:
        gone, came = (
            DayDigest.of([record for record in records if record.start_time.date() == difference.day])
            for records in (self.gone, self.came)
        )
        return difference.expected - gone + came == difference.found


def _key(record: CallRecord) -> tuple[datetime, str]:
    return record.start_time, record.id


def _texts(*some: Sequence[CallRecord | tuple[CallRecord, CallRecord]]) -> list[list[list[bytes]]]:
    # Not by equality, to which 1, 1.0 and True are one value, and not as Python writes them: 0.0 and 0E0 are one value.
    pairs = [[[each] if isinstance(each, CallRecord) else [*each] for each in records] for records in some]
    return [[[*map(second_digest.canonical, pair)] for pair in records] for records in pairs]


def change_of(chance: random.Random, record: CallRecord, start: datetime, end: datetime) -> Change:
    """Return a change of a record of `[start, end)`, which has a midnight in it."""
    kind: Kind = chance.choice(KINDS)
    match kind:
        case "deleted":
            return Change(kind, "", gone=(record,))
        case "doubled":
            return Change(kind, "", came=(record,))
        case "moved":
            moved = replace(record, start_time=_beyond_midnight(chance, record.start_time, start, end))
            return Change(kind, "", (record,), (moved,))
        case "altered":
            name = chance.choice(CallRecord.__struct_fields__)
            value = getattr(record, name)
            other = 7 if (name, value) == ("sell_price_cents", None) else _other(chance, value)
            altered = replace(record, **{name: other})
            return Change(kind, name, (record,), (altered,))


def _beyond_midnight(chance: random.Random, at: datetime, start: datetime, end: datetime) -> datetime:
    midnight = datetime(at.year, at.month, at.day, tzinfo=UTC)
    before, behind = midnight - _MILLISECOND, midnight + DAY
    if chance.random() < 0.5:
        before, behind = at - DAY, at + DAY
    places = [place for place in (before, behind) if start <= place < end]
    return chance.choice(
        places or [place for place in (midnight - _MILLISECOND, midnight + DAY) if start <= place < end]
    )


def _other(chance: random.Random, value: Any) -> Any:
    """Return another value of the same field, on the same day."""
    match value:
        case datetime():
            later = value + timedelta(microseconds=chance.choice([1, 1000]))
            return later if later.date() == value.date() else value - timedelta(microseconds=1)
        case int():
            return value + chance.choice([-1, 1])
        case str():
            return value + chance.choice(["x", " ", "\0", "é"])
        case None:
            return ""
        case _:
            old = value.get("leg", 0)
            return chance.choice([{"leg": Decimal(f"{old}.0")}, {"leg": bool(old)}, {"leg": old, "new": None}])
