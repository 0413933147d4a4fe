"""The one thread of a destination whose driver blocks.

All work of a destination runs in this thread, in the order in which it was begun. If the task that waits for a piece of work is
cancelled, the work is interrupted, and waited for: nobody else uses the connection meanwhile.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import ParamSpec, TypeVar

from unlimcall_async._threads import in_thread
from unlimcall_async.sync.destination import Address, Stored
from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.entries import ManifestEntry
from unlimcall_async.sync.file_lock import FileLock
from unlimcall_async.sync.rows import Row

P = ParamSpec("P")
T = TypeVar("T")


class ThreadedDestination(ABC):
    """A destination whose work is done by methods that block.

    Attributes:
        name: The name of the destination in messages.
    """

    def __init__(self, name: str) -> None:
        self.name: str = name
        self._thread: ThreadPoolExecutor | None = None
        # Of a destination in files.
        self._locks: list[FileLock] = []

    @abstractmethod
    def _open(self, account: str) -> str | None:
        """Do what `open` does."""

    @abstractmethod
    def _rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        """Do what `rows` does."""

    @abstractmethod
    def _write(self, change: Change[Address], state: str | None) -> None:
        """Do what `write` does."""

    @abstractmethod
    def _entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        """Do what `entries` does."""

    @abstractmethod
    def _look(self, account: str | None) -> Stored:
        """Do what `look` does."""

    def _close(self) -> None:
        """Do what `close` does. This lets go of the locks, which are the last to go: a class lets go of what else it has before."""
        while self._locks:
            self._locks.pop().release()

    def _interrupt(self) -> None:  # noqa: B027 # work that ends soon by itself need not be interrupted
        """Have the work under way end soon, with an error. Called from another thread."""

    def unfit(self, rows: Sequence[Row]) -> Sequence[tuple[int, str, str]]:  # noqa: ARG002 # of the protocol
        """Return nothing: the destination can hold all rows."""
        return ()

    async def open(self, account: str) -> str | None:
        """Prepare the table, and return the state that was stored last."""
        self._begin()
        return await self._in_thread(self._opened, self._open, account)

    def _begin(self) -> None:
        if self._thread is not None:
            raise RuntimeError("a destination serves one sync at a time")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlimcall-sync")

    async def look(self, account: str | None) -> Stored:
        """Open the table for reading alone, and return what is stored for an account, or for the only one. No lock is taken.

        Raises:
            ValueError: No sync has written the account to the table, or `account` is `None` and there are several.
        """
        self._begin()
        return await self._in_thread(self._opened, self._look, account)

    async def entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        """Return the entries of the manifest that begin in `[start, end)`."""
        return await self._in_thread(self._opened, self._entries, start, end)

    async def rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        """Begin a transaction, and return the rows of the account in `[start, end)`."""
        return await self._in_thread(self._opened, self._rows, start, end, most)

    async def write(self, change: Change[Address], state: str | None) -> None:
        """Write a change and a state in one transaction."""
        await self._in_thread(self._opened, self._write, change, state)

    @property
    def _opened(self) -> ThreadPoolExecutor:
        if self._thread is None:
            raise RuntimeError("the destination is not open")
        return self._thread

    async def close(self) -> None:
        """Undo what was begun, and let go of the connection, the lock and the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the loop was closed under the sync
            thread.submit(self._close).result()
            thread.shutdown()
            return
        closing = loop.run_in_executor(thread, self._close)
        # The thread ends once it has closed the connection, also if nobody waits for that.
        thread.shutdown(wait=False)
        await asyncio.shield(closing)
        thread.shutdown()  # it has nothing left to do, and ends at once

    async def _in_thread(
        self, thread: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await in_thread(thread, partial(work, *args, **kwargs), self._interrupt)
