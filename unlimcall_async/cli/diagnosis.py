"""What `doctor` asks the server, what the responses show, and how it is put into words. No I/O.

`examine` is a generator. It yields windows to ask, is sent the pages, and returns how the server does what the reference leaves
open. A point that the account's calls cannot show stays `None`.

The main page covers the 31 days up to an hour ago. Calls of the last hour may still be written, and a row that appears between two
questions looks like a row that was left out before. The examination then takes one row of the main page that has few others near,
and asks for windows that begin or end on this row.

To see how finely times are compared, one bound is moved off the row by a millisecond, within the row's second. A server that
compares seconds gives the same page. Which bound is moved depends on which bounds are included. If `from` is not included, `till`
is, and the row starts on a whole second, both kinds of server give the same pages, and the point stays unknown.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

import attrs

from unlimcall_async import CallRecord, CdrPage, Identity, UnlimCallError

# The most questions that one examination asks.
MOST: Final = 7

# The longest window that the API allows, and its documented page cap.
_LONGEST: Final = timedelta(days=31)
_LIMIT: Final = 1000
_SETTLED: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)

# A page of 6 instants in random order looks sorted once in 360 times (2 / 6!), a page of 5 already once in 60.
_ENOUGH: Final = 6

# Seconds by which a clock may be off before it matters: to the end of a pull that ends now, and to the age of a signature.
_SKEW: Final = 5.0

SCOPES: Final = ("read:balance", "read:agents", "read:cdrs")
UNTESTED: Final = ("read:numbers", "read:invoices", "write:calls", "write:hooks")

Order: TypeAlias = Literal["newest first", "oldest first", "not sorted"]


@attrs.frozen
class Question:
    """A window to ask, as `client.cdrs.list` takes it."""

    start: datetime
    end: datetime
    limit: int = _LIMIT


@attrs.frozen
class Server:
    """How the server behaves. A point that is not known is `None`.

    Attributes:
        rows: The number of rows of the main page.
        order: The server order.
        from_included: Whether a row that starts exactly at `from` is in the window.
        till_included: Whether a row that starts exactly at `till` is in the window.
        resolution: How finely bounds and times are compared.
        count: Whether `count` counts the rows of the page or all rows that match.
        cap: The page cap, if a page met it.
    """

    rows: int = 0
    order: Order | None = None
    from_included: bool | None = None
    till_included: bool | None = None
    resolution: Literal["ms", "s"] | None = None
    count: Literal["rows", "matches"] | None = None
    cap: int | None = None


@attrs.define
class Findings:
    """All that `doctor` has found.

    Attributes:
        identity: The account that the token belongs to.
        skew: Seconds by which the server's clock is ahead of this one, at least; `None` if the server does not send its time.
        latencies: Seconds that each request took, with its waits.
        scopes: Whether the token has a scope; `None` if that is not known.
        problems: The errors, by the scope that was tried.
        server: How the server behaves.
    """

    identity: Identity | None = None
    skew: float | None = None
    latencies: list[float] = attrs.field(factory=list)
    scopes: dict[str, bool | None] = attrs.field(factory=lambda: dict.fromkeys((*SCOPES, *UNTESTED)))
    problems: dict[str, UnlimCallError] = attrs.field(factory=dict)
    server: Server = attrs.field(factory=Server)


# --- the examination ------------------------------------------------------------------------------------------------------

Examination: TypeAlias = Generator[Question, CdrPage, Server]


def examine(now: datetime) -> Examination:
    """Ask for the main page, and then ask the questions that the page leaves open."""
    whole = Question(now - _SETTLED - _LONGEST, now - _SETTLED)
    page = yield whole
    server = Server(rows=len(page.calls), order=order_of(page.calls))
    if (row := lonely_row(page.calls, whole)) is not None:
        server = yield from _bounds(server, row)

    # `count`: the main page shows its meaning if it counts more than it holds. Else a page of one row does.
    if page.count > len(page.calls):
        server = attrs.evolve(server, count="matches")
    elif len(page.calls) >= 2:
        short = yield attrs.evolve(whole, limit=1)
        if len(short.calls) == 1 and short.count >= 1:
            server = attrs.evolve(server, count="rows" if short.count == 1 else "matches")

    # The page cap: a full page has met it. A page that looks complete may have met a lower cap; then the halves of its window hold
    # rows that the page does not. A server that counts all matches has said already that the page is complete.
    if not page.complete:
        return attrs.evolve(server, cap=len(page.calls))
    starts = sorted({row.start_time for row in page.calls})
    if len(starts) < 2 or server.count == "matches":
        return server
    seen, middle = set(page.calls), starts[len(starts) // 2]
    for half in (attrs.evolve(whole, end=middle), attrs.evolve(whole, start=middle)):
        half_page = yield half
        if not seen.issuperset(half_page.calls):
            return attrs.evolve(server, cap=len(page.calls))
    return server


def order_of(rows: Sequence[CallRecord]) -> Order | None:
    """Return the order of a page; `None` if the page has too few instants to tell an order from chance."""
    starts = [row.start_time for row in rows]
    if len(set(starts)) < _ENOUGH:
        return None
    if all(one <= next_one for one, next_one in pairwise(starts)):
        return "oldest first"
    return "newest first" if all(one >= next_one for one, next_one in pairwise(starts)) else "not sorted"


def lonely_row(rows: Sequence[CallRecord], window: Question) -> datetime | None:
    """Return the start of the row that shows the most: with room in the window, within its second, with the fewest rows near."""
    near = Counter(_second(row.start_time) for row in rows)
    margin = 2 * _SECOND
    starts = [
        row.start_time
        for row in rows
        # A row in the last millisecond of its second would leave the second when a bound moves.
        if window.start + margin < row.start_time < window.end - margin and row.start_time.microsecond < 999_000
    ]

    def rank(start: datetime) -> tuple[bool, int]:
        second = _second(start)
        return start.microsecond < 1000, sum(near[second + step] for step in (-1, 0, 1))

    return min(starts, key=rank, default=None)


def _second(moment: datetime) -> int:
    return int(moment.timestamp() // 1)


def _bounds(server: Server, row: datetime) -> Examination:
    """Ask whether bounds are included, and how finely times are compared."""
    begin = yield from _holds(row, Question(row, row + _SECOND))
    end = yield from _holds(row, Question(row - _SECOND, row))
    server = attrs.evolve(server, from_included=begin, till_included=end)
    if begin is None or end is None:
        return server
    # In each case, a server that compares milliseconds gives the other page than a server that compares seconds.
    if begin:  # `from` behind the row: only a server that compares seconds still gives the row
        moved, coarse_holds = Question(row + _MILLISECOND, row + _SECOND + _MILLISECOND), True
    elif not end:  # `till` behind the row: only a server that compares seconds still leaves the row out
        moved, coarse_holds = Question(row - _SECOND, row + _MILLISECOND), False
    elif row.microsecond >= 1000:  # `from` before the row, within its second: the same
        moved, coarse_holds = Question(row - _MILLISECOND, row + _SECOND), False
    else:
        return server
    held = yield from _holds(row, moved)
    if held is None:
        return server
    return attrs.evolve(server, resolution="s" if held is coarse_holds else "ms")


def _holds(row: datetime, question: Question) -> Generator[Question, CdrPage, bool | None]:
    """Return whether the page holds the row; `None` if the page may have been cut before the row."""
    page = yield question
    if any(call.start_time == row for call in page.calls):
        return True
    return False if page.complete else None


def skew(date: str | None, before: datetime, after: datetime) -> float | None:
    """Return by how many seconds the server's clock is ahead, at least.

    The server's `Date` is cut to the second, and was written at some time between the request and the response. The result is 0 if
    both clocks may agree.
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


