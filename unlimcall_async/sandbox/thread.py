"""An event loop in a thread of its own, for a sandbox whose user has no loop that could serve it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class LoopThread:
    """A thread that runs an event loop until `stop`. Any other thread may use all methods."""

    def __init__(self) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        # A daemon, so that a program may end without `stop`.
        self._thread = threading.Thread(target=self._run, args=(started,), name="unlimcall-sandbox", daemon=True)
        self._thread.start()
        self._loop = started.result()

    @staticmethod
    def _run(started: Future[asyncio.AbstractEventLoop]) -> None:
        # Not the loop of a policy: a test runner may have put one with virtual time there. At the end, `Runner` cancels all tasks.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            loop = runner.get_loop()
            started.set_result(loop)
            loop.run_forever()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain function in the loop, and return what it returns."""

        async def called() -> T:
            return function(*args, **kwargs)

        return function(*args, **kwargs) if self._is_current() else self.run(called())

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine in the loop, and return what it returns.

        Raises:
            TimeoutError: The coroutine has not ended within `timeout` seconds. It was cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        finally:
            future.cancel()

    async def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop, and return what it returns, from any event loop."""
        if self._is_current():
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def stop(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _is_current(self) -> bool:
        return threading.current_thread() is self._thread
