"""Change each expression of the pure core on purpose, by mutmut, and tell which changes no test notices.

    python -m tests.mutation                       all modules, two processes
    python -m tests.mutation http.bucket           one module
    python -m tests.mutation http.bucket --sample 50
                                                   every fiftieth change alone

Needs mutmut, which makes the changes; `forks` runs the tests. A change that no test can notice, because the module does the same
with it, stands in `equivalents.txt` with the reason. The exit status is 1 if any other change survives; `--least` says how large a
share of them must be noticed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

from tests.mutation.forks import NOT_REACHED, PASSED
from tests.mutation.modules import TESTS

ROOT = Path(__file__).parents[2]
EQUIVALENTS = Path(__file__).with_name("equivalents.txt")
# The script and not `-m`, which would put the project in front of the changed copy.
MUTMUT = (sys.executable, str(Path(sys.executable).with_name("mutmut")))
_CONFIG = """
[tool.mutmut]
source_paths = [{source}]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-n0", "-p", "no:cacheprovider", "-m", ""]
also_copy = ["unlimcall_async", "tests", "README.md", "docs", "examples", "benchmarks", ".ci", "CHANGELOG.md", "LICENSE"]
"""


@frozen
class Result:
    """What became of the changes of one module.

    Attributes:
        module: The module, below the package.
        killed: The number of changes that a test noticed, or that made the tests run without end.
        equivalent: The number of changes that survived, and are named in `equivalents.txt`.
        survivors: The other changes, in the form of that file.
    """

    module: str
    killed: int
    equivalent: int
    survivors: list[str]

    @property
    def share(self) -> float:
        """The part of the changes that are killed, without the equivalent ones."""
        return self.killed / max(1, self.killed + len(self.survivors))


def mutated(module: str, tests: Iterable[str], processes: int, sample: int) -> Result:
    """Run the tests of a module against each change of the module, in a copy of the project."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", "*cache*", "site", "dist", "finding-*"))
        source = f"unlimcall_async/{module.replace('.', '/')}.py"
        config = _CONFIG.format(source=_quoted([source]), tests=_quoted(tests))
        with (folder / "pyproject.toml").open("a") as file:
            file.write(config)
        # With a name that no change has, mutmut makes the changes and learns which tests reach them, and tries none.
        said = _run([*MUTMUT, "run", "--max-children", "1", "none"], folder)
        made = folder / "mutants"
        if not (made / f"{source}.meta").exists():
            raise SystemExit(f"mutmut has changed nothing of {module}:\n{said[-3000:]}")
        changes = sorted(json.loads((made / f"{source}.meta").read_text())["exit_code_by_key"])[::sample]
        with ThreadPoolExecutor(processes) as threads:
            shares = [changes[each::processes] for each in range(processes)]
            tried = threads.map(lambda share: _codes(share, tests, made), shares)
        codes = {change: code for each in tried for change, code in each.items()}
        equivalents = {line.partition("  # ")[0] for line in EQUIVALENTS.read_text().splitlines()}
        survived = [_change(module, key, folder) for key, code in codes.items() if code in {PASSED, NOT_REACHED}]
        survivors = [change for change in survived if change not in equivalents]
        return Result(module, len(codes) - len(survived), len(survived) - len(survivors), survivors)


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join(json.dumps(each) for each in texts)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)  # noqa: S603 # it is ours
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _codes(changes: list[str], tests: Iterable[str], folder: Path) -> dict[str, int]:
    """Return the exit status of the tests for each change."""
    with tempfile.TemporaryDirectory() as name:
        wanted, found = Path(name) / "changes", Path(name) / "codes"
        wanted.write_text("\n".join(changes))
        said = _run([sys.executable, "tests/mutation/forks.py", str(wanted), str(found), *tests], folder)
        codes: dict[str, int] = json.loads(found.read_text()) if found.exists() else {}
    if set(codes) != set(changes):
        raise SystemExit(f"not each change was tried:\n{said[-3000:]}")
    return codes


def _change(module: str, key: str, folder: Path) -> str:
    """Return a change as one line: the module, the function, and what became of which lines."""
    shown = _run([*MUTMUT, "show", key], folder)
    lines = [line for line in shown.splitlines() if re.match(r"[-+](?![-+]{2} )", line)]
    words = [f"{line[0]} {' '.join(line[1:].split())}" for line in lines]
    function = (
        key.rpartition("__mutmut_")[0]
        .rpartition(".")[2]
        .removeprefix("x_")
        .replace("x\u01c1", "")
        .replace("\u01c1", ".")
    )
    return " | ".join([f"{module} {function}", *words])


def main() -> int:
    """Try the changes of the modules that the arguments name, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", choices=[*TESTS, []], metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="try every Nth change alone")
    parser.add_argument(
        "--least", type=float, default=1.0, metavar="SHARE", help="the part of the changes that must be killed"
    )
    args = parser.parse_args()
    results = []
    print(f"{'module':<28} {'changes':>7} {'killed':>6} {'equivalent':>10} {'survived':>8} {'share':>7}")
    for module in args.modules or TESTS:
        result = mutated(module, TESTS[module], args.processes, args.sample)
        results.append(result)
        counts = (result.killed, result.equivalent, len(result.survivors))
        print(f"{module:<28} {sum(counts):>7} {counts[0]:>6} {counts[1]:>10} {counts[2]:>8} {result.share:>7.1%}")
        print(*(f"    {each}" for each in result.survivors), sep="\n", end="\n" if result.survivors else "", flush=True)
    killed, survived = sum(each.killed for each in results), sum(len(each.survivors) for each in results)
    print(
        f"{killed / max(1, killed + survived):.1%} of {killed + survived} changes killed, without the equivalent ones"
    )
    return 0 if killed >= args.least * (killed + survived) else 1


if __name__ == "__main__":
    sys.exit(main())
