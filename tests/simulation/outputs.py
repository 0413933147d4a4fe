"""The file of a program, and the checkpoint that is stored with its length."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from tests.simulation.process import Process
from tests.simulation.world import World
from unlimcall_async import CheckpointFile


@contextmanager
def checkpointed(world: World, process: Process, program: str) -> Iterator[tuple[CheckpointFile, BinaryIO]]:
    """Yield the checkpoint of a program and its file, which is cut to what the checkpoint covers."""
    with (
        CheckpointFile(process.folder / f"{program}.checkpoint") as stored,
        (process.folder / f"{program}.out").open("ab") as file,
    ):
        if stored.checkpoint is not None:
            world.reach(f"a {program} goes on from a checkpoint")
        file.truncate(stored.note or 0)
        file.seek(0, os.SEEK_END)
        yield stored, file
