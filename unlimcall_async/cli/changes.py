"""`unlimcall calls` and `unlimcall hooks`: what changes something, and is never done twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs
import click

from unlimcall_async import UnlimCallError
from unlimcall_async.cli.options import read_by
from unlimcall_async.cli.output import UnwritableError, fields_of, show, show_fields, tell, unwritable
from unlimcall_async.cli.running import (
    OUTCOME_UNKNOWN,
    Clients,
    Commands,
    TerminatedError,
    as_json,
    ask,
    told,
    with_client,
)

EVENTS: Final = ("call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed")

_CALL_DOUBT: Final = "The call may have been placed all the same. Look before you place it again."
_HOOK_DOUBT: Final = "A hook may have been created all the same, whose secret nobody knows. Look for it in the portal."


@click.group(cls=Commands)
def calls() -> None:
    """Place calls."""


def _metadata(text: str) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        content = json.loads(text)
        if isinstance(content, dict):
            return content
    raise ValueError('it must be a JSON object, as {"campaign": "may"}')


@calls.command("create")
@click.option("--agent", required=True, metavar="ID", help="The AI agent, by its id, as 27.")
@click.option("--to", "to_number", required=True, metavar="NUMBER", help="Whom to call, as +14155551234.")
@click.option("--from", "from_number", metavar="NUMBER", help="Another caller id. The API does not use it yet.")
@click.option(
    "--metadata",
    metavar="JSON",
    callback=read_by(_metadata),
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

    It does not ask back. A call is placed once at the most: where it is unknown whether it was, the command says so and ends
    with status 6.
    """
    with _doubt_told(_CALL_DOUBT):
        call = ask(
            client,
            lambda open_client: open_client.calls.create(
                ai_agent_id=agent, to_number=to_number, from_number=from_number, metadata=metadata
            ),
        )
    with _told_if_unshown(f"The call {call.call_id} was placed."):
        show(call, as_json=as_json)


@click.group(cls=Commands)
def hooks() -> None:
    """Create and delete webhook subscriptions."""


@hooks.command("create")
@click.option("--event", required=True, type=click.Choice(EVENTS), help="What to be told of.")
@click.option("--url", required=True, metavar="URL", help="Where to be told: an https URL.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the secret to this new file, which only its owner can read, and not to standard output.",
)
@as_json
@with_client
def create_hook(client: Clients, event: str, url: str, secret_file: Path | None, as_json: bool) -> None:
    """Subscribe a URL to an event.

    It prints the hook with its secret. The API shows the secret this once: keep it. It is what deliveries are verified with.
    """
    with _doubt_told(_HOOK_DOUBT), _new_file(secret_file) as descriptor:
        hook = ask(client, lambda open_client: open_client.hooks.create(event=event, target_url=url))
        lost = f"The hook {hook.id} was created, but its secret is lost: unlimcall hooks delete {hook.id}"
        with _told_if_unshown(lost):
            if descriptor is None:
                show(hook, as_json=as_json)
                return
            with unwritable(secret_file):
                os.write(descriptor, f"{hook.secret}\n".encode())
                os.fsync(descriptor)
    fields = fields_of(attrs.evolve(hook, secret=""))
    show_fields({**fields, "secret": f"in {secret_file}"}, as_json=as_json)


@hooks.command("delete")
@click.argument("hook_id", metavar="ID")
@as_json
@with_client
def delete_hook(client: Clients, hook_id: str, as_json: bool) -> None:
    """Delete the subscription with this ID."""
    ask(client, lambda open_client: open_client.hooks.delete(hook_id))
    show_fields({"id": hook_id, "deleted": True}, as_json=as_json)


@contextmanager
def _doubt_told(doubt: str) -> Iterator[None]:
    """Say plainly what may have happened, where that is unknown."""
    try:
        yield
    except UnlimCallError as error:
        if not error.outcome_unknown:
            raise
        tell(f"{told(error)}\n{doubt}")
        raise SystemExit(OUTCOME_UNKNOWN) from None
    except (KeyboardInterrupt, TerminatedError):
        tell(doubt)
        raise


@contextmanager
def _new_file(path: Path | None) -> Iterator[int | None]:
    """Make the file for a secret before there is one, as it will be shown once only; none is left where none has come."""
    if path is None:
        yield None
        return
    with unwritable(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


@contextmanager
def _told_if_unshown(line: str) -> Iterator[None]:
    """Where an answer cannot be written, say what was done all the same."""
    try:
        yield
    except (UnwritableError, BrokenPipeError):
        tell(line)
        raise
