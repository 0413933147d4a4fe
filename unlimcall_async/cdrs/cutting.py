"""Where parts are cut: so that a page, or a chain of pages, is likely to hold a piece.

Pure: no I/O. Cuts are at whole seconds, strictly inside. They follow estimates, so a bad one costs requests, never a record.

Theory. Where the server sorts by time, a part costs half a page more than its records do, because the last page of its chain is not
full. So parts should be many pages long; but what is worked on beside others, or against the output's order, has to be held, so
they are about a dozen. A chain against the order whose part turns out to be a burst, far longer than was expected, leaves gaps that
grow, until it has found the near end of the burst: then the gaps are parts of a known size.

Where it does not sort, a window of several pages gives a sample of its rows, by which single pages are cut from it. An answer whose
rows all lie at one end of its window is no sample of the rest (rows in the order in which calls ended do): it shows most of what
is at that end, so nearly a page is peeled off there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, sqrt
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.answer import Answer
from unlimcall_async.cdrs.estimates import Density, Sample, sample_of
from unlimcall_async.cdrs.instants import SECOND, Range
from unlimcall_async.cdrs.ordering import Ordering
from unlimcall_async.cdrs.parts import WIDEST_PART, Part

# Pages that may be held or under way, for each request that may be under way.
BUFFER: Final = 23
# Shares of it: what is kept for the part that all others wait for; how long a part is that is worked on beside others, with the
# server's order and against it; and the first gap.
_KEPT, _WITH, _AGAINST, _GAP = 8 / 23, 12 / 23, 14 / 23, 4 / 23
# How full a page may be by estimate, where there is no error in it, and where it rests on a density alone.
_FULL, _FULL_BY_DENSITY = 0.97, 0.8
# A sample in which each row stands for more records than this is too coarse to cut single pages; groups of so many are cut then.
_COARSE, _GROUP = 16, 8
# How many records a window is taken to hold at least, in pages, of which no more is known than that a page cannot hold it.
_OVERFULL: Final = 1.25
# What is peeled off: so much of a page, and no more than this share of the rows that came, because the last of them say nothing of
# what lies between and beyond them.
_PEEL: Final = 0.95
# The rest is likely to go on like the rows that came if the middle one of them is so near to the middle of their time, and if they
# lie beside what is asked next, or all that was covered lately is about as dense.
_EVEN: Final = 0.1
_ALIKE: Final = 1.4


@frozen
class Sizes:
    """How much to ask for, and to hold, in records.

    Attributes:
        page: Of an answer.
        most: What may be held or under way.
        kept: How much of that is kept for the part that all others wait for.
        along: Of a part that is worked on beside others, with the server's order.
        against: The same against it.
        gap: Of the first gap.
    """

    page: int
    most: int
    kept: int
    along: float
    against: float
    gap: float

    @classmethod
    def of(cls, page: int, concurrency: int, buffer: int) -> Sizes:
        """Give the sizes for a buffer of so many pages for each request that may be under way."""
        one = page * buffer
        return cls(page, one * concurrency, round(one * concurrency * _KEPT), one * _WITH, one * _AGAINST, one * _GAP)


class Cutter:
    """Cuts parts, by what it has learned of how their records lie."""

    def __init__(self, sizes: Sizes, ordering: Ordering, *, newest_first: bool) -> None:
        self._sizes = sizes
        self._ordering = ordering
        self._newest_first = newest_first
        self._density = Density()
        # How many records there are for each row that an answer shows at one end of its window.
        self._hidden = 1.0

    def learn(self, part: Part, rows: int) -> None:
        """Say how many records a part held."""
        self._density.add(rows, len(part.range))
        if part.density is not None:
            if self._ordering.hopeless and rows < part.density.expect(part.range) / 2:
                part.density.forget()
            part.density.add(rows, len(part.range))
        if part.sample is not None:
            self._learn_of(part.sample, part, rows)

    def _learn_of(self, sample: Sample, part: Part, rows: int) -> None:
        sample.learn(part.range, rows)
        if sample.peeled and (count := sample.count(part.range)) > self._sizes.page / 4:
            self._hidden += 0.3 * (max(1.0, rows / count) - self._hidden)

    def before_asking(self, part: Part, room: int, *, first: bool) -> int | None:
        """Where to cut a part that is to be asked: its near end is asked then; `None` for not at all."""
        guide = self._guide(part)
        expected, target = guide.expect(part.range), self._target(part, room, first=first)
        at = self._near(part.range, evenly(expected, target), guide) if expected > 1.1 * target else None
        against = self._ordering.direction == (not self._newest_first)
        if len(part.range) <= WIDEST_PART or (against and self._density.known):
            return at  # a chain against the order may go through more than a window
        if self._newest_first:
            return max(part.range.end - WIDEST_PART, at or part.range.start)
        return min(part.range.start + WIDEST_PART, at or part.range.end)

    def _guide(self, part: Part) -> Sample | Density:
        return part.sample or _known(part.density) or self._density

    def _target(self, part: Part, room: int, *, first: bool) -> float:
        """How many records to ask for at once, be it in one page, in a chain of them, or for a sample."""
        sizes = self._sizes
        if self._ordering.hopeless:
            return page_of(part, sizes.page) if part.sample or _known(part.density) else _GROUP * sizes.page
        if self._ordering.direction == self._newest_first:
            return inf if first else sizes.along
        return max(sizes.page, min(sizes.against, room / 2))

    def chain(self, left: Part, claim: Part, room: int) -> list[Part]:
        """Cut the rest of a chain against the output's order, if its pages would have to be held too long."""
        sizes = self._sizes
        if max(sizes.gap, left.depth * sizes.page) > room:
            local = Density.near(len(claim.records), len(claim.range))
            gap = (1 << left.gaps) * sizes.gap / max(local.expect(Range(0, 1)), 1e-12)
            at = left.range.start + gap if self._newest_first else left.range.end - gap
            if gap < len(left.range) and (cut := inside(left.range, at)) is not None:
                near, far = self._cut(left, cut)
                near.depth, near.gaps, far.density = left.depth, left.gaps + 1, local
                return [near, far]
            return [left]
        expected = self._density.expect(left.range)
        if expected <= 2 * sizes.against:
            return [left]
        return self._cut(left, self._near(left.range, evenly(expected, sizes.against), self._density))

    def divide(self, part: Part, answer: Answer) -> list[Part]:
        """Cut a part that is full where the rows of its answer suggest."""
        page, rows = self._sizes.page, len(answer.rows)
        guess = self._guide(part).expect(part.range) if self._density.known else _GROUP * page
        expected = answer.total or max(_OVERFULL * rows, guess)
        if part.sample is not None:
            self._learn_of(part.sample, part, round(expected))
        if not self._density.known:
            self._density.add(round(expected), len(part.range))
        sample = sample_of([at // 1000 for at in answer.instants], part.range, expected)
        if self._ordering.hopeless and 0 < sample.span * 2 < len(part.range):
            return self._peel(part, sample.instants)
        part.sample = sample
        target = min(page_of(part, page), 0.8 * expected)
        return self._cut(part, self._near(part.range, evenly(expected, target), sample))

    def _peel(self, part: Part, instants: list[int]) -> list[Part]:
        """Cut off nearly a page at the end of a part that an answer shows, and leave the rest."""
        count = int(_PEEL * min(len(instants), self._sizes.page / self._hidden))
        lower = instants[0] - part.range.start < part.range.end - instants[-1]
        part.sample, part.density = None, None
        if self._goes_on(part, local := self._shown(instants), instants, beside=lower != self._newest_first):
            part.density = local
        pieces = self._cut(part, inside(part.range, instants[count] if lower else instants[-1 - count]))
        leaf = pieces[0] if lower != self._newest_first else pieces[-1]
        leaf.sample, leaf.density = Sample(instants, self._hidden, 0.0, peeled=True), None
        return pieces

    def _shown(self, instants: list[int]) -> Density:
        return Density.near(round(len(instants) * self._hidden), instants[-1] - instants[0])

    def _goes_on(self, part: Part, local: Density, instants: list[int], *, beside: bool) -> bool:
        """Tell whether the rest of a part is likely to be as dense as what an answer shows at one end of it."""
        middle = (instants[len(instants) // 2] - instants[0]) / (instants[-1] - instants[0])
        lately = self._density.expect(part.range) / local.expect(part.range)
        return abs(middle - 0.5) < _EVEN and (beside or 1 / _ALIKE < lately < _ALIKE)

    def _near(self, wanted: Range, target: float, guide: Sample | Density) -> int | None:
        return cut_for(wanted, target, guide.expect, from_end=self._newest_first)

    def _cut(self, part: Part, at: int | None) -> list[Part]:
        """Cut a part in two, in the order of the output."""
        return [part] if at is None else part.cut(at)[:: -1 if self._newest_first else 1]


def _known(density: Density | None) -> Density | None:
    return density if density is not None and density.known else None


def inside(wanted: Range, at: float) -> int | None:
    """Give the whole second nearest to a millisecond, strictly inside a range, if there is one."""
    first, last = wanted.start // SECOND + 1, -(-wanted.end // SECOND) - 1
    return min(max(round(at / SECOND), first), last) * SECOND if first <= last else None


def cut_for(wanted: Range, target: float, expect: Callable[[Range], float], *, from_end: bool) -> int | None:
    """Find where to cut a range so that its near end is expected to hold so many records."""
    low, high = 0, len(wanted)
    while high - low > SECOND:
        middle = (low + high) // 2
        near = Range(wanted.end - middle, wanted.end) if from_end else Range(wanted.start, wanted.start + middle)
        if expect(near) < target:
            low = middle
        else:
            high = middle
    return inside(wanted, wanted.end - low if from_end else wanted.start + low)


def evenly(expected: float, target: float) -> float:
    """Give the size of pieces that are all alike, and none above the target."""
    return expected / max(1, ceil(expected / target))


def page_of(part: Part, page: int) -> float:
    """Give the number of records to expect in a window that is meant to be whole, or in a group that is meant to be sampled.

    The number of records between two rows of a random sample varies; a cut leaves room for twice the standard error.
    """
    if part.sample is None:
        return _FULL_BY_DENSITY * page
    scale = part.sample.scale
    return _GROUP * page if scale > _COARSE else _FULL * page / (1 + 2 * sqrt((scale - 1) / page))
