"""`unlimcall doctor`: asks the server some harmless questions, and shows what the responses mean."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import click

from unlimcall_async import AsyncClient, AuthenticationError, CdrPage, UnlimCallError
from unlimcall_async.cli import options
from unlimcall_async.cli.output import write, write_json
from unlimcall_async.cli.running import EXIT_STATUS, Clients, as_json, run, with_client
from unlimcall_async.cli.wording import plain

if TYPE_CHECKING:
    from unlimcall_async.cli.diagnosis import Findings

T = TypeVar("T")

# Requests to /me, the first of which opens the connection. With /balance, /agents and the 7 of the examination, 12 in all.
_PROBES: Final = 3

# The width of the names in front of the findings.
_NAMES: Final = 15


@click.command()
@as_json
@with_client
def doctor(client: Clients, as_json: bool) -> None:
    """Check the token, the clock and the server.

    The command makes at most 12 requests, which change nothing. It shows which scopes the token has, as far as a harmless request
    can show. It also shows how the server does what the reference leaves open: the order of call records, whether bounds are
    included, how finely times are compared, what count counts, and the page cap. A point is unknown if the account has too few
    calls to show it. The exit status is that of the first problem; a missing scope is not a problem.
    """
    from unlimcall_async.cli import diagnosis  # noqa: PLC0415 # `--help` must be quick

    async def looked() -> Findings:
        async with client() as open_client:
            return await look(open_client)

    findings = run(looked)
    if as_json:
        write_json(diagnosis.facts(findings))
    else:
        write("".join(f"{name:<{_NAMES}}{plain(text)}\n" for name, text in diagnosis.lines(findings)))
    raise SystemExit(status(findings))


def status(findings: Findings) -> int:
    """Return the exit status: that of the first problem."""
    first = next(iter(findings.problems.values()), None)
    return 0 if first is None else EXIT_STATUS[first.category]


async def look(client: AsyncClient) -> Findings:
    """Make the requests, and return what they showed.

    Raises:
        UnlimCallError: The first request failed. For example, the token is not valid.
    """
    from unlimcall_async.cli.diagnosis import Findings, skew  # noqa: PLC0415 # `--help` must be quick

    findings = Findings()
    findings.identity = await _timed(findings, client.me)  # if this fails, the other requests would fail too

    async def clock() -> None:
        before = datetime.now(UTC)
        response = await client.request("GET", "/me")
        findings.skew = skew(response.headers.get("Date"), before, datetime.now(UTC))

    for _ in range(_PROBES - 1):
        await _timed(findings, clock)
    trials: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("read:balance", lambda: _timed(findings, client.balance)),
        ("read:agents", lambda: _timed(findings, client.agents)),
        ("read:cdrs", lambda: _examine(findings, client)),
    )
    for scope, trial in trials:
        try:
            await trial()
        except AuthenticationError:  # the token itself is valid, so it lacks the scope
            findings.scopes[scope] = False
        except UnlimCallError as error:
            findings.problems[scope] = error
        else:
            findings.scopes[scope] = True
    return findings


async def _examine(findings: Findings, client: AsyncClient) -> None:
    """Ask the questions of the examination, one after another."""
    from unlimcall_async.cli.diagnosis import examine  # noqa: PLC0415 # `--help` must be quick

    examination = examine(options.now())
    question = next(examination)

    async def ask() -> CdrPage:
        return await client.cdrs.list(question.start, question.end, question.limit)

    while True:
        page = await _timed(findings, ask)
        try:
            question = examination.send(page)
        except StopIteration as end:
            findings.server = end.value
            return


async def _timed(findings: Findings, ask: Callable[[], Awaitable[T]]) -> T:
    began = time.perf_counter()
    response = await ask()
    findings.latencies.append(time.perf_counter() - began)
    return response
