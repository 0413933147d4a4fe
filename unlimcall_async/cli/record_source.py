"""Where the records of a command come from: the API, a file of `cdrs pull`, or the table of a sync."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs
import click

from unlimcall_async import CallRecord
from unlimcall_async.cli import options
from unlimcall_async.cli.access import Given, access, config_file, profile_of, settings_of
from unlimcall_async.cli.access import with_token_source as named_token_source
from unlimcall_async.cli.output import UnusableError, is_quiet, note, to_stderr
from unlimcall_async.cli.running import ACCESS_OPTIONS, concurrency_option, rate_option
from unlimcall_async.cli.settings import DEFAULT_PROFILE
from unlimcall_async.cli.wording import many
from unlimcall_async.proof import Manifest

# What the user calls the arguments of the package.
_NAMES: Final = {"start": "--from", "end": "--till", "destination": "URL", "table": "--table", "account": "--account"}
# URLs of files. To open one that is not there would make it.
_FILES: Final = ("sqlite:///", "duckdb:///", "parquet:///")
# Records of a file that are read at a time: as many as a page has.
_AT_ONCE: Final = 1000
_DEFAULT_TABLE: Final = "cdrs"


class Records:
    """The records of a command, to be iterated once, in lists.

    Attributes:
        name: Where the records come from, for people.
        start: The start of their range; `None` for a file whose range nobody knows.
        end: The end of their range, which is not part of it; `None` as above.
        manifest: The manifest of the whole, if one is there: of the API when the iteration has ended.
        unreadable: The number of rows of the API that could not be read, when the iteration has ended.
    """

    def __init__(
        self,
        name: str,
        start: datetime | None,
        end: datetime | None,
        lists: AsyncIterator[Sequence[CallRecord]],
        manifest: Manifest | None = None,
    ) -> None:
        self.name = name
        self.start = start
        self.end = end
        self.manifest = manifest
        self.unreadable: int = 0
        self._lists = lists

    def __aiter__(self) -> AsyncIterator[Sequence[CallRecord]]:
        return self._lists

    def some_left_out(self) -> bool:
        """Return whether rows could not be read. If so, write a line on standard error."""
        if self.unreadable:
            rows = many(self.unreadable, "row of the API", "rows of the API")
            to_stderr(f"{rows} could not be read, and {'is' if self.unreadable == 1 else 'are'} left out.")
        return self.unreadable > 0


@attrs.frozen
class RecordSource:
    """What the user says of the records of a command.

    Attributes:
        what: The file, or the URL of a table; `None` for the API.
        start: The text of `--from`; `None` for the command's own start.
        end: The text of `--till`; `None` as above.
        zone: The time zone of times without an offset.
        account: The account's name in a table; `None` for the only one.
        table: The table of a database.
        given: What to ask the API with.
    """

    what: str | None
    start: str | None
    end: str | None
    zone: tzinfo
    account: str | None
    table: str
    given: Given

    def check(self) -> None:
        """Check that the options fit each other.

        Raises:
            click.UsageError: An option is for another kind of source.
        """
        is_table = self.what is not None and "://" in self.what
        if not is_table and (self.account is not None or self.table != _DEFAULT_TABLE):
            raise click.UsageError("--account and --table are for the URL of a table")

    def check_output(self, option: str, out: Path) -> None:
        """Check that a file to be written is none that the records come from.

        Raises:
            click.UsageError: The file is the file of the records, its manifest, or the database.
        """
        from unlimcall_async.cli import files, pull_manifest  # noqa: PLC0415 # `--help` must be quick

        if self.what is None:
            return
        if "://" in self.what:
            held = [_file_of(self.what)] if self.what.lower().startswith(_FILES) else []
        else:
            held = [Path(self.what), pull_manifest.path_of(Path(self.what))]
        if any(files.is_same(out, each) for each in held):
            raise click.UsageError(f"{option} would replace the records or their manifest, {out}: name another file")

    def range(self, start: str | None = None, end: str | None = None) -> tuple[datetime | None, datetime | None]:
        """Return `--from` and `--till` as times, against one reading of the clock.

        Args:
            start: The text of the start if the user has given none.
            end: The text of the end if the user has given none.

        Raises:
            click.UsageError: A text is not a time, or `--from` is after `--till`, or in the future of the API.
        """
        at, (first, last) = options.now(), (self.start or start, self.end or end)
        begin = None if first is None else options.moment("--from", first, self.zone, at)
        finish = None if last is None else options.moment("--till", last, self.zone, at)
        if self.what is None and first is not None and begin is not None:
            options.require_past(first, begin, at)
        if begin is not None and finish is not None and begin > finish:
            raise click.UsageError(f"--from is after --till: {begin.isoformat()} is after {finish.isoformat()}")
        return begin, finish

    @asynccontextmanager
    async def opened(
        self, start: datetime | None = None, end: datetime | None = None, *, manifest: bool = False
    ) -> AsyncIterator[Records]:
        """Open the records of a range. Show meanwhile how far they are.

        Args:
            start: The start of the range; `None` for all that a file or a table holds. The API needs one.
            end: The end of the range; `None` as above, and for the API for now.
            manifest: Whether a manifest is wanted, which costs the API's records as much again.

        Raises:
            click.UsageError: The options do not fit each other, or the token is missing.
            UnusableError: A file or a table cannot be read.
        """
        self.check()
        if self.what is None:
            opened = self._api(start, end, manifest=manifest)
        elif "://" in self.what:
            opened = self._table(self.what, start, end, manifest=manifest)
        else:
            opened = self._file(Path(self.what), start, end, manifest=manifest)
        async with opened as records:
            yield records

    @asynccontextmanager
    async def _api(self, start: datetime | None, end: datetime | None, *, manifest: bool) -> AsyncIterator[Records]:
        from unlimcall_async.cli.progress import shown_progress  # noqa: PLC0415 # loads rich

        if start is None:
            raise click.UsageError("give the start of the records with --from")
        at = options.now()
        if start > at:
            raise click.UsageError(f"--from is in the future: {start.isoformat()}")
        if end is not None and end > at:
            note(f"--till is in the future: the range ends now, at {at.isoformat()}.")
        end = at if end is None else min(end, at)
        client = access(self.given)
        with named_token_source(client.token_source):
            async with (
                client() as open_client,
                open_client.cdrs.stream(
                    start, end, concurrency=client.concurrency, unreadable="keep", manifest=manifest
                ) as stream,
            ):

                async def lists() -> AsyncGenerator[Sequence[CallRecord], None]:
                    with shown_progress() as show:
                        async for batch in stream.batches():
                            yield batch
                            show(stream)
                    records.unreadable = len(stream.unreadable)
                    records.manifest = stream.manifest if manifest else None

                async with aclosing(lists()) as found:
                    records = Records("the API", start, stream.end, found)
                    yield records

    @asynccontextmanager
    async def _table(
        self, url: str, start: datetime | None, end: datetime | None, *, manifest: bool
    ) -> AsyncIterator[Records]:
        from unlimcall_async.sync import read_interval, read_manifest, read_records  # noqa: PLC0415 # `--help` is quick

        with table_errors(url):
            first, last = await read_interval(url, self.account, self.table)
            start, end = start or first, last if end is None else min(end, last)
            if not first <= start <= end:
                raise ValueError(
                    f"start and end must lie within the time that was synced: {first.isoformat()} till {last.isoformat()}"
                )
            held = await read_manifest(url, self.account, self.table) if manifest else None
            async with aclosing(read_records(url, self.account, self.table, start, end)) as lists:
                with _working(f"Reading {url}"):
                    yield Records(url, start, end, lists, held)

    @asynccontextmanager
    async def _file(
        self, path: Path, start: datetime | None, end: datetime | None, *, manifest: bool
    ) -> AsyncIterator[Records]:
        from unlimcall_async.cli import pull_manifest, record_files  # noqa: PLC0415 # `--help` must be quick

        if record_files.kind_of(path) == "manifest":
            raise UnusableError(f"{path} is a manifest, which holds no records: name the file itself")
        try:
            held: Manifest | None = pull_manifest.read(pull_manifest.path_of(path))
        except FileNotFoundError:
            held = None
        except UnusableError:
            # Only who wants the manifest is stopped by one that is damaged.
            if manifest:
                raise
            held = None

        async def lists() -> AsyncGenerator[Sequence[CallRecord], None]:
            rest = record_files.records_in(path)
            while some := list(islice(rest, _AT_ONCE)):
                if start is None and end is None:
                    yield some
                else:
                    yield [each for each in some if _lies_between(start, each.start_time, end)]

        first, last = start, end
        if held is not None:
            # The file holds nothing of what lies outside.
            first = held.start if start is None else min(max(start, held.start), held.end)
            last = held.end if end is None else max(min(end, held.end), first)
        async with aclosing(lists()) as found:
            with _working(f"Reading {path}"):
                yield Records(str(path), first, last, found, held)


def _file_of(url: str) -> Path:
    return Path(url.partition(":///")[2])


def _lies_between(start: datetime | None, moment: datetime, end: datetime | None) -> bool:
    return (start is None or start <= moment) and (end is None or moment < end)


@contextmanager
def _working(text: str) -> Iterator[None]:
    from unlimcall_async.cli.progress import working  # noqa: PLC0415 # loads rich

    if is_quiet():
        yield
        return
    with working(text):
        yield


@contextmanager
def table_errors(url: str) -> Iterator[None]:
    """End the command as for a file that cannot be used, if the table of a URL is to blame, and not the API."""
    from unlimcall_async.sync import SyncBusyError, SyncDestinationError, SyncSchemaError  # noqa: PLC0415 # as above

    if url.lower().startswith(_FILES) and not _file_of(url).exists():
        raise UnusableError(f"{url}: there is no such file")
    try:
        with options.in_option_names(_NAMES):
            yield
    except (SyncBusyError, SyncDestinationError, SyncSchemaError, ImportError) as error:
        raise UnusableError(str(error)) from None


def with_records(what: Callable[[Any], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that say where records come from to a command, which receives its `RecordSource` as `source`.

    Args:
        what: The argument or the option with the file or the URL, whose value is called `what`.
    """
    added = [
        what,
        options.range_options(start=None, end=None),
        click.option("--account", metavar="NAME", help="The account's name in a table; needed if it holds several."),
        click.option(
            "--table", metavar="NAME", default=_DEFAULT_TABLE, show_default=True, help="The table of a database."
        ),
        rate_option,
        concurrency_option,
        *ACCESS_OPTIONS,
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(*arguments: Any, **given: Any) -> None:
            asked = Given(**{each.name: given.pop(each.name) for each in attrs.fields(Given)})
            facts = {each.name: given.pop(each.name) for each in attrs.fields(RecordSource) if each.name in given}
            facts["zone"] = _zone(asked, facts["zone"])
            command(*arguments, source=RecordSource(**facts, given=asked), **given)

        for option in reversed(added):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def _zone(given: Given, zone: tzinfo) -> tzinfo:
    """Return the zone of the settings, unless the user has given one."""
    if options.is_given("zone"):
        return zone
    named = settings_of(profile_of(given) or DEFAULT_PROFILE, given)[0].tz
    if named is None:
        return zone
    return options.zone_of_settings(named, config_file())
