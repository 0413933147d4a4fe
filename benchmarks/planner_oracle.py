"""The fewest requests that a planner could take that knows how dense the calls are, and not when each of them starts.

Such an oracle is a bound for every planner: none can know more of the calls before it asks than how many are to be expected where.
The oracle trusts the server, so that it repeats no row, proves no order, and needs no margins. The records are those of the pull.

- The server sorts, and one request after the other goes along with the order: each window begins where the page before ended. This
  needs no density, and nobody can do with fewer.
- The server sorts, but the pages go against the output, or several chains go side by side: a chain holds at most as many pages as
  our planner may hold for each request. Its last page is not full. The oracle makes the chain so long that the expected cost of a
  record is least.
- The server does not sort: a window that holds more than a page is lost, and halved. The oracle makes the window so long that the
  expected cost of a record is least.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from math import ceil, erf, sqrt
from typing import Final

from benchmarks.planner_server import PAGE
from benchmarks.planner_traffic import YEAR, spans_of
from unlimcall_async.cdrs.times import MILLISECOND, WIDEST

_START, _END = YEAR.start // MILLISECOND, YEAR.end // MILLISECOND
_WIDEST: Final = WIDEST // MILLISECOND
# How far below a whole number of pages the expected number may be, in standard deviations.
_DEVIATIONS: Final = tuple(step / 10 for step in range(41))


class Oracle:
    """What is known of the calls of a year: how many are expected where. Times are in milliseconds."""

    def __init__(self, traffic: str, records: int, seed: int) -> None:
        # Where the density changes, and by how many calls a millisecond.
        changes = Counter[int]()
        for span in (spans := spans_of(traffic, records, seed)):
            changes[span.start] += span.weight / span.length  # type: ignore[assignment] # a Counter counts fractions, too
            changes[span.start + span.length] -= span.weight / span.length  # type: ignore[assignment] # as above
        scale = records / sum(span.weight for span in spans)
        self._times = sorted({_START, _END, *changes})
        densities = accumulate(changes[at] * scale for at in self._times[:-1])
        lengths = (end - start for start, end in zip(self._times, self._times[1:], strict=False))
        each = (max(0.0, density) * length for density, length in zip(densities, lengths, strict=True))
        self._expected = list(accumulate(each, initial=0.0))

    def end_of(self, start: int, records: float) -> int:
        """Return up to when so many calls are expected from a time on, at most at the end of the year."""
        wanted = self._expected_to(start) + records
        place = bisect_left(self._expected, wanted)
        if place == len(self._expected):
            return _END
        first, last = self._times[place - 1], self._times[place]
        below, above = self._expected[place - 1], self._expected[place]
        return max(start + 1, first + ceil((last - first) * (wanted - below) / (above - below)))

    def _expected_to(self, at: int) -> float:
        place = max(1, bisect_left(self._times, at))
        first, last = self._times[place - 1], self._times[place]
        below, above = self._expected[place - 1], self._expected[place]
        return below + (above - below) * (at - first) / (last - first)


def along(starts: Sequence[int]) -> int:
    """Return how many requests go through sorted starts one after the other, each from where the page before ended."""
    return _chain(starts, _START, _END)


def in_chains(starts: Sequence[int], oracle: Oracle, pages: int) -> int:
    """Return how many requests go through sorted starts in chains of at most so many pages."""
    target = min(_targets(pages), key=lambda target: _pages_expected(target) / target)
    requests, at = 0, _START
    while at < _END:
        end = oracle.end_of(at, target)
        requests, at = requests + _chain(starts, at, end), end
    return requests


def unsorted(starts: Sequence[int], oracle: Oracle) -> int:
    """Return how many requests go through starts if a window that holds more than a page is lost, and halved."""
    # A window that is full costs two more, which mostly fit.
    target = min(_targets(1), key=lambda target: (1 + 2 * _share_above(PAGE - 1, target)) / target)
    requests, at = 0, _START
    while at < _END:
        end = min(oracle.end_of(at, target), at + _WIDEST)
        requests, at = requests + _halved(starts, at, end), end
    return requests


def _targets(pages: int) -> list[float]:
    whole = pages * PAGE
    return [whole - deviations * sqrt(whole) for deviations in _DEVIATIONS]


def _share_above(most: float, expected: float) -> float:
    """Return how likely more records come than a number, if so many are expected: chance is as good as normal here."""
    return 0.5 * (1 - erf((most + 0.5 - expected) / sqrt(2 * expected)))


def _pages_expected(records: float) -> float:
    return 1 + sum(_share_above(page * PAGE, records) for page in range(1, ceil(2 * records / PAGE) + 1))


def _chain(starts: Sequence[int], at: int, end: int) -> int:
    requests = 0
    while at < end:
        reached = min(end, at + _WIDEST)
        first = bisect_left(starts, at)
        if first + PAGE < len(starts) and starts[first + PAGE] < reached:
            reached = max(at + 1, starts[first + PAGE])
        requests, at = requests + 1, reached
    return requests


def _halved(starts: Sequence[int], start: int, end: int) -> int:
    if bisect_left(starts, end) - bisect_left(starts, start) < PAGE or end - start < 2:
        return 1
    middle = (start + end) // 2
    return 1 + _halved(starts, start, middle) + _halved(starts, middle, end)
