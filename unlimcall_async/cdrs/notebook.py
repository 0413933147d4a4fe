"""What a notebook shows of a stream and of a follow. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import floor

from unlimcall_async import _html
from unlimcall_async.cdrs.stats import FollowStats, Progress, StreamStats


def of_stream(start: datetime, end: datetime, progress: Progress, stats: StreamStats) -> str:
    """Return how far a stream over a range is, as a table in HTML."""
    return _known(
        "CdrStream",
        {
            "from": start,
            "till": end,
            # Only what is done is 100 %.
            "done": f"{floor(progress.fraction * 100)} %",
            "position": progress.position,
            "records": f"{progress.records:,}",
            "unreadable": f"{stats.unreadable:,}",
            "requests": f"{progress.requests:,}",
            "waits for": progress.waiting_for,
            "until": progress.waiting_until,
            "at the end": progress.eta,
        },
    )


def of_follow(start: datetime, stats: FollowStats) -> str:
    """Return how far a follow is, as a table in HTML."""
    return _known(
        "CdrFollow",
        {
            "from": start,
            "records": f"{stats.records:,}",
            "behind": f"{stats.lag_s:,.0f} s",
            "polls": f"{stats.polls:,}",
            "requests": f"{stats.requests:,}",
            "late": f"{stats.late:,}",
            "unreadable": f"{stats.unreadable:,}",
            "waits for": stats.waiting_for,
            "until": stats.waiting_until,
        },
    )


def _known(title: str, values: Mapping[str, object]) -> str:
    return _html.facts(title, {name: value for name, value in values.items() if value is not None})
