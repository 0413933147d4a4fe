"""A cluster of two executors, each a process of its own, and what kills parts of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from pyspark.sql import SparkSession

from unlimcall_async.spark import UnlimCallDataSource

# Seconds after which what should have come will not come.
PATIENCE = 120


@contextmanager
def cluster(folder: Path, **settings: str) -> Iterator[Any]:
    """Start two executors of one core each, with speculation, and a compressed log of events in `folder`."""
    # The executors inherit the environment.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    events = folder / "events"
    events.mkdir()
    chosen = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "true",
        "spark.speculation": "true",
        "spark.speculation.quantile": "0.5",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.port": "0",
        "spark.ui.showConsoleProgress": "false",
        # Executors keep their files here, and not in the folder of the package.
        "spark.local.dir": str(folder / "local"),
    } | settings
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("unlimcall")
    for name, value in chosen.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        spark.sparkContext.setLogLevel("OFF")
        spark.dataSource.register(UnlimCallDataSource)
        yield spark
    finally:
        spark.stop()


def _processes() -> dict[int, tuple[int, str]]:
    """The parent and the command of each process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(folder.name)] = parent, (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended
            continue
    return found


def executors() -> list[int]:
    """The processes of the executors that this process has started."""
    all_of_them = _processes()

    def is_ours(pid: int) -> bool:
        while pid in all_of_them and pid != os.getpid():
            pid = all_of_them[pid][0]
        return pid == os.getpid()

    return [
        pid for pid, (_, command) in all_of_them.items() if "CoarseGrainedExecutorBackend" in command and is_ours(pid)
    ]


def failed_tasks(spark: Any) -> int:
    """How many attempts have failed since the cluster started."""
    return sum(stage["numFailedTasks"] for stage in json.loads(page_of(spark, "stages")))


def page_of(spark: Any, name: str) -> str:
    """A page of the UI, as its API gives it."""
    context = spark.sparkContext
    url = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/{name}"
    with urlopen(url, timeout=PATIENCE) as response:  # noqa: S310 # loopback
        text: str = response.read().decode()
    return text


def kill_task() -> None:
    """Kill what an executor runs: the processes of its tasks, and the one that starts them."""
    all_of_them = _processes()
    for executor in executors():
        family = {executor}
        for _ in range(3):
            family |= {pid for pid, (parent, _) in all_of_them.items() if parent in family}
        for pid in family - {executor}:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
        if len(family) > 1:  # another executor may still be starting
            return


def kill_executor() -> None:
    os.kill(executors()[-1], signal.SIGKILL)


def once(seen: Callable[[], bool]) -> None:
    """Wait until something is seen."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)  # another process has to get there


@contextmanager
def meanwhile(*steps: tuple[Callable[[], bool], Callable[[], None]]) -> Iterator[None]:
    """Take each step, in a thread, as soon as its moment is seen."""
    failed = list[BaseException]()

    def take() -> None:
        try:
            for seen, step in steps:
                once(seen)
                step()
        except BaseException as error:  # noqa: BLE001 # the test raises it
            failed.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]
