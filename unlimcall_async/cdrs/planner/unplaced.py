"""Where a row without a start lies: in the windows that show the row.

Pure: no I/O. A page shows that such a row lies in its window, and not where. So the part is cut, and its pieces are asked. In the
end a part of a second or less shows the row: that is the place of the row in the output. If no piece shows the row, its place is
the end of the part: a row that was seen is never dropped.

Other pieces may show the row, too: those beside its place, and all of them if the server has no place for the row. A complete page
tells how many rows have the same text. If an earlier piece, in the order of the output, shows them all, later ones are not cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from attrs import define, evolve, field

from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.margins import WHOLE_SECONDS
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import SECOND, Range, Window, ceil, floor, to_micros

# The pieces beside a guess keep so far from it that their windows, which are wider by margins, do not show the row.
_BESIDE: Final = WHOLE_SECONDS.before + SECOND


@define(eq=False)
class _Search:
    """A range whose page has shown rows without a start.

    Attributes:
        range: The range.
        missing: Those of the rows that no shorter range has shown.
        digests: How many of the rows have a digest.
        found: The shorter ranges that have shown rows with a digest, and how many.
        left: How many rows with a digest were not handed out; `None` if the page was not complete, and so cannot tell.
    """

    range: Range
    missing: list[UnplacedRow]
    digests: Counter[str]
    left: Counter[str] | None
    found: list[tuple[str, Range, int]] = field(factory=list)


class Searches:
    """The searches for rows without a start that are under way."""

    def __init__(self, *, newest_first: bool) -> None:
        self._newest_first = newest_first
        self._searches: list[_Search] = []

    def begin(
        self, wanted: Range, rows: Sequence[UnplacedRow], *, complete: bool
    ) -> tuple[list[UnplacedRow], list[UnplacedRow]]:
        """Begin to look for rows that the page for a range has shown.

        Returns:
            The rows to look for, and those that earlier ranges have shown.
        """
        came = Counter(row.digest for row in rows)
        again = Counter({digest: self._again(wanted, digest) for digest in came})
        self.note(wanted, rows)
        new, old = list[UnplacedRow](), list[UnplacedRow]()
        for row in rows:
            (old if again[row.digest] > 0 else new).append(row)
            again[row.digest] -= 1
        if new:
            digests = Counter(row.digest for row in new)
            self._searches.append(_Search(wanted, new, digests, Counter(digests) if complete else None))
        return new, old

    def _again(self, wanted: Range, digest: str) -> int:
        """Return how many of the rows with a digest that came for a range are rows that earlier ranges have shown."""
        search = self._search_for(wanted, digest)
        if search is None or search.left is None:
            return 0
        # Rows that lie between two ranges come for both. So only a range that has shown all of them tells.
        all_of_them = search.digests[digest]
        earlier = (found for each, found, rows in search.found if each == digest and rows >= all_of_them)
        return all_of_them if any(self._is_earlier(found, wanted) for found in earlier) else 0

    def note(self, wanted: Range, rows: Sequence[UnplacedRow]) -> None:
        """Record that these rows were found in a range, so that no longer range has to look for them."""
        for digest, number in Counter(row.digest for row in rows).items():
            # All searches around the range: a page that is full may have shown fewer of the rows than the page before it.
            for search in self._around(wanted):
                same = [row for row in search.missing if row.digest == digest]
                found = set(map(id, same[:number]))
                search.missing = [row for row in search.missing if id(row) not in found]
            shortest = self._search_for(wanted, digest)
            if shortest is not None:
                shortest.found.append((digest, wanted, number))

    def hand_out(self, wanted: Range, rows: Sequence[UnplacedRow]) -> list[UnplacedRow]:
        """Return the rows, which are about to be handed out with a range, each with its scope."""
        scoped = []
        for row in rows:
            scopes = list[Window]()
            for search in self._around(wanted):
                if search.left is not None and search.left[row.digest]:
                    search.left[row.digest] -= 1
                    if not search.left[row.digest]:
                        scopes.append(with_margins(search.range))
            scoped.append(evolve(row, scope=max(scopes, key=len)) if scopes else row)
        return scoped

    def _search_for(self, wanted: Range, digest: str) -> _Search | None:
        """Return the search over the shortest range around this one whose page has shown rows with a digest."""
        return next((each for each in reversed(self._around(wanted)) if digest in each.digests), None)

    def _around(self, wanted: Range) -> list[_Search]:
        return [each for each in self._searches if each.range.start <= wanted.start and wanted.end <= each.range.end]

    def _is_earlier(self, one: Range, other: Range) -> bool:
        return other.end <= one.start if self._newest_first else one.end <= other.start

    def vanished(self, wanted: Range) -> list[UnplacedRow]:
        """Return the rows that were not found by the searches whose ranges end with this one, in the order of the output."""
        return [row for search in self._searches if self._ends_with(search, wanted) for row in search.missing]

    def end_with(self, wanted: Range) -> None:
        """End the searches whose ranges end with this one, in the order of the output."""
        self._searches = [search for search in self._searches if not self._ends_with(search, wanted)]

    def _ends_with(self, search: _Search, wanted: Range) -> bool:
        return wanted.start <= search.range.start if self._newest_first else search.range.end <= wanted.end


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
