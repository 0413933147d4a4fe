"""The server's clock, as the `Date` headers of its responses show it.

Pure: no I/O, no clock of its own. The caller brings the local times.

Theory. A `Date` has whole seconds: the server wrote the header in `[Date, Date + 1 s)`, and at a local time between the sending of
the request and the arrival of the response. So each response bounds the skew, the local time minus the server's, from both sides.
A slow response gives wide bounds. Bounds that hold for two responses are narrower than those of either. If the bounds of two
responses exclude each other, one of the clocks was set in between, and only the newer bounds count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

# Seconds. Machines that follow a time server agree within one second. A difference of half a minute is no accident of the network.
LARGE_SKEW: Final = 30.0

# A date outside these years does not come from a clock that somebody has set. Version 1 of the API is younger than the first year.
_YEARS: Final = range(2020, 2100)
# Characters. The longest of the three forms of a date in HTTP has some 35.
_MAX_DATE: Final = 64


class ServerClock:
    """What is known of the server's clock. A client and its views share one.

    Attributes:
        warned: Whether a large skew has been reported.
    """

    def __init__(self) -> None:
        self.warned: bool = False
        # The bounds of the skew, in seconds.
        self._bounds: tuple[float, float] | None = None

    @property
    def skew_s(self) -> float | None:
        """The local time minus the server's, in seconds, or `None` if no response had a usable `Date`.

        Above zero, the local clock is ahead. The figure is the middle of what is possible. Its error is at most half a second and
        half the time that a response took.
        """
        return None if self._bounds is None else sum(self._bounds) / 2

    def note(self, headers: Mapping[str, str], sent_at: datetime, received_at: datetime) -> float | None:
        """Learn from a response.

        Args:
            headers: The headers of the response.
            sent_at: The local time before the request was sent.
            received_at: The local time after the response was received.

        Returns:
            The skew if it is large beyond doubt and the clock has not reported a large skew before, otherwise `None`.
        """
        date = server_date(headers)
        # A cache writes how old its response is. The `Date` of such a response is as old.
        if date is None or headers.get("Age", "0").strip(" \t0"):
            return None
        # The other way round, if the local clock was set back meanwhile.
        first, last = sorted((sent_at, received_at))
        low, high = (first - date).total_seconds() - 1, (last - date).total_seconds()
        if self._bounds is not None and low <= self._bounds[1] and self._bounds[0] <= high:
            low, high = max(low, self._bounds[0]), min(high, self._bounds[1])
        self._bounds = low, high
        if self.warned or (low <= LARGE_SKEW and high >= -LARGE_SKEW):
            return None
        self.warned = True
        return self.skew_s


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """Return the `Date` of a response. Return `None` if the header is missing or not a date, or if its clock was never set."""
    date = http_date(headers.get("Date", ""))
    return date if date is not None and date.year in _YEARS else None


# The date of a response is read twice, and all responses of a second have the same one. `email` reads a date in Python code.
@lru_cache(maxsize=8)
def http_date(value: str) -> datetime | None:
    """Return the time in a header that holds an HTTP date, in UTC, or `None` if the header is not a date."""
    if len(value) > _MAX_DATE:
        return None
    try:
        date = parsedate_to_datetime(value)
        # The oldest of the three forms of a date names no zone, and means GMT all the same (RFC 9110, 5.6.7).
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
