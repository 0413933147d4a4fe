"""What `unlimcall` can do. A user's mistake, or the API's refusal, is one line on standard error and never a traceback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import attrs
import click

from unlimcall_async import AsyncClient, UnlimCallError, __version__

T = TypeVar("T")

# By who is to blame, from 3 on: 1 is Python's, and 2 click's for wrong usage.
EXIT_STATUS: Final = {"application": 3, "provider": 4, "network": 5}

_as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a line.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def unlimcall() -> None:
    """Use the UnlimCall API. The token is taken from $UNLIMCALL_TOKEN, the URL from $UNLIMCALL_BASE_URL."""


@unlimcall.command()
@_as_json
def me(as_json: bool) -> None:
    """Tell whose token it is."""
    _show(_ask(AsyncClient.me), as_json=as_json)


@unlimcall.command()
@_as_json
def balance(as_json: bool) -> None:
    """Read the account's balance."""
    _show(_ask(AsyncClient.balance), as_json=as_json)


@unlimcall.command()
@_as_json
def agents(as_json: bool) -> None:
    """List the SIP lines of the account."""
    for agent in _ask(AsyncClient.agents):
        _show(agent, as_json=as_json)


@unlimcall.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Serve the sandbox, an API to test against, until Ctrl-C."""
    from unlimcall_async.sandbox.__main__ import main  # noqa: PLC0415 # `unlimcall --help` need not import a server

    raise SystemExit(main(arguments))


def _ask(question: Callable[[AsyncClient], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with AsyncClient() as client:
            return await question(client)

    try:
        return asyncio.run(ask())
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except UnlimCallError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(EXIT_STATUS[error.category]) from None


def _show(answer: Any, *, as_json: bool) -> None:
    fields = attrs.asdict(answer)
    fields |= fields.pop("extra")
    if as_json:
        # Money and times as text: a number in JSON would be read as a float.
        click.echo(json.dumps(fields, default=str))
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {'-' if value is None else value}")
