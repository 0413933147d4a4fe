"""The range of a pull: as its user wrote it, as the clock settled it, and as the journal of an earlier run holds it."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from unlimcall_async.cli import options
from unlimcall_async.cli.output import note
from unlimcall_async.cli.pull_formats import is_local
from unlimcall_async.cli.times import is_relative

if TYPE_CHECKING:
    from unlimcall_async.cli.journal import Journal


@attrs.frozen
class Settled:
    """The range of a pull that begins.

    Attributes:
        start: Its start.
        end: Its end, which is not in the future.
        till: The end that the user asked for, if that is in the future.
        at: The time by which the range was settled.
    """

    start: datetime
    end: datetime
    till: datetime | None
    at: datetime


@attrs.frozen
class Wanted:
    """The range as the user wrote it.

    Attributes:
        start: `--from`.
        end: `--till`.
        settle: `--settle`.
        zone: The zone of times without an offset.
        zone_given: Whether the zone is in this command, and not a default.
        at: The moment from which relative times count back; `None` for that at which the range is settled.
        tells_future: Whether a line says that an end in the future stands for now.
    """

    start: str | None
    end: str | None
    settle: timedelta | None
    zone: tzinfo
    zone_given: bool
    at: datetime | None = None
    tells_future: bool = True

    @property
    def is_relative(self) -> bool:
        """Whether the same words mean another range at another time."""
        return any(text is not None and is_relative(text) for text in (self.start, self.end))

    def settled(self, begin: datetime | None = None) -> Settled:
        """Return the range of a pull that begins.

        Args:
            begin: The end of the pull before, which takes the place of `--from`. The range is empty if it ends before.

        Raises:
            click.UsageError: The start is missing, a text is not a time, or the range ends before its start.
        """
        at = self.at or options.now()
        if begin is not None:
            start = begin
        elif self.start is not None:
            start = options.moment("--from", self.start, self.zone, at)
            options.require_past(self.start, start, at)
        else:
            raise click.UsageError("--from is missing: give the start of the range, for example --from 7d")
        till = options.ago(at, self.settle or timedelta(0))
        if self.end is not None:
            till = options.moment("--till", self.end, self.zone, at)
        if begin is None and start > till:
            end = "--till" if self.settle is None else "the time that --settle leaves"
            raise click.UsageError(f"--from is after {end}: {start.isoformat()} is after {till.isoformat()}")
        if till <= at:
            return Settled(start, max(start, till), None, at)
        if self.tells_future:
            note(f"--till {self.end} is in the future: the range ends now, at {at.isoformat()}.")
        return Settled(start, max(start, at), till, at)

    def check(self, journal: Journal, out: Path) -> None:
        """Compare the range with that of a file which is continued.

        A relative time counts back from the moment when the pull began. A time without an offset is in the zone of that moment.

        Raises:
            click.UsageError: An option names another range, or another zone for the times in the file.
        """
        self.check_zone(journal, out)
        zone, begun = self.zone_of(journal), journal.begun
        ends = {journal.end, journal.till}
        for option, text, at, held in (
            ("--from", self.start, journal.first_begun, {journal.start}),
            ("--till", self.end, begun, ends),
        ):
            # Earlier releases have not stored the moment from which a relative time counts back.
            if text is None or (at is None and is_relative(text)):
                continue
            if options.moment(option, text, zone, at) not in held:
                seen = f" as of {at.isoformat()}" if at is not None and is_relative(text) else ""
                raise _another_range(f"{option} {text}{seen}", option, journal, out)
        if self.settle is not None and begun is not None and options.ago(begun, self.settle) not in ends:
            raise _another_range("--settle", "--settle", journal, out)

    def check_zone(self, journal: Journal, out: Path) -> None:
        """Check that a file with times in a zone is continued in that zone.

        Raises:
            click.UsageError: The zone is another one.
        """
        zone = self.zone_of(journal)
        if is_local(journal.form) and str(zone) != journal.zone:
            raise click.UsageError(
                f"{out} was begun with --tz {journal.zone}, and --tz {zone} is another zone; "
                "leave --tz out to continue the file"
            )

    def zone_of(self, journal: Journal) -> tzinfo:
        """Return the zone of this command, else that of the pull.

        Raises:
            click.UsageError: This machine does not know the pull's zone.
        """
        if self.zone_given or journal.zone is None:
            return self.zone
        try:
            return options.zone_named(journal.zone)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--tz") from None


def _another_range(meant: str, option: str, journal: Journal, out: Path) -> click.UsageError:
    return click.UsageError(
        f"{out} is a pull from {journal.start.isoformat()} till {journal.end.isoformat()}, and {meant} is another range; "
        f"leave {option} out to continue the file"
    )
