"""Call records as Arrow columns, and back. This module needs pyarrow, which is in the extra `arrow`.

Pure: no I/O. `stream.arrow` turns the records of one part after the other into columns, so that few records are held at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any, BinaryIO, Final

import msgspec

from unlimcall_async import _json
from unlimcall_async._arguments import utc
from unlimcall_async._extras import of_extra
from unlimcall_async._plain import add_fields, extra_to_json
from unlimcall_async.cdrs.times import EPOCH, to_datetime, to_micros
from unlimcall_async.models import EMPTY_EXTRA, CallRecord

with of_extra("unlimcall_async.columns", "arrow", "pyarrow"):
    import pyarrow as pa  # type: ignore[import-untyped] # it has no types
    from pyarrow import compute

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
        TypeError: `records` is not a sequence, or a field of a record is of a wrong type.
        ValueError: A start has no zone, or a field that is required is `None`.
        OverflowError: A number of a record has more than 64 bits. Records of the API have none of these.
    """
    if not isinstance(records, Sequence):
        raise TypeError(f"records must be a sequence of CallRecord, for example a list, not {type(records).__name__}")
    # Of all ways to take a field out of each record, these loops are the fastest: Python specializes the access to a slot
    # (`python benchmarks/records.py --ways arrow`).
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([record.id for record in records], _TEXT),
            _times([record.start_time for record in records]),
            _whole_numbers("duration", [record.duration for record in records]),
            _whole_numbers("billsec", [record.billsec for record in records]),
            pa.array([record.src for record in records], _TEXT),
            pa.array([record.dst for record in records], _TEXT),
            pa.array([record.disposition for record in records], _TEXT),
            pa.array([record.sip_username for record in records], _TEXT),
            _whole_numbers("sell_price_cents", [record.sell_price_cents for record in records]),
            pa.array([record.currency for record in records], _TEXT),
            pa.array([record.country for record in records], _TEXT),
            pa.array([record.did for record in records], _TEXT),
            pa.array([extra_to_json(record.extra) if record.extra else None for record in records], _TEXT),
        ],
        schema=SCHEMA,
    )
    for field, column in zip(SCHEMA, batch.columns, strict=True):
        if column.null_count and not field.nullable:
            raise ValueError(f"{field.name} of a record must not be None")
    return batch


def _whole_numbers(name: str, values: list[int | None]) -> pa.Array:
    # Arrow would cut the fraction of a number off.
    for kind in set(map(type, values)) - {int, NoneType}:
        if not hasattr(kind, "__index__"):
            raise TypeError(f"{name} of a record must be a whole number, not a {kind.__name__}")
    return pa.array(values, _WHOLE)


def _times(starts: list[datetime]) -> pa.Array:
    # Arrow takes 0.4 us for each datetime, because it asks the zone for the offset. A difference has no zone, and takes a third
    # of that, its subtraction included (`python -m timeit`).
    try:
        since = [start - EPOCH for start in starts]
    except TypeError:  # a start has no zone, or is not a datetime
        since = [utc("start_time of a record", start) - EPOCH for start in starts]
    return pa.array(since, pa.duration("us")).cast(_WHOLE).cast(_TIME)


# --- many records, fast ---------------------------------------------------------------------------------------------------

# Records that become columns at once: enough that the calls do not count, and some 3 ms on the event loop (`python -m timeit`).
_AT_ONCE: Final = 5000
# Parts of a stream that become columns at once. Only columns have a size. A part is of one response, so its texts take 16 MiB at
# most. With many more parts, a batch could pass the 2 GiB of a column before its size was known.
_PARTS_AT_ONCE: Final = 16
_WIDTH: Final = len(SCHEMA)
# Where the columns of a file are kept until they are written. The pools that Arrow prefers keep 25 MB of what was freed
# (`python benchmarks/memory.py --process`).
FILE_POOL: Final = pa.system_memory_pool()


class BatchInMaking:
    """Turns records that the API has sent into one batch of columns, for less CPU than `to_batch`, and without an import of pandas.

    Args:
        pool: Where the columns of a batch of many records are kept; `None` for Arrow's default.

    Attributes:
        rows: How many records the batch has.
        size: How many bytes they take, about, without the last records, which are no columns yet.
    """

    def __init__(self, pool: pa.MemoryPool | None = None) -> None:
        self.rows: int = 0
        self.size: int = 0
        self._pool = pool
        self._pieces: list[pa.RecordBatch] = []
        # The fields of the records behind the pieces, one record behind the other.
        self._fields: list[Any] = []
        self._parts = 0

    def add(self, records: Sequence[CallRecord]) -> None:
        """Add records that the API has sent in one response."""
        self.rows += len(records)
        self._parts += 1
        begin = len(self._fields)
        add_fields(self._fields, records)
        is_enough = len(self._fields) >= _AT_ONCE * _WIDTH or self._parts >= _PARTS_AT_ONCE
        # An `extra` may be large, so it does not wait.
        if is_enough or any(self._fields[begin + _WIDTH - 1 :: _WIDTH]):
            self._add_piece()

    def batch(self) -> pa.RecordBatch:
        """Return the batch, of at least one record."""
        self._add_piece()
        return joined(self._pieces, self._pool)

    def _add_piece(self) -> None:
        if self._fields:
            columns = [_column(field, self._fields[place::_WIDTH], self._pool) for place, field in enumerate(SCHEMA)]
            self._fields, self._parts = [], 0
            piece = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
            self._pieces.append(piece)
            self.size += piece.nbytes


