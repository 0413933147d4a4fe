"""`unlimcall me`, `balance` and `agents`: each sends one request and shows the response."""

from __future__ import annotations

import click

from unlimcall_async import AsyncClient
from unlimcall_async.cli.output import show, write_json, write_table
from unlimcall_async.cli.running import Clients, as_json, ask, with_client
from unlimcall_async.cli.wording import cell, fields_of


@click.command()
@as_json
@with_client
def me(client: Clients, as_json: bool) -> None:
    """Show the account that the token belongs to."""
    show(ask(client, AsyncClient.me), as_json=as_json)


@click.command()
@as_json
@with_client
def balance(client: Clients, as_json: bool) -> None:
    """Show the account's balance."""
    show(ask(client, AsyncClient.balance), as_json=as_json)


@click.command()
@as_json
@with_client
def agents(client: Clients, as_json: bool) -> None:
    """List the SIP lines of the account."""
    found = [fields_of(agent) for agent in ask(client, AsyncClient.agents)]
    if as_json:
        for fields in found:
            write_json(fields)
        return
    # Only agents with fields that the API has added since have an `extra`.
    names = list(dict.fromkeys(name for fields in found for name in fields))
    if found:
        write_table(names, [[cell(fields.get(name)) for name in names] for fields in found])
