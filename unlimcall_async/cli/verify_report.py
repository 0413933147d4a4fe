"""What `cdrs verify` shows of differences: tables, lines and JSON. No I/O.

A record is shown by its id and its start. The rest of it, with its phone numbers, is for those who ask for records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import attrs

from unlimcall_async import CallRecord, to_dict
from unlimcall_async.cli.formats import FIELDS, text_of
from unlimcall_async.cli.wording import many, plain
from unlimcall_async.proof import DayDigest, Difference, Verification

HEAD: Final = ("day", "expected", "found", "missing", "added", "revised")
SIDES: Final = "<>>>>>"
EDITED_HEAD: Final = ("day", "in the manifest", "in the file")
# Records that are shown of a day. JSON has all.
MOST: Final = 50


@attrs.frozen
class DayChange:
    """A day on which a file is not as its manifest says.

    Attributes:
        day: The day.
        manifest: What the manifest says.
        file: What the file holds.
    """

    day: date
    manifest: DayDigest
    file: DayDigest


def changes(manifest: Mapping[date, DayDigest], file: Mapping[date, DayDigest]) -> list[DayChange]:
    """Return the days on which a file is not as its manifest says."""
    both = [
        DayChange(day, manifest.get(day, DayDigest()), file.get(day, DayDigest())) for day in sorted({*manifest, *file})
    ]
    return [each for each in both if each.manifest != each.file]


def edited_rows(found: Iterable[DayChange]) -> list[tuple[str, ...]]:
    """Return the rows of the table of days on which a file is not as its manifest says."""
    return [
        (each.day.isoformat(), f"{each.manifest.records:,}", f"{each.file.records:,}{_same(each)}") for each in found
    ]


def _same(change: DayChange) -> str:
    return ", with other contents" if change.manifest.records == change.file.records else ""


def rows(differences: Iterable[Difference], *, with_records: bool) -> list[tuple[str, ...]]:
    """Return the rows of the table of days. Without records to compare with, nobody knows which they are."""
    return [
        (
            each.day.isoformat(),
            f"{each.expected.records:,}",
            f"{each.found.records:,}",
            *(f"{len(some):,}" if with_records else "-" for some in (each.missing, each.added, each.revised)),
        )
        for each in differences
    ]


def record_lines(difference: Difference, *, whole: bool) -> Iterator[str]:
    """Yield a line for each record that differs."""
    lines = [
        *(_line(difference.day, "missing", record, None, whole=whole) for record in difference.missing),
        *(_line(difference.day, "added", record, None, whole=whole) for record in difference.added),
        *(_line(difference.day, "revised", new, old, whole=whole) for old, new in difference.revised),
    ]
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"{difference.day}  and {many(len(lines) - MOST, 'more record', 'more records')}: --json has all"


def _line(day: date, what: str, record: CallRecord, old: CallRecord | None, *, whole: bool) -> str:
    line = f"{day}  {what:<7}  {plain(record.id)}  {text_of(record.start_time)}"
    if old is not None:
        line += f"  {', '.join(_changed(old, record, whole=whole))}"
    elif whole:
        values = to_dict(record)
        line += "  " + ", ".join(f"{name} {plain(str(value))}" for name, value in values.items() if name not in _SHOWN)
    return line


_SHOWN: Final = ("id", "start_time")


def _changed(old: CallRecord, new: CallRecord, *, whole: bool) -> list[str]:
    """Return the fields in which two records differ, with their values if whole records are asked for."""
    names = [
        name for name in (*FIELDS, "extra") if DayDigest.of([_only(old, name)]) != DayDigest.of([_only(new, name)])
    ]
    if not whole:
        return names
    pairs = [(name, to_dict(old).get(name), to_dict(new).get(name)) for name in names]
    return [f"{name} {plain(str(before))} -> {plain(str(after))}" for name, before, after in pairs]


def _only(record: CallRecord, name: str) -> CallRecord:
    """Return a record that holds one field of another: digests tell 1, 1.0 and true apart."""
    base: dict[str, Any] = {"id": "", "start_time": record.start_time, "duration": 0, "billsec": 0}
    return CallRecord(**{**base, name: getattr(record, name)})


# --- JSON -------------------------------------------------------------------------------------------------------------


def facts(verification: Verification, *, with_records: bool, whole: bool) -> dict[str, Any]:
    """Return what was found, for programs."""
    return {
        "ok": verification.ok,
        "days": verification.days,
        "requests": verification.requests,
        "differences": [_difference(each, with_records=with_records, whole=whole) for each in verification.differences],
        "unreadable": [
            {"from": row.window[0], "till": row.window[1], "where": row.where, "reason": row.reason}
            for row in verification.unreadable
        ],
    }


def change_facts(found: Sequence[DayChange]) -> list[dict[str, Any]]:
    """Return the days on which a file is not as its manifest says, for programs."""
    return [{"day": str(each.day), "manifest": to_dict(each.manifest), "file": to_dict(each.file)} for each in found]


def _difference(difference: Difference, *, with_records: bool, whole: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "day": str(difference.day),
        "expected": to_dict(difference.expected),
        "found": to_dict(difference.found),
    }
    if not with_records:
        return facts
    revised = [
        {
            **_shown(new, whole=whole),
            "fields": _changed(old, new, whole=False),
            **({"before": to_dict(old)} if whole else {}),
        }
        for old, new in difference.revised
    ]
    return {
        **facts,
        "missing": [_shown(record, whole=whole) for record in difference.missing],
        "added": [_shown(record, whole=whole) for record in difference.added],
        "revised": revised,
    }


def _shown(record: CallRecord, *, whole: bool) -> dict[str, Any]:
    return to_dict(record) if whole else {"id": record.id, "start_time": record.start_time}
