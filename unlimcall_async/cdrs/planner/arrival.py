"""Arrival: how a pull comes to its first records soon, and often to more, whatever the server order and the concurrency.

Pure: no I/O. A pull may be cut off at any moment. What it holds and has not handed out is then lost. So until the first records
are handed out, only what brings them nearer is asked, one window at a time. From then on the look-ahead and the chains against the
output grow with the number of parts that were handed out. If the server sorts, and pages came in vain before, the look-ahead waits
for about as many parts.

Theory. A window at the near end of the range that fits on a page is handed out at once: it needs no server order, and no proof.
Estimates mostly suffice to find one. They fail if the near end is much emptier, or much denser, than the pages that came. So after
several pages in vain the near end is searched: a window that was full is halved, and each full one in a row divides by more. If a
window was empty, the half of the rest is next. From a month to a second that takes 21 halvings at most.

The constants were tuned by `benchmarks/requests.py`, and by pulls that are cut off after 30 requests, as in
`tests/cdrs/test_cut_off.py`.
"""

from __future__ import annotations

from typing import Final

from unlimcall_async.cdrs.planner.seek import ServerOrder
from unlimcall_async.cdrs.times import SECOND, Range

# How many pages come in vain before the search. Chains of this length often arrive by themselves, and a search costs requests.
# If the server does not sort, samples lead to the near end, too. An empty page counts for more: the rows of full ones are kept.
_PATIENCE, _PATIENCE_UNSORTED, _EMPTY = 8, 12, 3
# By how much to divide a window that was full, and each full one behind it: a burst may be a thousand times as dense as its month.
_DIVISORS: Final = (2, 4, 16, 256)
# How many requests may be under way beside the first, for each part that was handed out: if the server sorts against the output, or
# its order is not known yet; if the server sorts with the output; and if it does not sort. Parts that are cut early cost more
# requests, because less is known then of how records lie.
_AHEAD_AGAINST, _AHEAD_ALONG, _AHEAD_UNSORTED = 1 / 2, 1 / 3, 1 / 4
# How many pages a chain against the output may have, for each part that was handed out.
_CHAIN: Final = 2


class Arrival:
    """What was seen of the near end of the range, and how far a pull may look ahead.

    Attributes:
        arrived: Whether records were handed out.
    """

    def __init__(self, order: ServerOrder, *, newest_first: bool) -> None:
        self._order = order
        self._newest_first = newest_first
        self.arrived: bool = False
        # Parts that were handed out, and pages that came in vain before the first of them with records.
        self._parts = self._in_vain = 0
        # Of the search: whether it has begun, the far end of the last window that was full, and how many were full in a row.
        self._begun = False
        self._full_to: int | None = None
        self._fulls = 0

    @property
    def waits(self) -> bool:
        """Whether full pages came, and no records were handed out yet."""
        return not self.arrived and self._in_vain > 0

    @property
    def searches(self) -> bool:
        """Whether the near end is to be searched, because too many pages came in vain."""
        if self.arrived or self._in_vain < (_PATIENCE_UNSORTED if self._order.unsorted else _PATIENCE):
            return False
        # In the server's order the first claim that is proven is handed out. If proofs fail, the order may not be what it seems.
        return self._order.candidate != self._newest_first or self._order.disagreements > 0

    @property
    def has_narrowed(self) -> bool:
        """Whether the search knows a window at the near end that was full."""
        return self._full_to is not None

    @property
    def chain(self) -> int:
        """How many pages a chain against the output may have."""
        return max(1, _CHAIN * self._parts)

    @property
    def most_under_way(self) -> int:
        """How many requests may be under way, apart from what the caller allows."""
        if self.waits:
            return 1
        if self._order.unsorted:
            return 1 + int(_AHEAD_UNSORTED * self._parts)
        ahead = _AHEAD_ALONG if self._order.candidate == self._newest_first else _AHEAD_AGAINST
        # A pull that came late to its first records may come late to the next ones, too.
        return 1 + int(ahead * max(0, self._parts + 1 - min(self._in_vain, _PATIENCE)))

    @property
    def postpones_proofs(self) -> bool:
        """Whether claims that the output does not wait for are to be proven later: a proof has failed, so others may fail, too."""
        return self.waits and self._order.disagreements > 0

    def note_full(self, near: Range) -> None:
        """Record that a window at the near end was full."""
        if self.searches:
            self._full_to = near.start if self._newest_first else near.end
            self._fulls += 1
        self._in_vain += not self.arrived

    def note_handed_out(self, records: int) -> None:
        """Record that a part with so many records was handed out."""
        if records or not self.waits:
            self.arrived = self.arrived or records > 0
            self._parts += 1
        else:
            self._fulls = 0
            self._in_vain += _EMPTY

    def width(self, left: Range, estimate: int) -> float:
        """Return how wide a range to ask at the near end, in a search.

        Args:
            left: The part that the output waits for.
            estimate: How wide a range is expected to hold most of a page.
        """
        if self._full_to is not None:
            full = left.end - self._full_to if self._newest_first else self._full_to - left.start
            if full > 0:
                divisor = _DIVISORS[min(max(0, self._fulls - 1), len(_DIVISORS) - 1)]
                return max(SECOND, full / divisor)
        if self._begun:
            return len(left)
        self._begun = True
        return min(estimate, len(left) / 2)
