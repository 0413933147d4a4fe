"""How long calls last, and so what a page hides that gives them in the order in which they ended.

Pure: no I/O. By this it is decided where to cut, never what is complete.

Theory. A record is written when its call ends, so a server that does not sort may give its rows by their ends. The first page of a
window that holds more shows the calls that had ended by some moment, the frontier: of those that began long before it all, of
those that began shortly before it only the short ones. So a row stands for `1 / p` records, where `p` is the share of calls that
last no longer than from its start to the frontier. A server that gives first what ended last shows what ended behind the
frontier: every call that began behind it, and of those that began before it the long ones, so `p` is the share of these.

Doubts. Ends may be written late, and durations may be wrong. Then rows stand for more or fewer records than is thought; how many,
`cutting` learns from the parts that were cut by them. Where the rows do not come by their ends at all, but those that start
first come first, or last, more often than by chance, the page is taken to show one end of its window all the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.answer import Answer
from unlimcall_async.cdrs.instants import SECOND, Range
from unlimcall_async.models import CallRecord

# How many durations are remembered, and how many of one answer: enough for a share to be right to a few percent.
_MEMORY, _OF_ANSWER = 4000, 500
# Durations are cut down to whole seconds.
_HALF: Final = SECOND // 2
# Rows come by their ends if all but a few lie so near to their places, which are seconds, or a share of the page's time, apart.
_NEAR, _NEAR_SHARE, _STRAYS = 2 * SECOND, 0.1, 0.05
# In rows that came by chance each is a third of the page away from its place on average, give or take less than this.
_CHANCE: Final = 0.04
# No row is taken for more records: those nearest to the frontier tell too little.
_MOST: Final = 16
# A page of which less can be used tells nothing.
_LEAST: Final = 0.25
# How full a page may be by estimate, but for twice the standard error, and the margins of its window: a second and more each.
_FULL, _MARGINS = 0.97, 2 * SECOND


@frozen
class Shown:
    """What an answer shows of one end of a range.

    Attributes:
        instants: When its rows start, in milliseconds, from that end on.
        weights: How many records each of them stands for.
        oldest: Whether that is the end with the oldest.
    """

    instants: Sequence[int]
    weights: Sequence[float]
    oldest: bool

    @property
    def range(self) -> Range:
        """The time from the first to the last of the rows."""
        return Range(min(self.instants[0], self.instants[-1]), max(self.instants[0], self.instants[-1]) + 1)

    def pages(self, page: float) -> Iterator[tuple[int, float]]:
        """Yield the instants to cut at, so that a page holds what lies between two, and how many records that should be.

        There is one at least.
        """
        first, records, doubt, none = self.instants[0], 0.0, 0.0, True
        for at, weight in zip(self.instants, self.weights, strict=True):
            margins = records * _MARGINS / max(SECOND, abs(at - first))
            if records and records + weight + margins + 2 * sqrt(doubt) > _FULL * page:
                yield at, records
                first, records, doubt, none = at, 0.0, 0.0, False
            records, doubt = records + weight, doubt + weight * (weight - 1)
        if none:
            yield self.instants[-1], records


class Durations:
    """How long calls last, lately."""

    def __init__(self) -> None:
        self._millis: deque[int] = deque(maxlen=_MEMORY)

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return bool(self._millis)

    def learn(self, records: Sequence[CallRecord]) -> None:
        """Take note of some of the records of a part: all of it, for the short calls of a page that is not whole come first."""
        every = max(1, len(records) // _OF_ANSWER)
        self._millis.extend(record.duration * SECOND for record in records[::every])

    def shown(self, answer: Answer, wanted: Range) -> Shown | None:
        """Tell what a full page shows of a range, if it shows one end: as where its rows come by their ends, or nearly so."""
        rows = [(at // 1000, row.duration * SECOND) for at, row in zip(answer.instants, answer.rows, strict=True)]
        ends = [start + lasts for start, lasts in rows]
        by_end = _rise(ends)
        oldest = by_end if by_end is not None else _lean([start for start, _ in rows])
        if oldest is None:
            return None
        within = sorted((row for row in rows if wanted.start <= row[0] < wanted.end), reverse=not oldest)
        starts = [start for start, _ in within]
        weights = [1.0] * len(starts)
        if by_end is not None:
            # Where nothing is known, the half that began first is taken for all there is at that end.
            known = sorted(self._millis or (lasts for _, lasts in within[: len(within) // 2]))
            weights = list(_weights(starts, max(ends) if oldest else min(ends), known, oldest=oldest))
        if len(weights) < _LEAST * len(rows) or starts[0] == starts[len(weights) - 1]:
            return None
        return Shown(starts[: len(weights)], weights, oldest)


def _rise(ends: Sequence[int]) -> bool | None:
    """Tell whether ends rise or fall, nearly; `None` for neither."""
    rising, few = sorted(ends), int(_STRAYS * len(ends))
    near = _NEAR + _NEAR_SHARE * (rising[-1 - few] - rising[few])
    for places, rise in ((rising, True), (rising[::-1], False)):
        if sum(abs(end - place) > near for end, place in zip(ends, places, strict=True)) <= few:
            return rise
    return None


def _lean(starts: Sequence[int]) -> bool | None:
    """Tell whether the rows that start first come first, or last, more often than by chance; `None` for neither."""
    size = len(starts)
    places = sorted(range(size), key=starts.__getitem__)
    apart = sum(abs(rank - place) for rank, place in enumerate(places)) / size**2
    return None if abs(apart - 1 / 3) < _CHANCE else apart < 1 / 3


def _weights(starts: Sequence[int], frontier: int, known: Sequence[int], *, oldest: bool) -> Iterator[float]:
    """Yield how many records each row stands for, as far as there is anything to be said."""
    for start in starts:
        shorter = bisect_right(known, frontier - start - _HALF)
        seen = shorter if oldest else len(known) - shorter
        if seen * _MOST < max(1, len(known)):
            return
        yield len(known) / seen
