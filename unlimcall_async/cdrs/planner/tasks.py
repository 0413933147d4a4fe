"""What the page of a part is for, apart from the part's own records: `parts` has the table of all tasks.

Pure: no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import frozen

from unlimcall_async.cdrs.planner.page import Key, Page
from unlimcall_async.cdrs.rows import Row
from unlimcall_async.cdrs.times import Range, Window


@frozen
class Claim:
    """What a full page that is sorted claims to be all the records of a part.

    Attributes:
        page: The page.
        records: The records of the part, the oldest first.
        number: The number of the page among all that came.
    """

    page: Page
    records: Sequence[Row]
    number: int


@frozen
class Prove:
    """Ask for what a page claims: the claim is proven if just its records come."""

    claim: Claim


@frozen
class Probe:
    """Ask for a piece of the part again, because the size of its page stands out: the server may have cut it short.

    Attributes:
        piece: The piece.
        records: The records of the part by the page.
        keys: The keys of these.
        rows: How many rows the page had.
    """

    piece: Range
    records: Sequence[Row]
    keys: Counter[Key]
    rows: int


@frozen
class Recheck:
    """Ask for the whole part again, because a probe found rows that its page lacked.

    Attributes:
        rows: How many rows the page had.
        known: How many rows its window holds at least.
    """

    rows: int
    known: int


@frozen
class Resolve:
    """Ask for a second, or less, in a window without margins, because the part does not fit on a page with them.

    Attributes:
        window: The window to ask.
        tried: The windows that were asked for the part.
        seen: The starts of all rows that came of the part and around it, in microseconds.
        records: The most records of the part that came in one page.
    """

    window: Window
    tried: frozenset[Window] = frozenset()
    seen: frozenset[int] = frozenset()
    records: Sequence[Row] = ()
