"""Syncs that are killed (SIGKILL) again and again must leave what the server holds, in each destination.

    python -m tests.sync.kill                       200 kills for each destination
    python -m tests.sync.kill --kills 20 --to duckdb

Each turn starts processes: one or two that sync one account, and one that syncs another account into the same table. They are
killed at random points of their work, counted in requests that the server has seen and in a random time behind. Between two turns
rows of the server come late, change and go. Among them are legs that share an id, and rows that are equal in all fields. After each
turn, the manifest of each account is compared with its rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from tests.cdrs.raw_server import RawRow, RawServer, served
from tests.sync.killed import BUSY
from tests.sync.places import DuckDb, ParquetDays, Place, Postgres, Sqlite, postgres_server
from tests.sync.support import BEGIN, DAY, call, checked_manifest, held_by, repriced
from unlimcall_async.sync import SyncDestinationError, sync_cdrs

DESTINATIONS: Final = ("sqlite", "duckdb", "postgres", "parquet")
DAYS: Final = 6
END: Final = BEGIN + DAYS * DAY
LONG: Final = timedelta(days=100)
ROWS: Final = 2000


def some_rows(chance: random.Random, count: int) -> list[RawRow]:
    """Rows, some of which share start and id, or all fields."""
    rows = list[RawRow]()
    while len(rows) < count:
        start = BEGIN + chance.randrange(DAYS * 86_400) * timedelta(seconds=1)
        row = call(start, f"{chance.randrange(count)}", chance.choice([None, 1, 2]))
        rows += [row, *chance.choice([[], [], [], [row], [call(start, f"{chance.randrange(3)}", duration="7")]])]
    return rows


def change(server: RawServer, chance: random.Random) -> None:
    """Have rows come late, change and go."""
    chance.shuffle(server.rows)
    gone, priced = chance.randrange(20), chance.randrange(20)
    server.rows = [
        *server.rows[gone + priced :],
        *(repriced(row, chance.randrange(9)) for row in server.rows[gone : gone + priced]),
        *some_rows(chance, chance.randrange(20)),
    ]


async def turn(place: Place, server: RawServer, url: str, chance: random.Random) -> int:
    """Start processes, and kill them. Return how many were alive."""
    first, last = sorted(chance.sample(range(DAYS + 1), 2))
    accounts = ["first"] * chance.choice([1, 2])
    if not isinstance(place, DuckDb):  # whose file one process at a time may open
        accounts.append("second")
    orders = [
        {
            "server": url,
            "url": place.url,
            "table": place.table,
            "account": account,
            "range": [(BEGIN + day * DAY).isoformat() for day in (first, last)],
            "lookback": chance.choice([0, 1, 100]),
        }
        for account in accounts
    ]
    processes = [
        await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "tests.sync.killed", json.dumps(order)], cwd=Path(__file__).parents[2]
        )
        for order in orders
    ]
    until = len(server.asked) + chance.randrange(1, 60)
    ends = [asyncio.ensure_future(process.wait()) for process in processes]
    while len(server.asked) < until and not all(end.done() for end in ends):  # noqa: ASYNC110 # a request sets no event
        await asyncio.sleep(0.002)  # leaves the processor to them
    await asyncio.sleep(chance.random() * 0.02)
    alive = [process for process in processes if process.returncode is None]
    for process in alive:
        # `process.kill` first looks whether the process has ended, and may take its status away from `process.wait`.
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for status in await asyncio.gather(*ends):
        if status not in {0, BUSY, -9}:
            raise RuntimeError(f"a sync ended with {status}")
    return len(alive)


async def run(place: Place, kills: int, seed: int) -> bool:
    """Kill so many syncs, and compare the tables of both accounts with the server."""
    chance = random.Random(seed)
    server = RawServer(some_rows(chance, ROWS), order="arbitrary", cap=100)
    done = 0
    async with served(server) as client:
        while done < kills:
            done += await turn(place, server, client.base_url, chance)
            for account in ("first", "second"):
                with suppress(ValueError, SyncDestinationError):  # nothing was written yet
                    await checked_manifest(place, account)
            change(server, chance)
        for account in ("first", "second"):
            options = {"end": END, "lookback": LONG, "account": account, "table": place.table}
            await sync_cdrs(client, place.url, BEGIN, **options)  # type: ignore[arg-type] # as its signature says
        manifests = [await checked_manifest(place, account) for account in ("first", "second")]
        proven = [(manifest.start, manifest.end) == (BEGIN, END) for manifest in manifests]
        proven += [(await client.cdrs.verify(manifest)).ok for manifest in manifests]
    return all(proven) and all(place.rows(account) == held_by(server, BEGIN, END) for account in ("first", "second"))


def main() -> int:
    """Run it, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to", choices=DESTINATIONS, action="append")
    options = parser.parse_args()
    exact = True
    for name in options.to or DESTINATIONS:
        with ExitStack() as opened:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            place: Place
            match name:
                case "sqlite":
                    place = Sqlite(folder)
                case "duckdb":
                    place = DuckDb(folder)
                case "parquet":
                    place = ParquetDays(folder)
                case _:
                    place = Postgres(opened.enter_context(postgres_server(folder)))
            same = asyncio.run(run(place, options.kills, options.seed))
        print(f"{name}, {options.kills} kills: the table is {'exact' if same else 'WRONG'}", flush=True)
        exact = exact and same
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
