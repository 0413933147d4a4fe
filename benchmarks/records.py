"""What a call record costs the client, typed, checked and in order; compared with plain dicts, and with well-known SDKs.

    python -m pip install -r benchmarks/requirements.txt
    python benchmarks/records.py
    python benchmarks/records.py --ways dicts,batches,each --rounds 15
    python benchmarks/records.py --profile
    python benchmarks/records.py --instructions --ways dicts,batches,each
    python benchmarks/records.py --picture records.png

Each way pulls the same records from the same server on this machine, in pages of 1000. Each run is a process of its own, and so is
the server. CPU is the CPU time of the client's process alone. The ways take turns, and the table shows medians. 1.00 is aiohttp
with orjson, which returns unchecked dicts. Ways whose package is not installed are left out, and the output names them.
`--instructions` counts machine instructions in valgrind: a busy machine changes them little.

With 15 rounds all ways together take some 45 minutes, and with the 5 rounds of the default some 15. `--ways dicts,batches,each`
takes a minute or two. `--instructions` takes some minutes for each way.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import which
from statistics import median
from typing import Final

from attrs import frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.pictures import CostBar, check_matplotlib, draw_costs
from benchmarks.records_server import served
from benchmarks.records_ways import WAYS, Cost, missing
from benchmarks.stamp import stamp

_WAYS_FILE: Final = Path(__file__).with_name("records_ways.py")
# The module that a user of each way imports.
_IMPORTS: Final = {
    "floor": "aiohttp", "batches": "unlimcall_async", "each": "unlimcall_async", "twilio": "twilio.rest",
    "githubkit": "githubkit", "telnyx": "telnyx", "openai": "openai", "stripe": "stripe",
}  # fmt: skip
_TIME_IMPORT: Final = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
# The CPU that each way of ours may take, as a multiple of the dicts.
_MOST: Final = {"batches": 0.9, "each": 1.0, "arrow": 1.4, "ndjson": 3, "csv": 4, "parquet": 2, "novel": 1.4}
# The other SDKs need up to a minute a round, and their results are far apart.
_ROUNDS_OF_OTHERS: Final = 3


def run(*arguments: str) -> str:
    """Run Python with these arguments, and return its output."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 # ours
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


@frozen
class Result:
    """The medians of one way.

    Attributes:
        ratio: CPU time, as a multiple of the dicts' CPU time.
        least: The lowest of these multiples by round.
        most: The highest of these multiples by round.
        cpu: CPU time of a record, in microseconds.
        wall: Wall time of a record, in microseconds.
        peak: Peak memory of the process, in bytes.
    """

    ratio: float
    least: float
    most: float
    cpu: float
    wall: float
    peak: float


def measured(ways: Sequence[str], url: str, records: int, rounds: int) -> dict[str, list[Cost]]:
    """Run the ways in turns, and return their costs."""
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            if WAYS[way].group == "other" and number >= _ROUNDS_OF_OTHERS:
                continue
            print(f"\rround {number + 1} of {rounds}: {way:12}", end="", file=sys.stderr, flush=True)
            costs[way].append(Cost(*json.loads(run(str(_WAYS_FILE), way, url, str(records)))))
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return costs


def results(costs: Mapping[str, Sequence[Cost]], records: int) -> dict[str, Result]:
    """Return the medians of each way."""
    found = {}
    for way, own in costs.items():
        base = costs[WAYS[way].base]
        ratios = [mine.cpu / theirs.cpu for mine, theirs in zip(own, base, strict=False)]
        cpu, wall = (median(cost.cpu for cost in own), median(cost.wall for cost in own))
        ratio = cpu / median(cost.cpu for cost in base)
        peak = median(cost.peak for cost in own)
        found[way] = Result(ratio, min(ratios), max(ratios), cpu / records * 1e6, wall / records * 1e6, peak)
    return found


def import_times(ways: Sequence[str], rounds: int) -> dict[str, float]:
    """Return the median time of each way's import, in seconds."""
    modules = dict.fromkeys(["aiohttp", *(_IMPORTS[way] for way in ways if way in _IMPORTS)])
    times: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(rounds):
        for module, taken in times.items():
            taken.append(float(run("-c", _TIME_IMPORT.format(module))))
    return {module: median(taken) for module, taken in times.items()}


def table(found: Mapping[str, Result]) -> Iterator[str]:
    """Yield the lines of the table: one for each way, with its ratio first."""
    yield f"{'':38}{'CPU':>7}  {'by round':13}{'CPU us':>8}{'wall us':>9}{'peak MB':>9}"
    for way, each in found.items():
        spread = f"{each.least:.2f}-{each.most:.2f}"
        costs = f"{each.cpu:>8.2f}{each.wall:>9.2f}{each.peak / 1e6:>9.0f}"
        yield f"{WAYS[way].name:38}{each.ratio:>7.2f}  {spread:13}{costs}"


