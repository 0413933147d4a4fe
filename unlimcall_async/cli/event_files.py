"""`call.ended` events from files: the database of an `EventLog`, or lines of JSON as `unlimcall webhooks listen --json` writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unlimcall_async import EventError, _json, from_dict
from unlimcall_async.cli.output import UnusableError, note
from unlimcall_async.cli.wording import many

if TYPE_CHECKING:
    from unlimcall_async.operations import EventReconciler, SeenEvent
    from unlimcall_async.webhooks import Event

# How long after a call its event may come, as in `EventReconciler`.
GRACE: Final = timedelta(minutes=5)
_SQLITE: Final = b"SQLite format 3\0"
# The command compares all of a range, however long ago that is.
_HORIZON: Final = timedelta(days=36_500)


def reconciler_of(path: Path, lines: Sequence[str], grace: timedelta) -> EventReconciler:
    """Return a reconciler with the events of a file.

    Args:
        path: The file.
        lines: The SIP lines whose calls have events; none of them for all calls.
        grace: How long after the end of a call its event may come.

    Raises:
        UnusableError: The file cannot be read. The message names the line, and shows nothing of it.
    """
    from unlimcall_async.operations import EventReconciler  # noqa: PLC0415 # `--help` must be quick

    reconciler = EventReconciler(lines=lines or None, horizon=_HORIZON, grace=grace)
    for event in events_in(path):
        reconciler.add_seen(event)
    return reconciler


def events_in(path: Path) -> list[SeenEvent]:
    """Return the events of a file.

    Raises:
        UnusableError: The file cannot be read. The message names the line, and shows nothing of it.
    """
    from unlimcall_async.operations import EventLogError, read_log  # noqa: PLC0415 # `--help` must be quick

    try:
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
        return read_log(path) if is_database else list(_from_lines(path))
    except EventLogError as error:
        raise UnusableError(str(error)) from None
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror or error}") from None


def _from_lines(path: Path) -> Iterator[SeenEvent]:
    from unlimcall_async.operations import SeenEvent  # noqa: PLC0415 # as above
    from unlimcall_async.webhooks import CallEnded  # noqa: PLC0415 # as above

    untimed = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                event = _event_of(line) if line.strip() else None
            except (ValueError, EventError):
                # A listener that was killed has left half a line.
                if not line.endswith(b"\n"):
                    note(f"{path}, line {number}: the line is not complete, and is left out.")
                    break
                raise UnusableError(f"{path}, line {number}: this is not an event in JSON") from None
            if isinstance(event, CallEnded):
                if event.occurred_at is None:
                    untimed += 1
                else:
                    yield SeenEvent.of(event, None)
    if untimed:
        note(f"{path}: {many(untimed, 'event has no time, and is', 'events have no time, and are')} left out.")


def _event_of(line: bytes) -> Event:
    """Return the event in a line: in the form of the command, or as the API has sent it."""
    from unlimcall_async.webhooks import CallEnded, Event, parse_event  # noqa: PLC0415 # as above

    content = _json.read(line)
    if isinstance(content, dict) and content.get("type") and content.keys() >= {"occurred_at", "type"}:
        if content["type"] != "call.ended":
            return Event(type=str(content["type"]))
        # A fraction reads as a `Decimal`, which stands in no field of a model.
        duration = content.get("duration_sec")
        return from_dict(
            CallEnded, {**content, "duration_sec": float(duration) if isinstance(duration, Decimal) else duration}
        )
    return parse_event(line)
