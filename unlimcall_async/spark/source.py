"""`UnlimCallDataSource`, through which Spark reads call records.

Spark makes the source in a process on the driver, and sends it pickled to processes that plan, and to the executors.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, MutableMapping
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Final

import pyarrow as pa  # type: ignore[import-untyped] # it has no types
from attrs import evolve
from pyspark import TaskContext
from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadLimit, SupportsTriggerAvailableNow
from pyspark.sql.types import LongType, StringType, StructField, StructType, TimestampType

from unlimcall_async import _arguments, _clock
from unlimcall_async._columns import SCHEMA
from unlimcall_async.shared import SharedRateLimits
from unlimcall_async.spark.offsets import Offset, first_offset, next_offset, settled, time_before, time_of
from unlimcall_async.spark.options import Options, read_options
from unlimcall_async.spark.pulling import pull
from unlimcall_async.spark.ranges import Attempt, Piece, pieces_of

_logger: Final = logging.getLogger("unlimcall_async")

# As `lookback` of a follow: how late a record may appear.
_SETTLE: Final = timedelta(hours=2)
# Seconds from one batch of a stream to the next, at least: `ranges` counts on it, and each batch asks each account.
_BETWEEN_BATCHES: Final = 60.0

_TYPES: Final = {pa.string(): StringType(), pa.int64(): LongType(), pa.timestamp("us", "UTC"): TimestampType()}
_ARROW: Final[pa.Schema] = pa.schema([pa.field("account", pa.string(), nullable=False), *SCHEMA])
_SPARK: Final = StructType([StructField(each.name, _TYPES[each.type], each.nullable) for each in _ARROW])


class UnlimCallDataSource(DataSource):
    """The call records of accounts, for `spark.read.format("unlimcall")` and `spark.readStream.format("unlimcall")`.

    Register the class with `spark.dataSource.register(UnlimCallDataSource)`. The columns are `account` and those of
    `unlimcall_async.columns.SCHEMA`. No option holds a token: executors find tokens in their environment, or in files.

    Args:
        options: `accounts`, `start`, and others: see the page on Spark.

    Raises:
        ValueError: An option is missing, unknown or not valid.
        ImportError: `redis_url` is given, and the extra `redis` is not installed.
    """

    def __init__(self, options: MutableMapping[str, str]) -> None:
        super().__init__(options)
        self._asked: Options = read_options(options)
        if self._asked.redis_url is not None:
            # On the driver, a URL that is not valid costs no task.
            try:
                SharedRateLimits(self._asked.redis_url)
            except ValueError as error:
                raise ValueError(f"redis_url: {error}") from None
        # All actions on one DataFrame see the same time.
        self._made_at = _clock.utc_now()

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "unlimcall"

    def schema(self) -> StructType:
        """Return the columns."""
        return _SPARK

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return what reads the records of a range.

        Raises:
            ValueError: `schema` is not that of the source, `start` is in the future, or `settle` is longer than the calendar.
        """
        end = self._asked.end or time_before(self._made_at, self._asked.settle or timedelta(0))
        return _Reader(self._asked, schema, end)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 # Spark's name
        """Return what reads records as they settle.

        Raises:
            ValueError: `schema` is not that of the source.
        """
        return _StreamReader(self._asked, schema)


