"""Rate limits, counted over a sliding window.  No I/O; time is an argument.

The operations guide names limits "per minute" and leaves open how they are counted.  A sliding window is the strictest
reading: in no span of one minute are more requests let through than the limit.
"""

from collections import defaultdict, deque

__all__ = ["SlidingWindows"]


class SlidingWindows:
    """The times of the requests let through, for each key (a token and an endpoint)."""

    def __init__(self) -> None:
        self._granted: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def admit(self, key: tuple[str, str], *, limit: int, span: float, now: float) -> float | None:
        """Count a request at `now`, or refuse it and return the seconds until one would be let through.

        A request that is refused does not count.
        """
        granted = self._granted[key]
        while granted and granted[0] <= now - span:
            granted.popleft()
        if len(granted) < limit:
            granted.append(now)
            return None
        # The limit may have been lowered meanwhile: room is made only when all but `limit - 1` have left the window.
        return granted[len(granted) - limit] + span - now
