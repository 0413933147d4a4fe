"""What `unlimcall` can do. A user's mistake, or the API's refusal, is one line on standard error and never a traceback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click

from unlimcall_async import AsyncClient, UnlimCallError, __version__

T = TypeVar("T")

# By who is to blame, from 3 on: 1 is Python's, and 2 click's for wrong usage.
EXIT_STATUS: Final = {"application": 3, "provider": 4, "network": 5}

# As a shell reports a process that Ctrl-C has ended.
INTERRUPTED: Final = 130

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


def _check_suffix(_context: click.Context, _option: click.Parameter, out: Path) -> Path:
    if out.suffix not in {".ndjson", ".csv"}:
        raise click.BadParameter("the name must end in .ndjson or .csv")
    return out


@unlimcall.command()
@click.option(
    "--calls", type=click.IntRange(min=1), default=200_000, show_default=True, help="How many calls to make up."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other calls.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="unlimcall-demo.ndjson",
    show_default=True,
    callback=_check_suffix,
    help="The file to write: .ndjson or .csv.",
)
@click.option("--newest-first", is_flag=True, help="Pull the newest calls first.")
def demo(calls: int, seed: int, out: Path, newest_first: bool) -> None:
    """Pull a year of made-up calls from the sandbox, through faults, and check every one.

    It needs no account. The exit status is 1 where a record is missing, double or out of order.
    """
    try:
        from unlimcall_async.cli.demo import run  # noqa: PLC0415 # `unlimcall --help` need not import a server

        with _refusals_in_a_line():
            complete = run(calls, seed, out, newest_first=newest_first)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(0 if complete else 1)


def _ask(question: Callable[[AsyncClient], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with AsyncClient() as client:
            return await question(client)

    with _refusals_in_a_line():
        try:
            return asyncio.run(ask())
        except ValueError as error:
            raise click.UsageError(str(error)) from None


@contextmanager
def _refusals_in_a_line() -> Iterator[None]:
    try:
        yield
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
