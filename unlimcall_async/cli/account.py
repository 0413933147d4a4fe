"""`unlimcall me`, `balance` and `agents`: each sends one request and shows the response."""

from __future__ import annotations

import click

from unlimcall_async import AsyncClient
from unlimcall_async.cli.output import show, write
from unlimcall_async.cli.running import Clients, as_json, ask, with_client


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
    for number, agent in enumerate(ask(client, AsyncClient.agents)):
        if number and not as_json:
            write("\n")
        show(agent, as_json=as_json)
