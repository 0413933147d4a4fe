"""What a proof says of a file: facts of its manifest, and sums of its records. No I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

import attrs

from unlimcall_async import CallRecord, to_dict
from unlimcall_async.cli.formats import text_of
from unlimcall_async.cli.verify_report import DayChange, change_facts, changes
from unlimcall_async.cli.wording import many, plain
from unlimcall_async.proof import DayDigest, Evidence, Manifest
from unlimcall_async.report import reasons

# Records that are hashed at a time.
_AT_ONCE: Final = 1000


@attrs.define
class Money:
    """The prices in one currency.

    Attributes:
        cents: Their sum.
        records: The number of records that have a price in this currency.
    """

    cents: int = 0
    records: int = 0

    def __str__(self) -> str:
        whole, part = divmod(abs(self.cents), 100)
        return f"{'-' if self.cents < 0 else ''}{whole:,}.{part:02}"


@attrs.define
class Sums:
    """What the records of a file come to.

    Attributes:
        records: The number of records.
        days: The digest of each day.
        money: The prices by currency, never mixed. Prices without a currency are under an empty name.
        unpriced: The number of records without a price.
        outside: The number of records that start outside of the range of the manifest.
    """

    records: int = 0
    days: dict[date, DayDigest] = attrs.Factory(dict)
    money: dict[str, Money] = attrs.Factory(lambda: defaultdict[str, Money](Money))
    unpriced: int = 0
    outside: int = 0


def summed(records: Iterable[CallRecord], start: datetime, end: datetime) -> Sums:
    """Return the sums of records, which come in any order. Few of them are held at a time."""
    sums, rest = Sums(), iter(records)
    while some := list(islice(rest, _AT_ONCE)):
        sums.records += len(some)
        by_day = defaultdict[date, list[CallRecord]](list)
        for record in some:
            by_day[record.start_time.date()].append(record)
            sums.outside += not start <= record.start_time < end
            if record.sell_price_cents is None:
                sums.unpriced += 1
                continue
            money = sums.money[record.currency or ""]
            money.cents += record.sell_price_cents
            money.records += 1
        for day, on_day in by_day.items():
            sums.days[day] = sums.days.get(day, DayDigest()) + DayDigest.of(on_day)
    return sums


@attrs.frozen
class Proof:
    """A file and its manifest.

    Attributes:
        name: The name of the file, or of the manifest, if only that was read.
        manifest: The manifest.
        sums: The sums of the file's records; `None` for a manifest alone.
        edited: The days on which the file is not as its manifest says.
    """

    name: str
    manifest: Manifest
    sums: Sums | None
    edited: Sequence[DayChange]

    @classmethod
    def of(cls, name: str, manifest: Manifest, sums: Sums | None) -> Proof:
        """Return the proof of a file, compared with its manifest."""
        return cls(name, manifest, sums, [] if sums is None else changes(manifest.days, sums.days))

    @property
    def verdict(self) -> str:
        """Whether the file is as its manifest says, as a sentence."""
        if self.sums is None:
            return "The records were not read: this is the manifest alone."
        if not self.edited:
            return "The file is as its manifest says: the records of each day have its digest."
        return (
            f"THE FILE IS NOT AS ITS MANIFEST SAYS, on {many(len(self.edited), 'day', 'days')}: "
            "it was changed after the pull, or is another file."
        )

    def facts(self) -> list[tuple[str, str]]:
        """Return names and values."""
        manifest = self.manifest
        held = () if self.sums is None else [("records in the file", f"{self.sums.records:,}")]
        return [
            ("file", plain(self.name)),
            ("from", text_of(manifest.start)),
            ("till", f"{text_of(manifest.end)}, which is not part of the range"),
            ("records in the manifest", f"{manifest.total.records:,}"),
            *held,
            ("days with records", f"{len(manifest.days):,}"),
            ("rows that cannot be read", f"{len(manifest.unreadable):,}"),
            ("digest", manifest.total.digest),
            ("manifest", f"version {manifest.version}, made by {plain(manifest.made_by)}"),
        ]

    def money(self) -> list[tuple[str, str, str]]:
        """Return each currency, the sum of its prices, and the number of records."""
        if self.sums is None:
            return []
        rows = [
            (plain(currency) or "(no currency)", str(money), f"{money.records:,}")
            for currency, money in sorted(self.sums.money.items())
        ]
        return [*rows, ("(no price)", "-", f"{self.sums.unpriced:,}")] if self.sums.unpriced else rows

    def why(self) -> str:
        """Return how many windows the records rest on, as a sentence."""
        return reasons(self.manifest)

    def days(self) -> list[tuple[str, str, str]]:
        """Return each day, its number of records, and its digest."""
        return [(str(day), f"{each.records:,}", each.digest) for day, each in sorted(self.manifest.days.items())]

    def windows_by_day(self) -> list[tuple[str, str, str, str]]:
        """Return each day on which a window begins, the windows that are short and sought, and the rows of their answers."""
        days = defaultdict[date, list[Evidence]](list)
        for window in self.manifest.windows:
            days[window.start.date()].append(window)
        return [
            (
                str(day),
                f"{sum(each.reason == 'short' for each in some):,}",
                f"{sum(each.reason == 'sought' for each in some):,}",
                f"{sum(each.rows for each in some):,}",
            )
            for day, some in sorted(days.items())
        ]

    def windows(self) -> list[tuple[str, ...]]:
        """Return each window: its time, what was asked, and what the answer says."""
        return [
            (
                f"{text_of(each.start)} till {text_of(each.end)}",
                f"{text_of(each.asked_from)} till {text_of(each.asked_till)}",
                f"{each.limit:,}",
                f"{each.rows:,}",
                f"{each.count:,}",
                each.reason if each.repeated is None else f"{each.reason}, repeats {each.repeated:,}",
            )
            for each in self.manifest.windows
        ]

    def unreadable(self) -> list[tuple[str, ...]]:
        """Return each row that cannot be read: where it is, what was expected, and the digest of its text."""
        return [
            (
                f"{text_of(row.asked_from)} till {text_of(row.asked_till)}",
                plain(row.where),
                plain(row.reason),
                row.digest,
            )
            for row in self.manifest.unreadable
        ]

    def to_dict(self, *, windows: bool) -> dict[str, Any]:
        """Return all of it for programs."""
        manifest, sums = self.manifest, self.sums
        return {
            "file": self.name,
            "ok": not self.edited,
            "edited": change_facts(self.edited),
            "start": manifest.start,
            "end": manifest.end,
            "records": manifest.total.records,
            "digest": manifest.total.digest,
            "days": {str(day): to_dict(each) for day, each in sorted(manifest.days.items())},
            "sums": None
            if sums is None
            else {
                "records": sums.records,
                "outside": sums.outside,
                "unpriced": sums.unpriced,
                "currencies": {
                    name: {"cents": money.cents, "records": money.records} for name, money in sorted(sums.money.items())
                },
            },
            "windows": [to_dict(each) for each in manifest.windows]
            if windows
            else dict(Counter(window.reason for window in manifest.windows)),
            "unreadable": [to_dict(each) for each in manifest.unreadable],
            "assumptions": list(manifest.assumptions),
            "made_by": manifest.made_by,
            "version": manifest.version,
        }


DAY_HEAD: Final = ("day", "records", "digest")
MONEY_HEAD: Final = ("currency", "sum", "records")
EDITED_HEAD: Final = ("day", "in the manifest", "in the file")
WINDOWS_BY_DAY_HEAD: Final = ("day", "short", "sought", "rows")
WINDOWS_HEAD: Final = ("window", "asked", "limit", "rows", "count", "why it is complete")
UNREADABLE_HEAD: Final = ("asked", "where", "expected", "digest of its text")
EXPLAINED: Final = (
    "Short: the answer has fewer rows than its limit, so it is all of what was asked.",
    "Sought: the answer is full, and the server sorts. The next answer overlaps with it, and repeats some of its rows.",
    "A window is counted on the day on which it begins.",
)