def _column(field: pa.Field, values: list[Any], pool: pa.MemoryPool | None) -> pa.Array:
    """Return the values of one field as a column."""
    if field.name == "extra":
        values = _texts_of(values) if any(values) else [None] * len(values)
    make = _MAKERS[field.type]
    # Many columns hold one value in all rows, for example a currency. Three rows tell of most others that they do not.
    first = values[0]
    if first == values[len(values) // 2] == values[-1] and values.count(first) == len(values):
        if first is None:
            return pa.nulls(len(values), field.type, pool)
        return pa.repeat(make([first], pool)[0], len(values), pool)
    try:
        return make(values, pool)
    except (TypeError, struct.error):  # a value is `None`
        there = make([value or _FILLERS[field.type] for value in values], pool)
        present = pa.py_buffer(bytes([value is not None for value in values]))
        validity = pa.Array.from_buffers(pa.uint8(), len(values), [None, present]).cast(pa.bool_(), memory_pool=pool)
        return pa.Array.from_buffers(field.type, len(values), [validity.buffers()[1], *there.buffers()[1:]])


def _texts_of(extras: list[Mapping[str, Any]]) -> list[str | None]:
    return [extra_to_json(extra) if extra else None for extra in extras]


# None of the makers calls `pa.array` with a list: that imports pandas, and takes no less time.


def _texts(values: list[str], pool: pa.MemoryPool | None) -> pa.Array:
    number, whole = len(values), _JOINT.join([*values, ""]).encode()
    step, rest = divmod(len(whole), number)
    if step > 1 and not rest and whole[step - 1 :: step] == bytes(number):
        # All texts may have one length, for example phone numbers. To take the joints out takes less than to look for them.
        bare = bytearray(whole)
        del bare[step - 1 :: step]
        if 0 not in bare:
            column = pa.Array.from_buffers(pa.binary(step - 1), number, [None, pa.py_buffer(bare)])
            return column.cast(_TEXT, memory_pool=pool)
    sizes = struct.pack("=2i", 0, len(whole) - 1)
    single = pa.Array.from_buffers(_TEXT, 1, [None, pa.py_buffer(sizes), pa.py_buffer(whole)])
    column = compute.call_function("split_pattern", [single], _AT_JOINTS, pool).values
    # A text of the API may hold the joint itself.
    return column if len(column) == number else pa.array(values, _TEXT, memory_pool=pool)


def _wholes(values: list[int], _pool: pa.MemoryPool | None) -> pa.Array:
    return _of_bytes(struct.pack(f"={len(values)}q", *values), _WHOLE)


def _times_of_api(starts: list[datetime], pool: pa.MemoryPool | None) -> pa.Array:
    # MessagePack has a time of whole seconds, from 1970 to 2106, in six bytes: a mark of two, and the seconds, the highest first.
    # To cut the seconds out takes a third of what differences take. All other times are longer.
    number, text = len(starts), _encode_times(starts)
    begin = 1 if number < 1 << 4 else 3 if number < 1 << 16 else 5
    if len(text) != begin + 6 * number:
        return _wholes([to_micros(start) for start in starts], pool).cast(_TIME, memory_pool=pool)
    seconds = bytearray(8 * number)
    for place in range(4):
        seconds[place::8] = text[begin + 5 - place :: 6]
    return _of_bytes(seconds, pa.timestamp("s", tz="UTC")).cast(_TIME, memory_pool=pool)


def _of_bytes(values: bytes | bytearray, kind: pa.DataType) -> pa.Array:
    """Return a column of numbers of eight bytes each."""
    return pa.Array.from_buffers(kind, len(values) // 8, [None, pa.py_buffer(values)])


_MAKERS: Final[Mapping[pa.DataType, Callable[[list[Any], pa.MemoryPool | None], pa.Array]]] = {
    _TEXT: _texts,
    _WHOLE: _wholes,
    _TIME: _times_of_api,
}
# What stands in the place of a `None`, which the column then hides.
_FILLERS: Final[Mapping[pa.DataType, Any]] = {_TEXT: "", _WHOLE: 0}
# Stands between two texts: no text of a call record holds it, unless somebody tries.
_JOINT: Final = "\0"
_AT_JOINTS: Final = compute.SplitPatternOptions(_JOINT)
_encode_times: Final = msgspec.msgpack.Encoder().encode


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

        # A dictionary of values that hardly ever come twice takes time, and makes the file larger.
        few: Any = [name for name in SCHEMA.names if name not in {"id", "start_time", "dst"}]
        self._writer = parquet.ParquetWriter(
            file, SCHEMA, compression="zstd", use_dictionary=few, memory_pool=FILE_POOL
        )
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
