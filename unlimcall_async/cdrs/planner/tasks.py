"""What the page of a part is for, apart from the part's own records: `parts` has the table of all tasks.

Pure: no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from attrs import Factory, evolve, frozen

from unlimcall_async.cdrs.planner.page import Basis, Key, Page
from unlimcall_async.cdrs.planner.shown import Shown
from unlimcall_async.cdrs.rows import Row
from unlimcall_async.cdrs.times import Range, Window


class Doubt(Enum):
    """Why a complete page is checked."""

    # No page had as many rows, or one of the largest size came again. Far more rows would end both doubts.
    LARGEST = "largest"
    LARGEST_AGAIN = "largest again"
    # The page looks as if a cap had begun, or pages of such a size were cut before.
    UNUSUAL = "unusual"


@frozen
class Claim:
    """What a full page that is sorted claims to be all the records of a part.

    Attributes:
        page: The page.
        records: The records of the part, the oldest first.
        number: The number of the page among all that came.
        window: The window of the page.
    """

    page: Page
    records: Sequence[Row]
    number: int
    window: Window


@frozen
class Prove:
    """Ask for what a page claims: the claim is proven if just its records come."""

    claim: Claim


@frozen
class Probe:
    """Ask for pieces of the part again, because its page is in doubt: the server may have cut the page short.

    Attributes:
        windows: The windows of the pieces, the next one first.
        records: The records of the part by the page.
        page: The page: the keys of all its rows are compared, those beside the part among them.
        basis: What the records rest on, if they are all.
        number: The number of the page among all that came.
        doubt: Why the page is in doubt.
        begun: Whether a piece was asked already.
    """

    windows: tuple[Window, ...]
    records: Sequence[Row]
    page: Page
    basis: Basis
    number: int
    doubt: Doubt
    begun: bool = False

    @property
    def window(self) -> Window:
        """The window of the page."""
        return self.basis.window

    @property
    def rows(self) -> int:
        """How many rows the page had."""
        return self.basis.rows


@frozen
class Recheck:
    """Ask the window of a page again, because a probe found rows that the page lacked, or lacked rows that the page has.

    Attributes:
        window: The window of the page.
        rows: How many rows the page had.
        keys: The keys that the two pages have shown.
    """

    window: Window
    rows: int
    keys: Counter[Key]


@frozen
class Resolve:
    """Ask for a second, or less, in a window without margins, because the part does not fit on a page with them.

    Attributes:
        window: The window to ask.
        tried: The windows that were asked for the part.
        full: The windows that were full, of this part, or of one that it was cut from.
        idle: The windows that were asked for a part that this one was cut from, and would tell nothing more.
        shown: What the pages of the part have shown, and those of the parts that it was cut from.
        extra: How many windows were asked in case times are rounded.
    """

    window: Window
    tried: frozenset[Window] = frozenset()
    full: frozenset[Window] = frozenset()
    idle: frozenset[Window] = frozenset()
    shown: Shown = Factory(Shown)
    extra: int = 0

    def with_page(self, page: Page, *, complete: bool, caps: int) -> Resolve:
        """Return the same once the page has come.

        Args:
            page: The page.
            complete: Whether the page is its whole window.
            caps: How often a cap was found.
        """
        shown = self.shown.with_page(self.window, page, complete=complete, caps=caps)
        full = self.full if complete else self.full | {self.window}
        return evolve(self, tried=self.tried | {self.window}, full=full, shown=shown)


@frozen
class Gauge:
    """Ask a window for what it shows of the server's bounds alone, and then use the dense page that came before it.

    Attributes:
        window: The window to ask.
        page: The page.
        range: The range that the page was asked for.
        asked: The window of the page.
        number: The number of the page among all that came.
    """

    window: Window
    page: Page
    range: Range
    asked: Window
    number: int
