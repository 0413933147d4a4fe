"""Call records as Arrow columns, and back. This module needs pyarrow, which is in the extra `arrow`.

Pure: no I/O. `stream.arrow` turns the records of one part after the other into columns, so that few records are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final

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


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return batches, at least one, as a single batch."""
    if len(batches) == 1:
        return batches[0]
    # `pyarrow.concat_batches` came after the oldest release that is supported.
    (batch,) = pa.Table.from_batches(batches, SCHEMA).combine_chunks().to_batches()
    return batch


class ParquetWriter:
    """Writes columns to an open file, as Parquet with zstd.

    Args:
        file: The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        from pyarrow import parquet  # noqa: PLC0415 # slow to import

        self._writer = parquet.ParquetWriter(file, SCHEMA, compression="zstd")
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
