"""The ways that `sync.py` compares: each writes the call records of a server into a destination.

    python benchmarks/sync_ways.py sqlite.sync sqlite:///calls.db http://127.0.0.1:8080
    python benchmarks/sync_ways.py sqlite.sync sqlite:///calls.db http://127.0.0.1:8080 --later

This command runs one way, and prints its cost as JSON. With `--later` it does what the way does a day later, on the same table.

What a user would write goes through the same stream as `sync_cdrs`, so the ways differ in how they write alone.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote, unquote

from attrs import field, frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.records_server import END, START
from benchmarks.records_ways import peak_memory
from unlimcall_async import AsyncClient, CallRecord, Observation, Observer, RateLimits
from unlimcall_async.sync import sync_cdrs

LOOKBACK: Final = timedelta(days=2)
ACCOUNT: Final = "acme"
# Rows that a user writes in a transaction.
_CHUNK: Final = 10_000

_FIELDS: Final = (
    "id", "start_time", "duration", "billsec", "src", "dst", "disposition", "sip_username", "sell_price_cents",
    "currency", "country", "did",
)  # fmt: skip
_values: Final = attrgetter(*_FIELDS)


@frozen
class Task:
    """What a way has to do.

    Attributes:
        url: The destination.
        server: The URL of the API.
        start: The start of the range to ask; `sync_cdrs` knows the start of a later run itself.
        end: The end of that range.
        is_first: Whether the table is to be made.
    """

    url: str
    server: str
    start: datetime
    end: datetime
    is_first: bool

    @property
    def file(self) -> str:
        """The path of a destination that is a file."""
        return self.url.partition(":///")[2]


@frozen
class Cost:
    """The cost of one run.

    Attributes:
        wall: Wall seconds.
        cpu: CPU seconds of this process.
        peak: Peak memory of this process in bytes.
        requests: Answers to CDR requests.
        written: Rows that were inserted, revised or removed; for a way that does not know, all rows that it handed over.
        counts: What `sync_cdrs` returned: the rows inserted, revised, removed and unchanged.
    """

    wall: float
    cpu: float
    peak: int
    requests: int
    written: int
    counts: Mapping[str, int] = field(factory=dict)


@frozen
class Written:
    """What a way returns: the requests, the rows that it wrote, and for `sync_cdrs` what these were."""

    requests: int
    written: int
    counts: Mapping[str, int] = field(factory=dict)


# --- ours -----------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _client(server: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("unl_live_benchmark", base_url=server, rate_limits=RateLimits.unlimited()) as client:
        yield client


async def _sync(task: Task) -> Written:
    async with _client(task.server) as client:
        start = task.start if task.is_first else None
        result = await sync_cdrs(client, task.url, start, end=task.end, lookback=LOOKBACK, account=ACCOUNT)
    counts = {name: getattr(result, name) for name in ("inserted", "revised", "removed", "unchanged")}
    return Written(result.requests, result.inserted + result.revised + result.removed, counts)


# --- what a user would write ------------------------------------------------------------------------------------------------


async def _written(task: Task, write: Callable[[Sequence[CallRecord]], object]) -> Written:
    """Loop over the records, and write them in chunks."""
    waiting, count = list[CallRecord](), 0
    async with _client(task.server) as client:
        stream = client.cdrs.stream(task.start, task.end)
        async for record in stream:
            waiting.append(record)
            if len(waiting) == _CHUNK:
                write(waiting)
                count, waiting = count + len(waiting), []
        if waiting:
            write(waiting)
    return Written(stream.stats.requests, count + len(waiting))


async def _pull(task: Task) -> Written:
    return await _written(task, len)


def _upsert(mark: str) -> str:
    columns, values = ", ".join(_FIELDS), ", ".join([mark] * len(_FIELDS))
    fresh = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS[1:])
    return f"INSERT INTO cdrs ({columns}) VALUES ({values}) ON CONFLICT (id) DO UPDATE SET {fresh}"  # noqa: S608 # ours


def _table(text: str, integer: str, moment: str) -> str:
    types = {"id": f"{text} PRIMARY KEY", "start_time": moment}
    types |= dict.fromkeys(("duration", "billsec", "sell_price_cents"), integer)
    return f"CREATE TABLE IF NOT EXISTS cdrs ({', '.join(f'{name} {types.get(name, text)}' for name in _FIELDS)})"


async def _sqlite_loop(task: Task) -> Written:
    connection, upsert = sqlite3.connect(task.file), _upsert("?")
    connection.execute(_table("TEXT", "INTEGER", "TEXT"))
    connection.execute("CREATE INDEX IF NOT EXISTS cdrs_start_time ON cdrs (start_time)")

    def write(records: Sequence[CallRecord]) -> None:
        rows = [_values(record) for record in records]
        with connection:
            connection.executemany(upsert, [(row[0], row[1].isoformat(), *row[2:]) for row in rows])

    written = await _written(task, write)
    connection.close()
    return written


async def _postgres_loop(task: Task) -> Written:
    connection, upsert = importlib.import_module("psycopg").connect(task.url), _upsert("%s")
    connection.execute(_table("text", "bigint", "timestamptz"))
    connection.execute("CREATE INDEX IF NOT EXISTS cdrs_start_time ON cdrs (start_time)")

    def write(records: Sequence[CallRecord]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(upsert, [_values(record) for record in records])
        connection.commit()

    written = await _written(task, write)
    connection.close()
    return written


def _frames(write: Callable[[Any, int], object]) -> Callable[[Sequence[CallRecord]], object]:
    """Return what writes records, given what writes a DataFrame and its number."""
    pandas, count = importlib.import_module("pandas"), 0

    def written(records: Sequence[CallRecord]) -> None:
        nonlocal count
        count += 1
        write(pandas.DataFrame([_values(record) for record in records], columns=_FIELDS), count)

    return written


async def _sqlite_frames(task: Task) -> Written:
    connection = sqlite3.connect(task.file)
    written = await _written(
        task, _frames(lambda frame, _: frame.to_sql("cdrs", connection, if_exists="append", index=False))
    )
    connection.close()
    return written


async def _postgres_frames(task: Task) -> Written:
    engine = importlib.import_module("sqlalchemy").create_engine(task.url.replace("postgresql", "postgresql+psycopg"))
    written = await _written(
        task, _frames(lambda frame, _: frame.to_sql("cdrs", engine, if_exists="append", index=False))
    )
    engine.dispose()
    return written


async def _duckdb_frames(task: Task) -> Written:
    connection = importlib.import_module("duckdb").connect(task.file)
    connection.execute(_table("VARCHAR", "BIGINT", "TIMESTAMPTZ").replace(" PRIMARY KEY", ""))
    written = await _written(
        task, _frames(lambda frame, _: connection.register("frame", frame).execute("INSERT INTO cdrs FROM frame"))
    )
    connection.close()
    return written


def _made(task: Task) -> Path:
    folder = Path(task.file)
    folder.mkdir()
    return folder


async def _parquet_frames(task: Task) -> Written:
    folder = _made(task)
    return await _written(
        task, _frames(lambda frame, number: frame.to_parquet(folder / f"{number:06}.parquet", index=False))
    )


async def _dlt(task: Task) -> Written:
    dlt, requests, count = importlib.import_module("dlt"), 0, 0

    async def calls() -> AsyncIterator[Any]:
        nonlocal requests, count
        async with _client(task.server) as client:
            stream = client.cdrs.stream(task.start, task.end)
            async for batch in stream.arrow():
                count += batch.num_rows
                yield batch
            requests = stream.stats.requests

    with _pipeline(task) as (pipeline, form):
        resource = dlt.resource(calls, name="cdrs", write_disposition="merge", primary_key="id")
        await asyncio.to_thread(pipeline.run, resource, loader_file_format=form)
    return Written(requests, count)


class _Requests(Observer):
    """Counts the requests of a client."""

    def __init__(self) -> None:
        self.count = 0

    def attempt(self, _info: Observation, /) -> None:
        self.count += 1


async def _dlt_source(task: Task) -> Written:
    load, requests = importlib.import_module("unlimcall_async.integrations.dlt").load_cdrs, _Requests()

    def client() -> AsyncClient:
        return AsyncClient(
            "unl_live_benchmark", base_url=task.server, rate_limits=RateLimits.unlimited(), observer=requests
        )

    with _pipeline(task) as (pipeline, _):
        await asyncio.to_thread(load, pipeline, task.start, end=task.end, account=ACCOUNT, client=client)
        with pipeline.sql_client() as sql:
            ((count,),) = sql.execute_sql("SELECT count(*) FROM cdrs")
    return Written(requests.count, count)


@contextmanager
def _pipeline(task: Task) -> Iterator[tuple[Any, str]]:
    """Make a pipeline of dlt to the destination, and yield it with the fastest format of files for it."""
    dlt = importlib.import_module("dlt")
    if task.url.startswith("duckdb"):
        destination, schema, form = dlt.destinations.duckdb(task.file), "main", "parquet"
    else:
        # dlt reads no host of the parameters.
        user, _, rest = task.url.partition("@/")
        database, _, host = rest.partition("?host=")
        url = f"{user}@{quote(unquote(host), safe='')}/{database}" if host else task.url
        destination, schema, form = dlt.destinations.postgres(url), "public", "csv"
    with TemporaryDirectory() as folder:
        yield dlt.pipeline("calls", destination=destination, dataset_name=schema, pipelines_dir=folder), form


# --- all of them ----------------------------------------------------------------------------------------------------------


@frozen
class Way:
    """A way to bring records into a destination.

    Attributes:
        name: The name in the table.
        run: Does it.
        needs: The packages that the way needs.
        later: Whether a run a day later is measured, too.
    """

    name: str
    run: Callable[[Task], Awaitable[Written]]
    needs: tuple[str, ...] = ()
    later: bool = False


_LOOP: Final = "loop, executemany, upsert by id"
# By destination and way. `sync` is the base of the ratios of its destination.
WAYS: Final[Mapping[str, Way]] = {
    "none.pull": Way("pull alone", _pull),
    "sqlite.sync": Way("sync_cdrs", _sync, later=True),
    "sqlite.loop": Way(_LOOP, _sqlite_loop, later=True),
    "sqlite.pandas": Way("pandas to_sql, append", _sqlite_frames, ("pandas",)),
    "duckdb.sync": Way("sync_cdrs", _sync, ("duckdb",), later=True),
    "duckdb.pandas": Way("pandas, INSERT FROM frame", _duckdb_frames, ("pandas", "duckdb")),
    "duckdb.dlt": Way("dlt, merge by id", _dlt, ("dlt", "duckdb")),
    "duckdb.source": Way("integrations.dlt, by days", _dlt_source, ("dlt", "duckdb")),
    "postgres.sync": Way("sync_cdrs", _sync, ("psycopg",), later=True),
    "postgres.loop": Way(_LOOP, _postgres_loop, ("psycopg",), later=True),
    "postgres.pandas": Way("pandas to_sql, append", _postgres_frames, ("pandas", "sqlalchemy", "psycopg")),
    "postgres.dlt": Way("dlt, merge by id", _dlt, ("dlt", "psycopg2")),
    "postgres.source": Way("integrations.dlt, by days", _dlt_source, ("dlt", "psycopg2")),
    "parquet.sync": Way("sync_cdrs", _sync, ("pyarrow",), later=True),
    "parquet.pandas": Way("pandas to_parquet, files", _parquet_frames, ("pandas", "pyarrow")),
}


def lacking(way: str) -> list[str]:
    """Return the packages of a way that are not installed."""
    return [package for package in WAYS[way].needs if find_spec(package) is None]


async def _warm_up(server: str) -> None:
    """Ask for one page, so that what the first request imports does not count."""
    async with _client(server) as client:
        await client.cdrs.list(START, START + timedelta(days=1))


async def _awaited(run: Awaitable[Written]) -> Written:
    return await run


def cost_of(way: str, task: Task) -> Cost:
    """Run a way once, in this process, and return its cost."""
    for package in WAYS[way].needs:
        importlib.import_module(package)
    asyncio.run(_warm_up(task.server))
    began, began_at = time.process_time(), time.perf_counter()
    written = asyncio.run(_awaited(WAYS[way].run(task)))
    cpu, wall = time.process_time() - began, time.perf_counter() - began_at
    return Cost(wall, cpu, peak_memory(), written.requests, written.written, written.counts)


def main() -> None:
    """Run one way, and print its cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("url", help="the destination")
    parser.add_argument("server", help="the API")
    parser.add_argument("--later", action="store_true", help="run as a day later")
    given = parser.parse_args()
    # Files beside this one have the names of packages that other packages import.
    sys.path.remove(str(Path(__file__).resolve().parent))
    first = Task(given.url, given.server, START, END, is_first=True)
    later = Task(given.url, f"{given.server}/later", END - LOOKBACK, END + timedelta(days=1), is_first=False)
    cost = cost_of(given.way, later if given.later else first)
    print(json.dumps([cost.wall, cost.cpu, cost.peak, cost.requests, cost.written, dict(cost.counts)]))


if __name__ == "__main__":
    main()
