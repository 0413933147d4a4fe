"""What streams and follows report of themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from attrs import frozen

from unlimcall_async._model import Model

Waiting: TypeAlias = Literal["rate limit", "retry", "server", "reader"]


@frozen
class StreamStats(Model):
    """What a stream has done.

    Attributes:
        requests: Answers to CDR requests; further attempts do not count.
        records: Records that were handed out.
        duplicates: Rows that came in more than one answer, counted once less than they came.
        full_pages: Answers that were not their whole window.
        retries: Further attempts.
        min_requests: The fewest requests in which any client could have had what has been covered: a thousand rows, or 31 days,
            each.
        waited_s: Seconds that requests waited for the rate limit, added up. Waits that go on are included.
        strategy: How the stream goes on if a window holds more than a page: `"seek"` if the server's order is proven, else
            `"divide"`.
        unreadable: Rows that cannot be read and were kept, with `unreadable="keep"`.
        clock_skew_s: The time of this machine less that of the server, in seconds; `None` as long as no response has told.
    """

    requests: int
    records: int
    duplicates: int
    full_pages: int
    retries: int
    min_requests: int
    waited_s: float
    strategy: str
    unreadable: int = 0
    clock_skew_s: float | None = None


@frozen
class Progress(Model):
    """How far a stream is.

    Attributes:
        fraction: The share of the whole range that is done, from 0 to 1. It never falls.
        records: Records that were handed out.
        requests: Answers to CDR requests.
        position: All records before it (after it, with the newest first) were handed out.
        waiting_for: What the stream waits for: `"rate limit"`, which includes pauses after a refusal; `"retry"`, the pause
            between two attempts of a request; `"server"`, a response; or `"reader"`, who has not asked for more. `None` before and
            after an iteration.
        waiting_until: When the wait for the rate limit, or for the next attempt, is over; `None` if that is not known.
        eta: When the stream will be at its end, if the rest of the range is like the part so far. The slowest of three decides: the
            rate limit, at its present pace; the server; and the reader. `None` if nothing was handed
            out yet, and before and after an iteration.
    """

    fraction: float
    records: int
    requests: int
    position: datetime
    waiting_for: Waiting | None = None
    waiting_until: datetime | None = None
    eta: datetime | None = None


@frozen
class FollowStats(Model):
    """What a follow has done.

    Attributes:
        requests: Answers to CDR requests; further attempts do not count.
        records: Records that were handed out.
        duplicates: Rows that came again.
        full_pages: Answers that were not their whole window.
        retries: Further attempts.
        polls: Polls that came to their end.
        waited_s: Seconds that requests waited for the rate limit, added up. Waits that go on are included.
        lag_s: Seconds: every record that the API held so long ago has been handed out.
        held: Records of which a mark is kept, because their time is still asked.
        unreadable: Rows that cannot be read and were kept, with `unreadable="keep"`.
        clock_skew_s: The time of this machine less that of the server, in seconds; `None` as long as no response has told.
        late: Records that appeared in time that was asked before. The first poll over some time shows nothing of its records.
        latest_s: Seconds from its start until the latest of these records appeared, at least; `None` without such a record.
            `lookback` must be longer: what appears later is lost.
        late_p99_s: Within how many seconds 99 % of these records appeared, as far as is known; `None` without such a record.
        waiting_for: What the poll under way waits for, as in `Progress`; `None` between two polls.
        waiting_until: When that wait is over; `None` if that is not known.
        revised: Records that came again with other contents than those in which they came last, once for each time.
        removed: Records that were handed out and then were gone, once for each time. What one view has counted, and passed over,
            `changes()` hands out and does not count again.
    """

    requests: int
    records: int
    duplicates: int
    full_pages: int
    retries: int
    polls: int
    waited_s: float
    lag_s: float
    held: int
    unreadable: int = 0
    clock_skew_s: float | None = None
    late: int = 0
    latest_s: float | None = None
    late_p99_s: float | None = None
    waiting_for: Waiting | None = None
    waiting_until: datetime | None = None
    revised: int = 0
    removed: int = 0
