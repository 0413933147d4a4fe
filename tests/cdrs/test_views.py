"""A stream as columns, as a table and as a list: one position with the other views, the same records, errors and checkpoints."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cdrs.calls import a_call, every_second, expected, rest_of
from tests.cdrs.matrix import END, START
from tests.cdrs.raw_server import RawRow, RawServer, evenly, ids, row_text, served
from tests.cdrs.test_unreadable import WITH_A_START, WITHOUT_A_START, bad
from unlimcall_async import (
    AsyncClient,
    CallRecord,
    CdrStream,
    Checkpoint,
    ResponseError,
    ServerError,
    WindowSaturatedError,
    _columns,
)
from unlimcall_async._columns import to_records
from unlimcall_async.cdrs import views
from unlimcall_async.columns import SCHEMA
from unlimcall_async.sandbox import Sandbox, Status

SECOND = timedelta(seconds=1)


async def batches_of(stream: CdrStream, rows: int) -> list[pa.RecordBatch]:
    return [batch async for batch in stream.arrow(rows)]


def records_of(batches: list[pa.RecordBatch]) -> list[CallRecord]:
    return [record for batch in batches for record in to_records(batch)]


@pytest.mark.rest_slow
@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize(("rows", "sizes"), [(300, [300, 300, 100]), (700, [700]), (7, [7] * 100), (65_536, [700])])
async def test_batches_have_so_many_rows_and_the_last_is_shorter(
    sandbox: Sandbox, client: AsyncClient, rows: int, sizes: list[int], newest: bool
) -> None:
    sandbox.add_calls(every_second(700))
    stream = client.cdrs.stream(START, END, page_size=100, newest_first=newest)
    batches = await batches_of(stream, rows)
    assert [batch.num_rows for batch in batches] == sizes
    assert all(batch.schema.equals(SCHEMA) for batch in batches)
    assert records_of(batches) == expected(sandbox.calls)[:: -1 if newest else 1]
    assert stream.stats.records == 700


@pytest.mark.slow
async def test_a_batch_has_65_536_rows_if_nothing_is_said(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(70_000))
    end = START + 70_000 * SECOND
    assert [batch.num_rows async for batch in client.cdrs.stream(START, end).arrow()] == [65_536, 4_464]


async def test_a_batch_with_long_texts_is_handed_out_before_it_has_all_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(views, "_MOST_BYTES", 100_000)
    starts = [row.start for row in evenly(200, START, timedelta(days=20))]
    rows = [RawRow(at, row_text(at, f"{number}", did=f'"{"x" * 2000}"')) for number, at in enumerate(starts)]
    async with served(RawServer(rows)) as client:
        batches = await batches_of(client.cdrs.stream(START, END, page_size=10), 200)
    # Sixteen pages become columns at once.
    assert max(batch.num_rows for batch in batches) <= 160
    assert ids_of(batches) == ids(rows)


async def test_an_empty_range_has_no_batch_and_an_empty_table(client: AsyncClient) -> None:
    assert await batches_of(client.cdrs.stream(START, END), 10) == []
    table = await client.cdrs.stream(START, END).to_arrow()
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == 0
    assert await client.cdrs.stream(START, END).to_list() == []


async def test_a_table_and_a_list_hold_all_that_is_left(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(700))
    for view in ("to_arrow", "to_list"):
        stream = client.cdrs.stream(START, END, page_size=100)
        got = [await anext(aiter(stream)) for _ in range(130)]
        rest = await getattr(stream, view)()
        got += rest if view == "to_list" else records_of(rest.to_batches())
        assert got == expected(sandbox.calls)
        assert stream.checkpoint == client.cdrs.stream(START, END, resume=stream.checkpoint).checkpoint
        assert await getattr(stream, view)() == ([] if view == "to_list" else SCHEMA.empty_table())


@pytest.mark.parametrize("rows", [0, -1, True, 1.0, "5", None])
async def test_rows_must_be_a_whole_number(client: AsyncClient, rows: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="rows must be"):
        client.cdrs.stream(START, END).arrow(rows)


@pytest.mark.slow
def test_without_pyarrow_a_stream_says_what_to_install() -> None:
    program = """
