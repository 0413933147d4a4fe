"""How much to ask for at once, and how much to hold: the sizes of parts, of the buffer and of gaps.

Pure: no I/O. The constants were tuned by `benchmarks/requests.py`.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

# Pages that may be held or under way, for each request that may be under way.
BUFFER: Final = 23
# The share of the buffer that is kept for the part that all others wait for: a pull of a hundred pages then holds as much as one
# of a thousand.
_KEPT_SHARE: Final = 10 / 23
# The shares of it that a part may fill: beside others, and alone. The pages of a part against the server's order are all held until
# the part ends. Of longer parts beside each other, all but the first would wait for room.
_BESIDE_SHARE, _ALONE_SHARE = 16 / 23, 22 / 23
# The share of it that a gap is left for.
_GAP_SHARE: Final = 6 / 23


@frozen
class Sizes:
    """How much to ask for, and to hold, in records.

    Attributes:
        page: The rows of a page.
        most: What may be held or under way.
        kept: How much of that is kept for the part that all others wait for.
        along: The length of a part with the server's order, if it is not the first.
        against: The length of a part against the server's order.
        gap: The length of a gap.
    """

    page: int
    most: int
    kept: int
    along: float
    against: float
    gap: float

    @classmethod
    def of(cls, page: int, concurrency: int, buffer: int) -> Sizes:
        """Return the sizes for a buffer of so many pages for each request that may be under way."""
        one = page * buffer
        return cls(
            page,
            one * concurrency,
            round(one * concurrency * _KEPT_SHARE),
            one * _BESIDE_SHARE,
            one * (_BESIDE_SHARE if concurrency > 1 else _ALONE_SHARE),
            one * _GAP_SHARE,
        )
