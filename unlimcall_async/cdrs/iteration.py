"""One iteration at a time over an object that keeps its position, and a clean end to each.

An async generator that is left by `break` is closed by the event loop a little later, and never while something refers to it.
So the generator does not own its requests: an `Iteration` does, and the next iteration, or `aclose()`, stops the old one at
once.

A generator that an error or a cancellation has left is at its end, and says so like one that has handed everything out. After
`wait_for(anext(iterator), 5)` has timed out, a caller would take the rest for empty. So a user's iterator is not the generator
itself: it begins a new generator, which goes on from the position.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from types import AsyncGeneratorType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar, cast

from unlimcall_async import _watched


class Iteration(ABC):
    """One iteration: its generator, as long as anybody holds it, and what it has under way.

    Attributes:
        generator: Returns the generator, or `None` if nobody holds it any more.
        stopped: Whether `aclose` was called.
        exhausted: Whether everything was handed out.
        resumes: Whether the same iterator goes on after an error or a cancellation.
        dropped: Whether what the iteration had begun and not handed out was dropped.
        on_begin: Called when the generator begins.
        on_end: Called when a generator that has begun ends, however it ends.
    """

    def __init__(self) -> None:
        self.resumes: bool = False
        self.dropped: bool = False
        self.on_begin: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        self.generator: Callable[[], object | None] = lambda: None
        self.stopped: bool = False
        self.exhausted: bool = False

    @abstractmethod
    async def stop(self) -> None:
        """End what is under way, and wait until it has ended. May run twice at once."""


T = TypeVar("T", bound=Iteration)


R = TypeVar("R")


class Resuming(AsyncGenerator[R, None]):
    """An iterator that an error or a cancellation does not end: the next step goes on from the position.

    No Python code runs for a step. The interpreter finds `__anext__` in the class, as the descriptor of a slot, and calls what the
    slot of the object holds: while the generator runs, that is the generator's own method, which is written in C. Before and after,
    the slot holds a function that begins the next generator, if there is to be one.

    Args:
        begin: Returns a new iteration, and its generator.
    """

    __slots__ = ("__anext__", "__weakref__", "_begin", "_closed", "_generator", "_iteration")

    if TYPE_CHECKING:

        def __anext__(self) -> Coroutine[Any, Any, R]: ...

    def __init__(self, begin: Callable[[], tuple[Iteration, AsyncGeneratorType[R, None]]]) -> None:
        self._begin = begin
        self._closed = False
        self._follow(*begin())

    def __getattribute__(self, name: str) -> Any:
        # Whoever keeps `iterator.__anext__` and calls it again and again shall get the next generator, too. `async for` and `anext`
        # do not come here.
        return MethodType(Resuming._step, self) if name == "__anext__" else super().__getattribute__(name)

    def _follow(self, iteration: Iteration, generator: AsyncGeneratorType[R, None]) -> None:
        """Take the steps of a generator, as long as it has not ended."""
        self._iteration, self._generator = iteration, generator
        # A generator whose first step is cancelled before the step has begun ends without running: nothing would tell.
        self._look_before_steps()
        # Neither the iteration nor the slot may hold this object: its generator would wait for the collection of garbage.
        iteration.on_begin = partial(_call, weakref.WeakMethod(self._step_at_once))
        iteration.on_end = partial(_call, weakref.WeakMethod(self._look_before_steps))

    def _step_at_once(self) -> None:
        """Take the generator's steps without a look from now on."""
        self._set_step(self._generator.__anext__)

    def _look_before_steps(self) -> None:
        """Look before each step from now on whether the generator has ended."""
        self._set_step(partial(_call, weakref.WeakMethod(self._step)))

    def _set_step(self, step: Callable[[], Any]) -> None:
        self.__anext__ = step  # type: ignore[method-assign] # the slot

    def _step(self) -> Coroutine[Any, Any, R]:
        """Take a step, of the next generator if this one has ended."""
        iteration = self._iteration
        # A generator without a frame is at its end.
        if self._generator.ag_frame is None and not (self._closed or iteration.stopped or iteration.exhausted):
            self._follow(*self._begin())
            self._iteration.resumes = True
        return self._generator.__anext__()

    def asend(self, value: None) -> Coroutine[Any, Any, R]:
        """Return what `anext` returns. The generators make nothing of the value."""
        return self._generator.asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, R]:
        """Raise an error where the generator stands."""
        return self._generator.athrow(*error)

    async def aclose(self) -> None:
        """End the iteration, and what it has under way."""
        self._closed = True
        await self._generator.aclose()


def _call(method: weakref.WeakMethod[Callable[[], Any]]) -> Any:
    """Call a method, if anybody still holds its object, and return what the method returns."""
    bound = method()
    return None if bound is None else bound()


class OneAtATime(ABC, Generic[T]):
    """Lets iterations follow each other, and refuses two at once."""

    def __init__(self, make_iteration: Callable[[], T]) -> None:
        self._make_iteration = make_iteration
        self._iteration: T | None = None
        # The iterations whose end is under way.
        self._ending: set[T] = set()

    def _iterator(self, iterate: Callable[[T], AsyncGenerator[R, None]]) -> Resuming[R]:
        """Return an iterator over what `iterate` yields, and `iterate` again if it was left before its end."""

        def begin() -> tuple[Iteration, AsyncGeneratorType[R, None]]:
            # The iteration knows its generator without holding it.
            iteration = self._make_iteration()
            generator = cast("AsyncGeneratorType[R, None]", iterate(iteration))
            iteration.generator = weakref.ref(generator)
            return iteration, generator

        return Resuming(begin)

    def _check_idle(self) -> None:
        """Raise a `RuntimeError` if there is an iteration whose generator is still held."""
        if self._iteration is not None and self._iteration.generator() is not None:
            raise RuntimeError("this stream is being iterated already: one iteration at a time")

    async def _begin(self, iteration: T) -> None:
        iteration.on_begin()
        self._check_idle()
        old = self._iteration
        # Claimed before anything is awaited: another iteration may begin meanwhile.
        self._iteration = iteration
        # Nothing has changed yet, but who watches learns in which thread it will.
        _watched.tell(self)
        if old is not None:
            # Left by a bare `break` a moment ago: its generator is gone, and the loop has not closed it yet.
            await self._stop(old)
        await self._until_ended()

    async def _finish(self, iteration: T) -> None:
        iteration.on_end()
        try:
            if self._iteration is iteration:
                self._iteration = None
                await self._stop(iteration)
        finally:
            _watched.tell(self)

    async def _until_ended(self) -> None:
        """Wait for what still ends: a loop closes a generator that was left by `break` while the next iteration begins."""
        for iteration in list(self._ending):
            await self._stop(iteration)

    async def _stop(self, iteration: T) -> None:
        self._ending.add(iteration)
        try:
            await iteration.stop()
            self._ending.discard(iteration)
        finally:
            # Also if a second cancellation cuts this short: answers that still come are then ignored. Never again later, when the
            # next iteration may have begun something.
            if not iteration.dropped:
                iteration.dropped = True
                self._reset()

    @abstractmethod
    def _reset(self) -> None:
        """Drop what an iteration has begun and not handed out."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled or copied: store its checkpoint")

    async def aclose(self) -> None:
        """End what is under way. A new iteration goes on from the position."""
        if self._iteration is not None:
            self._iteration.stopped = True
            await self._finish(self._iteration)
        await self._until_ended()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
