"""`unlimcall doctor`, done: the requests, and how what they show is told."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import attrs

from unlimcall_async import AsyncClient, AuthenticationError, Identity, UnlimCallError
from unlimcall_async.cli import diagnosis, options
from unlimcall_async.cli.diagnosis import Server
from unlimcall_async.cli.output import plain, write, write_json
from unlimcall_async.cli.running import EXIT_STATUS, Clients, run

T = TypeVar("T")

# Requests to /me, of which the first opens the connection; with /balance and /agents, and what the examination asks, 12.
_PROBES: Final = 3
# Seconds that a clock may be off before it matters: to the end of a pull that ends now, and to the age of a webhook's signature.
_SKEW: Final = 5.0

UNTESTED: Final = ("read:numbers", "read:invoices", "write:calls", "write:hooks")


@attrs.define
class Findings:
    """What was found.

    Attributes:
        identity: Whose token it is.
        skew: Seconds by which the server's clock is ahead of this one, at the least; `None` where it does not tell.
        latencies: Seconds that each request took, with its waits.
        scopes: Whether the token has a scope; `None` where that is not known.
        problems: What went wrong, by what was tried.
        server: What the server is like.
    """

    identity: Identity | None = None
    skew: float | None = None
    latencies: list[float] = attrs.field(factory=list)
    scopes: dict[str, bool | None] = attrs.field(factory=dict)
    problems: dict[str, UnlimCallError] = attrs.field(factory=dict)
    server: Server = attrs.field(factory=Server)


def examined(client: Clients, *, as_json: bool) -> int:
    """Look, show what was found, and give the exit status."""

    async def looked() -> Findings:
        async with client() as open_client:
            return await look(open_client)

    findings = run(looked)
    if as_json:
        write_json(facts(findings))
    else:
        width = 15
        write("".join(f"{name:<{width}}{plain(text)}\n" for name, text in lines(findings)))
    return status(findings)


def status(findings: Findings) -> int:
    """Give the exit status: that of the first problem."""
    first = next(iter(findings.problems.values()), None)
    return 0 if first is None else EXIT_STATUS[first.category]


async def look(client: AsyncClient) -> Findings:
    """Make the requests.

    Raises:
        UnlimCallError: The token itself is of no use.
    """
    findings = Findings(scopes=dict.fromkeys(("read:balance", "read:agents", "read:cdrs", *UNTESTED)))
    findings.identity = await _timed(findings, client.me)  # where this fails there is nothing more to see
    for _ in range(_PROBES - 1):
        await _timed(findings, lambda: _clock(findings, client))
    await _try(findings, "read:balance", lambda: _timed(findings, client.balance))
    await _try(findings, "read:agents", lambda: _timed(findings, client.agents))
    await _try(findings, "read:cdrs", lambda: _examine(findings, client))
    return findings


async def _clock(findings: Findings, client: AsyncClient) -> None:
    before = datetime.now(UTC)
    answer = await client.request("GET", "/me")
    findings.skew = skew(answer.headers.get("Date"), before, datetime.now(UTC))


async def _try(findings: Findings, scope: str, look: Callable[[], Awaitable[object]]) -> None:
    """Use a scope. The token itself is known to be good, so that to be refused means that it lacks the scope."""
    try:
        await look()
    except AuthenticationError:
        findings.scopes[scope] = False
    except UnlimCallError as error:
        findings.problems[scope] = error
    else:
        findings.scopes[scope] = True


async def _examine(findings: Findings, client: AsyncClient) -> None:
    examination = diagnosis.examine(options.now())
    question = next(examination)
    while True:
        wanted = question
        page = await _timed(findings, lambda: client.cdrs.list(wanted.start, wanted.end, wanted.limit))  # noqa: B023
        try:
            question = examination.send(page)
        except StopIteration as end:
            findings.server = end.value
            return


async def _timed(findings: Findings, ask: Callable[[], Awaitable[T]]) -> T:
    began = time.perf_counter()
    answer = await ask()
    findings.latencies.append(time.perf_counter() - began)
    return answer


def skew(date: str | None, before: datetime, after: datetime) -> float | None:
    """Give how far the server's clock is ahead, at the least, in seconds.

    Its `Date` is cut to the second, and was written at some time between the question and the answer: where both clocks may agree,
    that is 0.
    """
    try:
        server = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    if server.tzinfo is None:
        return None
    least, most = server - after, server - before + timedelta(seconds=1)
    if least <= timedelta(0) <= most:
        return 0.0
    return (least if least > timedelta(0) else most).total_seconds()


def facts(findings: Findings) -> dict[str, Any]:
    """Give all that was found, for a program."""
    identity = findings.identity
    return {
        "customer_id": identity and identity.customer_id,
        "company_name": identity and identity.company_name,
        "clock_skew_s": findings.skew,
        "latency_ms": _latency(findings),
        "requests": len(findings.latencies),
        "scopes": findings.scopes,
        "problems": {place: str(error) for place, error in findings.problems.items()},
        "server": attrs.asdict(findings.server),
    }


def _latency(findings: Findings) -> float:
    return round(statistics.median(findings.latencies) * 1000, 1)


def lines(findings: Findings) -> Iterator[tuple[str, str]]:
    """Give all that was found, for people: names and what is to be said of them."""
    if findings.identity is not None:
        yield "token", f"good: {findings.identity.company_name}, customer {findings.identity.customer_id}"
    yield "clock", _clock_line(findings.skew)
    yield "latency", f"{_latency(findings):,.1f} ms, the median of {len(findings.latencies)} requests"
    for scope, held in findings.scopes.items():
        yield scope, _scope_line(scope, held, findings)
    yield from server_lines(findings.server)


def _clock_line(skew: float | None) -> str:
    if skew is None:
        return "unknown: the server does not tell its time"
    if not skew:
        return "agrees with the server's, to the second"
    advice = "; set it, or calls at the end of a range may be missed" if abs(skew) > _SKEW else ""
    return f"{abs(skew):,.1f} s or more {'behind' if skew > 0 else 'ahead of'} the server's{advice}"


def _scope_line(scope: str, held: bool | None, findings: Findings) -> str:
    if scope in findings.problems:
        return f"problem: {findings.problems[scope]}"
    if held is None:
        return "not tested: no harmless request can tell"
    return "yes" if held else "no"


def server_lines(server: Server) -> Iterator[tuple[str, str]]:
    """Tell what the server is like."""
    unknown = f"unknown: {server.rows:,} calls in 31 days do not show it"
    yield "order", server.order or unknown
    bounds = (("from", server.from_included), ("till", server.till_included))
    for name, included in bounds:
        yield name, unknown if included is None else f"{'included' if included else 'not included'} in a window"
    resolution = {"ms": "milliseconds", "s": "seconds", None: ""}[server.resolution]
    yield "resolution", f"times are compared in {resolution}" if resolution else unknown
    count = {"rows": "the rows of the page", "matches": "all rows that match", None: ""}[server.count]
    yield "count", f"counts {count}" if count else unknown
    yield (
        "cap",
        f"answers hold at most {server.cap:,} rows" if server.cap else f"none was met in {server.rows:,} rows",
    )
