"""`unlimcall hooks`: creates and deletes webhook subscriptions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, get_args

import attrs
import click

from unlimcall_async import EventType
from unlimcall_async._platform import sync_folder
from unlimcall_async.cli.options import FILE_NAME, in_option_names
from unlimcall_async.cli.output import show, show_fields, unwritable
from unlimcall_async.cli.running import Clients, Commands, as_json, ask, with_client, with_doubt, with_line_if_unshown
from unlimcall_async.cli.wording import fields_of

EVENTS: Final[tuple[str, ...]] = get_args(get_args(EventType)[0])

_DOUBT: Final = "A hook may have been created all the same, and its secret is lost. Look for the hook in the portal."


@click.group(cls=Commands)
def hooks() -> None:
    """Create and delete webhook subscriptions."""


@hooks.command("create")
@click.option("--event", required=True, type=click.Choice(EVENTS), help="The event to subscribe to.")
@click.option("--url", required=True, metavar="URL", help="The https URL that receives the events.")
@click.option(
    "--secret-file",
    type=FILE_NAME,
    metavar="FILE",
    help="Write the secret to this new file, which only its owner can read, and not to standard output.",
)
@as_json
@with_client
def create_hook(client: Clients, event: str, url: str, secret_file: Path | None, as_json: bool) -> None:
    """Subscribe a URL to an event.

    The command prints the hook with its secret, which verifies deliveries. The API shows the secret only this once: keep it.
    """
    with with_doubt(_DOUBT), _secret_file(secret_file) as file:
        with in_option_names({"event": "--event", "target_url": "--url"}):
            hook = ask(client, lambda open_client: open_client.hooks.create(event=event, target_url=url))
        lost = (
            f"The hook {hook.id} was created, but its secret is lost. "
            f"Delete the hook and create another: unlimcall hooks delete {hook.id}"
        )
        with with_line_if_unshown(lost):
            if file is None:
                show(hook, as_json=as_json)
                return
            with unwritable(secret_file):
                file.write(f"{hook.secret}\n".encode())
                file.flush()
                os.fsync(file.fileno())
    fields = fields_of(attrs.evolve(hook, secret=""))
    with with_line_if_unshown(f"The hook {hook.id} was created, and its secret is in {secret_file}."):
        show_fields({**fields, "secret": f"in {secret_file}"}, as_json=as_json)


@contextmanager
def _secret_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """Open a new file for the secret. If the block raises, the file is removed.

    The file is opened before the hook is created. A file that cannot be written must show first: the API shows a secret once.
    """
    from unlimcall_async.cli.files import open_new  # noqa: PLC0415 # `--help` must be quick

    if path is None:
        yield None
        return
    with unwritable(path):
        file = open_new(path)
        sync_folder(path.parent)
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        with suppress(OSError):  # a full disk fails again on closing; the first error is the one that counts
            file.close()


@hooks.command("delete")
@click.argument("hook_id", metavar="ID")
@as_json
@with_client
def delete_hook(client: Clients, hook_id: str, as_json: bool) -> None:
    """Delete the subscription with this ID."""
    with in_option_names({"hook_id": "ID"}):
        ask(client, lambda open_client: open_client.hooks.delete(hook_id))
    show_fields({"id": hook_id, "deleted": True}, as_json=as_json)