# --- the words ------------------------------------------------------------------------------------------------------------


def facts(findings: Findings) -> dict[str, Any]:
    """Return the findings for a program."""
    identity = findings.identity
    return {
        "customer_id": identity and identity.customer_id,
        "company_name": identity and identity.company_name,
        "clock_skew_s": findings.skew,
        "latency_ms": _latency_ms(findings),
        "requests": len(findings.latencies),
        "scopes": findings.scopes,
        "problems": {scope: str(error) for scope, error in findings.problems.items()},
        "server": attrs.asdict(findings.server),
    }


def _latency_ms(findings: Findings) -> float:
    return round(statistics.median(findings.latencies) * 1000, 1)


def lines(findings: Findings) -> Iterator[tuple[str, str]]:
    """Return the findings for people: names, and a text for each."""
    if findings.identity is not None:
        yield "token", f"good: {findings.identity.company_name}, customer {findings.identity.customer_id}"
    skew = findings.skew
    if skew is None:
        yield "clock", "unknown: the server does not send its time"
    elif not skew:
        yield "clock", "agrees with the server's, to the second"
    else:
        advice = "; set it, or calls at the end of a range may be missed" if abs(skew) > _SKEW else ""
        yield "clock", f"{abs(skew):,.1f} s or more {'behind' if skew > 0 else 'ahead of'} the server's{advice}"
    yield "latency", f"{_latency_ms(findings):,.1f} ms, the median of {len(findings.latencies)} requests"
    for scope, held in findings.scopes.items():
        if scope in findings.problems:
            yield scope, f"problem: {findings.problems[scope]}"
        elif held is None:
            yield scope, "not tested: no harmless request can show it"
        else:
            yield scope, "yes" if held else "no"
    yield from server_lines(findings.server)


def server_lines(server: Server) -> Iterator[tuple[str, str]]:
    """Return how the server behaves: names, and a text for each."""
    unknown = f"unknown: {server.rows:,} calls in 31 days do not show it"
    yield "order", server.order or unknown
    bounds = (("from", server.from_included), ("till", server.till_included))
    for name, included in bounds:
        yield name, unknown if included is None else f"{'included' if included else 'not included'} in a window"
    resolution = {"ms": "milliseconds", "s": "seconds", None: ""}[server.resolution]
    yield "resolution", f"times are compared in {resolution}" if resolution else unknown
    count = {"rows": "the rows of the page", "matches": "all rows that match", None: ""}[server.count]
    yield "count", f"counts {count}" if count else unknown
    cap = f"pages hold at most {server.cap:,} rows" if server.cap else f"not met in {server.rows:,} rows"
    yield "cap", cap
