"""A program that follows the records, with a journal of checkpoints; and what it must have handed out in the end."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from tests.simulation.outputs import checkpointed
from tests.simulation.process import Process, seam
from tests.simulation.rows import as_record
from tests.simulation.world import World, check
from unlimcall_async import CallRecord, CdrFollow, CheckpointFile, to_dict

# Seconds after which a follow that has not all records has lost some.
_PATIENCE = 3 * 3600.0


async def follow(world: World) -> None:
    """Follow until all is there, through kills and errors, and judge the file."""
    chance = world.plan.chance("follow")
    start = world.moment() - world.history
    # Without the removals, a record that goes and comes back would come twice.
    changes = world.plan.lost > 0 or chance.random() < 0.5
    lookback = timedelta(minutes=3) if world.plan.steady and chance.random() < 0.9 else 2 * world.history
    interval = timedelta(seconds=chance.choice((20, 60)))
    machine = world.machine("follow")

    async def main(process: Process) -> None:
        with checkpointed(world, process, "follow") as (stored, file):

            def store(found: list[dict[str, Any]], follow: CdrFollow) -> None:
                file.writelines(json.dumps(each, sort_keys=True).encode() + b"\n" for each in found)
                file.flush()
                os.fsync(file.fileno())
                seam("between data and checkpoint")
                stored.store(follow.checkpoint, note=file.tell())

            async with world.client(chance) as client:
                options = {"interval": interval, "lookback": lookback}
                async with client.cdrs.follow(start, resume=stored.checkpoint, **options) as follow:  # type: ignore[arg-type]
                    ending = asyncio.create_task(_end(world, process, follow, changes=changes))
                    try:
                        if changes:
                            async with aclosing(follow.changes()) as found:
                                async for change in found:
                                    record = None if change.record is None else _contents(change.record, changes=True)
                                    key = [change.key.start_time.isoformat(), change.key.id]
                                    store([{"kind": change.kind, "key": key, "record": record}], follow)
                        else:
                            async with aclosing(follow.batches()) as batches:
                                async for batch in batches:
                                    store([_added(record) for record in batch], follow)
                    finally:
                        ending.cancel()

    await machine.run(main)
    with CheckpointFile(machine.folder / "follow.checkpoint") as stored:
        check(stored.checkpoint is not None or not world.rows.rows, "the last checkpoint is not there")
    wrong = _difference(world, (machine.folder / "follow.out").read_bytes().splitlines(), changes=changes)
    check(not wrong, f"the follow is wrong at {wrong}")


async def _end(world: World, process: Process, follow: CdrFollow, *, changes: bool) -> None:
    """Close the follow when it has all, or when it has had all the time to get it."""
    path = process.folder / "follow.out"
    while world.elapsed < _PATIENCE:
        await asyncio.sleep(20)
        if world.calm and not _difference(world, path.read_bytes().splitlines(), changes=changes):
            break
    # One more poll, so that what would come twice comes.
    await asyncio.sleep(65)
    await follow.aclose()


def _contents(record: CallRecord, *, changes: bool) -> dict[str, Any]:
    """Return what tells a record from others, and, with the changes, from its other versions."""
    names = {"id", "start_time", "dst"} | ({"sell_price_cents"} if changes else set())
    return {name: value for name, value in to_dict(record).items() if name in names}


def _added(record: CallRecord) -> dict[str, Any]:
    key = [record.start_time.isoformat(), record.id]
    return {"kind": "added", "key": key, "record": _contents(record, changes=False)}


def _mirror(lines: list[bytes]) -> dict[tuple[str, str], list[str]]:
    """Return the records that the changes leave, each with what was handed out last."""
    mirror = dict[tuple[str, str], list[str]]()
    for line in lines:
        change = json.loads(line)
        records = mirror.setdefault(tuple(change["key"]), [])
        text = json.dumps(change["record"], sort_keys=True)
        if change["kind"] == "added":
            records.append(text)
            continue
        check(records, f"{change['key']} is {change['kind']}, and was not handed out")
        # Of several legs, a removal does not say which one.
        leg = json.loads(text)
        same = [each for each in records if leg is not None and json.loads(each)["dst"] == leg["dst"]]
        records.remove((same or records)[0])
        if change["kind"] == "revised":
            records.append(text)
    return mirror


def _difference(world: World, lines: list[bytes], *, changes: bool) -> str:
    """Return how what was handed out differs from what the API has now, or an empty text."""
    mine, theirs = _mirror(lines), dict[tuple[str, str], list[str]]()
    for call in world.rows.rows:
        record = as_record(call)
        key = record.start_time.isoformat(), record.id
        theirs.setdefault(key, []).append(json.dumps(_contents(record, changes=changes), sort_keys=True))
    legs = Counter((as_record(held.first).start_time.isoformat(), held.first.id) for held in world.rows.held)
    for key in {**mine, **theirs}:
        have, want = mine.get(key, []), theirs.get(key, [])
        # The removal of one of several legs does not say which one is gone.
        vague = world.plan.lost and legs[key] > 1
        if len(have) != len(want) or (not vague and sorted(have) != sorted(want)):
            return f"{key}: has {have} for {want}"
    return ""
