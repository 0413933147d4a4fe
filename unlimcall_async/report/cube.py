"""The sums that a report holds: by day, by hour and by disposition, each for every pair of a country and a line.

The page adds up the pairs that its reader has chosen, so the filters work together. There may be as many pairs as calls. So the
countries and the lines with the fewest calls become one each, and long ranges have weeks or months in place of days, until the sums
are small enough for a page.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async.operations import CallSummary, SummaryRow
from unlimcall_async.report.names import shown_names

Step: TypeAlias = Literal["day", "week", "month"]
# Where a sum belongs: a bar, an hour, a disposition, or a bar and a currency; then the indexes of a country and of a line.
_Cell: TypeAlias = tuple[Any, int, int]

# Numbers of a report: each takes some 3 bytes, and the page with its engine for charts is to stay below 3 MB.
_MOST_NUMBERS: Final = 550_000
# Countries and lines that keep their names, from the most to the fewest.
_KEPT: Final = ((250, 500), (60, 120), (40, 60), (25, 40), (16, 24), (10, 12), (5, 6), (2, 3))
# Days of a range above which a chart has weeks, and weeks above which it has months: a chart has some 800 pixels.
_MOST_DAYS: Final = 400
_MOST_WEEKS: Final = 400
_MOST_DISPOSITIONS: Final = 12
# Currencies to choose from. An account has one or two.
_MOST_CURRENCIES: Final = 8

# Columns of the sums: a bar or an hour, a country, a line, and what is added up. The bar's prices are beside them.
_DAY_WIDTH: Final = 8
_HOUR_WIDTH: Final = 5
_DISPOSITION_WIDTH: Final = 4
_SPEND_WIDTH: Final = 5
# The place of each hour of a week, from Monday on.
_HOURS: Final[Mapping[tuple[Any, Any], int]] = {
    (weekday, hour): (weekday - 1) * 24 + hour for weekday in range(1, 8) for hour in range(24)
}


@frozen
class Cube:
    """The sums of a report.

    Attributes:
        step: How long a bar over time is.
        values: The names and the sums, as JSON can hold them: lists of whole numbers, one list for each column.
    """

    step: Step
    values: Mapping[str, Any]


class _Names:
    """The names of one kind with an index for each: the most called first, and from some index on all others together."""

    def __init__(self, group: str, calls: Counter[Any], nothing: str) -> None:
        self._group = group
        self._ranked = sorted(calls, key=lambda name: (-calls[name], name is None, name or ""))
        self._index: dict[Any, int] = {name: place for place, name in enumerate(self._ranked)}
        self._nothing = nothing

    def of(self, row: SummaryRow) -> int:
        """Return the index of the name in a row."""
        return self._index[row.group[self._group]]

    def labels(self, most: int, others: str) -> list[str]:
        """Return what is shown for each index up to `most`, which stands for all others."""
        shown = list(shown_names(self._ranked[:most], self._nothing).values())
        left = len(self._ranked) - most
        return [*shown, f"({left:,} {others})"] if left > 0 else shown


def cube_of(days: CallSummary, hours: CallSummary, outcomes: CallSummary) -> Cube:
    """Return the sums of a report.

    Args:
        days: The calls by day, country and agent.
        hours: The calls by weekday, hour, country and agent.
        outcomes: The calls by disposition, country and agent.
    """
    day_rows, hour_rows, outcome_rows = [*days], [*hours], [*outcomes]
    calls = _calls_by_name([*day_rows, *outcome_rows])
    step, start_of = _step(calls["day"])
    starts = sorted({start_of(day) for day in calls["day"]})
    bars = {day: starts.index(start_of(day)) for day in calls["day"]}
    countries = _Names("country", calls["country"], "(no country)")
    lines = _Names("agent", calls["agent"], "(no line)")
    dispositions = _Names("disposition", calls["disposition"], "(none)")
    priced = Counter(currency for row in day_rows for currency in row.spend)
    currencies = [currency for currency, _ in priced.most_common(_MOST_CURRENCIES)]

    def cell(row: SummaryRow, *key: object) -> _Cell:
        return key, countries.of(row), lines.of(row)

    def shown(row: SummaryRow) -> int:
        return min(dispositions.of(row), _MOST_DISPOSITIONS)

    most = _most_kept(
        [
            (_DAY_WIDTH, [cell(row, bars[row.group["day"]]) for row in day_rows]),
            (_HOUR_WIDTH, [cell(row, row.group["weekday"], row.group["hour"]) for row in hour_rows]),
            (_DISPOSITION_WIDTH, [cell(row, shown(row)) for row in outcome_rows]),
            (_SPEND_WIDTH, [cell(row, bars[row.group["day"]], name) for row in day_rows for name in row.spend]),
        ]
    )

    def pair(row: SummaryRow) -> tuple[int, int]:
        return min(countries.of(row), most[0]), min(lines.of(row), most[1])

    by_day = defaultdict[tuple[int, ...], list[int]](lambda: [0] * 5)
    by_hour = defaultdict[tuple[int, ...], list[int]](lambda: [0] * 2)
    by_disposition, spend = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
    for row in day_rows:
        key = (bars[row.group["day"]], *pair(row))
        _add(by_day[key], row.attempts, row.answered, row.failed, row.talk_s, row.billed_s)
        for currency, amount in row.spend.items():
            if currency in currencies:
                spend[(currencies.index(currency), *key)] += int(amount.scaleb(2))
    for row in hour_rows:
        place = _HOURS[row.group["weekday"], row.group["hour"]]
        _add(by_hour[(place, *pair(row))], row.attempts, row.answered)
    for row in outcome_rows:
        by_disposition[(shown(row), *pair(row))] += row.attempts
    names = {
        "countries": countries.labels(most[0], "other countries"),
        "lines": lines.labels(most[1], "other lines"),
        "dispositions": dispositions.labels(_MOST_DISPOSITIONS, "others"),
        "currencies": list(shown_names(currencies, "(none)").values()),
        "other_currencies": len(priced) - len(currencies),
    }
    sums = _tables(by_day, by_hour, by_disposition, spend)
    return Cube(step, {"starts": [start.isoformat() for start in starts], **names, **sums})


def _tables(
    by_day: Mapping[tuple[int, ...], Sequence[int]],
    by_hour: Mapping[tuple[int, ...], Sequence[int]],
    by_disposition: Mapping[tuple[int, ...], int],
    spend: Mapping[tuple[int, ...], int],
) -> Mapping[str, list[list[int]]]:
    """Return the sums as columns, by the names of their tables."""
    return {
        "by_day": _columns(_DAY_WIDTH, by_day),
        "by_hour": _columns(_HOUR_WIDTH, by_hour),
        "by_disposition": _columns(_DISPOSITION_WIDTH, {key: [count] for key, count in by_disposition.items()}),
        "spend": _columns(_SPEND_WIDTH, {key: [cents] for key, cents in spend.items()}),
    }


def _calls_by_name(rows: Iterable[SummaryRow]) -> Mapping[str, Counter[Any]]:
    """Return how many calls each name has, for each kind of names."""
    calls = defaultdict[str, Counter[Any]](Counter)
    for row in rows:
        for kind, name in row.group.items():
            calls[kind][name] += row.attempts
    return calls


def _most_kept(tables: Iterable[tuple[int, Iterable[_Cell]]]) -> tuple[int, int]:
    """Return how many countries and lines keep their names, so that the sums are small enough.

    Args:
        tables: The number of columns of each table, and where its sums belong.
    """
    most = _KEPT[0]
    for most in _KEPT:
        # Each step folds what the step before has left.
        folded = [
            (width, {(key, min(country, most[0]), min(line, most[1])) for key, country, line in cells})
            for width, cells in tables
        ]
        if sum(width * len(cells) for width, cells in folded) <= _MOST_NUMBERS:
            break
        tables = folded
    return most


def _add(sums: list[int], *added: int) -> None:
    sums[:] = [one + other for one, other in zip(sums, added, strict=True)]


def _step(days: Collection[date]) -> tuple[Step, Callable[[Any], date]]:
    """Return how long a bar is, and the function that finds the start of a day's bar."""
    length = (max(days) - min(days)).days if days else 0
    if length <= _MOST_DAYS:
        return "day", lambda day: day
    if length <= _MOST_WEEKS * 7:
        # The first week of all begins on a Monday.
        return "week", lambda day: day - timedelta(days=day.weekday())
    return "month", lambda day: day.replace(day=1)


def _columns(width: int, cells: Mapping[tuple[int, ...], Sequence[int]]) -> list[list[int]]:
    """Return the cells as columns, in order of their keys."""
    rows = [(*key, *sums) for key, sums in sorted(cells.items())]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
