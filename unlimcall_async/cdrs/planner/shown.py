"""What several pages show together of a range that no single page is known to hold.

Pure: no I/O.

Theory. A row is shown at a time near the one by which the server compares it (`margins`). So a range is known once complete pages
cover, together, each time by which a row that is shown in the range may be compared, under every hypothesis about the server
(`bounds`). The records are the rows that any page has shown in the range: a row neither vanishes nor moves.

Legs of a call share start and id, and nothing tells whether two pages show the same leg. Of such rows the larger number counts. It
is the number of all if one of the pages covers each time at which the others may have shown one.

If both bounds are excluded, a time at the edge of two windows that only touch is in neither. A window across the edge has the time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from attrs import Factory, evolve, frozen

from unlimcall_async.cdrs.output_order import changes_of, sort_ties
from unlimcall_async.cdrs.planner.bounds import Bounds, KnownBounds
from unlimcall_async.cdrs.planner.page import Basis, Page
from unlimcall_async.cdrs.rows import Row, UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, Window, ceil

# Windows up to this length are cut into overlapping ones, and there are few of them.
_FEW: Final = 4 * MILLISECOND

# The start of a row, in microseconds, and its id. Rows may share both: the legs of one call do.
_Key: TypeAlias = tuple[int, str]


@frozen
class Shown:
    """What pages have shown, in this order, while no cap was found.

    Attributes:
        rows: The rows by start and id, the most that one page has shown.
        pages: The pages that were complete, and how many rows with each start and id were on each.
        caps: How often a cap was found before the pages came.
        unplaced: The rows without a start, the most of each text that one complete page has shown.
        starts: The starts of all rows that pages have shown, in microseconds, those that `near` has left out among them.
    """

    rows: Mapping[_Key, Sequence[Row]] = Factory(dict[_Key, Sequence[Row]])
    pages: tuple[tuple[Basis, Counter[_Key]], ...] = ()
    caps: int = 0
    unplaced: tuple[UnplacedRow, ...] = ()
    starts: frozenset[int] = frozenset()

    def with_page(self, window: Window, page: Page, *, complete: bool, caps: int) -> Shown:
        """Return the same with what one more page shows. Pages before a cap was found may have lacked rows."""
        came: dict[_Key, list[Row]] = {}
        for start, row in zip(page.micros, page.rows, strict=True):
            came.setdefault((start, row.id), []).append(row)
        rows = {key: legs for key, legs in self.rows.items() if len(legs) > len(came.get(key, ()))}
        pages = self.pages if caps == self.caps else ()
        unplaced = self.unplaced
        if complete:
            numbers = Counter({key: len(legs) for key, legs in came.items()})
            pages = (*pages, (Basis(window, page.size, page.count), numbers))
            unplaced = _most_of(page.own_unplaced, unplaced)
        return Shown(came | rows, pages, caps, unplaced, self.starts.union(page.micros))

    def near(self, piece: Range, reach: int) -> Shown:
        """Return the same without the rows and pages that lie farther from a piece than so many microseconds.

        A second may take dozens of pages: each piece looks at those that may tell of the piece.
        """
        first, last = piece.start - reach, piece.end + reach
        rows = {key: legs for key, legs in self.rows.items() if first <= key[0] <= last}
        pages = tuple(page for page in self.pages if page[0].window.start <= last and first <= page[0].window.till)
        return evolve(self, rows=rows, pages=pages)

    def lacks(self, page: Page) -> set[int]:
        """Return the starts of the rows that are not on a page, in microseconds."""
        came = Counter(zip(page.micros, [row.id for row in page.rows], strict=True))
        return {key[0] for key, legs in self.rows.items() if len(legs) > came[key]}

    def rows_of(self, wanted: Range) -> list[Row]:
        """Return the rows that start in a range, in the order of the output, the oldest first."""
        found = [(start, row) for (start, _), legs in self.rows.items() if wanted.holds(start) for row in legs]
        found.sort(key=itemgetter(0))
        rows = [row for _, row in found]
        sort_ties(rows, changes_of([start for start, _ in found]))
        return rows

    def basis_of(self, wanted: Range) -> Basis:
        """Return the complete page that says most of a range: the rows count first, then the time.

        A page comes last if its window ends more than a second short of the range: a manifest is refused that rests on it.
        """

        def says(page: tuple[Basis, Counter[_Key]]) -> tuple[bool, int, int, int]:
            window, keys = page[0].window, page[1]
            near = window.start - SECOND <= wanted.start and wanted.end <= window.till + SECOND
            rows = sum(number for (start, _), number in keys.items() if wanted.holds(start))
            return near, rows, min(window.till, wanted.end) - max(window.start, wanted.start), -len(window)

        return max(self.pages, key=says)[0]

    # --- what is left to ask ------------------------------------------------------------------------------------------

    def shows_all(self, wanted: Range, known: KnownBounds) -> bool:
        """Return whether the pages surely show all rows of a range."""
        return any(known.surely_covers(basis.window, wanted) for basis, _ in self.pages) or not self._gaps(
            wanted, known
        )

    def windows_for_rest(self, wanted: Range, known: KnownBounds, full: Iterable[Window]) -> Iterator[Window]:
        """Yield windows that may show more of a range, the widest first. None of them holds a window that is full."""
        gaps = self._gaps(wanted, known)
        asked = {basis.window for basis, _ in self.pages}
        to_try = deque((window, gaps) for window in _merged(gap.bounds.narrowest(gap.first, gap.last) for gap in gaps))
        tried = set[Window]()
        while to_try:
            window, near = to_try.popleft()
            near = [gap for gap in near if gap.is_narrowed_by(window)]
            if window in tried or not near:
                continue
            tried.add(window)
            if holds_any(window, full):
                to_try += [(half, near) for half in _halves_of(window)]
            elif window not in asked:
                yield window

    def _gaps(self, wanted: Range, known: KnownBounds) -> list[_Gap]:
        """Return what is not known yet under any hypothesis."""
        twice = self._shown_twice(wanted)
        gaps = list[_Gap]()
        for bounds in known.left:
            steps = [bounds.steps_of(basis.window) for basis, _ in self.pages]
            first, last = known.ends_of(wanted, bounds)
            uncovered = _uncovered(steps, first // bounds.step, last // bounds.step)
            gaps += [_Gap(bounds, low, high) for low, high in uncovered]
            gaps += [
                _Gap(bounds, *span, whole=True)
                for at, places in twice
                if (span := _span_of_legs(bounds, at, [steps[place] for place in places])) is not None
            ]
        return gaps

    def _shown_twice(self, wanted: Range) -> set[tuple[int, tuple[int, ...]]]:
        """Return the starts of rows that several pages have shown, or of their legs, each with the places of these pages."""
        places: dict[_Key, tuple[int, ...]] = {}
        for place, (_, keys) in enumerate(self.pages):
            for key in keys:
                if wanted.holds(key[0]):
                    places[key] = (*places.get(key, ()), place)
        return {(start, several) for (start, _), several in places.items() if len(several) > 1}


@frozen
class _Gap:
    """Steps of the bounds, under one hypothesis, that the pages of a part do not cover yet.

    Attributes:
        bounds: The hypothesis.
        first_step: The first of the steps.
        last_step: The last of them.
        whole: Whether one page must cover them all. Else several pages may.
    """

    bounds: Bounds
    first_step: int
    last_step: int
    whole: bool = False

    @property
    def first(self) -> int:
        """The first time, in microseconds."""
        return self.first_step * self.bounds.step

    @property
    def last(self) -> int:
        """The last time, in microseconds."""
        return (self.last_step + 1) * self.bounds.step - 1

    def is_narrowed_by(self, window: Window) -> bool:
        """Return whether a page of a window covers some of the gap, or all of it if nothing less will do."""
        low, high = self.bounds.steps_of(window)
        if self.whole:
            return low <= self.first_step and self.last_step <= high
        return max(low, self.first_step) <= min(high, self.last_step)


def _most_of(rows: Sequence[UnplacedRow], earlier: Sequence[UnplacedRow]) -> tuple[UnplacedRow, ...]:
    """Return rows without a start, and those of earlier pages whose text came more often there."""
    left, more = Counter(row.digest for row in rows), list[UnplacedRow]()
    for row in earlier:
        if left[row.digest] > 0:
            left[row.digest] -= 1
        else:
            more.append(row)
    return (*rows, *more)


def holds_any(window: Window, full: Iterable[Window]) -> bool:
    """Return whether a window holds one that is full, and so is full, too."""
    return any(window.start <= each.start and each.till <= window.till for each in full)


def _merged(windows: Iterable[Window]) -> Iterator[Window]:
    """Yield windows without a gap between them as one."""
    merged: Window | None = None
    for window in sorted(windows, key=lambda window: window.start):
        if merged is not None and window.start <= merged.till:
            merged = Window(merged.start, max(merged.till, window.till))
            continue
        if merged is not None:
            yield merged
        merged = window
    if merged is not None:
        yield merged


def _halves_of(window: Window) -> list[Window]:
    """Return the earlier and the later part of a window. Those of few milliseconds overlap: a step that both cut is in neither."""
    length = ceil(len(window) // 2, MILLISECOND)
    if len(window) <= _FEW:
        length = min(length + MILLISECOND, len(window) - MILLISECOND)
    return [Window(window.start, window.start + length), Window(window.till - length, window.till)] if length else []


def _uncovered(covered: Iterable[tuple[int, int]], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of the steps in a row that nothing covers, from one step to another."""
    reached = first
    for low, high in sorted(covered):
        if reached < low <= high:
            if low > last:
                break
            yield reached, low - 1
        reached = max(reached, high + 1) if low <= high else reached
    if reached <= last:
        yield reached, last


def _span_of_legs(bounds: Bounds, at: int, covered: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the steps that one page must cover to tell how many rows share a start and an id, if no page does.

    Args:
        bounds: The hypothesis.
        at: The time that the rows show, in microseconds.
        covered: The first and the last step of each page that has such a row.
    """
    earliest, latest = (at - bounds.earlier) // bounds.step, (at + bounds.later) // bounds.step
    places = [(max(low, earliest), min(high, latest)) for low, high in covered]
    span = min(low for low, _ in places), max(high for _, high in places)
    return None if span in places else span
