"""Seek: go on from the edge of a full page, where the server sorts its rows by time.

Pure: no I/O.

Theory. A server that sorts by time gives the newest (or the oldest) rows of a window that holds too many. So a full page that is
sorted, with the newest first, claims to hold every row from its last one on. Its last second may be cut short, so the claim begins
above it (`margins`). The rest of the window is asked next, up to beyond the edge of the claim: far enough to hold 8 of the rows
again. The next page must repeat these rows, and must have no others between them: that is the seam. The claim itself can be asked,
too, if it begins two seconds higher. Its window lacks the page's last rows and so is not full; the page that comes is complete, and
must hold just what was claimed. That is the proof that the server skips nothing.

Rules. A server order is proven by claims that were asked and held just what was claimed; it is proven anew once in so many pages.
One page whose rows go back and forth refutes the order for good, and so does one that lacks a row that it must hold: a server that
sorts never gives such a page. A claim that turns out to hold more is not a proof, but the reason may be a record that was written
meanwhile. So the next claim is asked too, and only several disagreements in a row withdraw the proof. The order may be proven
again. But a server may take any rows of a window and then sort them: its pages are sorted, and its claims are never right. Such a
server is given up.

A claim is asked by itself in four cases: no order is proven yet (then one claim at a time, the first of the plan); a proof is
due again; the page behind the claim disagrees, or failed; or the claim came before the page that proved the order. All other
claims are accepted once the page behind them agrees and the order is proven.

The last page of a chain is complete, and mostly has room. So it is asked for more rows of the page before it, and if it holds just
those, that is a proof which takes no request of its own.

Doubts. A row that only the later page has may have been skipped by the earlier one, or written meanwhile; only asking the claim
tells what it holds now. A row that only the earlier page has refutes the order: rows do not vanish, so the later page skips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.margins import COARSE, Grain, edge_behind
from unlimcall_async.cdrs.planner.page import Key, Page
from unlimcall_async.cdrs.planner.parts import Claimed, Part, Question, Read, Seam, Waiting
from unlimcall_async.cdrs.planner.tasks import Claim
from unlimcall_async.cdrs.times import (
    FIRST,
    LAST,
    MILLISECOND,
    Range,
    Window,
    ceil,
    floor,
    to_datetime,
    to_micros,
)

# Rows that every step repeats (`docs/promises.md`, few requests).
OVERLAP: Final = 8
# Rows that the last step of a chain repeats: its page has room for them, and is complete, so that they are a proof. A small page
# has room for a share of them.
_WIDE_OVERLAP, _WIDE_SHARE = 64, 1 / 8
# A step is taken for the last one if what is left is expected to fill less than this share of a page.
_LAST_STEP: Final = 0.85
# A step must gain at least a quarter of its page; if it gains less, dividing costs no more.
_LEAST_GAIN: Final = 0.25
# Rows that must have come as claimed. One page of the usual size is enough; small pages look sorted by chance.
_ROWS_TO_A_PROOF: Final = 40
# After so many pages that rest on the order, one is proven again: a cost of 1.5 % (`benchmarks/requests.py`).
_PAGES_TO_A_PROOF: Final = 64
# Disagreements in a row: so many withdraw a proof, and so many show that the server's pages are sorted samples.
_TO_WITHDRAW, _TO_GIVE_UP = 3, 9
_NO_KEYS: Final = Counter[Key]()
# Behind the last time that there is.
_END: Final = LAST + 1


# --- claims and seams -----------------------------------------------------------------------------------------------------


def claim_of(
    question: Question,
    page: Page,
    number: int,
    *,
    descending: bool,
    to_prove: bool,
    overlap: int = OVERLAP,
    grain: Grain = COARSE,
) -> tuple[Part, Part, Claim] | None:
    """Return the part that a full page claims to hold, the part that is left to ask behind it, and the claim.

    Returns `None` if the page gains too little to go on from it.

    Args:
        question: What was asked.
        page: The full page, sorted.
        number: The number of the page among all that came.
        descending: The server order that is relied on.
        to_prove: Whether the claim is to be asked, and so must leave room between its window and the page's last rows.
        overlap: How many rows the next page is to repeat at least.
        grain: The margins of the windows of the claim and of what is left, and the step by which the server sorts.
    """
    rows, wanted = len(page.rows), question.part.range
    if rows <= overlap:
        return None
    # In descending order, with the oldest at the left; in ascending order mirrored:
    #
    #     rest of the part ............ | cut ......... claimed .............. | end of the part
    #       last row |<- 1-2 s ->| edge |<- a margin or more ->| reach
    #
    # The claim begins at `cut`: at the edge of what the page surely holds, or two seconds further in if the claim is to be asked.
    # The next window reaches up to `reach`, far enough to hold the rows from `inner` on again.
    last, inner = (to_micros(page.starts[place]) for place in (-1, -overlap))
    margins, sorted_by = grain.margins, grain.sorted_by
    step, edge = margins.step, edge_behind(last, sorted_by, descending=descending)
    cut = edge
    if descending:
        if to_prove:
            # The lowest window of a claim that shows no row as low as the last one.
            lowest = floor(last + margins.shows_before, step) + step
            cut = max(edge, lowest + margins.before)
        reach = ceil(max(cut, inner + 1) + margins.behind, step)
        claimed, rest, far_end = Range(cut, wanted.end), Range(wanted.start, cut), question.window.start
        beyond = reach + margins.shows_behind
        gained = page.number_of(Range(beyond, _END))
        near = Range(FIRST, beyond + MILLISECOND)
    else:
        if to_prove:
            highest = floor(last - margins.shows_behind - margins.written, step)
            cut = min(edge, highest - margins.behind)
        reach = floor(min(cut, inner) - margins.before, step)
        claimed, rest, far_end = Range(wanted.start, cut), Range(cut, wanted.end), question.window.till
        beyond = reach - margins.shows_before
        gained = page.number_of(Range(FIRST, beyond))
        near = Range(beyond - MILLISECOND, _END)
    # The window of a long part does not reach its other end, and a page claims nothing beyond its window.
    reached = wanted.end == question.range.end if descending else wanted.start == question.range.start
    if not reached or not wanted.start < cut < wanted.end or gained < _LEAST_GAIN * rows:
        return None
    claim = Claim(page, page.rows_of(claimed), number, question.window)
    part = Part(claimed, Claimed(claim))
    keys = page.keys_of(near)
    total = page.count if page.count > page.size else None
    seam = Seam(part, descending, reach, edge, keys, page.size - len(keys), far_end, total)
    return part, Part(rest, Waiting(Read(seam))), claim


def overlap_of(page: Page, wanted: Range, *, descending: bool) -> int:
    """Return how many rows the page behind a full page is to repeat: more if that page is expected to have room for them.

    Args:
        page: The full page, sorted.
        wanted: The range of its part.
        descending: The server order that is relied on.
    """
    if page.span is None:
        return OVERLAP
    rows, (first, last) = page.size, page.span
    left = first - wanted.start if descending else wanted.end - last
    is_last = left < _LAST_STEP * (last - first)
    return max(OVERLAP, min(_WIDE_OVERLAP, int(_WIDE_SHARE * rows))) if is_last else OVERLAP


class SeamCheck(Enum):
    """What a page says of the claim of the page before it."""

    AGREES = "agrees"
    UNSURE = "unsure"
    REFUTES = "refutes"


def check_seam(
    seam: Seam,
    window: Window,
    page: Page,
    *,
    complete: bool,
    grain: Grain = COARSE,
) -> tuple[SeamCheck, int]:
    """Return whether a page repeats the page before it where the two overlap, and holds no other rows there.

    Returns:
        The verdict, and how many rows of the page before are repeated.

    Args:
        seam: What the page must agree with.
        window: The window of the page.
        page: The page.
        complete: Whether the page is its whole window.
        grain: The margins of the window, and the step by which the server sorts.
    """
    margins, sorted_by = grain.margins, grain.sorted_by
    keys = _keys_at(seam, page, sorted_by)
    lacking, more, repeated = _NO_KEYS, _NO_KEYS, len(keys)
    if keys != seam.near:  # they hardly ever differ, and counting them takes longer than all the rest
        repeated = (Counter(keys) & Counter(seam.near)).total()
        lacking, more = Counter(seam.near) - Counter(keys), Counter(keys) - Counter(seam.near)

    # Where this page surely holds all rows: within its window, and up to the edge behind its last row if it is full.
    shown = margins.shown_by(window)
    if not complete and page.starts:
        edge = edge_behind(to_micros(page.starts[-1]), sorted_by, descending=seam.descending)
        shown = (
            Range(max(shown.start, edge), shown.end) if seam.descending else Range(shown.start, min(shown.end, edge))
        )
    elif not complete:
        shown = Range(shown.start, shown.start)
    if seam.descending:
        both = Range(shown.start, min(shown.end, seam.reach - margins.behind))
        surely_claimed = Range(max(both.start, seam.edge), both.end)
        reaches_as_far = window.start <= seam.far_end
    else:
        both = Range(max(shown.start, seam.reach + margins.before), shown.end)
        surely_claimed = Range(both.start, min(both.end, seam.edge))
        reaches_as_far = window.till >= seam.far_end

    # The page lacks a row that it must hold: a server that sorts does not skip.
    if _within(lacking, both):
        return SeamCheck.REFUTES, repeated
    # Both pages told how many rows their windows hold, and the difference leaves a row that neither page has. A window that reaches
    # farther than the one before holds more rows at that end, so that the difference is larger still.
    if seam.total is not None and page.total is not None and reaches_as_far:
        skipped = seam.total - page.total - lacking.total() - seam.others
        if skipped > 0:
            # One of the counts may also have been taken when a row more, or a row less, was there.
            return SeamCheck.UNSURE, repeated
    # The page has a row that the claim should have, which may have been written since; or the two overlap too little.
    if _within(more, surely_claimed) or len(_within(seam.near, both)) < OVERLAP:
        return SeamCheck.UNSURE, repeated
    return SeamCheck.AGREES, repeated


def _keys_at(seam: Seam, page: Page, sorted_by: int) -> Sequence[Key]:
    """Return the keys of a page's rows that the page before may hold: none that matters lies beyond the step of its last one."""
    beyond = 2 * sorted_by
    # The edge may be one by a coarser step: it lies farther from the last row then.
    if seam.descending:
        first = min([seam.edge - beyond, *(to_micros(start) for start, _ in seam.near[:1])])
        return page.keys_of(Range(first, _END))
    last = max([seam.edge + beyond, *(to_micros(start) for start, _ in seam.near[-1:])])
    return page.keys_of(Range(FIRST, last + 1))


