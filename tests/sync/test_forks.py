"""A run whose process forks and dies: its child, for example of a pool, holds nothing of the run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cdrs.raw_server import RawServer, served
from tests.sync.places import Place
from tests.sync.support import ACCOUNT, BEGIN, call, held_by
from tests.sync.test_sync import END, synced
from unlimcall_async.sync.file_lock import FileLock
from unlimcall_async.sync.forks import close_own, own

# Opens the destination, forks, and dies. The child lives until its input ends.
PROGRAM = """
import asyncio, fcntl, json, os, signal, sys
from unlimcall_async.sync.url import destination_at

url, table, account, moment = json.loads(sys.argv[1])

def fork():
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        sys.stdin.read()
        os._exit(0)

def forking(module, name):
    function = getattr(module, name)
    def wrapped(*args, **kwargs):
        setattr(module, name, function)
        result = function(*args, **kwargs)
        fork()
        return result
    setattr(module, name, wrapped)

destination = destination_at(url, table)
if moment == "while it is opened":
    if url.startswith("postgresql"):
        import psycopg
        forking(psycopg, "connect")
    else:
        forking(fcntl, "flock")
asyncio.run(destination.open(account))
if moment == "behind that":
    fork()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while it is opened", "behind that"])
async def test_a_child_of_a_dead_process_holds_no_lock(place: Place, moment: str) -> None:
    server = RawServer([call(BEGIN, "a")])
    order = json.dumps([place.url, place.table, ACCOUNT, moment])
    async with served(server) as client:
        with subprocess.Popen(  # noqa: ASYNC220, S603 # ours
            [sys.executable, "-c", PROGRAM, order], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as parent:
            assert parent.stdout is not None
            child = int(await asyncio.to_thread(parent.stdout.readline))
            assert await asyncio.to_thread(parent.wait) == -signal.SIGKILL
            os.kill(child, 0)  # it lives
            await synced(client, place)
    assert place.rows(ACCOUNT) == held_by(server, BEGIN, END)


def test_a_descriptor_that_stands_for_something_else_now_is_kept(tmp_path: Path) -> None:
    number = own(lambda: os.open(tmp_path / "one", os.O_RDWR | os.O_CREAT))
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.dup2(other, number)
    child = os.fork()
    if child == 0:
        os.write(number, b"kept")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "other").read_bytes() == b"kept"
    close_own(number)
    os.close(other)


def test_a_child_that_ends_the_run_of_its_parent_takes_no_lock_from_it(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    lock = FileLock(path)
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(BlockingIOError):
        FileLock(path)
    lock.release()
    assert not path.exists()