class _Reader(DataSourceReader):
    """Reads a batch. The driver makes it anew for each action.

    Args:
        options: The options.
        end: The end of the time to read.
    """

    def __init__(self, options: Options, schema: StructType, end: datetime) -> None:
        _arguments.window(options.start, end)
        self._asked = options
        self._columns = _columns_of(schema)
        self._end = end

    def partitions(self) -> list[InputPartition]:
        """Return the partitions, by account and by time."""
        return _partitions(
            [pieces_of(self._asked, account, self._asked.start, self._end) for account in self._asked.accounts]
        )

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Return the records of a partition."""
        return _read(self._asked, partition.value, self._columns)


class _StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads a stream. One process on the driver keeps it for as long as the query runs; `read` runs on executors.

    Args:
        options: The options.
    """

    def __init__(self, options: Options, schema: StructType) -> None:
        self._asked = evolve(options, settle=_SETTLE if options.settle is None else options.settle)
        self._columns = _columns_of(schema)
        # The end of a query that takes what is there.
        self._last: datetime | None = None
        self._moved_at = -math.inf

    def initialOffset(self) -> Offset:  # noqa: N802 # Spark's name
        """Return where a new query begins."""
        return first_offset(self._asked)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 # Spark's name
        """Fix the end of a query that takes what is there."""
        self._last = self._known_until()

    def latestOffset(self, start: Offset, limit: ReadLimit) -> Offset:  # noqa: ARG002, N802 # Spark's names, and no rows are known
        """Return up to where the next batch goes: `start`, if there is none yet. This asks the API nothing."""
        now = time.monotonic()
        if self._last is None and now - self._moved_at < _BETWEEN_BATCHES:
            return start
        offset = next_offset(start, self._asked, self._last or self._known_until())
        if offset == start:
            # Spark compares the texts, in which the accounts may be in another order.
            return start
        self._moved_at = now
        return offset

    def partitions(self, start: Offset, end: Offset) -> list[InputPartition]:
        """Return the partitions of a batch.

        Raises:
            ValueError: The batch has an account that is not among the options: its token is not known.
        """
        ranges = [(account, time_of(start.get(account, text)), time_of(text)) for account, text in end.items()]
        for account, first, last in ranges:
            if first < last and account not in self._asked.accounts:
                raise ValueError(
                    f"a batch with the account {account} has begun: leave {account} in accounts until the batch is done"
                )
        return _partitions([pieces_of(self._asked, *each, streams=True) for each in ranges])

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Return the records of a partition."""
        return _read(self._asked, partition.value, self._columns)

    def _known_until(self) -> datetime:
        return settled(_clock.utc_now(), self._asked.settle or timedelta(0))


def _columns_of(schema: StructType) -> pa.Schema:
    """Return the columns of Arrow that Spark expects for a schema that somebody may have given."""
    wanted, own = ([(field.name, field.dataType) for field in each] for each in (schema, _SPARK))
    if wanted != own:
        raise ValueError("the columns of unlimcall are fixed: leave the schema out")
    return pa.schema([field.with_nullable(given.nullable) for field, given in zip(_ARROW, schema, strict=True)])


def _partitions(planned: list[tuple[list[Piece], bool]]) -> list[InputPartition]:
    if any(is_longer for _, is_longer in planned):
        most = max(len(pieces) for pieces, _ in planned)
        _logger.warning(
            "partition is too short for the rate limit: an account has %d partitions, and they are longer", most
        )
    # Spark starts them in this order: with the limits of many accounts at once, rather than with that of one.
    by_turns = chain.from_iterable(zip_longest(*(pieces for pieces, _ in planned)))
    return [InputPartition(piece) for piece in by_turns if piece is not None]


def _read(options: Options, piece: Piece | None, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    if piece is None:  # Spark's one partition of a scan that has none
        return
    context = TaskContext.get()
    attempt = Attempt(
        number=context.attemptNumber() if context else 0,
        speculation=context is not None and _may_have_a_copy(context),
    )
    with closing(pull(options, piece, attempt)) as batches:
        for batch in batches:
            account = pa.repeat(piece.account, len(batch))
            yield pa.RecordBatch.from_arrays([account, *batch.columns], schema=columns)


def _may_have_a_copy(context: TaskContext) -> bool:
    # Spark passes its settings on to the tasks of a query, but not to those of an RDD, which `foreach` and `toJSON` make too.
    if context.getLocalProperty("spark.master") is None:
        return True
    return (context.getLocalProperty("spark.speculation") or "").strip().lower() == "true"
