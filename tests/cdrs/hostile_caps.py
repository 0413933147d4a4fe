"""Which silent caps the sizes of a run need not show: the excuses of the oracle.

`docs/promises.md` promises no more of a page cap that nothing shows.
"""

from __future__ import annotations

from typing import Final

from tests.cdrs.hostile import Manners
from tests.cdrs.hostile_server import ServerPage
from unlimcall_async.cdrs.times import SECOND, Range

# The excuses.
ONCE: Final = "its size came once, and is not one that people set"
LATE: Final = "it began during the run, and no six of eight pages in a row had its size"
ALIKE: Final = "pages that were whole had its size as often as sizes are checked"
IN_AN_INSTANT: Final = "one instant held more rows than the cap"
TAKEN_APART: Final = "a second with more rows than the cap was taken apart"
EXCUSES: Final = (ONCE, LATE, ALIKE, IN_AN_INSTANT, TAKEN_APART)

_SET: Final = {10, 20, 25, *range(50, 1000, 50), *(2**power for power in range(4, 10))}
_IN_A_ROW, _MOST = 8, 6
_APART: Final = 8 * SECOND


class Sizes:
    """The sizes of the answers of one run that seemed to be whole."""

    def __init__(self, manners: Manners) -> None:
        self._cap, self._late = manners.cap, manners.capped > 0
        self._sizes: list[int] = []
        self._handed_out = self._whole = 0
        # What the answers that were cut were asked for: nowhere else may rows be missing.
        self.cut: list[Range] = []

    def note(self, page: ServerPage, wanted: Range, *, searched: bool) -> None:
        """Note the answer to a question for a range. One with a new row without a start is not used: its part is searched."""
        if not page.seems_whole:
            return
        self.cut += [wanted] if page.is_cut_silently else []
        written = [held.written for held in page.rows]
        if not searched and (not written or max(written) - min(written) >= _APART):
            # No window surely leaves out a part of the rows of an instant: such an answer need not show anything.
            self._sizes.append(len(page.rows))
            self._whole += not page.left and len(page.rows) == self._cap

    def note_handed_out(self, rows: int) -> None:
        """Note that the records of an answer with so many rows were handed out unchecked."""
        self._handed_out += rows == self._cap

    def excuse(self, *, finished: bool) -> str | None:
        """Return why nobody has to find that answers were cut, or `None` if somebody has to, or if none was.

        A run that did not finish has no time left for the check that is due: what it handed out before is what counts.
        """
        times = self._sizes.count(self._cap) if finished else self._handed_out
        if not self.cut:
            return None
        if times <= 1 and self._cap not in _SET:
            return ONCE
        if self._late and (self._most_in_a_row < _MOST if finished else times < _MOST):
            return LATE
        return ALIKE if 0 < self._whole >= times.bit_length() - 1 else None

    @property
    def _most_in_a_row(self) -> int:
        alike = [size == self._cap for size in self._sizes if size]
        return max((sum(alike[place : place + _IN_A_ROW]) for place in range(len(alike))), default=0)
