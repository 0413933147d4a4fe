"""One iteration at a time over something that keeps its position, and a clean end to each.

An async generator that is left by `break` is closed by the event loop a little later, and never while something refers to it. So
the generator does not own its requests: its turn does, and the next iteration, or `aclose()`, ends the turn at once.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar


class Turn(ABC):
    """One iteration: its generator, as long as somebody holds it, and what it has under way."""

    def __init__(self) -> None:
        self.generator: Callable[[], object | None] = lambda: None
        self.stopped: bool = False

    @abstractmethod
    async def stop(self) -> None:
        """End what is under way, and wait until it has left."""


T = TypeVar("T", bound=Turn)


class OneAtATime(ABC, Generic[T]):
    """Lets iterations follow on each other, and refuses two at once."""

    def __init__(self, make_turn: Callable[[], T]) -> None:
        self._make_turn = make_turn
        self._turn: T | None = None

    def _watched(self, iterate: Callable[[T], AsyncGenerator[Any, None]]) -> AsyncGenerator[Any, None]:
        turn = self._make_turn()
        generator = iterate(turn)
        turn.generator = weakref.ref(generator)
        return generator

    async def _begin(self, turn: T) -> None:
        old = self._turn
        if old is not None and old.generator() is not None:
            raise RuntimeError("this stream is being iterated already: one iteration at a time")
        # Claimed before anything is awaited: another iteration may begin meanwhile.
        self._turn = turn
        if old is not None:
            # Left by a bare `break` a moment ago: its generator is gone, and the loop has not got round to closing it.
            await self._stop(old)

    async def _finish(self, turn: T) -> None:
        if self._turn is turn:
            self._turn = None
            await self._stop(turn)

    async def _stop(self, turn: T) -> None:
        try:
            await turn.stop()
        finally:
            # Also where a second cancellation cuts this short: what still comes is then ignored.
            self._forget()

    @abstractmethod
    def _forget(self) -> None:
        """Drop what an iteration has begun and not handed out."""

    async def aclose(self) -> None:
        """End what is under way. To iterate again goes on from the position."""
        if self._turn is not None:
            self._turn.stopped = True
            await self._finish(self._turn)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
