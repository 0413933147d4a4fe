"""The ways to read a stream: record by record, in lists, and in batches of Arrow columns, all from one position.

A thin shell over `output`. A batch of Arrow needs the records of many parts. They become columns some thousands at a time, so that
few of them are held. The batch is handed out when it is full.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from unlimcall_async import _arguments
from unlimcall_async._lazy import LazyModule
from unlimcall_async.cdrs.asking import StreamIteration
from unlimcall_async.cdrs.iteration import OneAtATime
from unlimcall_async.cdrs.output import Output
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.models import CallRecord

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped] # it has no types

    from unlimcall_async._columns import BatchInMaking
else:
    pa = LazyModule("pyarrow")

# Bytes of a batch, beyond which it is handed out before it has all its rows. A column of texts holds 2 GiB at most.
_MOST_BYTES: Final = 1 << 30


class StreamViews(OneAtATime[StreamIteration]):
    """What can be read from a stream, and how."""

    def __init__(self, output: Output) -> None:
        super().__init__(StreamIteration)
        self._output = output
        # The batch that is not full yet, and whether all that is left is handed out in one step.
        self._making: BatchInMaking | None = None
        self._at_once = False
        # The row that cannot be read and has ended the iteration: `resume_after` of its error skips the row.
        self._skipped: UnplacedRow | None = None

    @abstractmethod
    async def _load(self, iteration: StreamIteration) -> bool:
        """Wait until there are records to hand out. Return `False` if none are left, or if the stream was closed."""

    @property
    @abstractmethod
    def _at_end(self) -> bool:
        """Whether all records were taken."""

    @abstractmethod
    def _ask_again(self) -> None:
        """Ask for all that lies behind the position, which was taken back."""

    # --- records and lists --------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[CallRecord, None]:  # noqa: PYI058 # a user who iterates by hand can close it
        return self._iterator(self._iterate_records)

    def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        """Iterate over lists of records, at most a page each, as ranges become final; none is empty.

        Raises:
            RuntimeError: Two iterations at once.
            WindowSaturatedError: An instant holds more records than a page can.
            ResponseError: A page, or a row of it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure. A new iteration goes on from the position.
        """
        return self._iterator(self._iterate_batches)

    async def to_list(self) -> list[CallRecord]:
        """Return all records that are left. If that fails, none of them was handed out, and `checkpoint` is as before.

        Raises:
            RuntimeError: Two iterations at once, or the stream was closed meanwhile.
            UnlimCallError: As for `batches`.
        """
        records: list[CallRecord] = []
        async with self._handing_out_at_once(), aclosing(self.batches()) as batches:
            async for batch in batches:
                records += batch
        return records

    async def _iterate_records(self, iteration: StreamIteration) -> AsyncGenerator[CallRecord, None]:
        try:
            await self._begin(iteration)
            self._take_back_batch()
            while await self._load(iteration):
                for record in self._output.position.records():
                    yield record
            iteration.exhausted = True
        finally:
            await self._finish(iteration)

    async def _iterate_batches(self, iteration: StreamIteration) -> AsyncGenerator[list[CallRecord], None]:
        try:
            await self._begin(iteration)
            self._take_back_batch()
            while await self._load(iteration):
                yield self._output.position.batch()
            iteration.exhausted = True
        finally:
            await self._finish(iteration)

    # --- columns ------------------------------------------------------------------------------------------------------

    def arrow(self, rows: int = 65_536) -> AsyncGenerator[pa.RecordBatch, None]:
        """Iterate over batches of Arrow columns with so many rows each; the last one is shorter, and none is empty.

        The columns are those of `unlimcall_async.columns.SCHEMA`. `checkpoint` covers the batches that were handed out, and
        nothing of the batch in the making; `progress` counts its records already. A batch whose texts take about a gibibyte is
        handed out at once, and so is, before an error, what came before that error.

        Raises:
            ImportError: pyarrow, of the extra `arrow`, is not installed.
            ValueError, TypeError: `rows` is not a whole number of 1 or more.
            RuntimeError: Two iterations at once.
            WindowSaturatedError: An instant holds more records than a page can.
            ResponseError: A page, or a row of it, cannot be read; see its `window` and `resume_after`.
            UnlimCallError: Any other failure. A new iteration goes on from the position.
        """
        from unlimcall_async import _columns  # noqa: F401, PLC0415 # pyarrow is of an extra

        return self._arrow(_arguments.whole("rows", rows), _MOST_BYTES)

    def _arrow(
        self, rows: int, most_bytes: int, pool: pa.MemoryPool | None = None
    ) -> AsyncGenerator[pa.RecordBatch, None]:
        return self._iterator(partial(self._iterate_arrow, rows=rows, most_bytes=most_bytes, pool=pool))

    async def to_arrow(self) -> pa.Table:
        """Return all records that are left as a table. If that fails, none of them was handed out, and `checkpoint` is as before.

        Raises:
            ImportError: pyarrow, of the extra `arrow`, is not installed.
            RuntimeError: Two iterations at once, or the stream was closed meanwhile.
            UnlimCallError: As for `arrow`.
        """
        from unlimcall_async._columns import SCHEMA  # noqa: PLC0415 # pyarrow is of an extra

        async with self._handing_out_at_once(), aclosing(self.arrow()) as batches:
            came = [batch async for batch in batches]
        return pa.Table.from_batches(came, SCHEMA)

    async def _iterate_arrow(
        self, iteration: StreamIteration, rows: int, most_bytes: int, pool: pa.MemoryPool | None
    ) -> AsyncGenerator[pa.RecordBatch, None]:
        try:
            await self._begin(iteration)
            if self._making is not None and self._making.rows > rows:
                self._take_back_batch()
            while (batch := await self._next_batch(iteration, rows, most_bytes, pool)) is not None:
                yield batch
            iteration.exhausted = True
        finally:
            await self._finish(iteration)

    async def _next_batch(
        self, iteration: StreamIteration, rows: int, most_bytes: int, pool: pa.MemoryPool | None
    ) -> pa.RecordBatch | None:
        """Return the next batch, or `None` if no records are left, or if the stream was closed."""
        from unlimcall_async._columns import BatchInMaking  # noqa: PLC0415 # pyarrow is of an extra

        self._output.hold()
        try:
            making = self._making or BatchInMaking(pool)
            while making.rows < rows and making.size < most_bytes and await self._loaded(iteration):
                self._add(making, self._output.position.take(rows - making.rows))
            if iteration.stopped or self._making is None:
                return None
            batch, self._making = making.batch(), None
            return batch
        finally:
            if self._making is None and not self._at_once:
                self._output.hand_out()

    def _add(self, making: BatchInMaking, records: list[CallRecord]) -> None:
        """Add records to a batch. If that fails, take the whole batch back: some of its records may be missing there."""
        try:
            making.add(records)
            self._making = making
        except BaseException:
            # A table or a file takes everything back itself.
            if not self._at_once:
                self._take_back()
            raise

    async def _loaded(self, iteration: StreamIteration) -> bool:
        """Return what `_load` returns. If that fails, return `False` as long as there are records before the error.

        The next step then fails again: only the end of the iteration asks again for what has failed.
        """
        try:
            return await self._load(iteration)
        except Exception:
            if self._making is None:
                raise
            # The row that the error is about comes next, as far as the reader knows.
            self._skipped = None
            return False

    # --- all or nothing -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _handing_out_at_once(self) -> AsyncGenerator[None, None]:
        """Hand out what is iterated over in the block when the block ends; if it raises, take everything back.

        Raises:
            RuntimeError: Two iterations at once, or the stream was closed meanwhile.
        """
        if self._at_once:
            raise RuntimeError("this stream is being iterated already: one iteration at a time")
        self._check_idle()
        self._output.hold()
        self._at_once = True
        try:
            yield
            self._check_at_end()
        except BaseException as error:
            if getattr(error, "resume_after", None) is not None:
                error.add_note("nothing was handed out: `resume_after` lies behind records that `batches()` hands out")
            self._take_back()
            raise
        else:
            self._output.hand_out()
        finally:
            self._at_once = False

    def _check_at_end(self) -> None:
        """Raise a `RuntimeError` if records are left. An iteration that was closed has ended like one that has handed out all."""
        if not self._at_end:
            raise RuntimeError("the stream was closed before its end: nothing was handed out")

    def _take_back_batch(self) -> None:
        """Take back the records of a batch that was left before it was full: another view begins."""
        if self._making is not None:
            self._take_back()
            if self._at_once:
                self._output.hold()

    def _take_back(self) -> None:
        self._making = None
        # The row lies behind records that were taken back.
        self._skipped = None
        self._output.take_back()
        self._ask_again()
