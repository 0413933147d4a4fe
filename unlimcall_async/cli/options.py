"""Options that several commands have, read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import click

from unlimcall_async.cli import times


def read_by(reader: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Have an option's text, or each of its texts, read by a function whose `ValueError` says what is wrong."""

    def callback(_context: click.Context, option: click.Parameter, value: Any) -> Any:
        if value is None:
            return None
        try:
            return [reader(text) for text in value] if option.multiple else reader(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    # What it raises depends on what stands under the name: nothing, a folder, or a path that leads elsewhere.
    except (OSError, ValueError, LookupError):
        raise ValueError(f"{name!r} is no time zone that this machine knows; write one as Europe/Berlin") from None


tz: Callable[[Any], Any] = click.option(
    "--tz",
    "zone",
    metavar="ZONE",
    default="UTC",
    show_default=True,
    callback=read_by(_zone),
    help="The zone of times that do not say their offset, as Europe/Berlin.",
)


def now() -> datetime:
    """Give the time, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def moment(option: str, text: str, zone: tzinfo, at: datetime | None = None) -> datetime:
    """Read a time that an option was given, `at` some time, or now.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        return times.moment(text, now=at or now(), zone=zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def window(start: str, end: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Read `--from` and `--till`, by one clock.

    Raises:
        click.UsageError: They are not in order, or one is no time.
    """
    at = now()
    first, last = moment("--from", start, zone, at), moment("--till", end, zone, at)
    if first > last:
        raise click.UsageError(f"--from is after --till: {first.isoformat()} is after {last.isoformat()}")
    return first, last


def range_options(*, start: str | None, end: str | None) -> Callable[[Any], Any]:
    """Give a command `--from`, `--till` and `--tz`, and with them `start`, `end` and `zone`."""

    def decorate(command: Any) -> Any:
        till = click.option(
            "--till", "end", metavar="TIME", default=end, show_default=True, help="The end, itself not included."
        )
        begin = click.option(
            "--from",
            "start",
            metavar="TIME",
            default=start,
            show_default=start is not None,
            help=f"The start: {times.TIME_FORMS}.",
        )
        return begin(till(tz(command)))

    return decorate
