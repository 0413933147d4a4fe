"""Programs that keep a SQLite table up to date, killed and at the same time; and what must be in the table."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.simulation.process import Process
from tests.simulation.rows import as_record
from tests.simulation.world import World, check
from unlimcall_async.sync import SyncBusyError, read_manifest, sync_cdrs

_PATIENCE = 4 * 3600.0


async def sync(world: World) -> None:
    """Sync again and again, until the table is what the API holds, and judge the table."""
    chance = world.plan.chance("sync")
    start = world.moment() - world.history
    twice = chance.random() < 0.2
    lookback = timedelta(minutes=3) if world.plan.steady and chance.random() < 0.9 else 2 * world.history
    pause = chance.choice((15.0, 50.0))
    machine = world.machine("sync")

    async def main(process: Process) -> None:
        url = f"sqlite:///{process.folder / 'calls.db'}"
        while True:
            calm = world.calm
            async with world.client(chance) as client:
                run = sync_cdrs(client, url, start, lookback=lookback, account="acme")
                if twice:
                    other = asyncio.create_task(sync_cdrs(client, url, start, lookback=lookback, account="acme"))
                    results = await asyncio.gather(run, other, return_exceptions=True)
                    world.reached["a sync finds another one at work"] += any(
                        isinstance(each, SyncBusyError) for each in results
                    )
                    for each in results:
                        if isinstance(each, BaseException) and not isinstance(each, SyncBusyError):
                            raise each
                else:
                    result = await run
                    for name in ("inserted", "revised", "removed"):
                        world.reached[f"a sync has {name} rows"] += bool(getattr(result, name))
            check(world.elapsed < _PATIENCE, f"the table does not become right: {_difference(world, process)}")
            if calm and not _difference(world, process):
                break
            # With a clock that is behind, the last rows come when that clock has reached them.
            await asyncio.sleep(10 * pause if calm else pause)

    await machine.run(main)
    manifest = await read_manifest(f"sqlite:///{machine.folder / 'calls.db'}", "acme")
    records = sum(day.records for day in manifest.days.values())
    # Rows of time that the API has not reached, by its own clock, may be there, and the manifest ends before them.
    rows = sum(
        manifest.start <= datetime.fromisoformat(start) < manifest.end
        for _, start, *_ in _rows(machine.folder).elements()
    )
    check(records == rows, f"the manifest counts {records} rows, and the table has {rows}")


def _rows(folder: Path) -> Counter[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "calls.db")) as connection:
        found = connection.execute("SELECT id, start_time, dst, sell_price_cents FROM cdrs").fetchall()
    return Counter(found)


def _difference(world: World, process: Process) -> str:
    mine = _rows(process.folder)
    theirs = Counter[tuple[object, ...]]()
    for call in world.rows.rows:
        record = as_record(call)
        moment = record.start_time.isoformat(timespec="microseconds")[:26] + "Z"
        theirs[record.id, moment, record.dst, record.sell_price_cents] += 1
    if mine == theirs:
        return ""
    return f"lacks {(theirs - mine).total()}, has {(mine - theirs).total()} too many: {sorted(map(str, theirs - mine))[:1]}"
