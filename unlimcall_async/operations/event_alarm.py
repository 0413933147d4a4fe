"""The alarm above a share of missed events. Pure: no I/O, and no clock.

The alarm looks at a span of time, and at the last twelfth of it. The span shows that a few events are lost all the time. The
twelfth shows at once that all are lost, as after a hook was disabled, when most calls of the span still have their event.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from attrs import frozen

from unlimcall_async.operations.carrier import AlertState
from unlimcall_async.operations.shares import Share

_LAST_PART: Final = 12


@frozen
class EventAlert:
    """The share of calls whose event is missed crossed a bound.

    Attributes:
        state: `"started"` if the share rose above `start_above`, `"ended"` if it fell below `end_below`.
        missed: The missed calls out of all calls that decided: those of the span, or of its last twelfth.
        at: The time of the sweep, in UTC.
    """

    state: AlertState
    missed: Share
    at: datetime


@frozen
class EventAlarm:
    """When an alert starts and ends.

    Attributes:
        span: The span, in seconds.
        start_above: The share above which an alert starts.
        end_below: The share below which it ends.
        minimum: The fewest missed calls that start an alert, and the fewest calls that end one.
    """

    span: float
    start_above: float
    end_below: float
    minimum: int

    def shares(self, calls: Iterable[tuple[float, bool]]) -> tuple[Share, Share]:
        """Return the missed calls out of all, in the span and in its last twelfth.

        The span ends with the newest call, because records come late.

        Args:
            calls: For each call that is old enough, the time of its end in seconds, and whether its event is missed.
        """
        known = list(calls)
        newest = max((end for end, _ in known), default=0.0)
        last, whole = (
            [missed for end, missed in known if end > newest - span] for span in (self.span / _LAST_PART, self.span)
        )
        return Share(sum(whole), len(whole)), Share(sum(last), len(last))

    def decide(self, shares: tuple[Share, Share], *, active: bool) -> tuple[AlertState, Share] | None:
        """Return the alert that the shares bring, and the share that decided, or `None`."""
        for share in shares:
            # By the lowest rate that the counts allow: one missed call of two starts no alarm.
            if share.count >= self.minimum and share.interval[0] > self.start_above:
                return None if active else ("started", share)
        whole = shares[0]
        if active and whole.of >= self.minimum and (whole.rate or 0.0) < self.end_below:
            return "ended", whole
        return None
