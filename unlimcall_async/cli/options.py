"""Options that several commands have, and how option texts are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

import click

from unlimcall_async import UnlimCallError
from unlimcall_async._extras import needs_extra
from unlimcall_async._platform import name_fault
from unlimcall_async.cli import times
from unlimcall_async.cli.output import note


def read_by(reader: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a click callback that reads an option's text, or each of its texts, with `reader`.

    A `ValueError` of the reader becomes click's error for the option.
    """

    def callback(_context: click.Context, option: click.Parameter, value: Any) -> Any:
        if value is None:
            return None
        try:
            return [reader(text) for text in value] if option.multiple else reader(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


class _FileName(click.Path):
    """The name of a file that the command writes.

    Args:
        folders: Whether it may be the name of a folder that exists, too.
    """

    def __init__(self, *, folders: bool = False) -> None:
        super().__init__(path_type=Path)
        self._folders = folders

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(super().convert(value, param, ctx))  # type: ignore[arg-type] # a `Path`, because of `path_type`
        if self._folders and str(value) and path.is_dir():
            return path
        # Such a path has no name from which those of the files beside it could be made.
        if path.name in {"", ".."}:
            self.fail("it must be the name of a file", param, ctx)
        if fault := name_fault(path.name):
            self.fail(f"{path}: {fault}", param, ctx)
        return path


FILE_NAME: Final = _FileName()
FILE_OR_FOLDER: Final = _FileName(folders=True)


@contextmanager
def in_option_names(options: Mapping[str, str]) -> Iterator[None]:
    """Raise a `click.UsageError` in place of a `ValueError` of the package.

    Args:
        options: The option for each argument of the package. The message then names options.
    """
    try:
        yield
    except UnlimCallError:  # some are a ValueError too, and keep their own exit status
        raise
    except ValueError as error:
        names = "|".join(map(re.escape, options))
        message = (
            re.sub(rf"(?<![\w-])'?({names})\b'?", lambda match: options[match[1]], str(error))
            if options
            else str(error)
        )
        raise click.UsageError(message) from None


# Names of UTC, which needs no database of time zones.
_UTC: Final = {"utc", "z", "etc/utc", "gmt", "etc/gmt", "zulu"}


def zone_named(name: str) -> tzinfo:
    """Return the time zone of this name.

    Raises:
        ValueError: This machine knows no such zone.
    """
    if name.lower() in _UTC:
        return UTC
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415 # `--help` must be quick

    try:
        return ZoneInfo(name)
    # Which of these is raised depends on the file system: no such name, a folder, or a path that leads elsewhere.
    except (OSError, ValueError, LookupError):
        if not available_timezones():
            raise ValueError(
                f"{name!r} cannot be looked up, because this machine has no database of time zones, and "
                + needs_extra("a database of its own", "cli")
            ) from None
        raise ValueError(f"{name!r} is not a time zone that this machine knows; write one like Europe/Berlin") from None


def zone_of_settings(name: str, file: Path) -> tzinfo:
    """Return the time zone that a file of settings names.

    Raises:
        click.UsageError: This machine knows no such zone.
    """
    try:
        return zone_named(name)
    except ValueError as error:
        raise click.UsageError(f"tz in {file}: {error}") from None


tz: Callable[[Any], Any] = click.option(
    "--tz",
    "zone",
    metavar="ZONE",
    default="UTC",
    show_default=True,
    callback=read_by(zone_named),
    help="The time zone of times without an offset, for example Europe/Berlin.",
)


def is_given(name: str) -> bool:
    """Return whether the user has given the option of this parameter, and it is not a default."""
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def now() -> datetime:
    """Return the current time, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def moment(option: str, text: str, zone: tzinfo, at: datetime | None = None) -> datetime:
    """Read the time that an option was given. Spans count back from `at`, or from now.

    Raises:
        click.BadParameter: The text is not a time.
    """
    try:
        return times.moment(text, now=at or now(), zone=zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def ago(at: datetime, settle: timedelta) -> datetime:
    """Return the time that `--settle` leaves.

    Raises:
        click.UsageError: There is no such time.
    """
    try:
        return at - settle
    except OverflowError:
        raise click.UsageError("--settle must not reach back beyond the year 1") from None


def require_past(text: str, start: datetime, at: datetime) -> None:
    """Check that `--from` is not in the future. It is then after `--till`, too, which the user need not have given.

    Raises:
        click.UsageError: The start is after `at`.
    """
    if start > at:
        raise click.UsageError(f"--from {text} is in the future: {start.isoformat()}")


def window(start: str, end: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Read `--from` and `--till`, both against one reading of the clock. A range ends now at the latest.

    Raises:
        click.UsageError: A text is not a time, or `--from` is after `--till` or in the future.
    """
    at = now()
    first, last = moment("--from", start, zone, at), moment("--till", end, zone, at)
    require_past(start, first, at)
    if first > last:
        raise click.UsageError(f"--from is after --till: {first.isoformat()} is after {last.isoformat()}")
    if last > at:
        note(f"--till {end} is in the future: the range ends now, at {at.isoformat()}.")
    return first, min(last, at)


def range_options(*, start: str | None, end: str | None) -> Callable[[Any], Any]:
    """Add `--from`, `--till` and `--tz` to a command, which receives them as `start`, `end` and `zone`."""

    def decorate(command: Any) -> Any:
        till = click.option(
            "--till", "end", metavar="TIME", default=end, show_default=True, help="The end, which is not included."
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


def address_options(port: int) -> Callable[[Any], Any]:
    """Add `--host` and `--port`, with this default, to a command that serves."""

    def decorate(command: Any) -> Any:
        number = click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=port,
            show_default=True,
            help="The port; 0 for a free one.",
        )
        host = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
        return host(number(command))

    return decorate
