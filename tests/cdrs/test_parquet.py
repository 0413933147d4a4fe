"""Records in a Parquet file: whole or not there, and read by everybody as they are."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped] # it has no types
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pytest
from pyarrow import parquet

from tests.cdrs.calls import a_call, every_second, expected
from tests.cdrs.matrix import END, START
from tests.cdrs.raw_server import RawRow, RawServer, evenly, ids, row_text, served
from tests.cdrs.test_views import Gate
from tests.cli.support import names_in
from unlimcall_async import AsyncClient, CallRecord, columns, track
from unlimcall_async import _columns as module
from unlimcall_async._columns import ParquetWriter, to_records
from unlimcall_async.columns import SCHEMA, to_batch, write_parquet
from unlimcall_async.sandbox import Sandbox

ROWS = evenly(1000, START, timedelta(days=20))


def records_in(path: Path) -> list[CallRecord]:
    table = parquet.read_table(path)
    assert table.schema.equals(SCHEMA)
    return [record for batch in table.to_batches() for record in to_records(batch)]


async def test_a_file_has_all_that_is_left(sandbox: Sandbox, client: AsyncClient, tmp_path: Path) -> None:
    sandbox.add_calls(every_second(700))
    stream = client.cdrs.stream(START, END, page_size=100)
    first = await anext(aiter(stream))
    assert await write_parquet(stream, tmp_path / "calls.parquet") == 699
    assert [first, *records_in(tmp_path / "calls.parquet")] == expected(sandbox.calls)
    assert names_in(tmp_path) == ["calls.parquet"]
    assert await stream.to_list() == []
    # Again, over the file: all of nothing.
    assert await write_parquet(track(stream), str(tmp_path / "calls.parquet")) == 0
    assert records_in(tmp_path / "calls.parquet") == []


@pytest.mark.parametrize("name", [255 * "x", 127 * "ü"])
async def test_a_file_may_have_the_longest_name(client: AsyncClient, tmp_path: Path, name: str) -> None:
    assert await write_parquet(client.cdrs.stream(START, END), tmp_path / name) == 0
    assert names_in(tmp_path) == [name]


async def test_row_groups_are_large_and_compressed(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_ROWS", 300)
    sandbox.add_calls(every_second(700))
    await write_parquet(client.cdrs.stream(START, END), tmp_path / "calls.parquet")
    file = parquet.ParquetFile(tmp_path / "calls.parquet").metadata
    assert [file.row_group(number).num_rows for number in range(file.num_row_groups)] == [300, 300, 100]
    assert {file.row_group(0).column(number).compression for number in range(file.num_columns)} == {"ZSTD"}


@pytest.mark.slow
async def test_rows_with_a_large_extra_make_smaller_row_groups(tmp_path: Path) -> None:
    note = "x" * 100_000
    rows = [RawRow(row.start, row_text(row.start, f"{number}", note=f'"{note}"')) for number, row in enumerate(ROWS)]
    async with served(RawServer(rows)) as client:
        await write_parquet(client.cdrs.stream(START, END, page_size=100), tmp_path / "calls.parquet")
    file = parquet.ParquetFile(tmp_path / "calls.parquet")
    assert file.num_row_groups > 2
    assert [json.loads(text) for text in file.read().column("extra").to_pylist()] == [{"note": note}] * 1000


# --- whole, or not there ----------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize("way", ["cancel", "close", "server", "disk"])
async def test_what_fails_leaves_nothing_and_hands_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    path, gate = tmp_path / "calls.parquet", Gate(8)
    path.write_text("old")
    monkeypatch.setattr(module, "GROUP_ROWS", 150)
    async with served(RawServer(ROWS, "oldest_first", answer=gate.answer)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        begin = stream.checkpoint
        writing = asyncio.create_task(write_parquet(stream, path))
        await gate.wait_until_nothing_moves(stream)
        match way:
            case "cancel":
                writing.cancel()
            case "close":
                await stream.aclose()
            case "server":
                await client.aclose()
            case _:
                monkeypatch.setattr(ParquetWriter, "write", _full)
                gate.open()
        await asyncio.wait([writing])
        error = None if writing.cancelled() else writing.exception()
        assert type(error) is {"cancel": type(None), "close": RuntimeError, "disk": OSError}.get(way, type(error))
        assert path.read_text() == "old"
        assert names_in(tmp_path) == ["calls.parquet"]
        assert stream.checkpoint == begin
        monkeypatch.undo()
        gate.open()
        if way != "server":
            assert await write_parquet(stream, path) == 1000
            assert [record.id for record in records_in(path)] == ids(ROWS)


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_cancellation_waits_for_the_thread(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a thread writes, its file is neither closed nor removed."""
    entered, go_on, write = asyncio.Event(), threading.Event(), ParquetWriter.write
    loop = asyncio.get_running_loop()

    def slowly(writer: ParquetWriter, batch: pa.RecordBatch) -> None:
        loop.call_soon_threadsafe(entered.set)
        assert go_on.wait(30)
        write(writer, batch)

    monkeypatch.setattr(ParquetWriter, "write", slowly)
    sandbox.add_calls(every_second(10))
    stream = client.cdrs.stream(START, END)
    writing = asyncio.create_task(write_parquet(stream, tmp_path / "calls.parquet"))
    await entered.wait()
    for _ in range(2):
        writing.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    assert not writing.done()
    go_on.set()
    await asyncio.wait([writing])
    assert writing.cancelled()
    assert names_in(tmp_path) == []


