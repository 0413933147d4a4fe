"""What a pull has come to, in words for people. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import click

from unlimcall_async import CallRecord, StreamStats
from unlimcall_async.cli.comparison import Comparison

# Countries by name; the rest is one line.
_TOP: Final = 10

# The width of the names in front of the facts.
_NAMES: Final = 10
_INDENT: Final = " " * _NAMES


@attrs.define
class Totals:
    """Sums over the records that were pulled, so that none of them has to be kept.

    Attributes:
        records: How many there are.
        cents: What they cost, by country and currency.
        calls: How many they are, by country and currency.
        dispositions: How many they are, by disposition.
    """

    records: int = 0
    cents: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    calls: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    dispositions: Counter[str] = attrs.field(factory=Counter)

    def add(self, records: Iterable[CallRecord]) -> None:
        """Take some more."""
        for record in records:
            place = record.country or "(no country)", record.currency or "(no currency)"
            self.records += 1
            self.cents[place] += record.sell_price_cents or 0
            self.calls[place] += 1
            self.dispositions[record.disposition or "(none)"] += 1


@attrs.frozen
class Pull:
    """A pull, and what it met.

    Attributes:
        totals: What was pulled, added up.
        stats: What the stream says about itself.
        seconds: From the first request to the last record.
        attempts: Requests that reached the server, further attempts included.
        refused: Of these, how many the server refused because of its rate limit, apart from the faults.
        faults: The faults that the client met, by kind.
    """

    totals: Totals
    stats: StreamStats
    seconds: float
    attempts: int
    refused: int
    faults: Mapping[str, int]


@attrs.frozen
class RateScale:
    """A rate limit with a shortened minute.

    Attributes:
        per_minute: Requests that it allows.
        minute: Seconds that its minute lasts.
    """

    per_minute: int
    minute: float

    def real_seconds(self, requests: int) -> float:
        """Tell how long so many requests wait where a minute is one: those of one minute go out at once, then it must pass."""
        return (requests - 1) // self.per_minute * 60


def summary(pull: Pull, comparison: Comparison, *, scale: RateScale, file: str) -> str:
    """Give all that is to be said, as lines."""
    facts = [
        ("Pulled", _pulled(pull)),
        ("Requests", _requests(pull.stats)),
        ("Waits", _waits(pull)),
        ("Faults", _faults(pull)),
        ("Checked", verdict(comparison)),
        ("File", file),
    ]
    blocks = [
        [f"{click.style(f'{name:<{_NAMES}}', bold=True)}{fact}" for name, fact in facts],
        [_heading("Spend by country"), *columns(spend(pull.totals), "<>>>")],
        [_heading("Dispositions"), *columns(dispositions(pull.totals), "<>>")],
        [_scaled(pull, scale)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def facts(pull: Pull, comparison: Comparison, *, file: str) -> dict[str, Any]:
    """Give the same for a program, but for the tables, which the file holds."""
    return {
        "file": file,
        "records": pull.totals.records,
        "seconds": round(pull.seconds, 3),
        **{name: getattr(pull.stats, name) for name in ("requests", "min_requests", "retries", "strategy")},
        "beyond_limit": pull.refused,
        "faults": dict(pull.faults),
        "same": comparison.same,
    }


def _heading(text: str) -> str:
    return click.style(text, bold=True)


def _pulled(pull: Pull) -> str:
    records = pull.totals.records
    rate = records / pull.seconds if pull.seconds else 0.0
    return f"{many(records, 'record', 'records')} in {pull.seconds:,.1f} s, {rate:,.0f} a second"


def _requests(stats: StreamStats) -> str:
    ratio = stats.requests / max(stats.min_requests, 1)
    full = many(stats.full_pages, "full page", "full pages")
    again = many(stats.duplicates, "row", "rows")
    return (
        f"{stats.requests:,}, which is {ratio:.2f} times the fewest possible, {stats.min_requests:,}\n"
        f"{_INDENT}strategy {stats.strategy}: {full}, {again} received again"
    )


def wait_of_each(stats: StreamStats) -> float:
    """Give the seconds that a request waited for the rate limit, on average: several wait at once, so a sum would mislead."""
    return stats.waited_s / max(stats.requests + stats.retries, 1)


def _waits(pull: Pull) -> str:
    beyond = many(pull.refused, "request", "requests") if pull.refused else "no request"
    return f"{wait_of_each(pull.stats):.2f} s each, on average, for the rate limit; {beyond} went beyond it"


def _faults(pull: Pull) -> str:
    if not pull.faults:
        return "none"
    kinds = ", ".join(f"{kind} x{count}" for kind, count in Counter(pull.faults).most_common())
    survived = f"{many(sum(pull.faults.values()), 'fault', 'faults')} survived"
    return f"{survived} with {many(pull.stats.retries, 'further attempt', 'further attempts')}\n{_INDENT}{kinds}"


def verdict(comparison: Comparison) -> str:
    """Tell whether the pull is what the store holds; if not, how many records differ in which way, and the first."""
    if comparison.same:
        text = f"every record in the store is there once, in order, unaltered ({comparison.compared:,})"
        return click.style(text, fg="green")
    counts = {
        "missing": comparison.missing,
        "doubled": comparison.doubled,
        "altered": comparison.altered,
        "not in the store": comparison.foreign,
        "out of order": comparison.misplaced,
    }
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    text = f"NOT the {comparison.compared:,} records of the sandbox's store: {kinds}"
    return f"{click.style(text, fg='red')}\n{_INDENT}the first: {comparison.first}"


def _scaled(pull: Pull, scale: RateScale) -> str:
    real = lasting(max(scale.real_seconds(pull.attempts), pull.seconds, 1.0))
    return f"The rate limit's minute lasts {scale.minute:g} s here; for real, this takes about {real}."


def spend(totals: Totals) -> list[tuple[str, ...]]:
    """Give country, calls, money and its share, for the ten dearest and the rest; each currency by itself."""
    cents, calls = totals.cents, totals.calls
    total: Counter[str] = Counter()
    for (_, currency), amount in cents.items():
        total[currency] += amount
    dearest = sorted(cents, key=lambda place: (-cents[place], place))
    rows = [(country, currency, calls[country, currency], cents[country, currency]) for country, currency in dearest]
    rest = rows[_TOP:]
    rows[_TOP:] = [
        ("(other)", currency, sum(row[2] for row in rest if row[1] == currency), _sum_of(rest, currency))
        for currency in sorted({row[1] for row in rest})
    ]
    rows += [("total", currency, _calls_in(calls, currency), amount) for currency, amount in sorted(total.items())]
    return [
        (country, many(count, "call", "calls"), money(amount, currency), share(amount, total[currency]))
        for country, currency, count, amount in rows
    ]


def _sum_of(rows: Iterable[tuple[str, str, int, int]], currency: str) -> int:
    return sum(cents for _, its, _, cents in rows if its == currency)


def _calls_in(calls: Mapping[tuple[str, str], int], currency: str) -> int:
    return sum(count for (_, its), count in calls.items() if its == currency)


def dispositions(totals: Totals) -> list[tuple[str, ...]]:
    """Give disposition, calls and their share, the most frequent first."""
    return [
        (name, many(count, "call", "calls"), share(count, totals.records))
        for name, count in totals.dispositions.most_common()
    ]


def money(cents: int, currency: str) -> str:
    """Give cents as an amount, exactly."""
    return f"{Decimal(cents).scaleb(-2):,.2f} {currency}"


def share(part: int, whole: int) -> str:
    """Give a share in per cent."""
    return f"{part / whole:.1%}" if whole else "-"


def lasting(seconds: float) -> str:
    """Give a time as people say it: the two largest units."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60} min"


def size(length: int) -> str:
    """Give a length in bytes as people say it."""
    return f"{length / 1e6:,.1f} MB" if length >= 100_000 else f"{length:,} bytes"


def columns(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Align cells, each column to the side that `sides` has for it: `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "   ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def many(count: int, one: str, more: str) -> str:
    """Give a number and its noun."""
    return f"{count:,} {one if count == 1 else more}"
