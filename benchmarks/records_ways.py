"""The ways that `records.py` compares: each pulls all records from the server, and returns how many it received.

    python benchmarks/records_ways.py dicts http://127.0.0.1:8080 200000

This command runs one way, and prints its cost as JSON: CPU seconds of this process, wall seconds, and the process's peak memory in
bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import aiohttp
import cattrs
import msgspec
from attrs import frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.records_server import END, PAGE, START
from unlimcall_async import AsyncClient, RateLimits

_TOKEN: Final = "unl_live_benchmark"
# The windows of `single` would hold this share of a page if traffic were even. With less room some would hold more than a page.
_ROOM: Final = 0.85

# A command runs an event loop of its own. So its way is no coroutine function.
Run = Callable[[str, int], Awaitable[int] | int]


# --- floors: aiohttp, and one way to decode a page ---------------------------------------------------------------------------


def _floor(make: Callable[[], Callable[[bytes], int]], prefix: str = "") -> Run:
    async def run(url: str, records: int) -> int:
        read, got = make(), 0
        async with aiohttp.ClientSession() as session:
            for number in range(-(-records // PAGE)):
                async with session.get(f"{url}{prefix}/pages/{number}") as response:
                    got += read(await response.read())
        return got

    return run


def _count_bytes() -> Callable[[bytes], int]:
    """Count a page's records by a word that stands once in each, without decoding the page."""
    return lambda body: body.count(b'"startTime"')


def _dicts() -> Callable[[bytes], int]:
    loads = importlib.import_module("orjson").loads
    return lambda body: len(loads(body)["calls"])


class _Row(msgspec.Struct, rename="camel"):
    id: str
    start_time: datetime
    duration: int
    billsec: int
    src: str | None = None
    dst: str | None = None
    disposition: str | None = None
    sip_username: str | None = None
    sell_price_cents: int | None = None
    currency: str | None = None
    country: str | None = None
    did: str | None = None


class _Page(msgspec.Struct):
    count: int
    calls: list[_Row]


def _structs() -> Callable[[bytes], int]:
    decode = msgspec.json.Decoder(_Page).decode
    return lambda body: len(decode(body).calls)


@frozen
class _Plain:
    """A record as an attrs class with the API's own names, so that plain cattrs can structure it."""

    id: str
    startTime: datetime  # noqa: N815 # the API's own name
    duration: int
    billsec: int
    src: str | None = None
    dst: str | None = None
    disposition: str | None = None
    sipUsername: str | None = None  # noqa: N815
    sellPriceCents: int | None = None  # noqa: N815
    currency: str | None = None
    country: str | None = None
    did: str | None = None


def _attrs_by_hand() -> Callable[[bytes], int]:
    loads = importlib.import_module("orjson").loads
    at = datetime.fromisoformat

    def record(row: Mapping[str, Any]) -> _Plain:
        return _Plain(
            row["id"], at(row["startTime"]), row["duration"], row["billsec"], row["src"], row["dst"], row["disposition"],
            row["sipUsername"], row["sellPriceCents"], row["currency"], row["country"], row["did"],
        )  # fmt: skip

    return lambda body: len([record(row) for row in loads(body)["calls"]])


@frozen
class _PlainPage:
    count: int
    calls: list[_Plain]


def _cattrs() -> Callable[[bytes], int]:
    loads = importlib.import_module("orjson").loads
    converter = cattrs.Converter()
    converter.register_structure_hook(datetime, lambda value, _type: datetime.fromisoformat(value))
    return lambda body: len(converter.structure(loads(body), _PlainPage).calls)


def _table_of_dicts() -> Callable[[bytes], int]:
    loads, pa = importlib.import_module("orjson").loads, importlib.import_module("pyarrow")
    return lambda body: int(pa.Table.from_pylist(loads(body)["calls"]).num_rows)


def _polars() -> Callable[[bytes], int]:
    pl = importlib.import_module("polars")
    return lambda body: len(pl.read_json(body)["calls"].explode().struct.unnest())


def _duckdb() -> Callable[[bytes], int]:
    connection = importlib.import_module("duckdb").connect()
    # DuckDB reads files. This one is in memory where the system has such a folder.
    folder = Path("/dev/shm")  # noqa: S108 # not a name for a file
    path = Path(tempfile.mkdtemp(dir=folder if folder.exists() else None), "page.json")
    query = f"SELECT unnest(calls, recursive := true) FROM read_json('{path}')"  # noqa: S608 # our own name

    def read(body: bytes) -> int:
        path.write_bytes(body)
        return int(connection.execute(query).to_arrow_table().num_rows)

    return read


# --- ours -----------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(_TOKEN, base_url=url, rate_limits=RateLimits.unlimited()) as client:
        yield client


async def _batches(url: str, _records: int) -> int:
    got = 0
    async with _client(url) as client:
        async for batch in client.cdrs.stream(START, END).batches():
            got += len(batch)
    return got


async def _manifest(url: str, _records: int) -> int:
    async with _client(url) as client:
        stream = client.cdrs.stream(START, END, manifest=True)
        async for _batch in stream.batches():
            pass
    return stream.manifest.total.records


