"""Divide: cut a part where a page, or a chain of pages, is likely to hold a piece of it.

Pure: no I/O. Cuts are at whole seconds, or at finer steps in dense traffic (`gauge`), strictly inside the part. They follow
estimates, so a bad cut costs requests, never a record.

Theory. Where the server sorts by time, a part costs half a page more than its records do, because the last page of its chain is
not full. So parts should be many pages long. But what is worked on beside others, or against the output's order, has to be
held, so these parts are about a dozen pages long. A chain against the output may turn out to be in a burst, far longer than was
expected. Then the chain leaves a gap before what it holds, and goes on beyond the gap. The gap becomes a part of a known size.

Where the server does not sort, a page is cut by what has predicted best lately (`forecast`). If nothing predicts, a window of
several pages gives a sample of its rows, by which single pages are cut from it. How many records a row of the sample stands for
shows in the first of these pages. The same page tells the samples by which the window itself was cut: if all records lie in a few
bursts, their size is found out in this way. But a page whose rows come by the ends of their calls is not a sample. It shows one end
of its window, where pages can be cut that are nearly full (`durations`), and says nothing of the rest. The rest may go on like that
end, and how much of it to ask for is decided by how such guesses have turned out.

The constants were tuned by `benchmarks/requests.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, sqrt
from typing import Final

from attrs import evolve

from unlimcall_async.cdrs.planner.arrival import Arrival
from unlimcall_async.cdrs.planner.cuts import cut_for, even_size, multiple_inside
from unlimcall_async.cdrs.planner.density import Density, Hints, Sample
from unlimcall_async.cdrs.planner.durations import Shown
from unlimcall_async.cdrs.planner.estimates import COARSE, Estimates, if_known
from unlimcall_async.cdrs.planner.forecast import GROUP, Estimate
from unlimcall_async.cdrs.planner.gauge import DENSE, KnownMargins
from unlimcall_async.cdrs.planner.margins import Margins
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part, Seam
from unlimcall_async.cdrs.planner.seek import ServerOrder
from unlimcall_async.cdrs.planner.sizes import Sizes
from unlimcall_async.cdrs.planner.tasks import Claim
from unlimcall_async.cdrs.planner.windows import WIDEST_PART
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, ceil, floor, to_micros

# How full a page may be by estimate, if the estimate has no error.
_FULL: Final = 0.97
# A part against the output that is expected to hold no more pages is asked whole before anything was handed out: cutting it costs
# more than a chain of so many pages.
_SHORT: Final = 4
# How full the only page of such a part is meant to be, and how much of the last page of a chain is left free, for errors.
_MOST_OF_PAGE, _UNFILLED = 0.6, 0.3
# How full a page may be by estimate if the next step to cut at would leave it far emptier: three times the standard error is left.
_MOST_BY_STEPS: Final = 0.91
# How many records, in pages, a window is taken to hold of which no more is known than that it does not fit on a page; and if it was
# cut by a sample of which nobody knew how many records a row stands for.
_OVERFULL, _OVERFULL_UNSURE = 1.25, 1.6
# Pieces that are cut by a sample side by side, for each that has shown how many records a row stands for.
_SIDE_BY_SIDE: Final = 2
# A row of a sample that stands for fewer records is known to do so.
_SURE: Final = 1.5
# A stretch that does not lie beside the rows that came is taken to be like them, if all that was covered lately is about as dense.
_ALIKE: Final = 1.4
# A chain against the output stands still if less than this share of what may be held is left, and its near end can be cut off.
_LITTLE_ROOM: Final = 0.65


class Divider:
    """Decides where parts are cut, by what was learned of how records lie."""

    def __init__(
        self,
        sizes: Sizes,
        server_order: ServerOrder,
        estimates: Estimates,
        known: KnownMargins,
        arrival: Arrival,
        *,
        newest_first: bool,
    ) -> None:
        self._sizes = sizes
        self._estimates = estimates
        self._known = known
        self._server_order = server_order
        self._arrival = arrival
        self._newest_first = newest_first

    # --- which part to ask --------------------------------------------------------------------------------------------

    def is_better_cut_later(self, part: Part, asked: Iterable[Part]) -> bool:
        """Return whether a page that is under way will show better where to cut a part."""
        if (sample := part.hints.sample) is not None:
            # Until a piece has shown how much a row of the sample stands for, one piece alone; then side by side twice as many as
            # have shown that, and one more.
            return sum(sample.learns_from(other.hints.sample) for other in asked) > _SIDE_BY_SIDE * sample.ranges
        near = if_known(part.hints.density)
        if near is None or not self._server_order.unsorted:
            return False
        # Side by side as many as have shown that the neighbourhood goes on, and one more.
        return sum(other.hints.density is near for other in asked) > near.ranges

    def is_too_small(self, part: Part) -> bool:
        """Return whether a part is expected to hold less than is better asked for at once."""
        # A part that was doubted would be doubted again with what lies beside it.
        if not self._server_order.unsorted or not part.untouched or part.hints.doubts:
            return False
        return self._estimates.expect(part) < self._target(part, 0, first=False)

    def foresees_dense(self, part: Part) -> bool:
        """Return whether records are expected to lie so close at the near end of a part that finer margins pay (`gauge`)."""
        hints, left = part.hints, part.range
        if hints.dense or hints.doubts or hints.doubted is not None:
            return False
        # As long as a page of the least dense traffic is.
        length = min(len(left), self._sizes.page * SECOND // DENSE)
        near = Range(left.end - length, left.end) if self._newest_first else Range(left.start, left.start + length)
        return self._estimates.of(part)(near) * SECOND >= DENSE * length

    # --- where to cut it ----------------------------------------------------------------------------------------------

    def cut_before_asking(self, part: Part, room: int, *, first: bool, widest: int) -> int | None:
        """Return where to cut a part that is to be asked, so that its near end is asked now; `None` to ask all of it.

        Args:
            part: The part.
            room: How many records may be held more.
            first: Whether all other parts wait for this one.
            widest: How wide a range a window may ask for, in microseconds.
        """
        at, estimate = None, self._estimates.of(part)
        if first and self._arrival.searches:
            # A part that was cut to fill a page is asked whole, unless windows as wide were full.
            if self._arrival.has_narrowed or not part.hints.expected:
                at = self._cut_to_arrive(part, estimate)
        elif not part.hints.expected and (
            part.seam is None or self._arrival.waits or self._goes_on_too_far(part.seam, room)
        ):
            # Else it was cut to fill a page, or a chain goes on in it.
            expected, target = estimate(part.range), self._target(part, room, first=first)
            if self._against and self._arrival.waits and expected <= _SHORT * self._sizes.page:
                target = expected
            # What is left over is asked last, by what will be known then.
            one_by_one = self._against or self._estimates.forecasts(part)
            size = target if one_by_one and expected > 2 * target else even_size(expected, target)
            at = self._cut_near(part, size, estimate) if expected > 1.1 * target else None
        return at if len(part.range) <= widest else self._cut_to_width(part, at, widest)

    def _cut_to_width(self, part: Part, at: int | None, widest: int) -> int | None:
        """Return where to cut a part that is longer than a window, and would be cut at a time; `None` to ask all of it."""
        if widest == WIDEST_PART and self._chains and self._estimates.density.known and not self._arrival.waits:
            # A chain goes through more than one window.
            if self._estimates.density.expect(Range(0, widest)) < 2 * self._sizes.page:
                at = None  # windows are hardly ever full, so a cut within one costs a request
            elif not self._against:
                return at
            widest *= self._arrival.chain if self._against else 1
            if len(part.range) <= widest:
                return at
        # If the server is too slow for wide windows, or down, the near end is asked, so that its records, or its error, come next.
        if self._newest_first:
            return max(part.range.end - widest, at or part.range.start)
        return min(part.range.start + widest, at or part.range.end)

    @property
    def _chains(self) -> bool:
        """Whether the server is taken to sort, so that parts are read in chains."""
        return self._server_order.candidate is not None

    @property
    def _against(self) -> bool:
        """Whether the server is taken to sort against the output."""
        return self._server_order.candidate == (not self._newest_first)

    def _goes_on_too_far(self, seam: Seam, room: int) -> bool:
        """Return whether a chain against the output should not go on yet, because its pages would leave others little room.

        That is so if records lie about as dense at its seam as those that were covered lately: then it is known how much of the
        near end of the part to ask for.
        """
        claimed = seam.claimed
        lately = self._estimates.density.expect(claimed.range) / max(1, claimed.held)
        return self._against and room < _LITTLE_ROOM * self._sizes.most and 1 / _ALIKE < lately < _ALIKE

    def _cut_to_arrive(self, part: Part, estimate: Estimate) -> int | None:
        """Return where to cut the part that the output waits for, so that its near end fits on a page; `None` to ask all of it."""
        left, page = part.range, self._sizes.page
        width = len(left)
        if estimate(left) > _FULL * page:
            at = self._cut_near(part, _MOST_OF_PAGE * page, estimate)
            if at is not None:
                width = left.end - at if self._newest_first else at - left.start
        wanted = self._arrival.width(left, width)
        if wanted >= len(left):
            return None
        return multiple_inside(left, left.end - wanted if self._newest_first else left.start + wanted, SECOND)

    def _target(self, part: Part, room: int, *, first: bool) -> float:
        """Return how many records to ask for at once: in one page, in a chain of pages, or for a sample."""
        sizes = self._sizes
        if self._server_order.unsorted:
            if (forecast := self._estimates.forecast(part)) is not None:
                return forecast[1]
            if part.hints.sample is not None:
                return _page_by(part.hints.sample, sizes.page)
            return (self._estimates.guesses.best if if_known(part.hints.density) else GROUP) * sizes.page
        if self._server_order.candidate == self._newest_first:
            return inf if first else sizes.along
        pages = min(self._arrival.chain, sizes.against / sizes.page, 0.6 * room / sizes.page)
        return max(_MOST_OF_PAGE, int(pages + _UNFILLED) - _UNFILLED) * sizes.page

    def chain(self, left: Part, claim: Claim, claimed: Range, room: int) -> list[Part]:
        """Return what is left behind a claim against the output, cut if its pages would have to be held too long.

        Args:
            left: The part that is left.
            claim: The claim.
            claimed: The range of the claim.
            room: How many records may be held more.
        """
        sizes = self._sizes
        local = Density.near(len(claim.records), len(claimed))
        if max(sizes.gap, left.hints.depth * sizes.page) > room and local.expect(left.range) > room - sizes.page:
            # A burst: leave a gap, as long as such a piece of the burst would be, and go on at its near end.
            gap = sizes.gap / max(local.expect(Range(0, 1)), 1e-15)
            at = left.range.start + gap if self._newest_first else left.range.end - gap
            if gap < len(left.range) and (cut := multiple_inside(left.range, at, SECOND)) is not None:
                near, far = self._in_output_order(left.cut(cut))
                near.hints = evolve(near.hints, depth=left.hints.depth)
                far.hints = evolve(far.hints, density=local)
                return [near, far]
            return [left]
        expected = self._estimates.density.expect(left.range)
        if expected <= 2 * sizes.against:
            return [left]
        at_second = self._cut_near(left, even_size(expected, sizes.against), self._estimates.density.expect)
        return [left] if at_second is None else left.cut(at_second)

    def divide(self, part: Part, page: Page) -> list[Part]:
        """Return the pieces of a part whose page is full, cut where the rows of the page suggest.

        The part itself is returned if no multiple of its margins' step lies in it.
        """
        size, rows, estimates = self._sizes.page, page.size, self._estimates
        guess = estimates.expect(part) if estimates.density.known else GROUP * size
        expected = page.total or max(_least_of_full(part.hints.sample) * rows, guess)
        estimates.learn_full(part, expected)
        if self._server_order.unsorted and (shown := estimates.shown(page, part.range)) is not None:
            return self._cut_pages(part, shown, rows)
        # In whole milliseconds, as parts are.
        starts = [floor(to_micros(start), MILLISECOND) for start in page.starts]
        sample = Sample.of(starts, part.range, expected)
        if part.hints.sample is not None:
            estimates.learn_least(part, page.total or _OVERFULL * rows, expected)
            sample.outer = part.hints.sample
        part.hints = evolve(part.hints, sample=sample)
        target = min(_page_by(sample, size), 0.8 * expected)
        at = self._cut_near(part, even_size(expected, target), sample.expect)
        return [part] if at is None else part.cut(at)

    def _cut_pages(self, part: Part, shown: Shown, page: int) -> list[Part]:
        """Return as many pages as a page shows at one end of a part, and the rest."""
        total, near = round(sum(shown.weights) * self._estimates.excess), if_known(part.hints.density)
        if near is not None:
            self._estimates.guesses.learn(near.expect(shown.range), total)
        # The rest is taken to go on like the end that was shown, if it lies beside what is asked next, or if all that was covered
        # lately is about as dense.
        beside = shown.oldest != self._newest_first
        lately = self._estimates.density.expect(shown.range) / max(1, total)
        goes_on = beside or 1 / _ALIKE < lately < _ALIKE
        density = Density.near(total, len(shown.range)) if goes_on else None
        dense, margins = part.hints.dense, self._margins_of(part)
        rest = Part(part.range, hints=Hints(density=density, dense=dense))
        pages = list[Part]()
        for at, expected in shown.pages(page / self._estimates.excess, margins):
            whole = floor(at, margins.step) if shown.oldest else ceil(at, margins.step)
            cut = multiple_inside(rest.range, whole, margins.step)
            if cut is None:
                break
            earlier, later = rest.cut(cut)
            leaf, rest = (earlier, later) if shown.oldest else (later, earlier)
            leaf.hints = Hints(expected=expected, dense=dense)
            pages.append(leaf)
        return [*pages, rest]

    def _cut_near(self, part: Part, target: float, estimate: Estimate) -> int | None:
        """Return where to cut a part so that its near end is expected to hold so many records."""
        margins, unsorted = self._margins_of(part), self._server_order.unsorted
        return cut_for(
            part.range,
            target,
            # A page of a server that does not sort must hold the rows in the margins of its window, too.
            lambda near: estimate(margins.page_of(near) if unsorted else near),
            from_end=self._newest_first,
            step=margins.step,
            # A step may hold much of a page.
            most=max(target, _MOST_BY_STEPS * self._sizes.page),
        )

    def _margins_of(self, part: Part) -> Margins:
        return self._known.grain_of(dense=part.hints.dense).margins

    def _in_output_order(self, pieces: list[Part]) -> list[Part]:
        return pieces[::-1] if self._newest_first else pieces


def _page_by(sample: Sample, page: int) -> float:
    """Return how many records to expect in a window that is meant to fit on a page, or in a group of pages to be sampled anew.

    The number of records between two rows of a random sample varies; a cut leaves room for twice the standard error.
    """
    return GROUP * page if sample.scale > COARSE else _FULL * page / (1 + 2 * sqrt((sample.scale - 1) / page))


def _least_of_full(sample: Sample | None) -> float:
    """Return how many pages to expect of a window that was full, by the sample that it was cut by."""
    unsure = sample is not None and not sample.learned and sample.scale > _SURE
    return _OVERFULL_UNSURE if unsure else _OVERFULL
