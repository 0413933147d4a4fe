"""`track`: shows how far a stream or a follow is while a program iterates over it.

A thin shell over `_bar`, which draws by a timer of the event loop. No task is needed. So whatever ends the iteration, also a bare
`break`, ends the timer and the bar at once.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from unlimcall_async._extras import of_extra
from unlimcall_async._lazy import LazyModule
from unlimcall_async.cdrs.follow import CdrFollow
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.models import CallRecord

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped] # it has no types
else:
    pa = LazyModule("pyarrow")

__all__ = ["Tracked", "TrackedIterator", "track"]

R = TypeVar("R")


def track(stream: CdrStream | CdrFollow) -> Tracked:
    """Show how far a stream or a follow is, while the result is iterated over in its place.

    On a terminal, standard error shows a bar: the share of the range, records and their rate, what the stream waits for and until
    when, and the time that is left. In a notebook, the output of the cell shows the same. If standard output is a pipe, or the
    terminal cannot move its cursor, there is a line every five seconds. If standard error is neither, nothing is shown.

    Raises:
        ImportError: rich, of the extra `cli`, is not installed.
        TypeError: `stream` is neither a `CdrStream` nor a `CdrFollow`.
    """
    if not isinstance(stream, (CdrStream, CdrFollow)):
        raise TypeError(
            f"track takes a CdrStream or a CdrFollow, not {type(stream).__name__}; its batches are track(stream).batches()"
        )
    with of_extra("track", "cli", "rich"):
        from unlimcall_async import _bar  # noqa: F401, PLC0415 # rich is of an extra
    return Tracked(stream)


class Tracked:
    """A stream or a follow that shows how far it is: `async for record in tracked`, or over `tracked.batches()`."""

    def __init__(self, stream: CdrStream | CdrFollow) -> None:
        self._stream = stream

    def __aiter__(self) -> TrackedIterator[CallRecord]:
        return TrackedIterator(self._stream, self._stream.__aiter__())

    def batches(self) -> TrackedIterator[list[CallRecord]]:
        """Iterate over lists of records, as the stream's own `batches` does."""
        return TrackedIterator(self._stream, self._stream.batches())

    def arrow(self, rows: int = 65_536) -> TrackedIterator[pa.RecordBatch]:
        """Iterate over batches of Arrow columns, as the stream's own `arrow` does.

        Raises:
            TypeError: This is a follow, which has none.
        """
        if not isinstance(self._stream, CdrStream):
            raise TypeError("a follow does not end, so it has no batches of so many rows; use its batches()")
        return TrackedIterator(self._stream, self._stream.arrow(rows))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._stream!r}>"


class TrackedIterator(AsyncIterator[R], Generic[R]):
    """An iterator of a stream or a follow that shows how far it is. It raises and goes on as the stream's own iterator does."""

    def __init__(self, stream: CdrStream | CdrFollow, items: AsyncGenerator[R, None]) -> None:
        self._items = items
        from unlimcall_async._bar import Ticker, display  # noqa: PLC0415 # rich is of an extra

        self._ticker = Ticker(display)
        self._stream = stream
        # A bare `break` drops the iterator.
        weakref.finalize(self, self._ticker.stop)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        """Return the next record, or the next list of records."""
        ticker = self._ticker
        ticker.run(self._stream)
        try:
            return await self._items.__anext__()
        except BaseException:
            ticker.stop()
            raise

    async def aclose(self) -> None:
        """End the iteration, what it has under way, and the bar."""
        self._ticker.stop()
        await self._items.aclose()
