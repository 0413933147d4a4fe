"""How long `cdrs follow` waits after an error, and when it gives up. No I/O; the time is an argument."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

from unlimcall_async import APIError, RateLimitedError, ResponseError, TransportError, UnlimCallError

# Seconds. The client's own attempts, over some seven seconds, come before the first pause. A person who has mended the network can
# wait for a minute to see the effect.
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0

_DAY: Final = 86_400.0

# Refusals of this moment: too slow, too early, too many, the connection was closed.
_PASSING_STATUS: Final = {408, 425, 429, 499}


def may_pass(error: UnlimCallError) -> bool:
    """Return whether an error may be over some time later, although nobody changes the request, the token or the records."""
    match error:
        case APIError():
            return error.status >= 500 or error.status in _PASSING_STATUS
        case TransportError():
            return not error.permanent
        case ResponseError():
            # Not a page at all: one for maintenance, or that of a network that asks for a password. A place among the records is
            # for good.
            return error.where in {"body", "status", "count"}
        case _:
            return False


def wait_asked(error: UnlimCallError) -> float:
    """Return for how many seconds after a 429 the client sends nothing, whatever the pause; 0 after other errors."""
    asked = error.retry_after if isinstance(error, RateLimitedError) else None
    # The client takes a longer wait for a mistake.
    return asked if asked is not None and asked <= _DAY else 0.0


class Outage:
    """The errors in a row, and the pauses between them.

    Args:
        give_up_after: The longest outage, from its first error on; `None` for no limit.
    """

    def __init__(self, give_up_after: timedelta | None = None) -> None:
        self._longest = None if give_up_after is None else give_up_after.total_seconds()
        self._progress: object = None
        self._began = 0.0
        self._pause = 0.0

    def pause(self, *, now: float, progress: object, asked: float = 0.0) -> float | None:
        """Return how many seconds to wait after an error; `None` to give up.

        Args:
            now: The time of the error, in seconds.
            progress: What the follow has done. If it has changed since the last error, a new outage begins.
            asked: The shortest wait. If the outage may not last so long, it is given up at once.
        """
        if not self._pause or progress != self._progress:
            self._began, self._progress, self._pause = now, progress, FIRST_PAUSE
        else:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        pause = max(self._pause, asked)
        if self._longest is None:
            return pause
        left = self._began + self._longest - now
        return min(pause, left) if left > 0 and asked <= left else None


class Refusals:
    """How long the API has refused requests because there were too many. A follow waits such refusals out for ever.

    Args:
        give_up_after: The longest such time; `None` for no limit.
    """

    def __init__(self, give_up_after: timedelta | None = None) -> None:
        self._longest = math.inf if give_up_after is None else give_up_after.total_seconds()
        self._requests = 0
        self._since: float | None = None

    def too_long(self, now: float, requests: int, paused: float) -> bool:
        """Return whether the API has refused requests for too long, or will have before it takes the next one.

        Args:
            now: The time, in seconds.
            requests: How many requests it has answered.
            paused: The seconds until the next request; 0 if the client does not wait after a refusal.
        """
        if requests != self._requests:
            self._requests, self._since = requests, None
        if paused > 0 and self._since is None:
            self._since = now
        return paused > 0 and self._since is not None and now - self._since + paused > self._longest
