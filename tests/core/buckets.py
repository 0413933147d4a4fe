"""Token buckets of which some tokens were taken, for the tests of their figures."""

from __future__ import annotations

from typing import Any

from unlimcall_async.http.bucket import TokenBucket
from unlimcall_async.http.rate_limits import RateLimit

# The spans of the two guards, with the half second for which a slow request may be late.
MINUTE, DAY = 60.5, 24 * 3600 + 0.5


def bucket_of(per_minute: int, *taken: float, **limits: Any) -> TokenBucket:
    """Return a bucket of which tokens were taken at some times."""
    return after(TokenBucket(RateLimit(per_minute, **limits)), *taken)


def unlimited(*taken: float) -> TokenBucket:
    return after(TokenBucket(None), *taken)


def after(bucket: TokenBucket, *taken: float) -> TokenBucket:
    for at in taken:
        bucket.take(at)
    return bucket
