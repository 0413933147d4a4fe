"""The wall clock: the one door to it, which tests replace. What is measured in seconds uses the event loop's clock instead."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Give the time of day, in UTC. Callers look it up in this module each time, so that it can be replaced."""
    return datetime.now(UTC)
