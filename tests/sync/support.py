"""A server whose rows come late, change and go, and what must be in a table then."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from attrs import define, evolve

from tests.cdrs.raw_server import RawRow, RawServer, row_text
from tests.sync.places import Place
from unlimcall_async import CallRecord
from unlimcall_async.proof import DayDigest, Manifest
from unlimcall_async.sync import Address, Change, ManifestDestination, ManifestEntry, Row, read_manifest

DAY = timedelta(days=1)
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
ACCOUNT = "cus_1"


class Killed(BaseException):
    """The process was killed here, as far as the sync can tell."""


@define
class Mortal:
    """A destination whose process dies at a step: before it, or behind it.

    Attributes:
        inner: The destination.
        steps: How many steps are left; `None` for a long life.
        behind: Whether the last step still takes effect.
    """

    inner: ManifestDestination
    steps: int | None = None
    behind: bool = False
    writes: int = 0

    @property
    def name(self) -> str:
        return self.inner.name

    def unfit(self, rows: Sequence[Row]) -> Sequence[tuple[int, str, str]]:
        return self.inner.unfit(rows)

    async def entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        return await self.inner.entries(start, end)

    async def open(self, account: str) -> str | None:
        return await self.inner.open(account)

    async def rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        self._live(behind=False)
        found = await self.inner.rows(start, end, most)
        self._live(behind=True)
        return found

    async def write(self, change: Change[Address], state: str | None) -> None:
        self._live(behind=False)
        await self.inner.write(change, state)
        self.writes += 1
        self._live(behind=True)

    async def close(self) -> None:
        await self.inner.close()

    def _live(self, *, behind: bool) -> None:
        if self.steps is None or behind != self.behind:
            return
        if self.steps == 0:
            raise Killed
        self.steps -= 1


def call(start: datetime, call_id: str, cents: int | None = None, **texts: str) -> RawRow:
    """A row with a price."""
    return RawRow(start, row_text(start, call_id, **({} if cents is None else {"sellPriceCents": f"{cents}"}), **texts))


def held_by(server: RawServer, start: datetime, end: datetime) -> Counter[Row]:
    """The rows that a table must hold of a range: those that can be read."""
    return Counter(row for raw in server.rows if start <= raw.start < end if (row := as_row(raw)) is not None)


def digests_of(rows: Counter[Row]) -> dict[date, DayDigest]:
    """The digest of each day of a table's rows, made without the sync's own way from rows to records."""
    days = defaultdict[date, list[CallRecord]](list)
    for row in rows.elements():
        record = CallRecord(*row[:-1], *([json.loads(row[-1], parse_float=Decimal)] if row[-1] else []))
        days[record.start_time.date()].append(record)
    return {day: DayDigest.of(records) for day, records in days.items()}


async def checked_manifest(place: Place, account: str = ACCOUNT) -> Manifest:
    """The manifest of a table, once it was compared with the rows that are there."""
    manifest = await read_manifest(place.url, account, place.table)
    rows = place.rows(account)
    proven = Counter({row: count for row, count in rows.items() if manifest.start <= row[1] < manifest.end})
    assert manifest.days == digests_of(proven)
    reached = manifest.start
    for window in manifest.windows:
        assert window.start == reached < window.end
        reached = window.end
    assert reached == manifest.end
    assert Manifest.from_json(manifest.to_json()) == manifest
    return manifest


def as_row(raw: RawRow) -> Row | None:
    fields = json.loads(raw.text)
    if type(fields["duration"]) is not int:
        return None
    known = ("src", "dst", "disposition", "sipUsername", "sellPriceCents", "currency", "country", "did")
    extra = {
        name: value for name, value in fields.items() if name not in {*known, "id", "startTime", "duration", "billsec"}
    }
    return (
        *(fields["id"], raw.start, fields["duration"], fields["billsec"]),
        *(fields.get(name) for name in known),
        json.dumps(extra, separators=(",", ":"), sort_keys=True) if extra else None,
    )


def repriced(raw: RawRow, cents: int) -> RawRow:
    """The row once it was rated again."""
    fields = {**json.loads(raw.text), "sellPriceCents": cents}
    return evolve(raw, text=json.dumps(fields).encode())
