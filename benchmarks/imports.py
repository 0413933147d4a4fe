"""What it costs to begin: imports of the package, and the command's version.

    python benchmarks/imports.py
    python benchmarks/imports.py --rounds 31

Each run is a process of its own, and the runs take turns. The time is that of the whole process, less that of a process which does
nothing. CPU time is what the process itself has used: a busy machine changes CPU time less than time. The figures are medians, with
the lowest and the highest. All modules are compiled before, as after any installation. `AsyncClient` is what a program with one
client imports; what aiohttp takes of that is shown apart.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from attrs import frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.stamp import spread, stamp

_NOTHING: Final = "nothing"
_COMMAND: Final = str(Path(sys.executable).with_name("unlimcall"))
_COMMANDS: Final = {
    _NOTHING: [sys.executable, "-c", ""],
    "import unlimcall_async": [sys.executable, "-c", "import unlimcall_async"],
    "import aiohttp": [sys.executable, "-c", "import aiohttp"],
    "from unlimcall_async import AsyncClient": [sys.executable, "-c", "from unlimcall_async import AsyncClient"],
    "AsyncClient, beyond aiohttp": [sys.executable, "-c", "import aiohttp; from unlimcall_async import AsyncClient"],
    "unlimcall --version": [_COMMAND, "--version"],
    "unlimcall cdrs pull --help": [_COMMAND, "cdrs", "pull", "--help"],
}
# What counts beside each of them, and the most that the difference may take, in milliseconds.
_BASES: Final = {"AsyncClient, beyond aiohttp": "import aiohttp"}
_MOST: Final = {"import unlimcall_async": 180, "AsyncClient, beyond aiohttp": 60, "unlimcall --version": 150}


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


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    runs: dict[str, list[Run]] = {name: [] for name in _COMMANDS}
    with TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
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
        most = _MOST.get(name)
        verdict = "" if most is None else f"at most {most}  {'ok' if median(wall) <= most else 'MISSED'}"
        print(f"{name:40}{median(wall):>8.0f}  {spread(wall, 0):14}{median(cpu):>10.0f}  {spread(cpu, 0):14}{verdict}")


if __name__ == "__main__":
    main()