def _within(keys: Iterable[Key], wanted: Range) -> list[Key]:
    start, end = to_datetime(wanted.start), to_datetime(wanted.end)
    return [key for key in keys if start <= key[0] < end]


# --- the server's order ---------------------------------------------------------------------------------------------------


class ServerOrder:
    """What is known of the order in which the server gives rows. An order is `True` for descending, the newest first.

    Attributes:
        proven: The order that is proven, or `None`.
        proofs: How many claims were proven.
        disagreements: How many claims or seams held more, or less, than was claimed.
        withdrawals: How often a proof was withdrawn.
        proven_by: The number of the latest page whose claim was proven.
    """

    def __init__(self, *, seek: bool, known: KnownServer) -> None:
        self.proven: bool | None = None
        self.proofs: int = 0
        self.disagreements: int = 0
        self.withdrawals: int = 0
        self.proven_by: int = 0
        self._possible = {True, False} if seek else set[bool]()
        self._rows = self._in_a_row = 0
        self._known = known
        self._seen = known.withdrawals

    @property
    def unsorted(self) -> bool:
        """Whether the server does not sort by time, or seeking is not wanted."""
        return not self._possible

    @property
    def candidate(self) -> bool | None:
        """The order that all pages so far are in, or `None` if they are in neither, or may be in either."""
        return next(iter(self._possible)) if len(self._possible) == 1 else None

    @property
    def presumed(self) -> bool | None:
        """The order that other streams have proven, and that no page of this one has contradicted so far, or `None`."""
        if self.proven is not None or self.disagreements or self._known.pages >= _PAGES_TO_A_PROOF:
            return None
        return self._known.order if self._known.order in self._possible else None

    @property
    def proof_due(self) -> bool:
        """Whether the next claim is to be proven."""
        return self.proven is None or self._known.pages >= _PAGES_TO_A_PROOF

    def observe(self, page: Page) -> bool:
        """Record how a page is sorted, and return whether that withdraws the proof."""
        refuted = {
            order for order, sorted_so in ((True, page.seconds_fall), (False, page.seconds_rise)) if not sorted_so
        }
        self._possible -= refuted
        if refuted & {self.proven, self._known.order}:
            self._known.withdraw()
        return self.heed()

    def heed(self) -> bool:
        """Withdraw the proof if another stream of the client has withdrawn it, and return whether there was one."""
        if self._seen == self._known.withdrawals:
            return False
        self._seen = self._known.withdrawals
        if self.proven is None:
            return False
        self.proven, self._rows = None, 0
        self.withdrawals += 1
        return True

    def note_claim(self) -> None:
        """Count a page that was claimed."""
        if self.proven is not None and self.proof_due:
            self._known.pages = 0
        else:
            self._known.pages += 1

    def confirm(self, *, descending: bool) -> None:
        """Record that a complete page of this stream agrees with a claim in the presumed order."""
        self.proven = descending

    def renew(self, rows: int, *, descending: bool) -> None:
        """Record that a complete page holds just so many rows that the page before it claims: a proof, if they are enough."""
        if self.proven == descending and rows >= _ROWS_TO_A_PROOF:
            self._known.pages = 0

    def prove(self, rows: int, number: int, *, descending: bool) -> None:
        """Record that a claim of so many rows, of the page with that number, held just those."""
        self.proven_by = max(self.proven_by, number)
        self.proofs += 1
        self._in_a_row = self._known.pages = 0
        self._rows += rows
        if self._rows >= _ROWS_TO_A_PROOF and descending in self._possible:
            self.proven = self._known.order = descending

    def disagree(self, *, many: bool = False) -> bool:
        """Record that a claim or a seam was not as it should be, and return whether that withdraws the proof.

        Args:
            many: Whether a claim lacks as many rows as no chance writes between two requests.
        """
        self.disagreements += 1
        self._rows = 0
        self._in_a_row += 1
        if self._in_a_row >= _TO_GIVE_UP:
            self._possible.clear()
        return (many or self._in_a_row >= _TO_WITHDRAW) and self._withdraw()

    def refute(self, *, descending: bool) -> None:
        """Record that the server does not sort in that order."""
        self._possible.discard(descending)
        self.disagreements += 1
        if descending in {self.proven, self._known.order}:
            self._withdraw()

    def _withdraw(self) -> bool:
        """Withdraw the proof, here and in all streams of the client, and return whether there was one."""
        if self._known.order is not None or self.proven is not None:
            self._known.withdraw()
        return self.heed()
