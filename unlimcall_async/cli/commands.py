"""`unlimcall`: all its commands, and the simple ones."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from unlimcall_async import AsyncClient, __version__
from unlimcall_async.cli.cdrs import cdrs
from unlimcall_async.cli.changes import calls, hooks
from unlimcall_async.cli.checks import demo, doctor, health
from unlimcall_async.cli.output import show, write
from unlimcall_async.cli.running import Clients, Commands, as_json, ask, with_client
from unlimcall_async.cli.serving import sandbox, webhooks


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def unlimcall() -> None:
    """Use the UnlimCall API.

    The token is taken from $UNLIMCALL_TOKEN, from a file or from standard input, and the URL from $UNLIMCALL_BASE_URL. Data goes to
    standard output, all else to standard error.

    The exit status is 0 where all went well, 1 where a check has failed, 2 for wrong usage or a file that cannot be used, 3 where
    the API refuses, 4 where it fails, 5 where no answer comes, and 6 where it is unknown whether a call was placed or a hook
    created. Ctrl-C gives 130, a pipe that was closed 141, and SIGTERM 143.
    """


@unlimcall.command()
@as_json
@with_client
def me(client: Clients, as_json: bool) -> None:
    """Tell whose token it is."""
    show(ask(client, AsyncClient.me), as_json=as_json)


@unlimcall.command()
@as_json
@with_client
def balance(client: Clients, as_json: bool) -> None:
    """Read the account's balance."""
    show(ask(client, AsyncClient.balance), as_json=as_json)


@unlimcall.command()
@as_json
@with_client
def agents(client: Clients, as_json: bool) -> None:
    """List the SIP lines of the account."""
    for number, agent in enumerate(ask(client, AsyncClient.agents)):
        if number and not as_json:
            write("\n")
        show(agent, as_json=as_json)


@unlimcall.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script for completion in a shell.

    It completes commands and options. For bash: eval "$(unlimcall completion bash)" in ~/.bashrc.
    """
    kind = get_completion_class(shell)
    if kind is None:  # click has all three
        raise click.UsageError(f"there is no completion for {shell}")
    write(kind(unlimcall, {}, "unlimcall", "_UNLIMCALL_COMPLETE").source())


for _command in (cdrs, calls, hooks, webhooks, health, doctor, sandbox, demo):
    unlimcall.add_command(_command)
