"""`unlimcall health`, done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

import click

from unlimcall_async.cli import options
from unlimcall_async.cli.output import plain, tell, write_json, write_styled
from unlimcall_async.cli.progress import shown_progress
from unlimcall_async.cli.report import columns, share
from unlimcall_async.cli.running import Clients, run
from unlimcall_async.operations import CarrierMonitor, Share

# The operations guide: "sustained elevation above 1 % indicates a carrier routing problem".
ABOVE: Final = 0.01
# As `CarrierMonitor` has it: of fewer attempts, one failure more or less is above or below.
MINIMUM: Final = 200


def examined(client: Clients, start: str, end: str, zone: tzinfo, *, as_json: bool) -> bool:
    """Show the table, and tell whether nothing in it is marked."""
    first, last = options.window(start, end, zone)
    monitor = CarrierMonitor(span=_span(last - first))

    async def count() -> None:
        async with client() as open_client, open_client.cdrs.stream(first, last) as stream:
            with shown_progress() as show:
                async for batch in stream.batches():
                    for record in batch:
                        monitor.add(record)
                    show(stream)

    run(count)
    if as_json:
        for row in facts(monitor.overall, monitor.countries):
            write_json(row)
    else:
        _show(monitor, first, last)
    return not any(is_high(share) for share in (monitor.overall, *monitor.countries.values()))


def _span(length: timedelta) -> timedelta:
    """Give a monitor's span that holds a whole range: it moves in steps of a 60th, and holds from 59 to 60 of them."""
    return max(length * 60 / 58, timedelta(minutes=1))


def is_high(failures: Share) -> bool:
    """Whether so many failures are a matter for the carrier."""
    return failures.of >= MINIMUM and (failures.rate or 0.0) > ABOVE


def facts(overall: Share, countries: Mapping[str, Share]) -> list[dict[str, Any]]:
    """Give what the table shows: the highest shares first, and all of them together at the end."""
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


def table(overall: Share, countries: Mapping[str, Share]) -> list[str]:
    """Give the table, as lines."""
    head = ("country", "attempts", "failed", "share", "")
    rows = [
        (
            "all" if row["country"] is None else plain(row["country"]),
            f"{row['attempts']:,}",
            f"{row['failed']:,}",
            share(row["failed"], row["attempts"]),
            _mark(row),
        )
        for row in facts(overall, countries)
    ]
    return columns([head, *rows], "<>>><")


def _mark(row: Mapping[str, Any]) -> str:
    if row["high"]:
        return f"above {ABOVE:.0%}"
    return "few attempts" if (row["share"] or 0.0) > ABOVE else ""


def _show(monitor: CarrierMonitor, first: datetime, last: datetime) -> None:
    if not monitor.overall.of:
        tell(f"No calls from {first.isoformat()} till {last.isoformat()}.")
        return
    lines = table(monitor.overall, monitor.countries)
    marked = [click.style(line, fg="red") if line.endswith(f"above {ABOVE:.0%}") else line for line in lines]
    write_styled("\n".join(marked) + "\n")