import asyncio, sys
from datetime import UTC, datetime
import unlimcall_async
assert "pyarrow" not in sys.modules
sys.modules["pyarrow"] = None
async def main():
    async with unlimcall_async.AsyncClient("token") as client:
        stream = client.cdrs.stream(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
        assert await stream.to_list() == []
        try: stream.arrow()
        except ImportError as error: print(error)
        try: await stream.to_arrow()
        except ImportError as error: print(error)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 # ours
    assert done.stdout.count("needs the extra `arrow`: pip install 'unlimcall-async[arrow]'") == 2


# --- one position -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None)
@given(st.data(), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=40), st.booleans())
def test_any_mixture_of_views_hands_out_each_record_once(
    data: st.DataObject, starts: list[tuple[int, int]], newest: bool
) -> None:
    # Calls share instants and ids, and some are equal: a batch may end between two legs.
    calls = [a_call(START + second * SECOND, number) for second, number in starts]
    options = {"page_size": 50, "newest_first": newest}

    async def mix() -> None:
        async with Sandbox(order="arbitrary") as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
            sandbox.add_calls(calls)
            whole, got = expected(calls, newest_first=newest), list[CallRecord]()
            stream = client.cdrs.stream(START, END, **options)  # type: ignore[arg-type]
            while len(got) < len(whole):
                match data.draw(st.sampled_from(["record", "batch", "arrow", "resume", "table"])):
                    case "record":
                        got += await first_of(aiter(stream), 3)
                    case "batch":
                        got += [record for batch in await first_of(stream.batches(), 1) for record in batch]
                    case "arrow":
                        rows = data.draw(st.integers(1, 9))
                        batches = await first_of(stream.arrow(rows), 2)
                        assert all(len(batch) == rows for batch in batches[:-1])
                        got += records_of(batches)
                    case "table":
                        got += records_of((await stream.to_arrow()).to_batches())
                        assert len(got) == len(whole)
                    case _:
                        resume = Checkpoint.from_json(stream.checkpoint.to_json())
                        stream = client.cdrs.stream(START, END, resume=resume, **options)  # type: ignore[arg-type]
                assert got == whole[: len(got)]
            assert await stream.to_list() == []

    asyncio.run(mix())


async def first_of(iterator: AsyncGenerator[Any, None], most: int) -> list[Any]:
    got = []
    async with aclosing(iterator) as items:
        async for item in items:
            got.append(item)
            if len(got) == most:
                break
    return got


async def test_two_iterations_at_once_are_refused(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(100))
    stream = client.cdrs.stream(START, END)
    arrow = stream.arrow(10)
    got = [await anext(arrow)]
    for other in (stream.to_list(), stream.to_arrow(), rest_of(stream), anext(stream.arrow())):
        with pytest.raises(RuntimeError, match="iterated already"):
            await other
    got += [batch async for batch in arrow]
    assert records_of(got) == expected(sandbox.calls)
    both = await asyncio.gather(stream.to_list(), stream.to_list(), return_exceptions=True)
    assert [type(outcome) for outcome in both] == [list, RuntimeError]


# --- cut short --------------------------------------------------------------------------------------------------------


class Gate:
    """Lets so many requests through. The others wait until it is opened."""

    def __init__(self, requests: int) -> None:
        self.left = requests
        self.waiting = 0
        self._opened = asyncio.Event()

    async def answer(self, _first: datetime, _last: datetime) -> None:
        self.left -= 1
        if self.left < 0:
            self.waiting += 1
            try:
                await self._opened.wait()
            finally:
                self.waiting -= 1

    def open(self) -> None:
        self._opened.set()

    async def wait_until_nothing_moves(self, stream: CdrStream) -> None:
        """Return when the stream has taken all records that the gate lets through."""
        taken = -1
        while not (self.waiting and taken == stream.progress.records > 0):
            taken = stream.progress.records
            for _ in range(100):
                await asyncio.sleep(0)


ROWS = evenly(1000, START, timedelta(days=20))


