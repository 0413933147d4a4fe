"""How long calls last, and so how many records a page hides if the server gives rows in the order in which the calls ended.

Pure: no I/O. This module decides where to cut, never what is complete. Without it a server that gives rows as they were written
costs up to twice the requests (`benchmarks/requests.py --orders insertion`, bursts: 5.0 times the fewest in place of 2.2).

Theory. A record is written when its call ends, so a server that does not sort may give its rows by their ends. The first page
of a window that holds more shows the calls that had ended by some moment, the frontier. Of the calls that began long before the
frontier the page shows all; of those that began shortly before it, only the short ones. So a row stands for `1 / p` records,
where `p` is the share of calls that last no longer than from the row's start to the frontier. A server that gives first what
ended last shows what ended behind the frontier: every call that began behind it, and the long ones of those that began before
it. There `p` is the share of long ones.

Doubts. Ends may be written late, and durations may be wrong. Then rows stand for more or fewer records than is thought;
`divide` learns how many from the parts that were cut by them. The rows may not come by their ends at all, and yet those that
start first may come first, or last, more often than by chance. Such a page is taken to show one end of its window, too.

The constants were tuned by `benchmarks/requests.py --orders insertion`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS, Margins
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.rows import Row
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, to_micros

# How many durations are remembered, and how many of one page: enough for a share to be right to a few percent.
_MEMORY, _OF_PAGE = 4000, 500
# The API cuts durations down to whole seconds.
_HALF: Final = SECOND // 2
# Rows come by their ends if all but a few lie near to their places: within seconds, or within a share of the page's time.
_NEAR, _NEAR_SHARE, _STRAYS = 2 * SECOND, 0.1, 0.05
# Among rows that came by chance each is a third of the page away from its place on average, give or take less than this.
_CHANCE: Final = 0.04
# No row is taken for more records: rows nearest to the frontier tell too little.
_MOST: Final = 16
# A page tells nothing if less than this share of it can be used.
_LEAST: Final = 0.25
# How full a page may be by estimate, apart from twice the standard error; and the rows in the margins of its window.
_FULL: Final = 0.97


@frozen
class Shown:
    """What a page shows of one end of a range.

    Attributes:
        starts: When its rows start, in microseconds, from that end on.
        weights: How many records each of them stands for.
        oldest: Whether the end is the one with the oldest records.
    """

    starts: Sequence[int]
    weights: Sequence[float]
    oldest: bool

    @property
    def range(self) -> Range:
        """The time from the first to the last of the rows."""
        return Range(min(self.starts[0], self.starts[-1]), max(self.starts[0], self.starts[-1]) + MILLISECOND)

    def pages(self, page: float, margins: Margins = WHOLE_SECONDS) -> Iterator[tuple[int, float]]:
        """Yield the times to cut at, so that a page holds what lies between two, and how many records that should be.

        There is at least one. A page holds the margins, too.
        """
        first, records, doubt, any_cut = self.starts[0], 0.0, 0.0, False
        beside = len(margins.page_of(Range(0, SECOND))) - SECOND
        for at, weight in zip(self.starts, self.weights, strict=True):
            more = records * beside / max(margins.step, abs(at - first))
            if records and records + weight + more + 2 * sqrt(doubt) > _FULL * page:
                yield at, records
                first, records, doubt, any_cut = at, 0.0, 0.0, True
            records, doubt = records + weight, doubt + weight * (weight - 1)
        if not any_cut:
            yield self.starts[-1], records


class Durations:
    """How long calls last, lately."""

    def __init__(self) -> None:
        self._micros: deque[int] = deque(maxlen=_MEMORY)

    @property
    def known(self) -> bool:
        """Whether anything was learned."""
        return bool(self._micros)

    def learn(self, records: Sequence[Row]) -> None:
        """Record some durations of a part that is complete. On a full page short calls come first, which would mislead."""
        every = max(1, len(records) // _OF_PAGE)
        self._micros.extend(record.duration * SECOND for record in records[::every])

    def shown(self, page: Page, wanted: Range) -> Shown | None:
        """Return what a full page shows of a range, or `None` if its rows come neither by their ends nor nearly by their starts."""
        if not page.rows:
            return None
        rows = [(to_micros(start), row.duration * SECOND) for start, row in zip(page.starts, page.rows, strict=True)]
        ends = [start + lasts for start, lasts in rows]
        by_end = _ends_rise(ends)
        oldest = by_end if by_end is not None else _starts_lean([start for start, _ in rows])
        if oldest is None:
            return None
        within = sorted((row for row in rows if wanted.holds(row[0])), reverse=not oldest)
        starts = [start for start, _ in within]
        weights = [1.0] * len(starts)
        if by_end is not None:
            # Before anything was learned, the half that began first is taken for all calls at that end.
            known = sorted(self._micros or (lasts for _, lasts in within[: len(within) // 2]))
            weights = list(_weights_of(starts, max(ends) if oldest else min(ends), known, oldest=oldest))
        if len(weights) < _LEAST * len(rows) or starts[0] == starts[len(weights) - 1]:
            return None
        return Shown(starts[: len(weights)], weights, oldest)


def _ends_rise(ends: Sequence[int]) -> bool | None:
    """Return whether ends rise or, `False`, fall, apart from a few; `None` for neither."""
    rising, few = sorted(ends), int(_STRAYS * len(ends))
    near = _NEAR + _NEAR_SHARE * (rising[-1 - few] - rising[few])
    for places, rise in ((rising, True), (rising[::-1], False)):
        if sum(abs(end - place) > near for end, place in zip(ends, places, strict=True)) <= few:
            return rise
    return None


def _starts_lean(starts: Sequence[int]) -> bool | None:
    """Return whether the rows that start first come first or, `False`, last, more often than by chance; `None` for neither."""
    size = len(starts)
    places = sorted(range(size), key=starts.__getitem__)
    apart = sum(abs(rank - place) for rank, place in enumerate(places)) / size**2
    return None if abs(apart - 1 / 3) < _CHANCE else apart < 1 / 3


def _weights_of(starts: Sequence[int], frontier: int, known: Sequence[int], *, oldest: bool) -> Iterator[float]:
    """Yield how many records each row stands for, up to the first row that tells too little."""
    for start in starts:
        shorter = bisect_right(known, frontier - start - _HALF)
        seen = shorter if oldest else len(known) - shorter
        if seen * _MOST < max(1, len(known)):
            return
        yield len(known) / seen