@pytest.mark.rest_slow
@pytest.mark.parametrize("moment", ["before", "behind", "before, and again", "behind, and again"])
async def test_a_cancellation_at_any_step_leaves_the_whole_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path, steps, left = tmp_path / "calls.parquet", 0, list[bool]()

    class Cancelling(ThreadPoolExecutor):
        """Cancels the call before a step of its work, or behind that, when the loop does not know of its end."""

        done = 0

        def submit(self, *arguments: Any, **options: Any) -> Any:
            self.done += 1
            if self.done == steps and "before" in moment:
                writing.cancel()
            future = super().submit(*arguments, **options)
            if self.done == steps and "behind" in moment:
                future.exception()  # waits for its end
                writing.cancel()
            if self.done == steps + 1 and "again" in moment:
                writing.cancel()
            return future

    monkeypatch.setattr(columns, "ThreadPoolExecutor", Cancelling)
    async with served(RawServer(ROWS)) as client:
        stream = client.cdrs.stream(START, END)
        begin = stream.checkpoint
        while True:
            steps += 1
            writing = asyncio.create_task(write_parquet(stream, path))
            await asyncio.wait([writing])
            names = names_in(tmp_path)
            if not writing.cancelled():
                break
            assert names in ([], ["calls.parquet"])
            assert stream.checkpoint == begin
            left.append(bool(names))
            if names:
                assert [record.id for record in records_in(path)] == ids(ROWS)
                path.unlink()
        assert (writing.result(), names) == (1000, ["calls.parquet"])
    # Opened, written, put in place.
    assert left == [False, False, True]