@asynccontextmanager
async def half_way(
    view: Callable[[CdrStream], Coroutine[Any, Any, Any]],
) -> AsyncIterator[tuple[CdrStream, AsyncClient]]:
    """Cancel a view while it waits for an answer, behind some hundred records, and then let the server answer."""
    gate = Gate(8)
    async with served(RawServer(ROWS, "oldest_first", answer=gate.answer)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        reader = asyncio.create_task(view(stream))
        await gate.wait_until_nothing_moves(stream)
        assert 100 < stream.progress.records < 1000
        reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        gate.open()
        yield stream, client


async def one_batch(stream: CdrStream) -> pa.RecordBatch:
    return await anext(stream.arrow(1000))


def ids_of(batches: list[pa.RecordBatch]) -> list[str]:
    return [each for batch in batches for each in batch.column("id").to_pylist()]


async def rest_by(stream: CdrStream, view: str) -> list[str]:
    match view:
        case "records":
            return [record.id async for record in stream]
        case "batches":
            return [record.id async for batch in stream.batches() for record in batch]
        case "to_list":
            return [record.id for record in await stream.to_list()]
        case "to_arrow":
            return ids_of((await stream.to_arrow()).to_batches())
        case _:
            return ids_of(await batches_of(stream, int(view.removeprefix("arrow "))))


VIEWS = ["records", "batches", "to_list", "to_arrow", "arrow 1000", "arrow 30"]


@pytest.mark.rest_slow
@pytest.mark.parametrize("view", VIEWS)
async def test_a_batch_that_is_not_full_is_handed_out_by_the_next_view(view: str) -> None:
    async with half_way(one_batch) as (stream, client):
        assert stream.checkpoint == client.cdrs.stream(START, END).checkpoint
        resumed = client.cdrs.stream(START, END, resume=stream.checkpoint)
        assert await rest_by(resumed, view) == ids(ROWS)
        assert await rest_by(stream, view) == ids(ROWS)
        assert stream.stats.records == 1000


async def test_a_batch_that_takes_longer_than_its_reader_waits_still_comes() -> None:
    async with half_way(one_batch) as (stream, _client):
        requests = stream.stats.requests
        batch = await one_batch(stream)
        assert ids_of([batch]) == ids(ROWS)
        # Nothing is asked again but what was under way.
        assert stream.stats.requests <= requests + 8


@pytest.mark.rest_slow
@pytest.mark.parametrize("whole", ["to_list", "to_arrow"])
@pytest.mark.parametrize("view", VIEWS)
async def test_a_table_or_list_that_was_cancelled_has_handed_out_nothing(whole: str, view: str) -> None:
    async with half_way(lambda stream: getattr(stream, whole)()) as (stream, client):
        assert stream.checkpoint == client.cdrs.stream(START, END).checkpoint
        assert await rest_by(stream, view) == ids(ROWS)
        assert stream.stats.records == 1000


@pytest.mark.parametrize("whole", ["to_list", "to_arrow"])
async def test_a_stream_that_is_closed_is_no_short_table(whole: str) -> None:
    gate = Gate(8)
    async with served(RawServer(ROWS, "oldest_first", answer=gate.answer)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        reader = asyncio.create_task(getattr(stream, whole)())
        await gate.wait_until_nothing_moves(stream)
        await stream.aclose()
        with pytest.raises(RuntimeError, match="nothing was handed out"):
            await reader
        gate.open()
        assert await rest_by(stream, whole) == ids(ROWS)


async def test_a_stream_that_is_closed_keeps_the_batch_that_is_not_full() -> None:
    gate = Gate(8)
    async with served(RawServer(ROWS, "oldest_first", answer=gate.answer)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        reader = asyncio.create_task(batches_of(stream, 1000))
        await gate.wait_until_nothing_moves(stream)
        await stream.aclose()
        assert await reader == []
        gate.open()
        assert ids_of(await batches_of(stream, 1000)) == ids(ROWS)


# --- errors -----------------------------------------------------------------------------------------------------------


async def until_error(iterator: AsyncGenerator[Any, None], error: type[Exception]) -> tuple[list[Any], Any]:
    got = []

    async def read() -> None:
        async for item in iterator:
            got.append(item)  # noqa: PERF401 # what came before the error counts

    with pytest.raises(error) as caught:
        await read()
    return got, caught.value


@pytest.mark.slow
async def test_a_saturated_instant_comes_behind_all_records_before_it(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls([*every_second(100), *(a_call(START + 60.5 * SECOND, 1000 + number) for number in range(30))])
    stream = client.cdrs.stream(START, END, page_size=20)
    batches, error = await until_error(stream.arrow(50), WindowSaturatedError)
    before = [record for record in expected(sandbox.calls) if record.start_time < error.start]
    assert [batch.num_rows for batch in batches] == [50, len(before) - 50]
    assert records_of(batches) == before
    # The same error again, and nothing is lost.
    assert (await until_error(stream.arrow(50), WindowSaturatedError))[0] == []
    behind = client.cdrs.stream(START, END, page_size=20, resume=error.resume_after)
    rest = [record for record in expected(sandbox.calls) if record.start_time >= error.end]
    assert records_of(await batches_of(behind, 50)) == rest


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    "texts", [WITH_A_START["65 bits"][0], WITH_A_START["half of an escaped surrogate pair"][0], WITHOUT_A_START["null"]]
)
async def test_a_row_that_cannot_be_read_comes_behind_all_records_before_it(texts: dict[str, str]) -> None:
    at = ROWS[500].start
    async with served(RawServer([*ROWS, bad(texts, at)])) as client:
        stream = client.cdrs.stream(START, END)
        batches, error = await until_error(stream.arrow(300), ResponseError)
        assert [batch.num_rows for batch in batches] == [300, 201 if "startTime" not in texts else 200]
        rest = client.cdrs.stream(START, END, resume=error.resume_after)
        assert ids_of([*batches, *await batches_of(rest, 300)]) == ids(ROWS)
        for view in (stream.to_arrow, stream.to_list):
            with pytest.raises(ResponseError) as caught:
                await view()
            assert "nothing was handed out" in caught.value.__notes__[0]


async def test_a_server_that_fails_costs_no_record(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(every_second(700))
    stream = client.cdrs.stream(START, END, page_size=50)
    arrow = stream.arrow(200)
    sandbox.settings.order = "oldest_first"
    sandbox.inject(Status(500), times=None, skip=12)
    got, _ = await until_error(arrow, ServerError)
    assert 100 < sum(map(len, got)) < 700
    assert all(len(batch) == 200 for batch in got[:-1])
    sandbox.clear_faults()
    assert records_of(got + [batch async for batch in arrow]) == expected(sandbox.calls)


@pytest.mark.parametrize("place", [20, 450, 730])
async def test_what_fails_while_records_become_columns_costs_no_record(
    monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """A part becomes columns at once if one of its records has an `extra`: the first part of a batch, and a later one."""
    rows = [*ROWS]
    rows[place] = RawRow(ROWS[place].start, row_text(ROWS[place].start, f"{place}", note='"x"'))
    texts: Iterator[str | Exception] = chain([MemoryError()], repeat("{}"))

    def extra_to_json(_extra: object) -> str:
        text = next(texts)
        if isinstance(text, Exception):
            raise text
        return text

    monkeypatch.setattr(_columns, "extra_to_json", extra_to_json)
    async with served(RawServer(rows)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        got, _ = await until_error(stream.arrow(300), MemoryError)
        assert stream.stats.records == sum(map(len, got)) <= place
        resumed = client.cdrs.stream(START, END, resume=stream.checkpoint)
        for rest in (resumed, stream):
            assert ids_of(got + await batches_of(rest, 300)) == ids(rows)


@pytest.mark.slow
async def test_rows_that_cannot_be_read_show_with_the_batch_that_goes_past_them() -> None:
    places = range(100, 1000, 90)
    spoiled = [bad({"duration": "null", "id": f'"bad {place}"'}, ROWS[place].start) for place in places]
    async with served(RawServer([*ROWS, *spoiled])) as client:
        stream, kept, got = client.cdrs.stream(START, END, unreadable="keep"), list[bytes](), list[str]()
        async for batch in stream.arrow(150):
            got += ids_of([batch])
            assert len(batch) == 150 or len(got) == 1000
            passed = sum(place < len(got) for place in places)
            assert len(stream.unreadable) == stream.stats.unreadable == passed
            # A run that ends here, and another that goes on, have each such row once.
            rest = client.cdrs.stream(START, END, unreadable="keep", resume=stream.checkpoint)
            assert got + ids_of(await batches_of(rest, 999)) == ids(ROWS)
            kept = [row.body for row in [*stream.unreadable, *rest.unreadable]]
            assert kept == [row.text for row in spoiled]


async def test_rows_that_cannot_be_read_do_not_show_before_their_batch() -> None:
    gate = Gate(8)
    rows = [*ROWS, bad({"duration": "null"}, ROWS[50].start), bad(WITHOUT_A_START["null"], ROWS[70].start)]
    async with served(RawServer(rows, "oldest_first", answer=gate.answer)) as client:
        stream = client.cdrs.stream(START, END, page_size=100, unreadable="keep")
        reader = asyncio.create_task(one_batch(stream))
        await gate.wait_until_nothing_moves(stream)
        assert (stream.unreadable, stream.stats.unreadable) == ([], 0)
        reader.cancel()
        await asyncio.wait([reader])
        gate.open()
        assert await rest_by(stream, "records") == ids(ROWS)
        assert len(stream.unreadable) == stream.stats.unreadable == 2
