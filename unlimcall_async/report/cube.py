"""The sums that a report holds: by day, by hour and by disposition, each for every pair of a country and a line.

The page adds up the pairs that its reader has chosen, so the filters work together. There may be as many pairs as calls. So the
countries and the lines with the fewest calls become one each, and long ranges have weeks or months in place of days, until the sums
are small enough for a page.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, timedelta
from operator import add
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async.operations import CallSummary
from unlimcall_async.operations.summary import groups_of
from unlimcall_async.operations.summary_rows import Sums
from unlimcall_async.report.names import shown_names

Step: TypeAlias = Literal["day", "week", "month"]
# A sum: where it belongs (a bar, an hour, a disposition, or a currency and a bar), the ranks of a country and a line, and numbers.
_Cell: TypeAlias = tuple[tuple[int, ...], int, int, tuple[int, ...]]

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

# Columns of each table: where its sums belong, a country, a line, and the numbers.
_WIDTHS: Final[Mapping[str, int]] = {"by_day": 8, "by_hour": 5, "by_disposition": 4, "spend": 5}
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
    """The names of one kind by their ranks: the most called first, and from some rank on all others together."""

    def __init__(self, calls: Mapping[Any, int], nothing: str) -> None:
        self._ranked = sorted(calls, key=lambda name: (-calls[name], name is None, name or ""))
        self.ranks: dict[Any, int] = {name: rank for rank, name in enumerate(self._ranked)}
        self._nothing = nothing

    def labels(self, most: int, others: str) -> list[str]:
        """Return what is shown for each rank up to `most`, which stands for all others."""
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
    by_day, by_hour, by_outcome = groups_of(days), groups_of(hours), groups_of(outcomes)
    countries = _Names(_calls(by_outcome, 1), "(no country)")
    lines = _Names(_calls(by_outcome, 2), "(no line)")
    dispositions = _Names(_calls(by_outcome, 0), "(none)")
    dates = {key[0] for key in by_day}
    step, start_of = _step(dates)
    starts = sorted({start_of(day) for day in dates})
    bars = {day: starts.index(start_of(day)) for day in dates}
    priced = Counter(currency for sums in by_day.values() for currency in sums.cents)
    currencies = {currency: place for place, (currency, _) in enumerate(priced.most_common(_MOST_CURRENCIES))}
    country, line = countries.ranks, lines.ranks
    cells: dict[str, list[_Cell]] = {
        "by_day": [
            ((bars[key[0]],), country[key[1]], line[key[2]], (s.attempts, s.answered, s.failed, s.talk_s, s.billed_s))
            for key, s in by_day.items()
        ],
        "by_hour": [
            ((_HOURS[key[0], key[1]],), country[key[2]], line[key[3]], (s.attempts, s.answered))
            for key, s in by_hour.items()
        ],
        "by_disposition": [
            ((min(dispositions.ranks[key[0]], _MOST_DISPOSITIONS),), country[key[1]], line[key[2]], (s.attempts,))
            for key, s in by_outcome.items()
        ],
        "spend": [
            ((currencies[currency], bars[key[0]]), country[key[1]], line[key[2]], (cents,))
            for key, s in by_day.items()
            for currency, cents in s.cents.items()
            if currency in currencies
        ],
    }
    most = _most_kept(cells)
    names = {
        "countries": countries.labels(most[0], "other countries"),
        "lines": lines.labels(most[1], "other lines"),
        "dispositions": dispositions.labels(_MOST_DISPOSITIONS, "others"),
        "currencies": list(shown_names(currencies, "(none)").values()),
        "other_currencies": len(priced) - len(currencies),
    }
    tables = {name: _columns(_WIDTHS[name], some, most) for name, some in cells.items()}
    return Cube(step, {"starts": [start.isoformat() for start in starts], **names, **tables})


def _calls(groups: Mapping[tuple[Any, ...], Sums], place: int) -> Counter[Any]:
    """Return how many calls each name has that stands at a place of the groups."""
    calls = Counter[Any]()
    for key, sums in groups.items():
        calls[key[place]] += sums.attempts
    return calls


def _most_kept(cells: Mapping[str, Iterable[_Cell]]) -> tuple[int, int]:
    """Return how many countries and lines keep their names, so that the sums are small enough."""
    places = {name: {cell[:3] for cell in some} for name, some in cells.items()}
    for most in _KEPT:
        # Each step folds what the step before has left.
        places = {
            name: {(key, min(country, most[0]), min(line, most[1])) for key, country, line in some}
            for name, some in places.items()
        }
        if sum(_WIDTHS[name] * len(some) for name, some in places.items()) <= _MOST_NUMBERS:
            return most
    return _KEPT[-1]


def _columns(width: int, cells: Iterable[_Cell], most: tuple[int, int]) -> list[list[int]]:
    """Return the sums of a table as columns, in order of where they belong."""
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for key, country, line, numbers in cells:
        place = (*key, min(country, most[0]), min(line, most[1]))
        held = found.get(place)
        found[place] = numbers if held is None else tuple(map(add, held, numbers))
    rows = [(*place, *numbers) for place, numbers in sorted(found.items())]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _step(days: Collection[date]) -> tuple[Step, Callable[[Any], date]]:
    """Return how long a bar is, and the function that finds the start of a day's bar."""
    length = (max(days) - min(days)).days if days else 0
    if length <= _MOST_DAYS:
        return "day", lambda day: day
    if length <= _MOST_WEEKS * 7:
        # The first week of all begins on a Monday.
        return "week", lambda day: day - timedelta(days=day.weekday())
    return "month", lambda day: day.replace(day=1)
