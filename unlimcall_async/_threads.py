"""Work that blocks, in a thread, for a task that may be cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

R = TypeVar("R")


async def in_thread(executor: Executor, work: Callable[[], R], interrupt: Callable[[], object] | None = None) -> R:
    """Return what a function returns in a thread. A cancellation waits for its end: a thread cannot be stopped in its work.

    The end of `asyncio.run` cancels all tasks. The work is not a task, so its end is waited for then, too.

    Args:
        executor: Where the thread comes from.
        work: The function.
        interrupt: Called at a cancellation, to have the work end soon.
    """
    future = asyncio.get_running_loop().run_in_executor(executor, work)
    try:
        result = await asyncio.shield(future)
        # Python 3.14 does not wait for work that is done at once. A cancellation that was asked for meanwhile comes here.
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if interrupt is not None:
            interrupt()
        while not future.done():
            with suppress(asyncio.CancelledError):  # the first one is raised below
                await asyncio.wait({future})
        if not future.cancelled():
            future.exception()  # the cancellation takes its place
        raise
    return result