async def _each(url: str, _records: int) -> int:
    got = 0
    async with _client(url) as client:
        async for _record in client.cdrs.stream(START, END):
            got += 1
    return got


async def _arrow(url: str, _records: int) -> int:
    got = 0
    async with _client(url) as client:
        async for batch in client.cdrs.stream(START, END).arrow():
            got += batch.num_rows
    return got


async def _newest_first(url: str, _records: int) -> int:
    got = 0
    async with _client(url) as client:
        async for batch in client.cdrs.stream(START, END, newest_first=True).batches():
            got += len(batch)
    return got


async def _single_pages(url: str, records: int) -> int:
    got, start, width = 0, START, (END - START) * (PAGE * _ROOM / records)
    width -= width % timedelta(seconds=1)
    async with _client(url) as client:
        while start < END:
            # The server has whole seconds, and includes both bounds.
            page = await client.cdrs.list(start, start + width - timedelta(seconds=1), limit=PAGE)
            if not page.complete:
                raise RuntimeError("a window held more than a page")
            got += len(page.calls)
            start += width
    return got


async def _novel(url: str, _records: int) -> int:
    got = 0
    async with _client(f"{url}/novel") as client:
        async for batch in client.cdrs.stream(START, END).batches():
            if batch[0].extra != {"queue": "sales", "hangupCause": 16}:
                raise RuntimeError("the fields that the API has added are not in `extra`")
            got += len(batch)
    return got


# --- the command ----------------------------------------------------------------------------------------------------------


def _pull(ending: str, rows_in: Callable[[Path], int]) -> Run:
    """Return the way that pulls into a file with `unlimcall cdrs pull`, which also writes a manifest."""

    def run(url: str, _records: int) -> int:
        command = importlib.import_module("unlimcall_async.cli.commands").unlimcall
        os.environ.update(UNLIMCALL_BASE_URL=url, UNLIMCALL_TOKEN=_TOKEN)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"calls.{ending}")
            span = ["--from", START.isoformat(), "--till", END.isoformat()]
            try:
                command(["cdrs", "pull", *span, "--out", str(path), "--rate", "1000000", "--quiet"])
            except SystemExit as end:
                if end.code:
                    raise RuntimeError(f"unlimcall cdrs pull has ended with status {end.code}") from None
            return rows_in(path)

    return run


def _rows_in_csv(path: Path) -> int:
    return _lines_in(path) - 1


def _lines_in(path: Path) -> int:
    # In a process of its own, because the count is no part of the command.
    count = "import sys; print(sum(1 for _ in open(sys.argv[1], 'rb')))"
    done = subprocess.run([sys.executable, "-c", count, path], capture_output=True, text=True, check=True)  # noqa: S603 # ours
    return int(done.stdout)


def _rows_in_parquet(path: Path) -> int:
    return int(importlib.import_module("pyarrow.parquet").read_metadata(path).num_rows)


# --- others, each through its own public API -------------------------------------------------------------------------------


async def _twilio(url: str, _records: int) -> int:
    base = importlib.import_module("twilio.http.async_http_client").AsyncTwilioHttpClient

    class Local(base):  # type: ignore[misc, valid-type] # of a package that need not be there
        async def request(self, method: str, uri: str, *rest: Any, **more: Any) -> Any:
            return await super().request(method, uri.replace("https://api.twilio.com", url), *rest, **more)

    # twilio uses a deprecated part of aiohttp.
    warnings.simplefilter("ignore", DeprecationWarning)
    http, got = Local(), 0
    client = importlib.import_module("twilio.rest").Client("AC1", "secret", http_client=http)
    async for _call in await client.calls.stream_async(page_size=PAGE):
        got += 1
    await http.close()
    return got


async def _telnyx(url: str, _records: int) -> int:
    got = 0
    async with importlib.import_module("telnyx").AsyncTelnyx(api_key="secret", base_url=f"{url}/telnyx") as client:
        async for _record in client.detail_records.list(page_size=PAGE):
            got += 1
    return got


async def _githubkit(url: str, _records: int) -> int:
    package, got = importlib.import_module("githubkit"), 0
    async with package.GitHub("secret", base_url=f"{url}/github", http_cache=False, auto_retry=False) as github:
        pages = github.rest.paginate(
            github.rest.actions.async_list_artifacts_for_repo,
            map_func=lambda response: response.parsed_data.artifacts,
            owner="acme",
            repo="calls",
            per_page=PAGE,
        )
        async for _artifact in pages:
            got += 1
    return got


async def _openai(url: str, _records: int) -> int:
    got = 0
    async with importlib.import_module("openai").AsyncOpenAI(api_key="secret", base_url=f"{url}/openai") as client:
        async for _file in client.files.list(limit=PAGE):
            got += 1
    return got


async def _stripe(url: str, _records: int) -> int:
    stripe, got = importlib.import_module("stripe"), 0
    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient("sk_test_1", base_addresses={"api": url}, http_client=http)
    page = await client.v1.balance_transactions.list_async({"limit": PAGE})
    async for _transaction in page.auto_paging_iter():
        got += 1
    await http.close_async()
    return got


