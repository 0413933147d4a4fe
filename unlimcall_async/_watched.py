"""Who wants to know when the `stats` of a stream, a follow or a receiver have changed.

These objects are told by name here, so that they know nothing of telemetry, and pay nothing as long as nothing is watched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

_watchers: Final[WeakKeyDictionary[object, list[Callable[[Any], None]]]] = WeakKeyDictionary()


def watch(watched: object, watcher: Callable[[Any], None]) -> None:
    """Have `watcher` called with the object, in the thread of its event loop, each time that its `stats` have changed.

    A stream changes its `stats` between two calls, too: the last call comes when nothing can change any more. The watcher must hold
    no reference to the object, or the object would live for ever.
    """
    _watchers.setdefault(watched, []).append(watcher)


def tell(watched: object) -> None:
    """Call the watchers of an object."""
    if _watchers:
        for watcher in _watchers.get(watched, ()):
            watcher(watched)