def test_the_end_of_a_loop_waits_for_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`asyncio.run` cancels all tasks at its end: the file is removed once the thread has written."""
    entered, go_on, write, names = asyncio.Event(), threading.Event(), ParquetWriter.write, list[str]()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def slowly(writer: ParquetWriter, batch: pa.RecordBatch) -> None:
            loop.call_soon_threadsafe(entered.set)
            assert go_on.wait(30)
            write(writer, batch)
            names.extend(names_in(tmp_path))

        async def go_on_late() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(100):
                    await asyncio.sleep(0)
                go_on.set()

        monkeypatch.setattr(ParquetWriter, "write", slowly)
        async with served(RawServer(ROWS)) as client:
            tasks = [write_parquet(client.cdrs.stream(START, END), tmp_path / "calls.parquet"), go_on_late()]
            kept.extend(map(asyncio.ensure_future, tasks))
            await entered.wait()

    kept = list[Any]()
    asyncio.run(main())
    assert all(task.cancelled() for task in kept)
    assert len(names) == 1
    assert names_in(tmp_path) == []


async def test_what_cannot_be_a_file_is_refused_before_anything_is_asked(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    stream: Any = client.cdrs.stream(START, END)
    with pytest.raises(IsADirectoryError):
        await write_parquet(stream, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"path must be in a folder that exists: '.*/none/calls.parquet'"):
        await write_parquet(stream, tmp_path / "none" / "calls.parquet")
    for other in (client.cdrs.follow(START), track(client.cdrs.follow(START)), None):
        with pytest.raises(TypeError, match="stream must be a CdrStream"):
            await write_parquet(other, tmp_path / "calls.parquet")  # type: ignore[arg-type]
    assert not sandbox.requests
    assert names_in(tmp_path) == []


async def test_a_link_stays_a_link(sandbox: Sandbox, client: AsyncClient, tmp_path: Path) -> None:
    sandbox.add_calls(every_second(10))
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.parquet"
    link.symlink_to(tmp_path / "folder" / "calls.parquet")
    await write_parquet(client.cdrs.stream(START, END), link)
    assert link.is_symlink()
    assert len(records_in(tmp_path / "folder" / "calls.parquet")) == 10


# --- other readers ----------------------------------------------------------------------------------------------------

ODD = [
    CallRecord("1", datetime(2026, 1, 1, tzinfo=UTC), -(2**63), 2**63 - 1),
    CallRecord("2\0", datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), 0, 0, "\0", "", "é😀\u2028", "\t", -1, "USD", "", None),
    CallRecord("3", datetime(1, 1, 1, tzinfo=UTC), 1, 1, extra={"big": 2**70, "rate": Decimal("0.10"), "text": "x" * 70_000}),
    CallRecord("4", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 1, 1, sell_price_cents=2**63 - 1),
]  # fmt: skip
NAMES = [name for name in SCHEMA.names if name != "start_time"]
VALUES = [[getattr(record, name) for name in NAMES if name != "extra"] for record in ODD]


@contextmanager
def duck(path: Path, table: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("calls_of_table", table)
        connection.execute(
            "CREATE VIEW calls_of_file AS SELECT * FROM read_parquet($path)".replace("$path", f"'{path}'")
        )
        yield connection


def written(path: Path, records: list[CallRecord]) -> pa.Table:
    batch = to_batch(records)
    with path.open("wb") as file:
        writer = ParquetWriter(file)
        writer.write(batch)
        writer.close()
    return pa.Table.from_batches([batch])


def test_pyarrow_reads_back_what_was_written(tmp_path: Path) -> None:
    written(tmp_path / "calls.parquet", ODD)
    assert records_in(tmp_path / "calls.parquet") == ODD


def test_polars_reads_the_table_and_the_file(tmp_path: Path) -> None:
    table = written(tmp_path / "calls.parquet", ODD)
    of_table = pl.from_arrow(table)
    assert isinstance(of_table, pl.DataFrame)
    of_file = pl.read_parquet(tmp_path / "calls.parquet")
    for frame in (of_table, of_file):
        whole = {"duration", "billsec", "sell_price_cents"}
        assert frame.schema == {
            name: pl.Int64 if name in whole else pl.Datetime("us", "UTC") if name == "start_time" else pl.String
            for name in SCHEMA.names
        }
        assert [[row[name] for name in NAMES if name != "extra"] for row in frame.to_dicts()] == VALUES
        assert frame["start_time"].to_list() == [record.start_time for record in ODD]
        assert json.loads(frame["extra"][2], parse_float=Decimal) == ODD[2].extra


def test_duckdb_reads_the_table_and_the_file(tmp_path: Path) -> None:
    table = written(tmp_path / "calls.parquet", ODD)
    with duck(tmp_path / "calls.parquet", table) as connection:
        for name in ("calls_of_table", "calls_of_file"):
            relation = connection.sql(f"SELECT * FROM {name}")  # noqa: S608 # one of two names
            types = dict(zip(relation.columns, map(str, relation.types), strict=True))
            whole = {"duration", "billsec", "sell_price_cents"}
            assert types == {
                each: "BIGINT" if each in whole else "TIMESTAMP WITH TIME ZONE" if each == "start_time" else "VARCHAR"
                for each in SCHEMA.names
            }
            rows = relation.select(*NAMES).fetchall()
            assert [list(row[:-1]) for row in rows] == VALUES
            assert json.loads(rows[2][-1], parse_float=Decimal) == ODD[2].extra
            micros = connection.sql(f"SELECT epoch_us(start_time) FROM {name}").fetchall()  # noqa: S608 # as above
            assert [row[0] for row in micros] == table.column("start_time").cast(pa.int64()).to_pylist()
            (counted,) = connection.sql(f"SELECT count(*) FROM {name}").fetchall()  # noqa: S608 # as above
            assert counted == (len(ODD),)


def test_pandas_reads_the_table_and_the_file(tmp_path: Path) -> None:
    table = written(tmp_path / "calls.parquet", ODD)
    of_file = pd.read_parquet(tmp_path / "calls.parquet", dtype_backend="pyarrow")
    for frame in (table.to_pandas(types_mapper=pd.ArrowDtype), of_file):
        assert frame["start_time"].dtype == pd.ArrowDtype(pa.timestamp("us", tz="UTC"))
        assert frame["sell_price_cents"].dtype == pd.ArrowDtype(pa.int64())
        back = pa.Table.from_pandas(frame, preserve_index=False)
        assert back.column("duration").to_pylist() == [record.duration for record in ODD]
        for name in SCHEMA.names:
            assert back.column(name).cast(SCHEMA.field(name).type).equals(table.column(name)), name
    assert len(pd.read_parquet(tmp_path / "calls.parquet")) == len(ODD)


async def test_a_table_of_a_stream_is_read_and_counted_by_all(
    sandbox: Sandbox, client: AsyncClient, tmp_path: Path
) -> None:
    # Equal legs are rows, too.
    sandbox.add_calls([*every_second(500), a_call(START, 0), a_call(START, 0)])
    table = await client.cdrs.stream(START, END).to_arrow()
    path = tmp_path / "calls.parquet"
    await write_parquet(client.cdrs.stream(START, END), path)
    assert parquet.read_table(path).equals(table)
    assert len(pl.DataFrame(table)) == len(pl.read_parquet(path)) == len(pd.read_parquet(path)) == 502
    with duck(path, table) as connection:
        for name in ("calls_of_table", "calls_of_file"):
            assert connection.sql(f"SELECT count(*), count(DISTINCT id) FROM {name}").fetchall() == [(502, 500)]  # noqa: S608
    assert to_records(table.to_batches()[0]) == expected(sandbox.calls)
