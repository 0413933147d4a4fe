"""Records as the rows of a table.

Pure: no I/O. A row is a tuple of the values of `COLUMNS`, in their order. So two rows are equal if their records are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async import _json
from unlimcall_async._plain import json_of
from unlimcall_async.models import CallRecord

Row: TypeAlias = tuple[Any, ...]
Kind: TypeAlias = Literal["text", "integer", "time"]


@frozen
class Column:
    """A column of the table.

    Attributes:
        name: Its name.
        kind: What it holds.
        required: Whether each row has a value.
    """

    name: str
    kind: Kind
    required: bool = False


# The fields of `CallRecord` in their order.
COLUMNS: Final[tuple[Column, ...]] = (
    Column("id", "text", required=True),
    Column("start_time", "time", required=True),
    Column("duration", "integer", required=True),
    Column("billsec", "integer", required=True),
    Column("src", "text"),
    Column("dst", "text"),
    Column("disposition", "text"),
    Column("sip_username", "text"),
    Column("sell_price_cents", "integer"),
    Column("currency", "text"),
    Column("country", "text"),
    Column("did", "text"),
    Column("extra", "text"),
)
ACCOUNT: Final = Column("account", "text", required=True)

START: Final = 1  # the place of `start_time`

_fields: Final = attrgetter(*(column.name for column in COLUMNS[:-1]))


def row_of(record: CallRecord) -> Row:
    """Return the row of a record. `extra` is a JSON object with its names in order, and `None` if it is empty."""
    values: tuple[Any, ...] = _fields(record)
    return (*values, json_of(record.extra) if record.extra else None)


def record_of(row: Row) -> CallRecord:
    """Return the record of a row.

    Raises:
        ValueError: `extra` is not a JSON object.
    """
    if row[-1] is None and row[START].tzinfo is UTC:
        return CallRecord(*row[:-1])  # as nearly all are
    values = list(row)
    extra = values.pop()
    if values[START].tzinfo is not UTC:
        values[START] = values[START].astimezone(UTC)
    if extra is None:
        return CallRecord(*values)
    fields = _json.read(extra)
    if isinstance(fields, dict):
        values.append(fields)
        return CallRecord(*values)
    raise ValueError("extra is not a JSON object")


def start_of(row: Row) -> datetime:
    """Return the start of a row."""
    start: datetime = row[START]
    return start


def between(rows: Sequence[Row], start: datetime, end: datetime) -> list[Row]:
    """Return the rows that start in `[start, end)`."""
    return [row for row in rows if start <= row[START] < end]
