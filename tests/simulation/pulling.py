"""A program that pulls a range into a file, with checkpoints, as `docs/client.md` shows; and what must be in the file."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from tests.proof.second_digest import digest
from tests.simulation.outputs import checkpointed
from tests.simulation.process import Process, seam
from tests.simulation.rows import as_record
from tests.simulation.world import BEGIN, World, check
from unlimcall_async import AsyncClient, CallRecord, UnlimCallError, from_dict, to_json
from unlimcall_async.proof import Manifest


async def pull(world: World) -> None:
    """Pull until all is there, through kills and errors, and judge the file."""
    chance = world.plan.chance("pull")
    start, end = world.moment() - world.history, world.moment() - timedelta(minutes=5)
    newest_first = chance.random() < 0.4
    proven = chance.random() < 0.3
    beside = chance.random() < 0.4
    machine = world.machine("pull")

    async def main(process: Process) -> None:
        page_size, concurrency = chance.choice((20, 50, 100, 1000)), chance.choice((1, 2, 4))
        strategy = chance.choice(("auto", "auto", "auto", "divide"))
        if world.plan.chains:
            page_size, concurrency, strategy = 20, 8, "auto"
        with checkpointed(world, process, "pull") as (stored, file):
            async with world.client(chance) as client:
                stream = client.cdrs.stream(
                    start,
                    end,
                    newest_first=newest_first,
                    page_size=page_size,
                    concurrency=concurrency,
                    strategy=strategy,  # type: ignore[arg-type] # one of the two
                    resume=stored.checkpoint,
                    manifest=proven,
                )
                async with stream, _beside(world, client, beside):
                    async for batch in stream.batches():
                        file.writelines(to_json(record) + b"\n" for record in batch)
                        if proven:
                            file.write(_line(stream.take_manifest()))
                        file.flush()
                        os.fsync(file.fileno())
                        seam("between data and checkpoint")
                        stored.store(stream.checkpoint, note=file.tell())
                if proven:
                    file.write(_line(stream.take_manifest()))

    await machine.run(main)
    lines = [json.loads(line) for line in (machine.folder / "pull.out").read_bytes().splitlines()]
    records = [from_dict(CallRecord, line) for line in lines if "manifest" not in line]
    _judge(world, records, newest_first=newest_first, end=end)
    if proven:
        _prove([Manifest.from_json(json.dumps(line["manifest"])) for line in lines if "manifest" in line], records)


@asynccontextmanager
async def _beside(world: World, client: AsyncClient, wanted: bool) -> AsyncIterator[None]:  # a choice of the plan
    """Have another stream, and calls that lose interest, use the client meanwhile."""
    start, end = world.moment() - world.history, world.moment() - world.history / 2

    async def other() -> None:
        world.reach("two streams share a client")
        with suppress(UnlimCallError):
            records = await client.cdrs.stream(start, end, page_size=50, concurrency=2).to_list()
            _judge(world, records, newest_first=False, end=end)

    async def impatient() -> None:
        for seconds in (0.05, 1.0, 5.0):
            with suppress(TimeoutError, UnlimCallError):
                async with asyncio.timeout(seconds):
                    await client.cdrs.list(start, end)

    tasks = [asyncio.create_task(work) for work in ((other(), impatient()) if wanted else ())]
    try:
        yield
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _line(manifest: Manifest) -> bytes:
    return json.dumps({"manifest": json.loads(manifest.to_json())}).encode() + b"\n"


def _judge(world: World, records: list[CallRecord], *, newest_first: bool, end: datetime) -> None:
    keys = [(record.start_time, record.id) for record in records]
    check(keys == sorted(keys, reverse=newest_first), "the pull is out of order")
    start = world.moment() - world.history
    came = Counter((record.start_time, record.id, record.dst) for record in records)
    must, may = Counter[tuple[datetime, str, str | None]](), Counter[tuple[datetime, str, str | None]]()
    for held in world.rows.held:
        record = as_record(held.first)
        if start <= record.start_time < end:
            name = record.start_time, record.id, record.dst
            may[name] += 1
            must[name] += held.versions[0].since <= BEGIN
    check(not must - came, f"the pull has lost {(must - came).total()}: {sorted(map(str, must - came))[:2]}")
    check(not came - may, f"the pull has {(came - may).total()} too often: {sorted(map(str, came - may))[:2]}")


def _prove(manifests: list[Manifest], records: list[CallRecord]) -> None:
    whole = manifests[0]
    for piece in manifests[1:]:
        whole += piece
    by_day = dict[object, list[CallRecord]]()
    for record in records:
        by_day.setdefault(record.start_time.date(), []).append(record)
    for day, found in whole.days.items():
        wanted = by_day.pop(day, [])
        check(found.records == len(wanted) and found.digest == digest(wanted), f"the manifest is wrong on {day}")
    check(not by_day, "the manifest lacks a day")
