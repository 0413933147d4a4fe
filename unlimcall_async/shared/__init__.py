"""Rate limits that many processes share, by a Redis or Valkey server. Needs the extra `redis`.

Each decision is one run of `bucket.lua` on the server, by the server's clock: whether a request may go out, and how long it has to
wait if not. So a process asks once for a request that need not wait, and twice for any other.

Read in this order: bucket.lua, outlook, limiter, server, limits. `SharedLimiter` takes the place of `LocalLimiter` in `http`.
"""

from unlimcall_async.shared.errors import LimiterUnavailableError as LimiterUnavailableError
from unlimcall_async.shared.limits import SharedRateLimits as SharedRateLimits

__all__ = ["LimiterUnavailableError", "SharedRateLimits"]
