"""How much to ask for at once, and how much to hold: the sizes of parts, of the buffer and of gaps.

Pure: no I/O. The constants were tuned by `benchmarks/requests.py`.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.planner.cuts import even_size

# Pages that may be held or under way, for each request that may be under way.
BUFFER: Final = 23
# The share of the buffer that is kept for the part that all others wait for: a pull of a hundred pages then holds as much as one
# of a thousand.
_KEPT_SHARE: Final = 10 / 23
# The shares of it that a part may fill which is worked on beside others: with the server's order, and against it.
_ALONG_SHARE, _AGAINST_SHARE = 16 / 23, 22 / 23
# How many pages a part is not shortened below so that all requests have as much to read: each part costs half a page.
_LEAST_SHARE: Final = 8
# Among how many requests what is left is shared at most: more would make parts so short.
_MOST_TO_SHARE: Final = 8
# Seconds that an answer takes, about. If a rate limit lets fewer requests through in that time than may be under way, requests wait
# for the limit and not for answers. Then to share would cost requests and save no time.
_ANSWER_S: Final = 0.3
# The share of it that a gap is left for.
_GAP_SHARE: Final = 6 / 23


@frozen
class Around:
    """How many records are expected in the parts before a part, and in all parts that were not read yet."""

    before: float
    unread: float


NOTHING_AROUND: Final = Around(0, 0)


@frozen
class Sizes:
    """How much to ask for, and to hold, in records.

    Attributes:
        page: The rows of a page.
        sharing: Among how many requests what is left is shared, so that all of them are busy up to the end; 1 for nothing shared.
        most: What may be held or under way.
        kept: How much of that is kept for the part that all others wait for.
        along: The length of a part that is worked on beside others, with the server's order.
        against: The same against the server's order.
        gap: The length of a gap.
    """

    page: int
    sharing: int
    most: int
    kept: int
    along: float
    against: float
    gap: float

    def share(self, unread: float, most: float) -> float:
        """Return how long parts should be, so that all requests under way end with the same round.

        Args:
            unread: How many records are left to read.
            most: How long parts may be.
        """
        each = unread / self.sharing
        if self.sharing == 1 or each > 2 * most:
            return most  # nothing is shared, or the end is far
        return max(_LEAST_SHARE * self.page, even_size(each, self.along))

    @classmethod
    def of(cls, page: int, concurrency: int, buffer: int, per_minute: int | None = None) -> Sizes:
        """Return the sizes for a buffer of so many pages for each request that may be under way, and for a rate limit."""
        one = page * buffer
        is_limited = per_minute is not None and per_minute * _ANSWER_S < 60 * concurrency
        return cls(
            page,
            1 if is_limited else min(concurrency, _MOST_TO_SHARE),
            one * concurrency,
            round(one * concurrency * _KEPT_SHARE),
            one * _ALONG_SHARE,
            one * _AGAINST_SHARE,
            one * _GAP_SHARE,
        )
