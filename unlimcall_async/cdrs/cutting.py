"""Where parts are cut: so that a page, or a chain of pages, is likely to hold a piece.

Pure: no I/O. Cuts are at whole seconds, strictly inside. They follow estimates, so a bad one costs requests, never a record.

Theory. Where the server sorts by time, a part costs half a page more than its records do, because the last page of its chain is not
full. So parts should be many pages long; but what is worked on beside others, or against the output's order, has to be held, so
they are about a dozen. A chain against the order whose part turns out to be a burst, far longer than was expected, leaves gaps that
grow, until it has found the near end of the burst: then the gaps are parts of a known size.

Where it does not sort, a window of several pages gives a sample of its rows, by which single pages are cut from it. What the
sample stands for shows in the first of them, and tells the samples too by which its window was cut: where all lies in a few
bursts, that is how their size is found out. But a page whose rows come by the ends of their calls is no sample: it shows one end
of its window, where pages can be cut that are nearly full (`durations`), and says nothing of the rest. The rest may go on like
that, and how much of it to ask for is decided by how such guesses have turned out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil, inf, sqrt
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.answer import Answer
from unlimcall_async.cdrs.durations import Durations, Shown
from unlimcall_async.cdrs.estimates import Density, Guesses, Sample, sample_of
from unlimcall_async.cdrs.instants import SECOND, Range
from unlimcall_async.cdrs.ordering import Ordering
from unlimcall_async.cdrs.parts import WIDEST_PART, Part
from unlimcall_async.models import CallRecord

# Pages that may be held or under way, for each request that may be under way.
BUFFER: Final = 23
# Shares of it: what is kept for the part that all others wait for, enough that a pull of a hundred pages holds as much as one of a
# thousand; how long a part is that is worked on beside others, with the server's order and against it; and the first gap.
_KEPT, _WITH, _AGAINST, _GAP = 10 / 23, 12 / 23, 14 / 23, 4 / 23
# How full a page may be by estimate, where there is no error in it.
_FULL: Final = 0.97
# A sample in which each row stands for more records than this is too coarse to cut single pages; groups of so many are cut then.
_COARSE, _GROUP = 16, 8
# How many records a window is taken to hold at least, in pages, of which no more is known than that a page cannot hold it.
_OVERFULL: Final = 1.25
# What does not lie beside the rows that came is likely to be like them if all that was covered lately is about as dense.
_ALIKE: Final = 1.4
# How fast it is learned that rows stand for more or fewer records than their calls' durations say, and by how many fewer at most.
_SPEED, _FEWEST = 0.3, 0.7
# Where they stand for more than so many times as much, answers are samples after all: sorted, but not chosen by that. And how much
# of this is kept with each answer that is taken for a sample.
_TOO_MANY, _FORGOTTEN = 2.0, 0.99
# A part that was meant to hold less than this of a page tells nothing of it.
_TELLING: Final = 0.25


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
        self._durations = Durations()
        self._guesses = Guesses()
        # How many times as many records there are as durations say.
        self._more = 1.0

    def learn(self, part: Part, records: Sequence[CallRecord]) -> None:
        """Say what records a part held."""
        rows = len(records)
        self._density.add(rows, len(part.range))
        if part.density is not None:
            self._learn_near(part.density, part, rows)
        if part.sample is not None:
            part.sample.learn(part.range, rows)
        if self._ordering.hopeless:
            self._durations.learn(records)
        self._learn_more(part, rows)

    def _learn_more(self, part: Part, rows: float) -> None:
        if part.expected > _TELLING * self._sizes.page:
            self._more += _SPEED * (max(_FEWEST, rows / part.expected) - self._more)

    def _learn_near(self, near: Density, part: Part, rows: int) -> None:
        if self._ordering.hopeless and near.known:
            expected = near.expect(part.range)
            if part.sample is None:
                self._guesses.learn(expected, rows)
            if rows < expected / 2:
                near.forget()
        near.add(rows, len(part.range))

    @property
    def curious(self) -> bool:
        """Whether it is to be learned how long calls last."""
        return self._ordering.hopeless and not self._durations.known

    def better_later(self, part: Part, asked: Iterable[Part]) -> bool:
        """Whether one of those that are asked will tell how a part is better cut."""
        if part.sample is not None:
            return not part.sample.learned and any(part.sample.tells(other.sample) for other in asked)
        near = _known(part.density)
        if near is None or not self._ordering.hopeless:
            return False
        # As many side by side as have shown that it goes on like that, and one more.
        return sum(other.density is near for other in asked) > near.told

    def falls_short(self, part: Part) -> bool:
        """Whether a part is expected to hold less than is better asked for at once."""
        if not self._ordering.hopeless or not part.untouched:
            return False
        return self._guide(part).expect(part.range) < self._target(part, 0, first=False)

    def before_asking(self, part: Part, room: int, *, first: bool) -> int | None:
        """Where to cut a part that is to be asked: its near end is asked then; `None` for not at all."""
        if part.expected:
            return None
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
            if part.sample is not None:
                return page_of(part.sample, sizes.page)
            return (self._guesses.best if _known(part.density) else _GROUP) * sizes.page
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
        if not self._density.known:
            self._density.add(round(expected), len(part.range))
        self._learn_more(part, expected)
        if (shown := self._shown(part, answer)) is not None:
            return self._cut_pages(part, shown, rows)
        sample = sample_of([at // 1000 for at in answer.instants], part.range, expected)
        if part.sample is not None:
            part.sample.at_least(part.range, expected)
            sample.outer = part.sample
        part.sample = sample
        target = min(page_of(sample, page), 0.8 * expected)
        return self._cut(part, self._near(part.range, evenly(expected, target), sample))

    def _shown(self, part: Part, answer: Answer) -> Shown | None:
        """Tell what an answer shows of one end of a part, unless answers have turned out to be samples."""
        if not self._ordering.hopeless:
            return None
        if self._more > _TOO_MANY:
            self._more *= _FORGOTTEN
            return None
        return self._durations.shown(answer, part.range)

    def _cut_pages(self, part: Part, shown: Shown, page: int) -> list[Part]:
        """Cut off as many pages as an answer shows at one end of a part, and leave the rest."""
        total, near = round(sum(shown.weights) * self._more), _known(part.density)
        if near is not None:
            self._guesses.learn(near.expect(shown.range), total)
        rest, pages = Part(part.range, density=self._goes_on(shown, total)), list[Part]()
        for at, expected in shown.pages(page / self._more):
            cut = inside(rest.range, at)
            if cut is None:
                break
            leaf, rest = rest.cut(cut)[:: 1 if shown.oldest else -1]
            leaf.density, leaf.expected = None, expected
            pages.append(leaf)
        return [*pages, rest]

    def _goes_on(self, shown: Shown, total: int) -> Density | None:
        """Give the density of what an answer shows, if what is asked next of the rest is likely to be like that."""
        beside = shown.oldest != self._newest_first
        lately = self._density.expect(shown.range) / max(1, total)
        return Density.near(total, len(shown.range)) if beside or 1 / _ALIKE < lately < _ALIKE else None

    def _near(self, wanted: Range, target: float, guide: Sample | Density) -> int | None:
        # A page of a server that does not sort must hold the margins of its window too.
        margin = SECOND * self._ordering.hopeless
        return cut_for(
            wanted,
            target,
            lambda near: guide.expect(Range(near.start - margin, near.end + margin)),
            from_end=self._newest_first,
        )

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


def page_of(sample: Sample, page: int) -> float:
    """Give the number of records to expect in a window that is meant to be whole, or in a group that is meant to be sampled.

    The number of records between two rows of a random sample varies; a cut leaves room for twice the standard error.
    """
    return _GROUP * page if sample.scale > _COARSE else _FULL * page / (1 + 2 * sqrt((sample.scale - 1) / page))
