"""Invoices for the tests: records, the lines that bill them, and errors of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from attrs import evolve, frozen

from tests.operations.records import START, after
from unlimcall_async import CallRecord
from unlimcall_async.operations import BillCheck, BillKind, InvoiceLine

HOUR = timedelta(hours=1)


def call(number: int, at: float, cents: int | None = 34, currency: str | None = "USD", **fields: Any) -> CallRecord:
    more = {"id": f"17.{number}", "dst": f"+4420718{number:05}", "duration": 81, "billsec": 81, **fields}
    return CallRecord(start_time=after(at), sell_price_cents=cents, currency=currency, **more)


def line_of(record: CallRecord, number: int = 2, *, ids: bool = True, **changes: Any) -> InvoiceLine:
    """Return the line that bills a record, to the second."""
    line = InvoiceLine(
        number=number,
        amount=Decimal(record.sell_price_cents or 0) / 100,
        currency=record.currency,
        id=record.id if ids else None,
        start=record.start_time.replace(microsecond=0),
        destination=record.dst,
        duration=record.duration,
        country=record.country,
        line=record.sip_username,
    )
    return evolve(line, **changes)


def found(check: BillCheck) -> dict[BillKind, list[tuple[int, ...]]]:
    """Return the lines of each kind that needs attention; a record alone is an empty tuple."""
    kinds: dict[BillKind, list[tuple[int, ...]]] = {}
    for finding in check.findings:
        kinds.setdefault(finding.kind, []).append(finding.lines)
    return kinds


@frozen
class Seeded:
    """An invoice with errors.

    Attributes:
        records: The records.
        lines: The lines, in no order.
        kinds: The lines of each kind that needs attention, or the ids of records without a line.
    """

    records: list[CallRecord]
    lines: list[InvoiceLine]
    kinds: dict[BillKind, set[Any]]


def seeded(count: int, *, ids: bool, seed: int = 1) -> Seeded:
    """Return so many lines, of which one in a hundred has an error of each kind."""
    random = Random(seed)
    records = [_record(number, random) for number in range(count)]
    lines: list[InvoiceLine] = []
    kinds: dict[BillKind, set[Any]] = {}
    errors: list[tuple[BillKind, Callable[[InvoiceLine], Iterable[InvoiceLine]]]] = [
        ("other amount", lambda line: [evolve(line, amount=line.amount + Decimal("0.05"))]),
        ("only recorded", lambda _: []),
        ("billed twice", lambda line: [line, line]),
        ("other currency", lambda line: [evolve(line, currency="EUR")]),
        ("other time", lambda line: [evolve(line, start=(line.start or START) + HOUR)]),
        ("within tolerance", lambda line: [evolve(line, amount=line.amount + Decimal("0.0049"))]),
        # An extra line, of a call that was never made.
        ("only billed", lambda line: [line, evolve(line, id=f"{line.id}x" if ids else None, destination="+15550100")]),
    ]
    for record in records:
        line = line_of(record, ids=ids)
        error = random.randrange(100)
        kind: BillKind = "matched"
        made: Callable[[InvoiceLine], Iterable[InvoiceLine]] = lambda line: [line]  # noqa: E731 # one of many
        if error < len(errors):
            kind, made = errors[error]
        some = [evolve(each, number=len(lines) + place) for place, each in enumerate(made(line), 2)]
        if kind == "only recorded":
            kinds.setdefault(kind, set()).add(record.id)
        else:
            kinds.setdefault(kind, set()).add(some[-1].number)
        lines += some
    random.shuffle(lines)
    return Seeded(records, lines, kinds)


def _record(number: int, random: Random) -> CallRecord:
    at = random.randrange(30 * 86_400_000) / 1000
    seconds = random.randrange(1, 600)
    return call(
        *(number, at, 1 + seconds * 34 // 60),
        duration=seconds + random.randrange(3),
        billsec=seconds,
        dst=f"+49{random.randrange(10**9):09}",
        country=random.choice(["Germany", "France"]),
        sip_username=f"unl_{number % 20:03}",
    )


def month() -> tuple[datetime, datetime]:
    """Return the range of seeded invoices."""
    return START, START + timedelta(days=30)
