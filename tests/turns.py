"""What is done in turns, so that others on the event loop run between them, done at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def done(turns: Generator[None, None, T]) -> T:
    """Return what comes of all the turns."""
    return counted(turns)[0]


def counted(turns: Generator[None, None, T]) -> tuple[T, int]:
    """Return what comes of all the turns, and how many they are."""
    number = 1
    while True:
        try:
            next(turns)
        except StopIteration as end:
            value: T = end.value
            return value, number
        number += 1
