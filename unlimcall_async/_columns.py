"""Call records as Arrow columns, and back. This module needs pyarrow, which is in the extra `arrow`.

Pure: no I/O. `stream.arrow` turns the records of one part after the other into columns, so that few records are held at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, BinaryIO, Final

import msgspec
from msgspec.structs import fields, force_setattr

from unlimcall_async import _json
from unlimcall_async._extras import of_extra
from unlimcall_async._plain import extra_to_json
from unlimcall_async.cdrs.times import EPOCH, to_datetime
from unlimcall_async.models import EMPTY_EXTRA, CallRecord

with of_extra("unlimcall_async.columns", "arrow", "pyarrow"):
    import pyarrow as pa  # type: ignore[import-untyped] # it has no types

# A reader skips whole row groups, and takes some time for each. Both are small with groups of this size.
GROUP_ROWS: Final = 100_000
# Rows with a large `extra`: a group that takes this much is written, so that memory does not grow with the size of a row.
GROUP_BYTES: Final = 32 << 20

_TEXT: Final[Any] = pa.string()
_WHOLE: Final[Any] = pa.int64()
_TIME: Final[Any] = pa.timestamp("us", tz="UTC")

SCHEMA: Final[pa.Schema] = pa.schema(
    [
        pa.field("id", _TEXT, nullable=False),
        pa.field("start_time", _TIME, nullable=False),
        pa.field("duration", _WHOLE, nullable=False),
        pa.field("billsec", _WHOLE, nullable=False),
        pa.field("src", _TEXT),
        pa.field("dst", _TEXT),
        pa.field("disposition", _TEXT),
        pa.field("sip_username", _TEXT),
        pa.field("sell_price_cents", _WHOLE),
        pa.field("currency", _TEXT),
        pa.field("country", _TEXT),
        pa.field("did", _TEXT),
        pa.field("extra", _TEXT),
    ]
)


def to_batch(records: Sequence[CallRecord]) -> pa.RecordBatch:
    """Return records as columns, with the schema `SCHEMA`.

    `extra` is a JSON object in which a fraction is a number with all its digits, and null where it is empty.

    Raises:
        OverflowError: A number of a record has more than 64 bits. Records of the API have none.
    """
    # Of all ways to take a field out of each record, these loops are the fastest: Python specializes the access to a slot
    # (`python benchmarks/records.py --ways arrow`).
    return pa.RecordBatch.from_arrays(
        [
            pa.array([record.id for record in records], _TEXT),
            _times([record.start_time for record in records]),
            pa.array([record.duration for record in records], _WHOLE),
            pa.array([record.billsec for record in records], _WHOLE),
            pa.array([record.src for record in records], _TEXT),
            pa.array([record.dst for record in records], _TEXT),
            pa.array([record.disposition for record in records], _TEXT),
            pa.array([record.sip_username for record in records], _TEXT),
            pa.array([record.sell_price_cents for record in records], _WHOLE),
            pa.array([record.currency for record in records], _TEXT),
            pa.array([record.country for record in records], _TEXT),
            pa.array([record.did for record in records], _TEXT),
            pa.array([extra_to_json(record.extra) if record.extra else None for record in records], _TEXT),
        ],
        schema=SCHEMA,
    )


def _times(starts: Iterable[datetime]) -> pa.Array:
    # Arrow takes 0.4 us for each datetime, because it asks the zone for the offset. A difference has no zone, and takes a third
    # of that, its subtraction included (`python -m timeit`).
    return pa.array([start - EPOCH for start in starts], pa.duration("us")).cast(_WHOLE).cast(_TIME)


# --- many records, fast ---------------------------------------------------------------------------------------------------

# Text that becomes columns at once: enough that the call does not count, and 2 ms on the event loop (`python -m timeit`).
_TEXT_BYTES: Final = 1 << 19
# The most text of one part: Arrow reads blocks of less than 2 GiB.
_BLOCK_BYTES: Final = 1 << 30
# Where the columns of a file are kept until they are written. The pools that Arrow prefers keep 25 MB of what was freed
# (`python benchmarks/memory.py --process`).
FILE_POOL: Final = pa.system_memory_pool()


class BatchInMaking:
    """Turns records into one batch of columns, for a tenth less CPU than `to_batch`, and without an import of pandas.

    msgspec writes the records as lines, each of them a JSON array. Arrow's reader of CSV takes such lines for rows: a text is
    quoted, a number and `null` are not. CSV writes only two things otherwise: what JSON escapes, and an `extra`. Records with these
    become columns by `to_batch`.

    Args:
        pool: Where the columns are kept; `None` for Arrow's default.

    Attributes:
        rows: How many records the batch has.
        size: How many bytes they take, about.
    """

    def __init__(self, pool: pa.MemoryPool | None = None) -> None:
        self.rows: int = 0
        self.size: int = 0
        self._pool = pool
        self._pieces: list[pa.RecordBatch] = []
        # The lines of the records behind the pieces, and how many bytes these are.
        self._lines: list[bytes] = []
        self._line_bytes = 0

    def add(self, records: Sequence[CallRecord]) -> None:
        """Add records that the API has sent, and that nobody else holds: they are used up."""
        self.rows += len(records)
        # A list takes half the time of a generator, or of `attrgetter`.
        lines = b"" if any([record.extra for record in records]) else _to_lines(records)  # noqa: C419
        # CSV has no escapes like those of JSON.
        if lines and b"\\" not in lines and len(lines) < _BLOCK_BYTES:
            self._lines.append(lines)
            self._line_bytes += len(lines)
            self.size += len(lines)
            if self._line_bytes >= _TEXT_BYTES:
                self._add_lines()
        else:
            self._add_lines()
            self._add_piece(to_batch(records))

    def batch(self) -> pa.RecordBatch:
        """Return the batch, of at least one record."""
        self._add_lines()
        return joined(self._pieces, self._pool)

    def _add_lines(self) -> None:
        if self._lines:
            text = b"".join(self._lines)
            self.size -= len(text)
            self._lines, self._line_bytes = [], 0
            self._add_piece(_read_csv(text, self._pool))

    def _add_piece(self, piece: pa.RecordBatch) -> None:
        self._pieces.append(piece)
        self.size += piece.nbytes


# A record in the form in which a line holds it: an array that begins with a number, so that a comma stands before each text.
_Line: Final = msgspec.defstruct(
    "_Line",
    [(each.name, each.type, msgspec.field(default=each.default)) for each in fields(CallRecord)],
    bases=(CallRecord,),
    module=__name__,
    frozen=True,
    gc=False,
    array_like=True,
    tag=0,
)
_LINE_NAMES: Final = ("", *SCHEMA.names)
# What stands behind the last comma of a line without an `extra`.
_NO_EXTRA: Final = "{}]"


_encode_lines: Final = msgspec.json.Encoder().encode_lines


def _to_lines(records: Iterable[CallRecord]) -> bytes:
    # Records become lines where they are: a new object for each would take a third of the time.
    deque(map(force_setattr, records, repeat("__class__"), repeat(_Line)), maxlen=0)
    return _encode_lines(records)


def _read_csv(text: bytes, pool: pa.MemoryPool | None) -> pa.RecordBatch:
    from pyarrow import csv  # noqa: PLC0415 # only some readers need it

    table = csv.read_csv(
        pa.BufferReader(text),
        csv.ReadOptions(use_threads=False, block_size=len(text), column_names=_LINE_NAMES),
        csv.ParseOptions(double_quote=False),
        csv.ConvertOptions(
            column_types=SCHEMA,
            include_columns=SCHEMA.names,
            check_utf8=False,
            null_values=["null", _NO_EXTRA],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            timestamp_parsers=[csv.ISO8601],
        ),
        pool,
    )
    (batch,) = table.to_batches()
    return pa.RecordBatch.from_arrays(batch.columns, schema=SCHEMA)


def joined(batches: Sequence[pa.RecordBatch], pool: pa.MemoryPool | None = None) -> pa.RecordBatch:
    """Return batches, at least one, as a single batch."""
    if len(batches) == 1:
        return batches[0]
    # `pyarrow.concat_batches` came after the oldest release that is supported.
    (batch,) = pa.Table.from_batches(batches, SCHEMA).combine_chunks(pool).to_batches()
    return batch


class ParquetWriter:
    """Writes columns to an open file, as Parquet with zstd.

    Args:
        file: The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        from pyarrow import parquet  # noqa: PLC0415 # slow to import

        self._writer = parquet.ParquetWriter(file, SCHEMA, compression="zstd", memory_pool=FILE_POOL)
        # The batches of the next row group, and the number of their rows.
        self._pieces: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch to the row groups."""
        while len(batch):
            piece = batch.slice(0, GROUP_ROWS - self._rows)
            batch = batch.slice(len(piece))
            self._pieces.append(piece)
            self._rows += len(piece)
            if self._rows == GROUP_ROWS or sum(each.nbytes for each in self._pieces) >= GROUP_BYTES:
                self._write_group()

    def _write_group(self) -> None:
        if self._pieces:
            # As chunks: a joined copy would double the memory.
            group = pa.Table.from_batches(self._pieces, SCHEMA)
            self._pieces, self._rows = [], 0
            self._writer.write_table(group, row_group_size=len(group))

    def close(self) -> None:
        """Write the rest. The file stays open."""
        self._write_group()
        self._writer.close()


def to_records(batch: pa.RecordBatch) -> list[CallRecord]:
    """Return the records that `to_batch` has turned into columns."""
    names = SCHEMA.names
    columns = {name: batch.column(name) for name in names}
    columns["start_time"] = columns["start_time"].cast(_WHOLE)
    values = {name: column.to_pylist() for name, column in columns.items()}
    values["start_time"] = [to_datetime(micros) for micros in values["start_time"]]
    values["extra"] = [EMPTY_EXTRA if text is None else _json.read(text) for text in values["extra"]]
    return [CallRecord(*fields) for fields in zip(*(values[name] for name in names), strict=True)]
