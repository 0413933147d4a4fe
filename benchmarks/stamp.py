"""What every benchmark says of itself: the day, the machine and how busy it was; and the spread of its figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime


def stamp() -> str:
    """Return the day and the machine, for the first line of the output."""
    machine = f"{os.cpu_count()} processors ({platform.machine()}), {platform.python_implementation()} {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load average {os.getloadavg()[0]:.1f}"


def spread(figures: Sequence[float], digits: int = 2) -> str:
    """Return the lowest and the highest of some figures."""
    return f"{min(figures):.{digits}f}-{max(figures):.{digits}f}"
