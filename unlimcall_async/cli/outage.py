"""How long `cdrs follow` waits after an error, and when it gives up. No I/O; the time is an argument."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from unlimcall_async import APIError, ResponseError, TransportError, UnlimCallError

# Seconds. The client's own attempts, over some seven seconds, come before the first pause. A person who has mended the network can
# wait for a minute to see the effect.
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0

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
            # Not JSON, or a redirect: a page for maintenance, or that of a network that asks for a password. A place among the
            # records is for good.
            return error.where in {"body", "status"}
        case _:
            return False


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

    def pause(self, *, now: float, progress: object) -> float | None:
        """Return how many seconds to wait after an error; `None` to give up.

        Args:
            now: The time of the error, in seconds.
            progress: What the follow has done. If it has changed since the last error, a new outage begins.
        """
        if not self._pause or progress != self._progress:
            self._began, self._progress, self._pause = now, progress, FIRST_PAUSE
        else:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if self._longest is None:
            return self._pause
        left = self._began + self._longest - now
        return min(self._pause, left) if left > 0 else None
