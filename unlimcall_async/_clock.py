"""The wall clock of the client, which tests replace. Durations are measured with the event loop's clock instead."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time of day, in UTC. Call it as `_clock.utc_now()`, so that a test can replace it in this module."""
    return datetime.now(UTC)
