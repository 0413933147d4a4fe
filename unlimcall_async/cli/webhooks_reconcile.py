"""`unlimcall webhooks reconcile`: which calls ended without an event that a receiver saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from unlimcall_async._spans import span
from unlimcall_async.cli import options
from unlimcall_async.cli.output import note, write, write_json, write_table
from unlimcall_async.cli.record_source import RecordSource, with_records
from unlimcall_async.cli.running import FOUND, as_json, quiet, run
from unlimcall_async.cli.wording import cell, many, plain, share

if TYPE_CHECKING:
    from unlimcall_async.cli.tables import Cell
    from unlimcall_async.operations import EventReconciler, MissedCall, SeenEvent

# Missed calls that people read; a program reads all.
_SHOWN: Final = 20
# A call whose start is so near to the start of the range may have begun before it: an event does not state how long it rang.
_RINGING: Final = timedelta(minutes=2)
_GRADES: Final = ("certain", "likely", "possible")


def _percent(text: str) -> float:
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = -1.0
    if not 0 <= number < 100:
        raise ValueError(f"{text!r} is not a percentage from 0 to below 100, for example 1 or 0.5%")
    return number / 100


@click.command()
@click.argument("events", metavar="EVENTS", type=click.Path(path_type=Path))
@with_records(
    click.option(
        "--records", "what", metavar="FILE|URL", help="The call records: a file, or a table; otherwise of the API."
    )
)
@click.option(
    "--line", "lines", multiple=True, metavar="NAME", help="A SIP line whose calls have events; may be repeated."
)
@click.option(
    "--grace",
    metavar="SPAN",
    default="5m",
    show_default=True,
    callback=options.read_by(span),
    help="How long after a call its event may come.",
)
@click.option(
    "--above",
    metavar="PERCENT",
    default="1%",
    show_default=True,
    callback=options.read_by(_percent),
    help="The share of missed calls above which the exit status is 1.",
)
@quiet
@as_json
def reconcile(
    *, events: Path, source: RecordSource, lines: tuple[str, ...], grace: timedelta, above: float, as_json: bool
) -> None:
    """Compare the events that a receiver saw with the call records.

    EVENTS is the SQLite file of a receiver with an EventLog, or what `unlimcall webhooks listen --json` has written. The records
    come from the API, of the last 24 hours without --from.

    Matched calls have an event. Missed ones have none, although the API records them: a hook may be disabled. Recovered ones have
    an event that was made of their record. Pending ones have none, and are younger than --grace. Waiting events have no record yet.
    Events and records share no id, so each has a grade: certain, likely or possible. Calls of people have no events: name the lines
    of the dialer and the AI agents with --line.

    With --json, each missed call and each waiting event is an object in a line, and the last line has the sums. The exit status is
    1 if too many calls are missed, or if rows of the API could not be read.
    """
    from unlimcall_async.cli.event_files import reconciler_of  # noqa: PLC0415 # `--help` must be quick

    reconciler = reconciler_of(events, lines, grace)
    start, end = source.range("24h", "now") if source.what is None else source.range()

    async def read() -> tuple[datetime | None, datetime | None, bool]:
        async with source.opened(start, end) as records:
            async for batch in records:
                for record in batch:
                    reconciler.add(record)
        return records.start, records.end, records.some_left_out()

    first, last, left_out = run(read)
    reconciler.sweep(now=options.now())
    waiting = _waiting(reconciler, first, last)
    sums = facts(reconciler, waiting, above)
    if as_json:
        for call in reconciler.missed:
            write_json(facts_of_call(call))
        for event in waiting:
            write_json({"kind": "waiting", "call_id": event.call_id, "at": event.at})
        write_json(sums)
    else:
        write_table(("", "calls", *_GRADES, "share", ""), rows(sums), sides="<>>>>><")
        _show_missed(reconciler.missed)
    _explain(reconciler)
    if sums["high"] or left_out:
        raise SystemExit(FOUND)


def _waiting(reconciler: EventReconciler, first: datetime | None, last: datetime | None) -> list[SeenEvent]:
    """Return the events without a record that are of calls in the range of the records."""

    def lies_inside(event: SeenEvent) -> bool:
        began = event.at - timedelta(seconds=min(event.duration_sec or 0, 86_400))
        return (first is None or began >= first + _RINGING) and (last is None or event.at < last)

    return [event for event in reconciler.waiting if lies_inside(event)]


def facts(reconciler: EventReconciler, waiting: Sequence[SeenEvent], above: float) -> dict[str, Any]:
    """Return the sums: the calls of each kind, and of the first two by their grades."""
    matched, missed = reconciler.matched, reconciler.missed
    calls = len(matched) + len(missed) + len(reconciler.recovered)
    part = len(missed) / calls if calls else None
    return {
        "kind": "sums",
        "matched": len(matched),
        "missed": len(missed),
        "recovered": len(reconciler.recovered),
        "pending": len(reconciler.pending),
        "waiting": len(waiting),
        "matched_by_grade": _by_grade([match.grade for match in matched]),
        "missed_by_grade": _by_grade([call.grade for call in missed]),
        "share": part,
        "high": part is not None and part > above,
    }


def _by_grade(grades: Sequence[str]) -> dict[str, int]:
    counted = Counter(grades)
    return {grade: counted[grade] for grade in _GRADES}


def facts_of_call(call: MissedCall) -> dict[str, Any]:
    """Return what is told of a missed call: no phone number."""
    record = call.record
    return {
        "kind": "missed",
        "id": record.id,
        "start_time": record.start_time,
        "duration": record.duration,
        "sip_username": record.sip_username,
        "grade": call.grade,
    }


def rows(sums: dict[str, Any]) -> list[list[Cell]]:
    """Return the sums as cells. The row of the missed calls is red if there are too many."""
    calls = sums["matched"] + sums["missed"] + sums["recovered"]
    found: list[list[Cell]] = []
    for name in ("matched", "missed", "recovered", "pending", "waiting"):
        grades = sums.get(f"{name}_by_grade", {})
        cells = [name, f"{sums[name]:,}", *(f"{grades[grade]:,}" if grades else "" for grade in _GRADES)]
        cells += [share(sums[name], calls) if name in {"matched", "missed", "recovered"} else ""]
        cells += ["too many" if name == "missed" and sums["high"] else ""]
        found.append([(text, "red" if cells[-1] else "") for text in cells])
    return found


def _show_missed(missed: Sequence[MissedCall]) -> None:
    if not missed:
        return
    write("\n")
    shown: list[list[Cell]] = [
        [cell(value) for name, value in facts_of_call(call).items() if name != "kind"] for call in missed[:_SHOWN]
    ]
    write_table(("missed call", "start", "seconds", "line", "grade"), shown, sides="<<><<")
    if len(missed) > _SHOWN:
        note(f"And {many(len(missed) - _SHOWN, 'more missed call', 'more missed calls')}: --json shows all.")


def _explain(reconciler: EventReconciler) -> None:
    """Write on standard error what may be the reason for missed calls, if a disabled hook is not."""
    for line, count in sorted(reconciler.silent_lines.items(), key=lambda each: (-each[1], each[0] or "")):
        name = "without a line" if line is None else f"of {plain(line)}"
        note(
            f"No event came for any call {name} ({count:,}). If such calls have no events, name the other lines with --line."
        )
    seen = [*(match.event.at for match in reconciler.matched), *(event.at for event in reconciler.waiting)]
    if not seen:
        return
    began = min(seen)
    before = sum(call.record.start_time + timedelta(seconds=call.record.duration) < began for call in reconciler.missed)
    if before:
        calls = many(before, "missed call", "missed calls")
        note(f"{calls} ended before the first event, at {cell(began)}: the receiver may not have been there yet.")
