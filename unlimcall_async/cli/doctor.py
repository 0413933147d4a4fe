"""`unlimcall doctor`: asks the server some harmless questions, and shows what the responses mean.

The command is needed most if nothing works. So whatever is wrong, with the token and the settings too, becomes a row of the table,
and every check that can be made all the same is made. `checks` decides what the rows say.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import click
from attrs import evolve, fields

from unlimcall_async import APIError, AsyncClient, AuthenticationError, CdrPage, RetryPolicy, UnlimCallError
from unlimcall_async.cli import options
from unlimcall_async.cli.access import Access, Given, base_url_of, profile_of, settings_of
from unlimcall_async.cli.output import write_json, write_table
from unlimcall_async.cli.running import EXIT_STATUS, FOUND, Clients, as_json, run, with_client
from unlimcall_async.cli.settings import DEFAULT_PROFILE
from unlimcall_async.cli.wording import plain

if TYPE_CHECKING:
    from unlimcall_async.cli.checks import Check, Findings, Lookup

T = TypeVar("T")

# Requests to /me, the first of which opens the connection. With /balance, /agents and the 7 of the examination, 12 in all.
_PROBES: Final = 3

# Seconds: a resolver that has no answer by then has none for a pull either.
_LOOKUP: Final = 10.0

# Sent in place of a missing token. The API refuses it, which shows that the server is the API.
_NO_TOKEN: Final = "no-token"  # noqa: S105 # no token

# A failed row of this machine's own is a failed check; one of an option or a setting is wrong usage.
_STATUS: Final = {**EXIT_STATUS, "machine": FOUND, "usage": click.UsageError.exit_code}

_STYLES: Final = {"ok": "green", "failed": "bold red", "missing": "yellow", "unknown": "dim", "not checked": "dim"}


def _with_client_or_problem(command: Callable[..., None]) -> Callable[..., None]:
    """Do as `with_client`, but pass the problem as `client` if the token is missing."""

    def found(*, client: Clients, into: list[Clients]) -> None:
        into.append(client)

    find = with_client(found)

    # The first line takes the options along, which click keeps with the function.
    @functools.wraps(find, assigned=())
    @functools.wraps(command)
    def wrapped(*, as_json: bool, **given: Any) -> None:
        clients: list[Clients] = []
        try:
            find(into=clients, **given)
        except click.ClickException as problem:
            command(as_json=as_json, client=problem)
        else:
            command(as_json=as_json, client=clients[0])

    return wrapped


@click.command()
@as_json
@_with_client_or_problem
def doctor(client: Clients | click.ClickException, *, as_json: bool) -> None:
    """Check the connection, the token, the clock and the server.

    Each check is a row. A check that fails has a hint, and the checks that rest on it are not made. The command makes at most 12
    requests, which change nothing. It shows which scopes the token has, as far as a harmless request can show. It also shows how
    the server does what the reference leaves open: the order of call records, whether bounds are included, how finely times are
    compared, what count counts, and the page cap. A point is unknown if the account has too few calls to show it. The exit status
    is that of the first check that fails; a missing scope is not a failure.
    """
    from unlimcall_async.cli.checks import Findings, checks, facts  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.cli.progress import working  # noqa: PLC0415 # loads rich

    findings = Findings()

    async def looked() -> None:
        opened = _opened(client, findings)
        if opened is not None:
            async with opened:
                # A doctor shows the first failure. A client that tries again may be silent for a minute.
                await look(opened.with_options(retry=RetryPolicy(delays=())), findings)

    with working("Asking the API ..."):
        run(looked)
    rows = list(checks(findings))
    if as_json:
        write_json(facts(findings))
    else:
        head = ("check", "result", "what was found")
        write_table(head, [_cells(row) for row in rows], hints=[plain(row.hint) for row in rows])
    raise SystemExit(status(rows))


def _cells(row: Check) -> tuple[str | tuple[str, str], ...]:
    return row.name, (row.result, _STYLES[row.result]), plain(row.text)


def status(rows: list[Check]) -> int:
    """Return the exit status: that of the first row that failed."""
    return next((_STATUS[row.blame] for row in rows if row.blame is not None), 0)


def _opened(client: Clients | click.ClickException, findings: Findings) -> AsyncClient | None:
    """Return a client, also without a valid token; `None` if the URL or the proxy is not valid."""
    problem = ""
    if isinstance(client, click.ClickException):
        problem, url_problem = client.format_message(), ""
    else:
        findings.token_source = client.token_source
        try:
            return client()
        except click.ClickException as error:  # the token has a form that no request can hold, or the URL is wrong
            problem, url_problem = f"{client.token_source}: {error.format_message()}", error.format_message()
    try:
        opened = (_without_token() if isinstance(client, click.ClickException) else evolve(client, token=_NO_TOKEN))()
    except click.ClickException as error:
        message = url_problem or error.format_message()
        # The message begins with the name of the variable, as the user wrote it.
        if message.partition(" ")[0].rstrip(":").upper().endswith("_PROXY"):
            findings.proxy_problem = message
        else:
            findings.url_problem = message
        # Of a token that may be good nothing is known. Nor is anything if one fault of the settings hides both.
        findings.token_problem = "" if url_problem or message == problem else problem
        return None
    findings.token_problem = problem
    return opened


def _without_token() -> Access:
    """Return what the command would ask with, if there were a token.

    Raises:
        click.ClickException: The settings cannot be read.
    """
    params = click.get_current_context().params
    given = Given(**{each.name: params[each.name] for each in fields(Given) if each.name in params})
    profile = profile_of(given)
    settings, names, _ = settings_of(profile or DEFAULT_PROFILE, given)
    base_url = base_url_of(settings, names, named=profile is not None)
    return Access(_NO_TOKEN, "", base_url, settings, names)


async def look(client: AsyncClient, findings: Findings) -> None:
    """Make the requests, and note in `findings` what they showed."""
    findings.base_url, findings.limits = client.base_url, client.limits()
    findings.proxy = client.proxy or ""
    async with asyncio.TaskGroup() as both:
        lookup = both.create_task(_looked_up(client.base_url))
        both.create_task(_ask_me(client, findings))
    findings.lookup = lookup.result()
    if findings.identity is None:  # then the other requests would fail, too
        return

    async def clock() -> None:
        before = datetime.now(UTC)
        _note_clock(findings, (await client.request("GET", "/me")).headers.get("Date"), before)

    trials: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        *(("", lambda: _timed(findings, clock)) for _ in range(_PROBES - 1)),
        ("read:balance", lambda: _timed(findings, client.balance)),
        ("read:agents", lambda: _timed(findings, client.agents)),
        ("read:cdrs", lambda: _examine(findings, client)),
    )
    for scope, trial in trials:
        try:
            await trial()
        except AuthenticationError:  # the token itself is valid, so it lacks the scope
            if scope:
                findings.scopes[scope] = False
        except UnlimCallError as error:
            # A `/me` that fails after one that worked is no fact about a scope. The latency has one response less.
            if scope:
                findings.problems[scope] = error
        else:
            if scope:
                findings.scopes[scope] = True


async def _ask_me(client: AsyncClient, findings: Findings) -> None:
    before = datetime.now(UTC)
    try:
        findings.identity = await _timed(findings, client.me)
    except UnlimCallError as error:
        findings.refusal = error
        if isinstance(error, APIError):
            _note_clock(findings, error.headers.get("Date"), before)


def _note_clock(findings: Findings, date: str | None, before: datetime) -> None:
    from unlimcall_async.cli.diagnosis import skew  # noqa: PLC0415 # `--help` must be quick

    findings.skew = skew(date, before, datetime.now(UTC))


async def _looked_up(url: str) -> Lookup:
    """Return the addresses of the host, or the reason why the lookup failed."""
    from unlimcall_async.cli.checks import Lookup  # noqa: PLC0415 # `--help` must be quick

    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_LOOKUP):
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Lookup(problem=f"the lookup of this name took longer than {_LOOKUP:g} s")
    except socket.gaierror as error:
        absent = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
        return Lookup(problem="there is no such name" if error.errno in absent else "the lookup of this name failed")
    except (OSError, UnicodeError):  # the encoding of host names has rules of its own
        return Lookup(problem="this is not a valid host name")
    return Lookup(tuple(dict.fromkeys(str(address[0]) for *_, address in found)))


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
    findings.requests += 1
    began = time.perf_counter()
    response = await ask()
    findings.latencies.append(time.perf_counter() - began)
    return response
