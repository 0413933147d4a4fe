"""Where a row without a start lies: in the windows that show the row.

Pure: no I/O. A page shows that such a row lies in its window, and not where. So the part is cut, and its pieces are asked. In the
end a part of a second or less shows the row: that is the place of the row in the output. If no piece shows the row, its place is
the end of the part: a row that was seen is never dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from attrs import define

from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import SECOND, Range, ceil, floor, to_micros

# The pieces beside a guess keep so far from it that their windows, which reach a second further, do not show the row.
_BESIDE: Final = 2 * SECOND


@define(eq=False)
class _Search:
    """A range whose page has shown rows without a start, and those of them that no shorter range has shown."""

    range: Range
    missing: list[UnplacedRow]


class Searches:
    """The searches for rows without a start that are under way."""

    def __init__(self, *, newest_first: bool) -> None:
        self._newest_first = newest_first
        self._searches: list[_Search] = []

    def begin(self, wanted: Range, rows: Sequence[UnplacedRow]) -> None:
        """Begin to look for the rows that the page for a range has shown."""
        self._searches.append(_Search(wanted, list(rows)))

    def note(self, wanted: Range, rows: Sequence[UnplacedRow]) -> None:
        """Record that these rows were found in a range, so that no longer range has to look for them."""
        for search in self._searches:
            if search.range.start <= wanted.start and wanted.end <= search.range.end:
                found, missing = Counter(row.digest for row in rows), list[UnplacedRow]()
                for row in search.missing:
                    if found[row.digest]:
                        found[row.digest] -= 1
                    else:
                        missing.append(row)
                search.missing = missing

    def end_with(self, wanted: Range) -> list[UnplacedRow]:
        """End the searches whose ranges end with this one, in the order of the output. Return the rows that were not found."""
        missing, going_on = list[UnplacedRow](), list[_Search]()
        for search in self._searches:
            if wanted.start <= search.range.start if self._newest_first else search.range.end <= wanted.end:
                missing += search.missing
            else:
                going_on.append(search)
        self._searches = going_on
        return missing


def pieces_to_search(part: Part, page: Page) -> list[Part]:
    """Return the pieces of a part whose page is complete, but shows rows without a start.

    The first time, the part is cut around the hints of the rows and, in a sorted page, around their neighbours: mostly a row stands
    between rows that start shortly before and shortly after it. If both are wrong, another piece shows the row, and is cut in two.
    """
    wanted = part.range
    cuts = set[int]()
    if not part.hints.searched:
        cuts = {at for row in page.new_unplaced for at in _around(row, page) if wanted.start < at < wanted.end}
    if not cuts:
        # Halves, cut at a whole second.
        middle = floor((wanted.start + wanted.end) // 2, SECOND)
        cuts = {max(middle, floor(wanted.start, SECOND) + SECOND)}
    edges = [wanted.start, *sorted(cuts), wanted.end]
    return [Part(Range(start, end), hints=Hints(searched=True)) for start, end in pairwise(edges)]


def _around(row: UnplacedRow, page: Page) -> Iterator[int]:
    """Yield times shortly before and shortly after the times at which a row may start."""
    spans = [] if row.hint is None else [(row.hint, row.hint)]
    if page.rows and (page.ascending or page.descending):
        beside = [to_micros(start) for start in page.starts[max(0, row.before - 1) : row.before + 1]]
        spans.append((min(beside), max(beside)))
    for first, last in spans:
        yield floor(first, SECOND) - _BESIDE
        yield ceil(last, SECOND) + _BESIDE
