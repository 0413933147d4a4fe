"""The summary of `unlimcall demo`: for people, and as JSON for programs. No I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs
import click

from unlimcall_async import StreamStats
from unlimcall_async.cli.comparison import Comparison
from unlimcall_async.cli.tables import Cell, table
from unlimcall_async.cli.wording import many, share, wait_of_each
from unlimcall_async.operations import CallSummary

# Countries that the table names; the others are one line, so that the summary fits on a screen.
_TOP: Final = 10

# Spaces before the rows of a table below its title.
_INDENT: Final = 2


# By what the records of a pull are summed up.
GROUPS: Final = ("country", "currency", "disposition")


@attrs.frozen
class Pull:
    """A pull, and the faults that it met.

    Attributes:
        calls: The sums over its records, by `GROUPS`.
        stats: The statistics of the stream.
        seconds: The time from the first request to the last record.
        attempts: All requests that reached the server, repeated ones included.
        refused: The requests that the server refused because of its rate limit, without the injected faults.
        faults: The number of faults that the client met, by kind.
    """

    calls: CallSummary
    stats: StreamStats
    seconds: float
    attempts: int
    refused: int
    faults: Mapping[str, int]


@attrs.frozen
class RateScale:
    """A rate limit with a shortened minute.

    Attributes:
        per_minute: The requests that it allows.
        minute: The length of its minute in seconds.
    """

    per_minute: int
    minute: float

    def real_seconds(self, requests: int) -> float:
        """Return how long so many requests wait with a minute of 60 seconds. The requests of one minute are sent at once."""
        return (requests - 1) // self.per_minute * 60


def summary(pull: Pull, comparison: Comparison, *, scale: RateScale, file: str | None, width: int | None = None) -> str:
    """Return the whole summary for people, as lines of at most `width` columns; `None` for any number."""
    stats, records = pull.stats, pull.calls.total.attempts
    rate = records / pull.seconds if pull.seconds else 0.0
    ratio = stats.requests / max(stats.min_requests, 1)
    requests = f"{stats.requests:,}, which is {ratio:.2f} times the fewest possible, {stats.min_requests:,}"
    full, again = many(stats.full_pages, "full page", "full pages"), many(stats.duplicates, "row", "rows")
    beyond = many(pull.refused, "request", "requests") if pull.refused else "no request"
    faults = "none"
    if pull.faults:
        kinds = ", ".join(f"{kind} x{count}" for kind, count in Counter(pull.faults).most_common())
        survived = f"{many(sum(pull.faults.values()), 'fault', 'faults')} survived"
        faults = f"{survived} with {many(stats.retries, 'further attempt', 'further attempts')}\n{kinds}"
    named: list[tuple[str, Cell]] = [
        ("Pulled", f"{many(records, 'record', 'records')} in {pull.seconds:,.1f} s, {rate:,.0f} a second"),
        ("Requests", f"{requests}\nstrategy {stats.strategy}: {full}, {again} received again"),
        ("Waits", f"{wait_of_each(stats):.2f} s each, on average, for the rate limit; {beyond} went beyond it"),
        ("Faults", faults),
        ("Checked", verdict(comparison)),
        *([] if file is None else [("File", file)]),
    ]
    # A small pull waits less than its requests take, and never less than the line can show.
    real = duration(max(scale.real_seconds(pull.attempts), pull.seconds, 1.0))
    end = f"The rate limit's minute lasts {scale.minute:g} s here; with a real minute, this takes about {real}."

    def titled(title: str, rows: list[tuple[str, ...]], sides: str) -> str:
        return f"{click.style(title, bold=True)}\n{table([], rows, width=width, sides=sides, indent=_INDENT)}"

    blocks = (
        table([], [((name, "bold"), fact) for name, fact in named], width=width),
        titled("Spend by country", spend(pull.calls), "<>>>"),
        titled("Dispositions", dispositions(pull.calls), "<>>"),
        table([], [(end,)], width=width),
    )
    return "\n".join(blocks)


def facts(pull: Pull, comparison: Comparison, *, file: str | None) -> dict[str, Any]:
    """Return the summary for a program, without the tables, which the program can make from a file."""
    return {
        "file": file,
        "records": pull.calls.total.attempts,
        "seconds": round(pull.seconds, 3),
        **{name: getattr(pull.stats, name) for name in ("requests", "min_requests", "retries", "strategy")},
        "beyond_limit": pull.refused,
        "faults": dict(pull.faults),
        "same": comparison.same,
    }


def verdict(comparison: Comparison) -> Cell:
    """Return whether the pull equals the sandbox's store; if not, how many records differ in which way, and the first."""
    if comparison.same:
        return f"every record in the store is there once, in order, unaltered ({comparison.compared:,})", "green"
    counts = {
        "missing": comparison.missing,
        "doubled": comparison.doubled,
        "altered": comparison.altered,
        "not in the store": comparison.foreign,
        "out of order": comparison.misplaced,
    }
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    text = f"NOT the {comparison.compared:,} records of the sandbox's store: {kinds}"
    return f"{text}\nthe first: {comparison.first}", "red"


def spend(calls: CallSummary) -> list[tuple[str, ...]]:
    """Return country, calls, money and share: the ten most expensive, the others, and a total for each currency."""
    # Country, currency, calls and money. Currencies are never added to each other.
    rows = [
        (
            row.group["country"] or "(no country)",
            row.group["currency"] or "(no currency)",
            row.attempts,
            sum(row.spend.values(), Decimal(0)),
        )
        for row in calls.regrouped(("country", "currency")).rows()
    ]
    rows.sort(key=lambda row: (-row[3], row[0], row[1]))
    other = _by_currency("(other)", rows[_TOP:])
    total = _by_currency("total", rows)
    whole = {currency: amount for _, currency, _, amount in total}
    return [
        (str(country), many(count, "call", "calls"), money(amount, str(currency)), _part(amount, whole[currency]))
        for country, currency, count, amount in [*rows[:_TOP], *other, *total]
    ]


def _by_currency(name: str, rows: Iterable[tuple[Any, Any, int, Decimal]]) -> list[tuple[Any, Any, int, Decimal]]:
    calls, amounts = Counter[Any](), defaultdict[Any, Decimal](Decimal)
    for _, currency, count, amount in rows:
        calls[currency] += count
        amounts[currency] += amount
    return [(name, currency, calls[currency], amounts[currency]) for currency in sorted(calls)]


def _part(amount: Decimal, whole: Decimal) -> str:
    return f"{amount / whole:.1%}" if whole else "-"


def dispositions(calls: CallSummary) -> list[tuple[str, ...]]:
    """Return disposition, calls and their share, the most frequent first."""
    rows = sorted(calls.regrouped(("disposition",)).rows(), key=lambda row: -row.attempts)
    total = calls.total.attempts
    return [(*row.labels, many(row.attempts, "call", "calls"), share(row.attempts, total)) for row in rows]


def money(amount: Decimal, currency: str) -> str:
    """Return an amount, exactly."""
    return f"{amount:,.2f} {currency}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60} min"
