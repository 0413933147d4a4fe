"""`unlimcall cdrs pull --accounts`: a file for each account, in one folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path

import attrs
import click

from unlimcall_async import AsyncClient, CdrStream
from unlimcall_async.accounts import Accounts
from unlimcall_async.cli import options
from unlimcall_async.cli.access import AccessToAll
from unlimcall_async.cli.account_files import file_names
from unlimcall_async.cli.accounts_table import Board
from unlimcall_async.cli.all_accounts import run_for_all
from unlimcall_async.cli.files import exists, without_detours
from unlimcall_async.cli.journal import Journal
from unlimcall_async.cli.output import UnusableError, note, to_stderr, unwritable, write_json
from unlimcall_async.cli.pieces import losses
from unlimcall_async.cli.pull_file import stored_journal
from unlimcall_async.cli.pull_formats import MADE, NAMES, ending_of
from unlimcall_async.cli.pull_job import Job, Order, length_of, summary_of
from unlimcall_async.cli.pull_place import Place
from unlimcall_async.cli.pull_range import Wanted
from unlimcall_async.cli.pull_to_file import jobs
from unlimcall_async.cli.running import FOUND, TerminatedError
from unlimcall_async.cli.wording import many, plain, size


@attrs.define
class _Sums:
    """What came for all accounts."""

    records: int = 0
    length: int = 0
    requests: int = 0
    flawed: bool = False

    def add(self, job: Job) -> None:
        self.records += job.journal.records
        self.length += length_of(job.journal)
        self.requests += job.cost.requests
        self.flawed = self.flawed or job.journal.flawed


@attrs.define
class _Folder:
    """The folder of the files.

    Attributes:
        order: What the user asks for, with the folder in place of the file.
        names: The name of each account's file, without its ending.
        wanted: The range of an account that is begun now.
    """

    order: Order
    names: dict[str, str]
    wanted: Wanted

    def file_of(self, account: str) -> Path:
        return self.order.out / f"{self.names[account]}.{ending_of(self.order.form or '')}"

    @property
    def journals(self) -> Iterator[Path]:
        """The file with the journal of each account, which need not be there."""
        return (Place(self.file_of(account), is_folder=False).journal for account in self.names)

    @property
    def is_begun(self) -> bool:
        """Whether the pull of any account was begun, so that `--resume` finds its range."""
        return any(map(exists, self.journals))

    def tell_how_to_continue(self) -> None:
        """Write the command that continues the pull."""
        if self.is_begun:
            to_stderr(f"To continue: {self.order.again}")

    def order_of(self, account: str, client: AsyncClient) -> Order:
        """Return the order of one account."""
        order, file = self.order, self.file_of(account)
        rejects = order.accepted.rejects
        own = None if rejects is None else rejects / f"{self.names[account]}.ndjson"
        wanted = order.wanted if exists(Place(file, is_folder=False).journal) else self.wanted
        accepted = order.accepted._replace(rejects=own)
        return attrs.evolve(order, client=lambda: nullcontext(client), out=file, wanted=wanted, accepted=accepted)


def _opened(order: Order, accounts: Accounts, file: Path) -> _Folder:
    """Return the folder for the accounts of a file.

    Raises:
        click.UsageError: An account cannot name a file, or an option is wrong.
        UnusableError: A folder cannot be made.
    """
    try:
        names = file_names(accounts.names)
    except ValueError as error:
        raise click.UsageError(f"{file}: {error}") from None
    rejects = order.accepted.rejects
    if rejects is not None and without_detours(rejects) == without_detours(order.out):
        raise click.UsageError("--rejects must name another folder than --out")
    # All accounts have one range, which is settled now.
    wanted = attrs.evolve(order.wanted, at=options.now())
    if order.since_last and order.form in MADE:
        raise click.UsageError(
            f"--since-last cannot add to {MADE[order.form]}; leave it out, or give --format csv or ndjson"
        )
    if not (order.resume or order.since_last):
        wanted.settled()
    for each in filter(None, (order.out, rejects)):
        with unwritable(each):
            each.mkdir(exist_ok=True)
    wanted = attrs.evolve(wanted, tells_future=False)
    form = order.form or _begun_form(order, names) or "ndjson"
    folder = _Folder(attrs.evolve(order, form=form, wanted=wanted), names, wanted)
    if order.resume:
        # An account that the pull before had not begun gets the range and the zone of the others.
        if (begun := next(filter(None, map(_readable, folder.journals)), None)) is not None:
            start, end, zone = begun.start.isoformat(), begun.end.isoformat(), wanted.zone_of(begun)
            folder.wanted = attrs.evolve(wanted, start=start, end=end, settle=None, zone=zone)
        elif not folder.is_begun:
            wanted.settled()
    return folder


def _begun_form(order: Order, names: Mapping[str, str]) -> str | None:
    """Return the format of the pull that is to be continued, or `None` if no journal of such a pull can be read."""
    if not (order.resume or order.since_last):
        return None
    # The default first.
    endings = ("ndjson", *(name for name in NAMES if order.resume or name not in MADE))
    for ending in endings:
        for name in names.values():
            if (begun := _readable(Place(order.out / f"{name}.{ending}", is_folder=False).journal)) is not None:
                return begun.form
    return None


def _readable(path: Path) -> Journal | None:
    """Return the journal in a file, or `None` if the file is missing or damaged: the pull of its account then names the damage."""
    try:
        return stored_journal(path)
    except UnusableError:
        return None


def pull_accounts(order: Order, access: AccessToAll, at_once: int) -> int:
    """Pull, and return the exit status. `order` is that of all accounts, with the folder in place of the file."""
    accounts, sums = access(), _Sums()
    folder = _opened(order, accounts, access.file)

    async def pulled(name: str, client: AsyncClient, board: Board) -> None:
        def begun(stream: CdrStream) -> None:
            board.under_way[name] = lambda: stream.progress

        with closing(jobs(folder.order_of(name, client))) as todo:
            for job in todo:
                await job.run(begun, begun)
                sums.add(job)
                board.records += job.journal.records
                _report(name, job, as_json=order.as_json)

    try:
        outcome = run_for_all(accounts, at_once, pulled, as_json=order.as_json)
    except (KeyboardInterrupt, TerminatedError):
        folder.tell_how_to_continue()
        raise
    write_line = to_stderr if outcome.failed else note
    write_line(
        f"{many(len(outcome.results), 'account', 'accounts')} with {many(sums.records, 'record', 'records')} in {order.out}, "
        f"{size(sums.length)}. {many(sums.requests, 'request', 'requests')}.{outcome.summary}"
    )
    if outcome.failed:
        folder.tell_how_to_continue()
    return outcome.status or (FOUND if sums.flawed else 0)


def _report(name: str, job: Job, *, as_json: bool) -> None:
    journal = job.journal
    rows, rejects = (0, "") if journal.rejects is None else (journal.rejects.rows, journal.rejects.file)
    if lost := losses(rows, rejects, journal.saturated):
        to_stderr(f"{plain(name)}:{lost}")
    if as_json:
        write_json({"account": name, **summary_of(job)})
