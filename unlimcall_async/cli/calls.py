"""`unlimcall calls create`: places a call, once at most."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import click

from unlimcall_async import _json
from unlimcall_async.cli.options import in_option_names, read_by
from unlimcall_async.cli.output import show
from unlimcall_async.cli.running import Clients, Commands, as_json, ask, with_client, with_doubt, with_line_if_unshown

_DOUBT: Final = "The call may have been placed all the same. Look before you place it again."


@click.group(cls=Commands)
def calls() -> None:
    """Place calls."""


def metadata_of(text: str) -> dict[str, Any]:
    """Read the JSON object of `--metadata`.

    Raises:
        ValueError: The text is not a JSON object.
    """
    with suppress(_json.JsonError):
        # As floats, because the content is sent as JSON again.
        content = _json.read(text, fractions=float)
        if isinstance(content, dict):
            return content
    raise ValueError('the text is not a JSON object; write it as \'{"campaign": "may"}\'')


@calls.command("create")
@click.option("--agent", required=True, metavar="ID", help="The id of the AI agent, for example 27.")
@click.option(
    "--to", "to_number", required=True, metavar="NUMBER", help="The number to call, for example +14155551234."
)
@click.option("--from", "from_number", metavar="NUMBER", help="Another caller id. The API does not use it yet.")
@click.option(
    "--metadata",
    metavar="JSON",
    callback=read_by(metadata_of),
    help="Notes, as a JSON object. The API does not keep them yet.",
)
@as_json
@with_client
def create_call(
    *,
    client: Clients,
    agent: str,
    to_number: str,
    from_number: str | None,
    metadata: Mapping[str, Any] | None,
    as_json: bool,
) -> None:
    """Have an AI agent call a number.

    The command asks no question back, and places the call once at most. If it is unknown whether the call was placed, the command
    says so and ends with status 6.
    """
    options = {"ai_agent_id": "--agent", "to_number": "--to", "from_number": "--from", "metadata": "--metadata"}
    with with_doubt(_DOUBT), in_option_names(options):
        call = ask(
            client,
            lambda open_client: open_client.calls.create(
                ai_agent_id=agent, to_number=to_number, from_number=from_number, metadata=metadata
            ),
        )
    with with_line_if_unshown(f"The call {call.call_id} was placed."):
        show(call, as_json=as_json)
