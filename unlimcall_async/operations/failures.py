"""Attempts and failures over a sliding span. Pure: no I/O, and time is a whole number of steps.

The span is cut into steps, and what is kept is two counts for each of them: memory does not grow with the number of calls.
"""

from __future__ import annotations

from typing import Final

from unlimcall_async.operations.shares import Share

# A window holds its newest step, begun but not over, and the 59 before it: between 59/60 of the span and all of it.
STEPS: Final = 60


class FailureWindow:
    """The counts of the newest step and the 59 before it, as a ring."""

    def __init__(self, newest: int) -> None:
        self._newest = newest
        self._attempts = [0] * STEPS
        self._failed = [0] * STEPS
        self._all_attempts = self._all_failed = 0

    @property
    def failures(self) -> Share:
        """How many failed, out of all attempts in the window."""
        return Share(self._all_failed, self._all_attempts)

    def move(self, newest: int) -> None:
        """Let the window end with a later step. What it leaves behind is counted no more."""
        for step in range(max(self._newest + 1, newest - STEPS + 1), newest + 1):
            place = step % STEPS
            self._all_attempts -= self._attempts[place]
            self._all_failed -= self._failed[place]
            self._attempts[place] = self._failed[place] = 0
        self._newest = newest

    def add(self, step: int, *, failed: bool) -> None:
        """Count an attempt, of a step that is in the window."""
        place = step % STEPS
        self._attempts[place] += 1
        self._failed[place] += failed
        self._all_attempts += 1
        self._all_failed += failed
