"""One iteration at a time over an object that keeps its position, and a clean end to each.

An async generator that is left by `break` is closed by the event loop a little later, and never while something refers to it.
So the generator does not own its requests: an `Iteration` does, and the next iteration, or `aclose()`, stops the old one at
once.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar


class Iteration(ABC):
    """One iteration: its generator, as long as anybody holds it, and what it has under way."""

    def __init__(self) -> None:
        self.generator: Callable[[], object | None] = lambda: None
        self.stopped: bool = False

    @abstractmethod
    async def stop(self) -> None:
        """End what is under way, and wait until it has ended."""


T = TypeVar("T", bound=Iteration)


class OneAtATime(ABC, Generic[T]):
    """Lets iterations follow each other, and refuses two at once."""

    def __init__(self, make_iteration: Callable[[], T]) -> None:
        self._make_iteration = make_iteration
        self._iteration: T | None = None

    def _watched(self, iterate: Callable[[T], AsyncGenerator[Any, None]]) -> AsyncGenerator[Any, None]:
        """Return the generator of a new iteration, which knows its generator without holding it."""
        iteration = self._make_iteration()
        generator = iterate(iteration)
        iteration.generator = weakref.ref(generator)
        return generator

    async def _begin(self, iteration: T) -> None:
        old = self._iteration
        if old is not None and old.generator() is not None:
            raise RuntimeError("this stream is being iterated already: one iteration at a time")
        # Claimed before anything is awaited: another iteration may begin meanwhile.
        self._iteration = iteration
        if old is not None:
            # Left by a bare `break` a moment ago: its generator is gone, and the loop has not closed it yet.
            await self._stop(old)

    async def _finish(self, iteration: T) -> None:
        if self._iteration is iteration:
            self._iteration = None
            await self._stop(iteration)

    async def _stop(self, iteration: T) -> None:
        try:
            await iteration.stop()
        finally:
            # Also if a second cancellation cuts this short: answers that still come are then ignored.
            self._reset()

    @abstractmethod
    def _reset(self) -> None:
        """Drop what an iteration has begun and not handed out."""

    async def aclose(self) -> None:
        """End what is under way. A new iteration goes on from the position."""
        if self._iteration is not None:
            self._iteration.stopped = True
            await self._finish(self._iteration)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
