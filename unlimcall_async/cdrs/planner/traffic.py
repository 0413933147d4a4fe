"""What is known of the traffic: whether a stretch without a row is plausible, or rows may be missing there.

Pure: no I/O.

Theory. A server may sort by something that agrees with the time everywhere but once: by ids whose prefix changes, for example. Its
pages arrive sorted and agree at their seams. But a page that reaches over such a change lacks rows, and so has a hole. A hole is
suspicious if the rows around it let expect many records in it. But traffic has holes of its own: nights, weekends, and the time
between two campaigns. These are known by the holes that were checked, by complete pages and by proofs. A hole is plausible if a
checked one was about as long, at the same hours of the day or of the week.

Doubts. In traffic that comes in bursts no hole is like the others, and to check each would cost a request for each page. So an odd
hole is checked at once only if it is far longer than all that were checked, and else once in so many pages. Rows that are missing
in a shorter one may be lost.

The constants were tuned by `benchmarks/requests.py`, which counts what needless proofs cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import nlargest
from math import inf
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.planner.holes import CHANCE, lengths
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.times import SECOND, Range, to_datetime, to_micros

_HOUR: Final = 3600 * SECOND
_DAY: Final = 24 * _HOUR
_WEEK: Final = 7 * _DAY
# A stream has one hole at most at the near edge of its range, so that a lower number costs little.
_CHANCE_AT_EDGE: Final = 3
# Rows beside the near edge that show what may be missing there: few, so that a night is not judged by the day before it.
_BESIDE: Final = 20
# How much earlier a hole may begin than the checked one that it is like, and how much later it may end: at most.
_EARLIER: Final = _HOUR
# An odd hole that is so many times as long as all that were checked is checked at once.
_FAR_LONGER: Final = 4
# How many times as many rows may be expected in a hole as in a checked one that it is like: quiet traffic has long holes by chance.
_BUSIER: Final = 16
# The checked holes that are remembered, and how many of them a page may bring in.
_REMEMBERED, _OF_A_PAGE = 64, 4
# A hole that is like no other, and not far longer than all, is checked once in so many full pages: a cost of 1.5 %.
_PAGES_TO_A_CHECK: Final = 64


@frozen
class _Hole:
    """A hole that was checked, and how many rows would lie in it if calls were as frequent there as beside it."""

    range: Range
    expected: float


class Traffic:
    """The holes in the traffic of a range that were checked."""

    def __init__(self) -> None:
        self._checked: deque[_Hole] = deque(maxlen=_REMEMBERED)
        self._longest = 0
        self._pages = self._checks = 0

    def check(self, covered: Range, page: Page) -> None:
        """Record the longest holes of a page that is complete for a range."""
        edges = [to_datetime(covered.start), *page.starts_of(covered), to_datetime(covered.end)]
        gaps = lengths(edges)
        for place in nlargest(_OF_A_PAGE, range(len(gaps)), key=gaps.__getitem__):
            # Two holes with a row between them do not touch.
            end = to_micros(edges[place + 1])
            hole = Range(min(end, to_micros(edges[place]) + (place > 0)), end)
            first, last = max(1, place - _BESIDE // 2), min(len(edges) - 2, place + 1 + _BESIDE // 2)
            # Beside a hole that takes in nearly all rows, nobody can tell what is frequent.
            busy = to_micros(edges[last]) - to_micros(edges[first]) - (len(hole) if first <= place < last else 0)
            self._add(_Hole(hole, (last - first) * len(hole) / busy if busy > 0 else inf))

    def _add(self, hole: _Hole) -> None:
        """Record a hole, together with those that touch it: a part without a row may be a piece of a longer hole."""
        for each in [*self._checked]:
            if each.range.start <= hole.range.end and hole.range.start <= each.range.end:
                self._checked.remove(each)
                whole = Range(min(each.range.start, hole.range.start), max(each.range.end, hole.range.end))
                hole = _Hole(whole, each.expected + hole.expected)
        self._checked.append(hole)
        self._longest = max(self._longest, len(hole.range))

    def note_claim(self) -> None:
        """Count a page that was claimed."""
        self._pages += 1

    def has_odd_holes(self, page: Page) -> bool:
        """Return whether a full page has a hole that is not like any that was checked."""
        return any(self._odd_holes(page))

    def suspicious(self, page: Page) -> bool:
        """Return whether rows may be missing in the odd holes of a full page, and count the check that follows."""
        if max(map(len, self._odd_holes(page))) < _FAR_LONGER * self._longest:
            if self._checks >= self._pages // _PAGES_TO_A_CHECK:
                return False
            self._checks += 1
        return True

    def _odd_holes(self, page: Page) -> Iterator[Range]:
        return (
            hole for hole in page.holes if not any(_is_like(hole, each.range, len(hole) // 4) for each in self._checked)
        )

    def suspicious_at_edge(self, page: Page, hole: Range) -> bool:
        """Return whether rows may be missing between the near edge of a range and the first row of a full page."""
        starts = page.sorted_starts
        beside = starts[:_BESIDE] if hole.end <= to_micros(starts[0]) else starts[-_BESIDE:]
        span = max(1, to_micros(beside[-1]) - to_micros(beside[0]))
        # If calls are frequent, a difference of an hour is not chance.
        earlier = min(_EARLIER, CHANCE * span // len(beside))
        expected = len(hole) * len(beside) / span
        # A hole that is chance itself says nothing about others.
        least = max(CHANCE, expected / _BUSIER)
        if any(each.expected >= least and _is_like(hole, each.range, earlier) for each in self._checked):
            return False
        return expected >= _CHANCE_AT_EDGE


def _is_like(hole: Range, checked: Range, earlier: int = _EARLIER) -> bool:
    """Return whether a checked hole is about as long, and lies at the same hours of the week, or of another day.

    The hole may begin earlier, and end later, by so many microseconds.
    """
    if len(checked) >= _WEEK:
        # It has every hour of the week, and so says nothing of any other.
        return checked.start - earlier <= hole.start and hole.end <= checked.end + earlier
    every = _DAY if max(len(hole), len(checked)) < _DAY else _WEEK
    later = (hole.start - checked.start + earlier) % every
    return later + len(hole) <= len(checked) + 2 * earlier
