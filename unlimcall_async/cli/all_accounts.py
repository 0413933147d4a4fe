"""Work for all accounts of a file: the table of progress, a line for each account that fails, and the exit status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
from attrs import define, field

from unlimcall_async import AsyncClient, UnlimCallError
from unlimcall_async._secrets import without_tokens
from unlimcall_async.accounts import AccountErrorGroup, Accounts
from unlimcall_async.cli.accounts_table import Board, shown_board
from unlimcall_async.cli.output import at_terminal, to_stderr, write_json
from unlimcall_async.cli.running import EXIT_STATUS, FOUND, error_line, run
from unlimcall_async.cli.wording import many, plain

T = TypeVar("T")


@define
class Outcome:
    """What has become of the accounts.

    Attributes:
        results: What the work has returned, by account.
        failed: The accounts that failed, and why, in their order.
    """

    results: dict[str, Any] = field(factory=dict)
    failed: dict[str, BaseException] = field(factory=dict)

    @property
    def status(self) -> int:
        """The exit status: that of the first account that failed, else 0."""
        return next((_status(cause) for cause in self.failed.values()), 0)

    @property
    def summary(self) -> str:
        """The end of a summary that names the accounts that failed; empty if none did."""
        if not self.failed:
            return ""
        return f" {many(len(self.failed), 'account', 'accounts')} failed: {', '.join(map(plain, self.failed))}."


def run_for_all(
    accounts: Accounts,
    at_once: int,
    work: Callable[[str, AsyncClient, Board], Awaitable[T]],
    *,
    as_json: bool,
    usage_ends: bool = False,
) -> Outcome:
    """Do the work for each account, show how far they are, and return what has become of them.

    Args:
        accounts: The accounts, which are closed at the end.
        at_once: How many are worked on at once.
        work: The work for one account. It may put into the `Board` how far the account is.
        as_json: Whether a line for an account that fails is a JSON object on standard output, too.
        usage_ends: Whether an option that is wrong for all accounts, in the same way, ends the command with one error.
    """
    outcome, board = Outcome(), Board(len(accounts))

    async def worked(name: str, client: AsyncClient) -> None:
        board.under_way[name] = None
        try:
            try:
                outcome.results[name] = await work(name, client, board)
            except BrokenPipeError as error:
                # Nobody reads what the other accounts would write, either.
                raise _EndedError from error
            except (UnlimCallError, click.ClickException) as error:
                outcome.failed[name] = error
                if not (usage_ends and isinstance(error, click.UsageError)):
                    _write_failure(name, error, as_json=as_json)
        finally:
            del board.under_way[name]
        board.failed, board.done = len(outcome.failed), len(outcome.results)

    async def all_of_them() -> None:
        async with accounts:
            with shown_board(board, as_lines=as_json and at_terminal()):
                await accounts.each(worked, at_once=at_once)

    try:
        run(all_of_them, tells_waits=False)
    except _EndedError as ended:
        raise ended.__cause__ or ended from None
    except AccountErrorGroup as group:  # what no account is to blame for
        raise group.errors[0].__cause__ or group from None
    outcome.failed = {name: outcome.failed[name] for name in accounts.names if name in outcome.failed}
    if usage_ends:
        _report_usage(outcome, len(accounts), as_json=as_json)
    return outcome


def _report_usage(outcome: Outcome, accounts: int, *, as_json: bool) -> None:
    """Write a line for each account that an option is wrong for, or raise the error if it is the same for all."""
    wrong = {name: cause for name, cause in outcome.failed.items() if isinstance(cause, click.UsageError)}
    if len(wrong) == accounts and len({cause.message for cause in wrong.values()}) == 1:
        raise next(iter(wrong.values()))
    for name, cause in wrong.items():
        _write_failure(name, cause, as_json=as_json)


class _EndedError(BaseException):
    """One account has shown that nobody reads. Not an `Exception`, which would be the failure of that account alone."""


def _write_failure(name: str, error: UnlimCallError | click.ClickException, *, as_json: bool) -> None:
    """Write a line for an account that fails."""
    text = error.format_message() if isinstance(error, click.ClickException) else error_line(error)
    text = without_tokens(text.removeprefix("Error: "))
    to_stderr(without_tokens(f"{plain(name)}: {text}"))
    if as_json:
        write_json({"account": name, "error": text, "status": _status(error)})


def _status(cause: BaseException) -> int:
    return EXIT_STATUS[cause.category] if isinstance(cause, UnlimCallError) else getattr(cause, "exit_code", FOUND)