def verdicts(found: Mapping[str, Result]) -> Iterator[str]:
    """Yield a line for each target, with whether it is met."""
    for way, most in _MOST.items():
        if way in found:
            verdict = "ok" if found[way].ratio <= most else "MISSED"
            yield f"{WAYS[way].name:38}{found[way].ratio:>7.2f}  at most {most:.2f}  {verdict}"
    others = [each.ratio for way, each in found.items() if WAYS[way].group == "other"]
    if others and "each" in found:
        times = min(others) / found["each"].ratio
        yield f"{'the cheapest other SDK, by our async for':38}{times:>6.1f}x  at least 4x   {'ok' if times >= 4 else 'MISSED'}"


def bars(found: Mapping[str, Result]) -> list[CostBar]:
    """Return the bars of the picture."""
    shown = [way for way in found if WAYS[way].base == "dicts"]
    return [CostBar(WAYS[way].name, found[way].ratio, WAYS[way].group) for way in shown]


def _profile(url: str, records: int) -> Iterator[str]:
    """Yield the lines of a profile of `batches()`. `cProfile` itself takes time, which the lines include."""
    text = run("-m", "cProfile", "-s", "tottime", str(_WAYS_FILE), "batches", url, str(records))
    root = str(Path(sys.path[0]))
    for line in text.splitlines()[1:36]:
        yield line.replace(root + "/", "").replace(sys.prefix, "...").replace(sys.base_prefix, "...")


def _instructions(ways: Sequence[str], records: int) -> Iterator[str]:
    """Yield the instructions that each way takes for one record.

    The way runs with `records` and with three times as many. The difference leaves out the start of the process.
    """
    if which("valgrind") is None:
        raise SystemExit("--instructions needs valgrind")
    counts: dict[tuple[str, int], int] = {}
    for size in (records, 3 * records):
        with served(size, others=True) as url:
            for way in ways:
                print(f"\r{size:,} records: {way:12}", end="", file=sys.stderr, flush=True)
                counts[way, size] = _instructions_of(way, url, size)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    each = {way: (counts[way, 3 * records] - counts[way, records]) / (2 * records) for way in ways}
    for way, count in each.items():
        yield f"{WAYS[way].name:38}{count / each[WAYS[way].base]:>7.2f}  {count:>9,.0f} instructions"


def _instructions_of(way: str, url: str, records: int) -> int:
    # It counts just what callgrind counts, in half the time.
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", sys.executable]
    command = [*tool, str(_WAYS_FILE), way, url, str(records)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 # ours
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(done.stderr)
    return int(found[1].replace(",", ""))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000, help="fewer than 200,000 give unstable ratios")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", default=",".join(WAYS), metavar="A,B", help="some of: %(default)s")
    parser.add_argument("--profile", action="store_true", help="show a profile of batches(), and measure nothing else")
    parser.add_argument(
        "--instructions", action="store_true", help="count instructions instead of time, with a tenth of the records"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="also draw a picture")
    return parser.parse_args()


def _chosen(text: str) -> list[str]:
    lacking = missing()
    asked = [way for way in WAYS if way in text.split(",")]
    left_out = [WAYS[way].needs for way in asked if way in lacking]
    if left_out:
        print(f"Left out, because not installed: {', '.join(dict.fromkeys(left_out))}")
    ways = [way for way in asked if way not in lacking]
    bases = {WAYS[way].base for way in ways} - set(ways)
    if bases & set(lacking):
        raise SystemExit("orjson is missing, the base of all ratios: pip install orjson")
    return [way for way in WAYS if way in {*ways, *bases}]


def main() -> None:
    """Measure, and print the results."""
    given = _parsed()
    if given.picture:
        check_matplotlib()
    ways = ["batches"] if given.profile else _chosen(given.ways)
    if given.instructions:
        print(*_instructions(ways, given.records // 10), sep="\n")
        return
    with served(given.records, others=not given.profile) as url:
        if given.profile:
            print(*_profile(url, given.records), sep="\n")
            return
        found = results(measured(ways, url, given.records, given.rounds), given.records)
    print(f"{given.records:,} records, {given.rounds} rounds, {stamp()}\n")
    print(*table(found), "", *verdicts(found), sep="\n")
    print(
        "\nimport, ms:",
        *(f"{name} {took * 1e3:.0f}" for name, took in import_times(ways, given.rounds).items()),
        sep="  ",
    )
    if given.picture:
        draw_costs(
            given.picture,
            bars(found),
            f"{given.records:,} records in pages of 1000, median of {given.rounds} rounds; {stamp()}",
        )


if __name__ == "__main__":
    main()
