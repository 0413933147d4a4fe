"""`unlimcall`: all commands together, and completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from unlimcall_async import __version__
from unlimcall_async.cli.account import agents, balance, me
from unlimcall_async.cli.accounts import accounts
from unlimcall_async.cli.bill import bill
from unlimcall_async.cli.calls import calls
from unlimcall_async.cli.cdrs_follow import follow
from unlimcall_async.cli.cdrs_prove import prove
from unlimcall_async.cli.cdrs_pull import pull
from unlimcall_async.cli.cdrs_report import report
from unlimcall_async.cli.cdrs_summary import summary
from unlimcall_async.cli.cdrs_sync import sync
from unlimcall_async.cli.cdrs_verify import verify
from unlimcall_async.cli.demo import demo
from unlimcall_async.cli.doctor import doctor
from unlimcall_async.cli.health import health
from unlimcall_async.cli.hooks import hooks
from unlimcall_async.cli.listen import listen
from unlimcall_async.cli.login import login, logout
from unlimcall_async.cli.output import write
from unlimcall_async.cli.running import Commands
from unlimcall_async.cli.sandbox import sandbox
from unlimcall_async.cli.webhooks_reconcile import reconcile


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def unlimcall() -> None:
    """Use the UnlimCall API.

    The token comes from `unlimcall login`, from $UNLIMCALL_TOKEN, from a file or from standard input. $UNLIMCALL_BASE_URL names
    another server. Data goes to standard output, everything else to standard error.

    The exit status is 0 for success, 1 for a failed check or for call records that had to be left out, 2 for wrong usage or a file
    that cannot be used, 3 if the API refuses the request, 4 if the API fails, 5 if no response comes, and 6 if it is unknown
    whether a call was placed or a hook was created. Ctrl-C gives 130, a closed pipe 141, and SIGTERM 143.
    """


@unlimcall.group(cls=Commands)
def cdrs() -> None:
    """Pull, follow, sync, verify, prove and sum up call records."""


@unlimcall.group(cls=Commands)
def webhooks() -> None:
    """Receive webhooks during development, and find missed events."""


@unlimcall.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands and options in a shell.

    For bash, add this line to ~/.bashrc: eval "$(unlimcall completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:  # for the type checker: click has all three shells
        raise click.UsageError(f"there is no completion for {shell}")
    write(kind(unlimcall, {}, "unlimcall", "_UNLIMCALL_COMPLETE").source())


for _command in (login, logout, me, balance, agents, accounts, calls, hooks, health, bill, doctor, sandbox, demo):
    unlimcall.add_command(_command)
cdrs.add_command(pull)
cdrs.add_command(follow)
cdrs.add_command(sync)
cdrs.add_command(verify)
cdrs.add_command(prove)
cdrs.add_command(summary)
cdrs.add_command(report)
webhooks.add_command(listen)
webhooks.add_command(reconcile)
