"""How far a stream or a follow is, in words. No I/O: the time comes in as an argument."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from attrs import frozen

from unlimcall_async.cdrs.stats import FollowStats, Progress, Waiting

# Seconds: until then a wait is shown by its length, and later by the time when it is over.
_SOON: Final = 600.0
_DAY: Final = 86_400.0
# Spaces between two texts of a line.
_BETWEEN: Final = 2


@frozen
class Words:
    """What is shown of a stream or a follow, the most important first.

    Attributes:
        fraction: The share of the range that is done; `None` for a follow, which has no end.
        texts: The texts.
    """

    fraction: float | None
    texts: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.texts)

    def within(self, width: int) -> str:
        """Return as many of the texts as have room in so many columns, in one line."""
        texts = list(self.texts)
        while len(texts) > 1 and sum(map(len, texts)) + _BETWEEN * (len(texts) - 1) > width:
            texts.pop()
        return (" " * _BETWEEN).join(texts)


def of_stream(progress: Progress, rate: float | None, now: datetime, *, over: bool = False) -> Words:
    """Return how far a stream is.

    Args:
        progress: Its progress.
        rate: Records a second, or `None` if that is not known yet.
        now: The time.
        over: Whether the iteration is over, so that nothing is waited for.
    """
    left = "" if over or progress.eta is None else f"{span((progress.eta - now).total_seconds())} left"
    return _words(
        progress.fraction,
        # Only what is done is 100 %.
        f"{math.floor(progress.fraction * 100)}%",
        _records(progress.records),
        "" if over else waiting(progress.waiting_for, progress.waiting_until, now),
        left,
        "" if rate is None else f"{rate:,.0f}/s",
    )


def of_follow(stats: FollowStats, now: datetime, *, over: bool = False) -> Words:
    """Return how far a follow is; see `of_stream`."""
    waits = waiting(stats.waiting_for, stats.waiting_until, now) or "waits: next poll"
    return _words(
        None,
        _records(stats.records),
        f"{span(stats.lag_s)} behind",
        "" if over else waits,
        f"{stats.polls:,} {'poll' if stats.polls == 1 else 'polls'}",
    )


def _words(fraction: float | None, *texts: str) -> Words:
    return Words(fraction, tuple(filter(None, texts)))


def _records(count: int) -> str:
    return f"{count:,} {'record' if count == 1 else 'records'}"


def waiting(waiting_for: Waiting | None, until: datetime | None, now: datetime) -> str:
    """Return what is waited for and until when; empty if nothing is."""
    if waiting_for is None:
        return ""
    words = f"waits: {waiting_for}"
    if until is None:
        return words
    seconds = max((until - now).total_seconds(), 0.0)
    return f"{words}, {span(seconds)}" if seconds < _SOON else f"{words} until {time_of(until, now)}"


def time_of(moment: datetime, now: datetime) -> str:
    """Return a time as far as a reader needs it: without seconds if it is far, and with the day if it is not of these hours."""
    seconds = (moment - now).total_seconds()
    form = "%H:%M:%S" if seconds < _SOON else "%H:%M" if seconds < _DAY / 2 else "%Y-%m-%d %H:%M"
    return f"{moment:{form}} UTC"


def span(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    if seconds < 120:
        return f"{max(seconds, 0.0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"
