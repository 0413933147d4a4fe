"""What a stream tells of itself."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen


@frozen
class StreamStats:
    """What a stream has done.

    Attributes:
        requests: Answers to requests; further attempts do not count.
        records: Records handed out.
        duplicates: Rows that came beyond those that count: they came, or will come, in another answer too.
        full_pages: Answers that were not their whole window.
        retries: Further attempts.
        min_requests: The fewest requests in which anybody could have had what has been covered: a thousand rows, or 31 days, each.
        waited_s: Seconds that requests waited for the rate limit, added up.
        strategy: How the stream goes on where a window holds more than a page, as things stand: `"seek"` where the server's order
            is proven, else `"divide"`.
    """

    requests: int
    records: int
    duplicates: int
    full_pages: int
    retries: int
    min_requests: int
    waited_s: float
    strategy: str


@frozen
class Progress:
    """How far a stream is.

    Attributes:
        fraction: The share of the whole range that is done, from 0 to 1. It never falls.
        records: Records handed out.
        requests: Answers to requests.
        position: Everything before it (after it, with the newest first) was handed out.
    """

    fraction: float
    records: int
    requests: int
    position: datetime
