"""What the sandbox remembers of the past, for tests to look at: a list that keeps its newest entries.

Pure: no I/O.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from unlimcall_async.sandbox.settings import Settings

T = TypeVar("T")


def size_of(value: object) -> int:
    """Return about how many bytes of memory a value of JSON takes. Its text may take far fewer, for example that of empty lists."""
    size, left = 0, [value]
    while left:
        item = left.pop()
        size += sys.getsizeof(item)
        if isinstance(item, Mapping):
            left += (*item.keys(), *item.values())
        elif isinstance(item, list):
            left += item
    return size


class History(Generic[T]):
    """The newest entries, as many as the settings keep.

    Attributes:
        entries: The entries, the oldest first. Whoever holds the list may change it.
        total: How many entries there have been.
    """

    def __init__(self, settings: Settings, size: Callable[[T], int]) -> None:
        self.entries: list[T] = []
        self.total: int = 0
        self._settings = settings
        self._size = size
        # The bytes of the entries, and how many entries there were when they were counted.
        self._bytes = self._counted = 0

    def add(self, entry: T) -> None:
        """Add an entry, and drop the oldest ones that are too many. The newest entry stays, however large it is."""
        if len(self.entries) != self._counted:
            self._bytes = sum(map(self._size, self.entries))
        self.entries.append(entry)
        self._bytes += self._size(entry)
        self.total += 1
        excess = max(0, len(self.entries) - self._settings.keep)
        dropped = sum(map(self._size, self.entries[:excess]))
        while self._bytes - dropped > self._settings.keep_bytes and excess < len(self.entries) - 1:
            dropped += self._size(self.entries[excess])
            excess += 1
        del self.entries[:excess]
        self._bytes -= dropped
        self._counted = len(self.entries)