# --- all of them ----------------------------------------------------------------------------------------------------------


@frozen
class Way:
    """A way to pull all records.

    Attributes:
        name: The name in the table.
        run: Pulls the records, from a URL and with their number.
        needs: The module that the way needs.
        group: `floor`, `ours` or `other`.
        base: The way whose cost is 1.00.
    """

    name: str
    run: Run
    needs: str
    group: str
    base: str = "dicts"


WAYS: Final[Mapping[str, Way]] = {
    "read": Way("aiohttp, nothing read of the body", _floor(_count_bytes), "aiohttp", "floor"),
    "dicts": Way("aiohttp + orjson, untyped dicts", _floor(_dicts), "orjson", "floor"),
    "structs": Way("aiohttp + msgspec Structs", _floor(_structs), "msgspec", "floor"),
    "attrs": Way("aiohttp + orjson + attrs by hand", _floor(_attrs_by_hand), "orjson", "floor"),
    "cattrs": Way("aiohttp + orjson + plain cattrs", _floor(_cattrs), "orjson", "floor"),
    "pylist": Way("aiohttp + orjson + pa.Table.from_pylist", _floor(_table_of_dicts), "pyarrow", "floor"),
    "polars": Way("aiohttp + polars.read_json", _floor(_polars), "polars", "floor"),
    "duckdb": Way("aiohttp + duckdb read_json", _floor(_duckdb), "duckdb", "floor"),
    "arrow": Way("stream.arrow()", _arrow, "pyarrow", "ours"),
    "batches": Way("stream.batches()", _batches, "unlimcall_async", "ours"),
    "manifest": Way("stream.batches(), with a manifest", _manifest, "unlimcall_async", "ours"),
    "each": Way("async for record in stream", _each, "unlimcall_async", "ours"),
    "newest": Way("stream.batches(), newest first", _newest_first, "unlimcall_async", "ours"),
    "single": Way("cdrs.list, window by window", _single_pages, "unlimcall_async", "ours"),
    "ndjson": Way("unlimcall cdrs pull, to NDJSON", _pull("ndjson", _lines_in), "click", "ours"),
    "csv": Way("unlimcall cdrs pull, to CSV", _pull("csv", _rows_in_csv), "click", "ours"),
    "parquet": Way("unlimcall cdrs pull, to Parquet", _pull("parquet", _rows_in_parquet), "pyarrow", "ours"),
    "novel_dicts": Way("two unknown fields: untyped dicts", _floor(_dicts, "/novel"), "orjson", "floor", "novel_dicts"),
    "novel": Way("two unknown fields: batches()", _novel, "unlimcall_async", "ours", "novel_dicts"),
    "twilio": Way("twilio, calls", _twilio, "twilio", "other"),
    "githubkit": Way("githubkit, artifacts", _githubkit, "githubkit", "other"),
    "telnyx": Way("telnyx, detail records", _telnyx, "telnyx", "other"),
    "openai": Way("openai, files (9 fields)", _openai, "openai", "other"),
    "stripe": Way("stripe, balance transactions", _stripe, "stripe", "other"),
}


def missing() -> list[str]:
    """Return the ways whose package is not installed."""
    return [key for key, way in WAYS.items() if find_spec(way.needs) is None]


@frozen
class Cost:
    """The cost of one run: CPU seconds, wall seconds, and peak memory in bytes."""

    cpu: float
    wall: float
    peak: int


async def _warm_up(url: str) -> None:
    """Pull an hour, so that what the first request and the first stream import does not count."""
    async with _client(url) as client:
        await client.cdrs.stream(START, START + timedelta(hours=1)).to_list()


def cost_of(key: str, url: str, records: int) -> Cost:
    """Run a way once, in this process, and return its cost."""
    asyncio.run(_warm_up(url))
    began, began_at = time.process_time(), time.perf_counter()
    got = asyncio.run(result_of(WAYS[key].run(url, records)))
    cpu, wall = time.process_time() - began, time.perf_counter() - began_at
    if got != records:
        raise RuntimeError(f"{key}: received {got} of {records} records")
    return Cost(cpu, wall, peak_memory())


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes."""
    # Not `getrusage`: its peak includes the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


async def result_of(run: Awaitable[int] | int) -> int:
    """Return what a way has returned, or returns when it is awaited."""
    return run if isinstance(run, int) else await run


def main() -> None:
    """Run one way, and print its cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("url")
    parser.add_argument("records", type=int)
    given = parser.parse_args()
    # A file beside this one has the name of a package that another SDK imports.
    sys.path.remove(str(Path(__file__).resolve().parent))
    # Import before the clock starts: `records.py` times imports separately.
    module = importlib.import_module(WAYS[given.way].needs)
    if WAYS[given.way].needs == "pyarrow":
        module.array([])  # which imports pandas if it is installed
    cost = cost_of(given.way, given.url, given.records)
    print(json.dumps([cost.cpu, cost.wall, cost.peak]))


if __name__ == "__main__":
    main()
