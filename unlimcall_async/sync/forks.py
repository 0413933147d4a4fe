"""Descriptors that a forked child does not keep.

A child that a process forks, for example for a pool of `multiprocessing`, has all descriptors of its parent. The lock of a file and
the connection to a server last as long as any process has them. So a child that lives longer than its parent would hold the lock of
a run that is dead. A child lets go of these descriptors before it does anything else. What another program is started in lets go of
them by itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

# Held while a descriptor is made and added, so that no other thread forks in between. A signal handler may fork in the very thread.
_forking: Final = threading.RLock()
# What each descriptor stands for. Its number may have been closed, and stand for something else now.
_descriptors: Final = dict[int, os.stat_result]()
_forks = 0


def own(make: Callable[[], int]) -> int:
    """Return a descriptor that a function opens, and that no child keeps."""
    with _forking:
        descriptor = make()
        _descriptors[descriptor] = os.fstat(descriptor)
    return descriptor


def close_own(descriptor: int) -> None:
    """Close a descriptor that `own` has returned."""
    with _forking:
        _descriptors.pop(descriptor, None)
        os.close(descriptor)


def forks_so_far() -> int:
    """Return how often this process has forked."""
    return _forks


def owned(descriptor: int, since: int) -> bool:
    """Keep a descriptor from later children. Somebody else has opened it, and may close it at any time.

    Args:
        descriptor: The descriptor.
        since: What `forks_so_far` returned before the descriptor was opened.

    Returns:
        Whether no child has it: the process has not forked meanwhile. If it has, nothing is added.
    """
    with _forking:
        if since != _forks:
            return False
        _descriptors[descriptor] = os.fstat(descriptor)
        return True


def _before() -> None:
    global _forks  # noqa: PLW0603 # the count of this process
    _forking.acquire()
    _forks += 1


def _let_go() -> None:
    """Close the parent's files in this process, and have their numbers stand for the null device.

    The numbers stay taken, because an object of the parent may close them at any time.
    """
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor, stood_for in _descriptors.items():
            with suppress(OSError):  # it is closed
                if os.path.samestat(os.fstat(descriptor), stood_for):
                    os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)
        _descriptors.clear()
    finally:
        _forking.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before, after_in_parent=_forking.release, after_in_child=_let_go)
