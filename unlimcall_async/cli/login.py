"""`unlimcall login` and `unlimcall logout`: store a token that the API has accepted, and remove it."""

from __future__ import annotations

from pathlib import Path

import click

from unlimcall_async import AsyncClient, Identity
from unlimcall_async.cli import stored_tokens
from unlimcall_async.cli.access import (
    TOKEN_VARIABLE,
    Access,
    Given,
    base_url_of,
    own_token,
    profile_of,
    settings_of,
    with_token_source,
)
from unlimcall_async.cli.credentials import read_private, read_stdin
from unlimcall_async.cli.output import to_stderr, write, write_json
from unlimcall_async.cli.running import ACCESS_OPTIONS, as_json, ask
from unlimcall_async.cli.settings import DEFAULT_PROFILE
from unlimcall_async.cli.wording import plain


def _options(command: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(ACCESS_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.option("--in-file", is_flag=True, help="Store the token in a file, also if the system has a keyring.")
@_options
@as_json
def login(
    *,
    in_file: bool,
    profile: str | None,
    token_file: Path | None,
    token_stdin: bool,
    timeout: float | None,
    allow_plain_http: bool,
    as_json: bool,
) -> None:
    """Check a token, and store it for later commands.

    The command asks for the token, or reads it from standard input or from a file, and checks it by GET /me. It stores the token in
    the system's keyring, if the library `keyring` is installed and finds one, or else in a file that only its owner can read. A
    token is only ever sent to the server that has accepted it.
    """
    if token_file is not None and token_stdin:
        raise click.UsageError("--token-file and --token-stdin exclude each other")
    given = Given(profile=profile, timeout=timeout, allow_plain_http=allow_plain_http)
    name = profile_of(given) or DEFAULT_PROFILE
    settings, names, _ = settings_of(name, given)
    base_url = base_url_of(settings, names, named=profile_of(given) is not None)
    token = read_private(token_file) if token_file else read_stdin()

    async def checked(client: AsyncClient) -> tuple[Identity, str]:
        return await client.me(), client.base_url

    source = f"--token-file {token_file}" if token_file else "--token-stdin" if token_stdin else "standard input"
    with with_token_source(source):
        me, url = ask(Access(token, source, base_url, settings, names), checked)
    place = stored_tokens.write(name, token, url, to_file=in_file)
    if as_json:
        write_json(
            {"profile": name, "customer_id": me.customer_id, "company_name": me.company_name, "stored_in": place}
        )
    else:
        write(f"Logged in as {plain(me.company_name)}, profile {name}. The token is in {plain(place)}.\n")
    if profile_of(Given()) is None and own_token():
        choice = "" if name == DEFAULT_PROFILE else f", or give --profile {name}"
        to_stderr(
            f"Warning: {TOKEN_VARIABLE} is set, and other commands take its token and not this one. "
            f"To use this one: unset {TOKEN_VARIABLE}{choice}."
        )


@click.command()
@click.option("--profile", metavar="NAME", help="The profile to log out.")
@as_json
def logout(*, profile: str | None, as_json: bool) -> None:
    """Remove the token that `unlimcall login` has stored. The token itself stays valid: delete it in the portal."""
    name = profile_of(Given(profile=profile)) or DEFAULT_PROFILE
    removed = stored_tokens.remove(name)
    if as_json:
        write_json({"profile": name, "removed": removed})
    else:
        to_stderr(f"The token of profile {name} is removed." if removed else f"Profile {name} has no token.")
