"""Call records as a source for dlt, which loads them into any of its destinations. This module needs dlt, of the extra `dlt`.

Call records have no key, and dlt replaces rows by a key. So the unit is the UTC day of an account: all rows of the days that a run
asks are replaced by what the API holds of these days. Rows that are equal stay as many as they are, a row that was rated again is
replaced, and a row that is gone goes. A day that has become empty is sent as one row with `deleted`, which dlt does not load.

The place that was reached is in dlt's own state, which dlt commits with the data. A run asks a bounded stretch of time, because dlt
keeps the state of whole runs alone. `load_cdrs` runs until all is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from attrs import frozen

from unlimcall_async import _arguments
from unlimcall_async._extras import of_extra
from unlimcall_async.client import AsyncClient
from unlimcall_async.sync.engine import range_of
from unlimcall_async.sync.run import known_end
from unlimcall_async.sync.state import Stretch, SyncState, resumable

with of_extra("unlimcall_async.integrations.dlt", "dlt", "dlt", "pyarrow"):
    import dlt
    import pyarrow as pa  # type: ignore[import-untyped] # it has no types

    from unlimcall_async.columns import SCHEMA

__all__ = ["cdrs_source", "load_cdrs"]

_logger: Final = logging.getLogger("unlimcall_async")

_SOURCE: Final = "unlimcall"
_DAY: Final = timedelta(days=1)
_LOOKBACK: Final = timedelta(days=2)
_AT_ONCE: Final = timedelta(days=31)

_KEYS: Final = (
    pa.field("account", pa.string(), nullable=False),
    pa.field("date", pa.date32(), nullable=False),
    pa.field("deleted", pa.bool_()),
)
_SCHEMA: Final[pa.Schema] = pa.schema([*_KEYS, *SCHEMA])


@frozen
class _Asked:
    """What to load, as the caller gave it: see `cdrs_source`."""

    start: datetime
    end: datetime | None
    settle: timedelta
    lookback: timedelta
    at_once: timedelta
    account: str | None
    unreadable: Literal["raise", "keep"]
    client: Callable[[], AsyncClient]


def cdrs_source(
    start: datetime,
    *,
    end: datetime | None = None,
    settle: timedelta = timedelta(0),
    lookback: timedelta = _LOOKBACK,
    at_once: timedelta = _AT_ONCE,
    account: str | None = None,
    unreadable: Literal["raise", "keep"] = "raise",
    client: Callable[[], AsyncClient] = AsyncClient,
    name: str = "cdrs",
) -> Any:
    """Return a dlt source with one resource: the call records of an account, from where the last run ended.

    The table has the columns of `unlimcall_async.columns.SCHEMA`, and before them `account`, `date`, the UTC day of the start, and
    `deleted`, which is null in all rows. Do not change its write disposition: it replaces whole days of an account.

    Args:
        start: The start of the time to load, timezone-aware. An earlier one than before is loaded, too.
        end: Its end, timezone-aware; `None` for now less `settle`.
        settle: How far to stay behind now, if `end` is `None`.
        lookback: How far before the last end to ask again: as long as records appear late, or change.
        at_once: How much time a run asks beside the lookback.
        account: The name of the account in the table; `None` for the `customer_id` of `me()`.
        unreadable: `"raise"` for an error at a row that cannot be read; `"keep"` to leave such rows out.
        client: Returns a client of the account, which the source closes. As it is, the client takes `$UNLIMCALL_TOKEN`.
        name: The name of the resource, and of its table.

    Raises:
        ValueError, TypeError: An argument is not valid.
    """
    lookback, at_once = _arguments.span("lookback", lookback), _arguments.span("at_once", at_once)
    if lookback < timedelta(0):
        raise ValueError("lookback must not be negative")
    if at_once < _DAY:
        raise ValueError("at_once must be a day or more")
    asked = _Asked(start, end, settle, lookback, at_once, account, unreadable, client)

    resource = dlt.resource(
        _records,
        name=name,
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        merge_key=["account", "date"],
        columns={"deleted": {"data_type": "bool", "hard_delete": True}},
    )

    return dlt.source(lambda: resource(asked), name=_SOURCE)()


async def _records(asked: _Asked) -> AsyncGenerator[Any, None]:
    """Yield the records of the next stretch of time as columns, and store how far the table is then."""
    stored = dlt.current.resource_state()
    states = stored.setdefault("accounts", {})
    async with asked.client() as client:
        account = asked.account or (await client.me()).customer_id
        state = SyncState.from_json(states[account]) if account in states else None
        first, last = range_of(client, asked.start, asked.end, asked.settle)
        stretch = _stretch(state, first, last, asked)
        began = asyncio.get_running_loop().time()
        stream = client.cdrs.stream(
            stretch.start,
            stretch.end,
            unreadable=asked.unreadable,
            resume=resumable(stretch, None if state is None else state.order),
        )
        emptied = _days(stretch)
        async with stream, aclosing(stream.arrow()) as batches:
            async for batch in batches:
                table = _with_keys(batch, account)
                emptied.difference_update(table["date"].unique().to_pylist())
                yield table
    if stream.unreadable:
        _logger.warning("%s rows cannot be read and were left out", len(stream.unreadable))
    if emptied:
        yield _days_without_records(sorted(emptied), account)
    held = state or SyncState(stretch.start, stretch.start)
    # As in a sync: time that the API had not reached when it was asked is to be asked again.
    last = known_end(last, stream, began, asked.settle if asked.end is None else timedelta(0))
    reached = max(held.watermark, min(stretch.end, last))
    held = SyncState(min(held.first, stretch.start), reached, stream.proven_order)
    states[account] = held.to_json()
    stored["more"] = first < held.first or held.watermark < last


def load_cdrs(pipeline: Any, start: datetime, *, name: str = "cdrs", **options: Any) -> list[Any]:
    """Run a dlt pipeline until its table holds all call records from a start on, and return what dlt says of each run.

    Args:
        pipeline: The pipeline.
        start: The start of the time to load, timezone-aware.
        name: The name of the resource, and of its table.
        options: The other arguments of `cdrs_source`.

    Raises:
        ValueError, TypeError: An argument is not valid.
    """
    loaded = list[Any]()
    while True:
        loaded.append(pipeline.run(cdrs_source(start, name=name, **options)))
        if not pipeline.state["sources"][_SOURCE]["resources"][name]["more"]:
            return loaded


def _stretch(state: SyncState | None, start: datetime, end: datetime, asked: _Asked) -> Stretch:
    """Return what the next run asks: whole days, except at the start and at the end of what the table holds."""
    if state is None:
        return Stretch(start, min(end, _day(start) + asked.at_once))
    if start < state.first:
        # The day that the table begins in holds rows from `first` on alone, so it is asked as a whole.
        return Stretch(max(start, _day(state.first) - asked.at_once), min(_day(state.first) + _DAY, state.watermark))
    again = max(state.first, _day(state.watermark - min(asked.lookback, state.watermark - state.first)))
    return Stretch(again, max(state.watermark, min(end, state.watermark + asked.at_once)))


def _day(time: datetime) -> datetime:
    """Return the start of the UTC day of a time."""
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days(stretch: Stretch) -> set[date]:
    """Return the UTC days of a stretch."""
    first = _day(stretch.start)
    count = -((first - stretch.end) // _DAY)
    return {(first + number * _DAY).date() for number in range(count)}


def _with_keys(batch: pa.RecordBatch, account: str) -> pa.Table:
    """Return columns with those by which dlt replaces rows."""
    dates = batch.column("start_time").cast(pa.date32())
    deleted = pa.nulls(len(batch), pa.bool_())
    return pa.Table.from_arrays([pa.repeat(account, len(batch)), dates, deleted, *batch.columns], schema=_SCHEMA)


def _days_without_records(days: list[date], account: str) -> pa.Table:
    """Return a row for each day without a record, which has dlt remove what the table holds of the day."""
    rows = [
        {
            "account": account,
            "date": day,
            "deleted": True,
            "id": "",
            "start_time": datetime(day.year, day.month, day.day, tzinfo=UTC),
            "duration": 0,
            "billsec": 0,
        }
        for day in days
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)
