"""How `cdrs verify` reads what was pulled, asks the API, and says what differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing, nullcontext
from datetime import date, datetime
from pathlib import Path
from typing import Any

import attrs
import click

from unlimcall_async import CallRecord
from unlimcall_async.cli import pull_manifest, record_files, verify_report
from unlimcall_async.cli.formats import text_of
from unlimcall_async.cli.output import is_quiet, note, to_stderr, write, write_json, write_table
from unlimcall_async.cli.progress import working
from unlimcall_async.cli.record_source import table_errors
from unlimcall_async.cli.running import Clients, run
from unlimcall_async.cli.wording import many
from unlimcall_async.proof import DayDigest, Manifest, Verification
from unlimcall_async.sync import (
    SyncResult,
    read_interval,
    read_records,
    repair_cdrs,
)


@attrs.frozen
class Asked:
    """What the user asks for.

    Attributes:
        client: Makes the client.
        what: The file or the URL.
        range: `--from` and `--till`.
        counts_only: Whether only counts are compared.
        records: Whether records are shown in full.
        repair: Whether a table is mended.
        account: The account's name in a table.
        table: The table of a database.
        as_json: Whether the result is JSON.
    """

    client: Clients
    what: str
    range: tuple[datetime | None, datetime | None]
    counts_only: bool
    records: bool
    repair: bool
    account: str | None
    table: str
    as_json: bool


@attrs.frozen
class Given:
    """What was pulled.

    Attributes:
        manifest: The manifest of a file, or what is verified in place of records.
        records: The records of the range; `None` for a manifest alone.
        start: The start of the range.
        end: Its end.
        outside: How many records of the file start outside of the range.
        edited: The days on which the file is not as its manifest says.
    """

    manifest: Manifest | None
    records: Sequence[CallRecord] | None
    start: datetime
    end: datetime
    outside: int = 0
    edited: Sequence[verify_report.DayChange] = ()


# --- files ------------------------------------------------------------------------------------------------------------


def verify_file(asked: Asked) -> bool:
    """Verify a file or a manifest, and return whether nothing differs."""
    if asked.repair:
        raise click.UsageError("--repair mends the table of a sync; pull a file again with --force")
    if asked.account is not None or asked.table != "cdrs":
        raise click.UsageError(f"--account and --table are for the table of a sync, and {asked.what} is a file")
    given = _given(Path(asked.what), asked.range)
    if given.edited and not asked.as_json:
        to_stderr(f"{asked.what} is not as its manifest says: it was changed after the pull, or is another file.")
        write_table(verify_report.EDITED_HEAD, verify_report.edited_rows(given.edited))
        write("\n")
    if given.outside:
        note(f"{many(given.outside, 'record', 'records')} outside of the range: not compared with the API.")
    found = run(lambda: _verified(asked, given))
    _show(asked, given, found)
    return found.ok and not given.edited


def _given(path: Path, wanted: tuple[datetime | None, datetime | None]) -> Given:
    """Read a file, and compare it with its manifest."""
    if record_files.kind_of(path) == "manifest":
        if wanted != (None, None):
            raise click.UsageError(f"--from and --till are for records; {path} is a manifest, which has its own range")
        manifest = pull_manifest.read(path)
        return Given(manifest, None, manifest.start, manifest.end)
    try:
        held: Manifest | None = pull_manifest.read(pull_manifest.path_of(path))
    except FileNotFoundError:
        held = None
    start, end = _range(path, wanted, held)
    records = list(record_files.records_in(path))
    edited = [] if held is None else verify_report.changes(held.days, digests(records))
    within = [record for record in records if start <= record.start_time < end]
    return Given(held, within, start, end, len(records) - len(within), edited)


def _range(
    path: Path, wanted: tuple[datetime | None, datetime | None], held: Manifest | None
) -> tuple[datetime, datetime]:
    """Return the range to verify.

    Raises:
        click.UsageError: Nothing says what the range is, or the file does not cover that range.
    """
    first, last = wanted
    if held is None:
        if first is None or last is None:
            raise click.UsageError(
                f"{pull_manifest.path_of(path).name} is not beside {path}: give the range of the file with --from and --till"
            )
        return first, last
    start, end = first or held.start, last or held.end
    if not held.start <= start <= end <= held.end:
        raise click.UsageError(
            f"--from and --till must lie within the range of {path}: {held.start.isoformat()} till {held.end.isoformat()}"
        )
    return start, end


def digests(records: Sequence[CallRecord]) -> dict[date, DayDigest]:
    """Return the digest of each day of records in any order."""
    days = defaultdict[date, list[CallRecord]](list)
    for record in records:
        days[record.start_time.date()].append(record)
    return {day: DayDigest.of(some) for day, some in sorted(days.items())}


async def _verified(asked: Asked, given: Given) -> Verification:
    with nullcontext() if is_quiet() else working("Asking the API"):
        async with asked.client() as client:
            how = {"counts_only": asked.counts_only, "concurrency": asked.client.concurrency}
            if given.records is None and given.manifest is not None:
                return await client.cdrs.verify(given.manifest, **how)  # type: ignore[arg-type] # two types in one dict
            records = given.records or ()
            return await client.cdrs.verify(records, given.start, given.end, **how)  # type: ignore[arg-type] # as above


# --- tables -----------------------------------------------------------------------------------------------------------


def verify_table(asked: Asked) -> bool:
    """Verify the table of a sync, and return whether nothing differs any more."""
    with table_errors(asked.what):
        given = run(lambda: _stored(asked))
        found = run(lambda: _verified(asked, given))
        mended, left = None, [*found.differences]
        if asked.repair and left:
            mended = run(lambda: _mended(asked, found))
            days = digests(run(lambda: _stored(asked)).records or ())
            left = [each for each in left if days.get(each.day, DayDigest()) != each.found]
    _show(asked, given, found, mended)
    if mended is not None and left:
        days_left = ", ".join(each.day.isoformat() for each in left)
        to_stderr(f"Not all was mended: {days_left}. Where rows of the API cannot be read, a repair removes nothing.")
    return not left


async def _stored(asked: Asked) -> Given:
    account = await _account(asked)
    first, last = await read_interval(asked.what, account, asked.table)
    start, end = asked.range[0] or first, asked.range[1] or last
    if not first <= start <= end <= last:
        raise ValueError(
            f"start and end must lie within the time that was synced: {first.isoformat()} till {last.isoformat()}"
        )
    async with aclosing(read_records(asked.what, account, asked.table, start, end)) as lists:
        records = [record async for some in lists for record in some]
    return Given(None, records, start, end)


async def _account(asked: Asked) -> str:
    if asked.account is not None:
        return asked.account
    async with asked.client() as client:
        return (await client.me()).customer_id


async def _mended(asked: Asked, found: Verification) -> SyncResult:
    """Ask the days that differ again."""
    days = [each.day for each in found.differences]
    async with asked.client() as client:
        return await repair_cdrs(client, asked.what, days, account=asked.account, table=asked.table)


# --- what is shown ----------------------------------------------------------------------------------------------------


def _show(asked: Asked, given: Given, found: Verification, mended: SyncResult | None = None) -> None:
    with_records = given.records is not None
    if asked.as_json:
        facts: dict[str, Any] = {"start": given.start, "end": given.end}
        facts |= verify_report.facts(found, with_records=with_records, whole=asked.records)
        facts |= {"ok": found.ok and not given.edited, "edited": verify_report.change_facts(given.edited)}
        facts |= {"outside": given.outside}
        if mended is not None:
            facts["repaired"] = {name: getattr(mended, name) for name in ("inserted", "revised", "removed")}
        write_json(facts)
    elif found.differences:
        rows = verify_report.rows(found.differences, with_records=with_records)
        write_table(verify_report.HEAD, rows, sides=verify_report.SIDES)
        lines = [
            line
            for difference in found.differences
            for line in verify_report.record_lines(difference, whole=asked.records)
        ]
        if lines:
            write("\n" + "".join(f"{line}\n" for line in lines))
    _sum_up(given, found, mended)


def _sum_up(given: Given, found: Verification, mended: SyncResult | None) -> None:
    if found.unreadable:
        rows = many(len(found.unreadable), "row of the API was", "rows of the API were")
        to_stderr(f"{rows} not compared: what cannot be read has no digest.")
    differing = (
        f"{many(len(found.differences), 'day differs', 'days differ')}" if found.differences else "No difference"
    )
    note(
        f"{differing}: {text_of(given.start)} till {text_of(given.end)}, {many(found.days, 'day', 'days')} with records, "
        f"{many(found.requests, 'request', 'requests')}."
    )
    if mended is not None:
        note(f"Repaired: {mended.inserted:,} inserted, {mended.revised:,} revised, {mended.removed:,} removed.")
