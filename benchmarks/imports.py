"""What it costs to begin: imports of the package, the first client, the first request, the first stream, and the command's version.

    python benchmarks/imports.py
    python benchmarks/imports.py --rounds 31
    python benchmarks/imports.py --instructions

Each run is a process of its own, and the runs take turns. The time is that of the whole process, less that of a process which does
nothing. CPU time is what the process itself has used: a busy machine changes CPU time less than time. The figures are medians, with
the lowest and the highest. All modules are compiled before, as after any installation. What aiohttp takes of an import is shown
apart. `--instructions` counts machine instructions in valgrind instead: a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from attrs import frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.stamp import spread, stamp

_NOTHING: Final = "nothing"
_COMMAND: Final = str(Path(sys.executable).with_name("unlimcall"))
_IMPORT: Final = "from unlimcall_async import AsyncClient"
_BEYOND: Final = "AsyncClient, beyond aiohttp"
_MADE: Final = "a client is made, beyond the import"
_ASKED: Final = "its first request, beyond aiohttp"
_STREAM: Final = "its first stream is made, after that"
_PROGRAMS: Final = {
    _BEYOND: f"import aiohttp; {_IMPORT}",
    _MADE: f"import aiohttp; {_IMPORT}; client = AsyncClient('unl_live_benchmark')",
}
# A port that nobody listens at: the request fails at once, after all its modules were imported.
_PROGRAMS_OF_A_LOOP: Final = {
    _ASKED: "",
    _STREAM: "\n        client.cdrs.stream(datetime(2026, 1, 1, tzinfo=UTC))",
}
_LOOP: Final = """
import asyncio
from datetime import UTC, datetime
import aiohttp
from unlimcall_async import AsyncClient, RetryPolicy, TransportError

async def main():
    async with AsyncClient('unl_live_benchmark', base_url='http://127.0.0.1:9', retry=RetryPolicy(delays=())) as client:
        try:
            await client.cdrs.list()
        except TransportError:
            pass{more}

asyncio.run(main())
"""
_COMMANDS: Final = {
    _NOTHING: [sys.executable, "-c", ""],
    "import unlimcall_async": [sys.executable, "-c", "import unlimcall_async"],
    "import aiohttp": [sys.executable, "-c", "import aiohttp"],
    _IMPORT: [sys.executable, "-c", _IMPORT],
    **{name: [sys.executable, "-c", program] for name, program in _PROGRAMS.items()},
    **{name: [sys.executable, "-c", _LOOP.format(more=more)] for name, more in _PROGRAMS_OF_A_LOOP.items()},
    "unlimcall --version": [_COMMAND, "--version"],
    "unlimcall cdrs pull --help": [_COMMAND, "cdrs", "pull", "--help"],
}
# What counts beside each of them. The targets of the difference in milliseconds of CPU, and what it may take to land.
_BASES: Final = {_BEYOND: "import aiohttp", _MADE: _BEYOND, _ASKED: _MADE, _STREAM: _ASKED}
_TARGETS: Final = {"import unlimcall_async": (120, 180), _BEYOND: (20, 60), "unlimcall --version": (120, 150)}


@frozen
class Run:
    """Milliseconds of one process."""

    wall: float
    cpu: float


def run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Run a command."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603 # ours
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run((time.perf_counter() - began) * 1e3, cpu * 1e3)


def environment_with(compiled: str) -> dict[str, str]:
    """Return the environment of the processes, which keep their compiled modules in a folder."""
    # A client reads all certificates again if one of the last two is set.
    others = {"PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    kept = {name: value for name, value in os.environ.items() if name not in others}
    return {**kept, "PYTHONPYCACHEPREFIX": compiled, "PYTHONHASHSEED": "0"}


def instructions() -> Iterator[str]:
    """Yield a line for each command: its instructions in millions, beyond those of what counts beside it."""
    if which("valgrind") is None:
        raise SystemExit("--instructions needs valgrind")
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    counts: dict[str, int] = {}
    with TemporaryDirectory() as compiled:
        environment = environment_with(compiled)
        for name, command in _COMMANDS.items():
            run(command, environment)  # compiles
            # The command is a script: valgrind would count what starts its interpreter.
            counted = [*tool, *([sys.executable] if command[0] == _COMMAND else []), *command]
            done = subprocess.run(counted, capture_output=True, text=True, check=True, env=environment)  # noqa: S603 # ours
            found = re.search(r"I +refs: +([\d,]+)", done.stderr)
            if found is None:
                raise SystemExit(done.stderr)
            counts[name] = int(found[1].replace(",", ""))
    for name in list(_COMMANDS)[1:]:
        beyond = counts[name] - counts[_BASES.get(name, _NOTHING)]
        yield f"{name:40}{beyond / 1e6:>8,.0f} million instructions"


def verdict(name: str, taken: float) -> str:
    """Return what the targets say of so many milliseconds of CPU."""
    if name not in _TARGETS:
        return ""
    target, most = _TARGETS[name]
    said = "met" if taken <= target else "lands" if taken <= most else "MISSED"
    return f"target {target}, to land {most}  {said}"


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--instructions", action="store_true", help="count instructions instead of time")
    given = parser.parse_args()
    if given.instructions:
        print(*instructions(), sep="\n")
        return
    runs: dict[str, list[Run]] = {name: [] for name in _COMMANDS}
    with TemporaryDirectory() as compiled:
        environment = environment_with(compiled)
        for number in range(1 + given.rounds):
            for name, command in _COMMANDS.items():
                taken = run(command, environment)
                if number:  # the first round compiles
                    runs[name].append(taken)
    print(f"{given.rounds} rounds, {stamp()}\n")
    print(f"{'':40}{'ms':>8}  {'by round':14}{'ms of CPU':>10}  {'by round':14}")
    for name in list(_COMMANDS)[1:]:
        base = runs[_BASES.get(name, _NOTHING)]
        wall = [each.wall - beside.wall for each, beside in zip(runs[name], base, strict=True)]
        cpu = [each.cpu - beside.cpu for each, beside in zip(runs[name], base, strict=True)]
        figures = f"{median(wall):>8.0f}  {spread(wall, 0):14}{median(cpu):>10.0f}  {spread(cpu, 0):14}"
        print(f"{name:40}{figures}{verdict(name, median(cpu))}")


if __name__ == "__main__":
    main()
