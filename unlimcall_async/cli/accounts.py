"""`unlimcall accounts check`: whether the token of each account works, and which scopes it lacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from unlimcall_async import AsyncClient, AuthenticationError, Identity, UnlimCallError
from unlimcall_async.cli.access import AccessToAll
from unlimcall_async.cli.output import note, to_stderr, write, write_json
from unlimcall_async.cli.running import (
    Commands,
    as_json,
    at_once_option,
    quiet,
    the_accounts_option,
    with_client,
)
from unlimcall_async.cli.wording import many, plain

if TYPE_CHECKING:
    from unlimcall_async.cli.accounts_table import Board


@click.group(cls=Commands)
def accounts() -> None:
    """Check the accounts of a file."""


@accounts.command()
@the_accounts_option
@at_once_option
@quiet
@as_json
@with_client
def check(*, client: AccessToAll, at_once: int, as_json: bool) -> None:
    """Check the token of each account, and write a line for each.

    A line has the account's id and company, and the scopes that the token lacks, as far as harmless requests can show: there are
    four for each account. The exit status is that of the first account that failed; a missing scope is not a failure.
    """
    from unlimcall_async.cli.all_accounts import run_for_all  # noqa: PLC0415 # `--help` must be quick

    opened = client()
    width = max(len(plain(name)) for name in opened.names)

    async def checked(_name: str, client: AsyncClient, _board: Board) -> tuple[Identity, list[str]]:
        identity = await client.me()
        return identity, [scope for scope, trial in _TRIALS.items() if await _is_missing(trial, client)]

    outcome = run_for_all(opened, at_once, checked, as_json=as_json)
    # In the order of the file, and when the table of progress is gone from the terminal.
    for name in filter(outcome.results.__contains__, opened.names):
        identity, lacks = outcome.results[name]
        if as_json:
            write_json(_facts(name, identity, lacks))
            continue
        missing = f"  lacks {', '.join(lacks)}" if lacks else ""
        write(
            f"{plain(name):<{width}}  ok  {plain(identity.customer_id)}  {plain(identity.company_name or '-')}{missing}\n"
        )
    write_line = to_stderr if outcome.failed else note
    write_line(f"{len(outcome.results):,} of {many(len(opened), 'account', 'accounts')} work.{outcome.summary}")
    raise SystemExit(outcome.status)


async def _cdrs(client: AsyncClient) -> object:
    return await client.cdrs.list(limit=1)


# The scopes that a harmless request can show, and that request.
_TRIALS: dict[str, Callable[[AsyncClient], Awaitable[object]]] = {
    "read:balance": AsyncClient.balance,
    "read:agents": AsyncClient.agents,
    "read:cdrs": _cdrs,
}


async def _is_missing(trial: Callable[[AsyncClient], Awaitable[object]], client: AsyncClient) -> bool:
    """Return whether the API refuses a request of a token that is valid."""
    try:
        await trial(client)
    except AuthenticationError:
        return True
    except UnlimCallError:  # says nothing of the scope, for example that the account has no trunk yet
        return False
    return False


def _facts(name: str, identity: Identity, lacks: list[str]) -> dict[str, Any]:
    return {
        "account": name,
        "customer_id": identity.customer_id,
        "company_name": identity.company_name,
        "lacks": lacks,
    }
