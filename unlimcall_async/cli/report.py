"""What a pull has come to, in words for people. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import attrs
import click

from unlimcall_async import CallRecord, StreamStats
from unlimcall_async.cli.comparison import Comparison

# Countries by name; the rest is one line.
_TOP: Final = 10

# The width of the names in front of the facts.
_NAMES: Final = 10
_INDENT: Final = " " * _NAMES


@attrs.frozen
class Pull:
    """A pull, and what it met.

    Attributes:
        records: What was pulled, as it came.
        stats: What the stream says about itself.
        seconds: From the first request to the last record.
        attempts: Requests that reached the server, further attempts included.
        refused: Of these, how many the server refused because of its rate limit, apart from the faults.
        faults: The faults that the client met, by kind.
    """

    records: Sequence[CallRecord]
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
        [_heading("Spend by country"), *columns(spend(pull.records), "<>>>")],
        [_heading("Dispositions"), *columns(dispositions(pull.records), "<>>")],
        [_scaled(pull, scale)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def _heading(text: str) -> str:
    return click.style(text, bold=True)


def _pulled(pull: Pull) -> str:
    rate = len(pull.records) / pull.seconds if pull.seconds else 0.0
    return f"{len(pull.records):,} records in {pull.seconds:,.1f} s, {rate:,.0f} a second"


def _requests(stats: StreamStats) -> str:
    ratio = stats.requests / max(stats.min_requests, 1)
    bound = f"{ratio:.2f} times the lower bound of {stats.min_requests:,}"
    return f"{stats.requests:,}, {bound}; {stats.full_pages:,} met a full page"


def _waits(pull: Pull) -> str:
    waited = f"{pull.stats.waited_s:,.1f} s for the rate limit, over all requests"
    return f"{waited}; {pull.refused:,} refused"


def _faults(pull: Pull) -> str:
    if not pull.faults:
        return "none"
    kinds = ", ".join(f"{kind} x{count}" for kind, count in Counter(pull.faults).most_common())
    survived = f"{_many(sum(pull.faults.values()), 'fault', 'faults')} survived"
    return f"{survived} with {_many(pull.stats.retries, 'further attempt', 'further attempts')}\n{_INDENT}{kinds}"


def verdict(comparison: Comparison) -> str:
    """Tell whether the pull is what the store holds; if not, how many records differ in which way, and the first."""
    if comparison.same:
        text = f"all {comparison.compared:,} records of the sandbox's store are there, once, in order"
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
    real = lasting(max(scale.real_seconds(pull.attempts), pull.seconds))
    return f"The rate limit's minute lasts {scale.minute:g} s here; for real, this takes about {real}."


def spend(records: Iterable[CallRecord]) -> list[tuple[str, ...]]:
    """Give country, calls, money and its share, for the ten dearest and the rest; each currency by itself."""
    cents: Counter[tuple[str, str]] = Counter()
    calls: Counter[tuple[str, str]] = Counter()
    for record in records:
        place = record.country or "(no country)", record.currency or "(no currency)"
        cents[place] += record.sell_price_cents or 0
        calls[place] += 1
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
        (country, _many(count, "call", "calls"), money(amount, currency), share(amount, total[currency]))
        for country, currency, count, amount in rows
    ]


def _sum_of(rows: Iterable[tuple[str, str, int, int]], currency: str) -> int:
    return sum(cents for _, its, _, cents in rows if its == currency)


def _calls_in(calls: Mapping[tuple[str, str], int], currency: str) -> int:
    return sum(count for (_, its), count in calls.items() if its == currency)


def dispositions(records: Iterable[CallRecord]) -> list[tuple[str, ...]]:
    """Give disposition, calls and their share, the most frequent first."""
    calls = Counter(record.disposition or "(none)" for record in records)
    return [(name, _many(count, "call", "calls"), share(count, calls.total())) for name, count in calls.most_common()]


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


def columns(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Align cells, each column to the side that `sides` has for it: `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "   ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
