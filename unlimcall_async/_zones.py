"""Times in a zone, also at the ends of the calendar.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return a time in a zone; in UTC if the zone would need the year 0 or 10000."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.astimezone(UTC)
