"""`unlimcall health`: the calls that the carrier failed, by country."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from unlimcall_async.cli import options
from unlimcall_async.cli.output import to_stderr, write_json, write_table
from unlimcall_async.cli.running import FOUND, Clients, as_json, concurrency_option, rate_option, run, with_client
from unlimcall_async.cli.wording import plain, share

if TYPE_CHECKING:
    from unlimcall_async import CallRecord
    from unlimcall_async.cli.tables import Cell
    from unlimcall_async.operations import Share

# As `operations.shares` has. Here again, because `--help` must be quick.
_ABOVE: Final = 0.01
_MINIMUM: Final = 200

_HEAD: Final = ("country", "attempts", "failed", "share", "")


@click.command()
@options.range_options(start="24h", end="now")
@rate_option
@concurrency_option
@click.option(
    "--events",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Count the calls whose event is not in this file, too; see `unlimcall webhooks reconcile`.",
)
@click.option(
    "--line", "lines", multiple=True, metavar="NAME", help="A SIP line whose calls have events; may be repeated."
)
@as_json
@with_client
def health(
    client: Clients, *, start: str, end: str, zone: tzinfo, events: Path | None, lines: tuple[str, ...], as_json: bool
) -> None:
    """Show the calls that the carrier failed.

    The command counts them by country. A share above 1 %, of 200 attempts or more, is marked and makes the exit status 1: ask the
    carrier to check the routing. Busy and no answer are not failures. With --json, each country is an object in a line. The
    object without a country counts all calls.

    With --events, the command also counts the calls whose `call.ended` did not come, as after a hook was disabled. If these are 5
    calls or more, and above 1 % by more than chance, the exit status is 1.
    """
    from unlimcall_async.cli import health_events  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.cli.event_files import GRACE, reconciler_of  # noqa: PLC0415 # as above
    from unlimcall_async.operations import CarrierMonitor  # noqa: PLC0415 # as above

    if lines and events is None:
        raise click.UsageError("--line is for --events")
    first, last = options.window(start, end, zone)
    reconciler = None if events is None else reconciler_of(events, lines, GRACE)
    # The monitor's span moves in steps of a 60th, and holds 59 to 60 of them. This span holds the whole range at any time.
    monitor = CarrierMonitor(span=max((last - first) * 60 / 58, timedelta(minutes=1)))

    def add(record: CallRecord) -> None:
        monitor.add(record)
        if reconciler is not None:
            reconciler.add(record)

    _read(client, first, last, add)
    if as_json:
        for row in facts(monitor.overall, monitor.countries):
            write_json(row)
    elif monitor.overall.of:
        write_table(_HEAD, rows(monitor.overall, monitor.countries), sides="<>>><")
    else:
        to_stderr(f"No calls from {first.isoformat()} till {last.isoformat()}.")
    alarm = any(is_high(failures) for failures in (monitor.overall, *monitor.countries.values()))
    if reconciler is not None:
        alarm |= health_events.show(reconciler, as_json=as_json)
    if alarm:
        raise SystemExit(FOUND)


def _read(client: Clients, first: datetime, last: datetime, add: Callable[[CallRecord], None]) -> None:
    """Pass each record of a range to `add`."""
    from unlimcall_async.cli.progress import shown_progress  # noqa: PLC0415 # loads rich

    async def read() -> None:
        async with (
            client() as open_client,
            open_client.cdrs.stream(first, last, concurrency=client.concurrency) as stream,
        ):
            with shown_progress() as show:
                async for batch in stream.batches():
                    for record in batch:
                        add(record)
                    show(stream)

    run(read)


def is_high(failures: Share) -> bool:
    """Return whether so many failures point to a problem of the carrier."""
    return failures.of >= _MINIMUM and (failures.rate or 0.0) > _ABOVE


def facts(overall: Share, countries: Mapping[str, Share]) -> list[dict[str, Any]]:
    """Return the rows of the table: the countries, the highest share first, and then all calls together."""
    rows = sorted(countries.items(), key=lambda item: (-(item[1].rate or 0.0), item[0]))
    return [
        {
            "country": country,
            "attempts": failures.of,
            "failed": failures.count,
            "share": failures.rate,
            "high": is_high(failures),
        }
        for country, failures in [*rows, (None, overall)]
    ]


def rows(overall: Share, countries: Mapping[str, Share]) -> list[list[Cell]]:
    """Return the rows of the table as cells. A row whose share is high is red."""
    found: list[list[Cell]] = []
    for row in facts(overall, countries):
        mark = ""
        if row["high"]:
            mark = f"above {_ABOVE:.0%}"
        elif (row["share"] or 0.0) > _ABOVE:  # explains why such a share is not marked
            mark = "few attempts"
        country = "all" if row["country"] is None else plain(row["country"])
        cells = (
            *(country, f"{row['attempts']:,}", f"{row['failed']:,}", share(row["failed"], row["attempts"])),
            mark,
        )
        found.append([(cell, "red" if row["high"] else "") for cell in cells])
    return found
