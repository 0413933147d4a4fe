"""A time that is never ahead of the time that has really passed, for what a store forgets.

Pure: no I/O. A store keeps an event for 26 hours. If the clock of this machine is a day ahead, for a single delivery or since the
process began, a store that goes by that clock forgets events that may still come again. Two others show what has really passed: the
event loop's clock, which nobody sets, and the times at which the sender signs.
"""

from __future__ import annotations

from math import inf

from unlimcall_async.webhooks.stores import KEEP_SECONDS


class SteadyClock:
    """Returns Unix time: the earliest that the readings of the last 26 hours, or up to 52, allow."""

    def __init__(self) -> None:
        # The smallest difference between this machine's clock and the event loop's, in two spans of 26 hours. After that a step of
        # the clock is believed. It may have been put right, or the machine has slept, and the event loop's clock has stood still.
        self._earlier = self._current = inf
        self._began = -inf
        # The largest difference between a signature's time and the event loop's clock. A retry may have an old signature.
        self._sender = -inf

    def read(self, elapsed: float, clock: float, signed_at: float | None) -> float:
        """Return the time, after a delivery that was signed at `signed_at`.

        Args:
            elapsed: The time of the event loop's clock.
            clock: Unix time by this machine's clock.
            signed_at: Unix time by the sender's clock, from a signature that is valid; `None` for an event that was not delivered.
        """
        if elapsed - self._began > KEEP_SECONDS:
            self._earlier, self._current, self._began = self._current, inf, elapsed
        self._current = min(self._current, clock - elapsed)
        if signed_at is not None:
            self._sender = max(self._sender, signed_at - elapsed)
        # Without a delivery, nothing is known of the sender's clock.
        return elapsed + min(self._earlier, self._current, self._sender if self._sender > -inf else inf)
