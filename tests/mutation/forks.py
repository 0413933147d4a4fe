"""Run the tests against one change after the other, each in a fork of one process that has imported and collected all.

    python tests/mutation/forks.py CHANGES CODES TEST...

Runs in the folder in which mutmut has put the changed copy of the project. CHANGES names a file with mutmut's names of the changes.
CODES names the file that is written: JSON, the exit status of the tests by change. A pytest of its own for each change, as mutmut
runs them, takes seconds to begin. The tests are collected without a change: so are the values of their parameters made.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

# The statuses of a fork: all tests passed, one failed, or no test reaches the change.
PASSED: Final = 0
FAILED: Final = 1
NOT_REACHED: Final = 33
# After so many seconds of the processor, and so many times those that a test takes without a change, the change is taken to make
# the test run without end. No clock on the wall counts: the machine may be busy, and a process may be stopped.
_SECONDS, _TIMES = 5.0, 5.0
# For tests without a change.
_LONGEST: Final = 300.0
# Seconds between two looks at a fork. If all its threads sleep at each of so many looks, nothing will wake them: no test sleeps.
_LOOK: Final = 0.1
_ASLEEP: Final = 100
# By this variable a changed function knows which of its changes is in force.
_IN_FORCE: Final = "MUTANT_UNDER_TEST"


class Forks:
    """A plugin of pytest that runs the collected tests once for each change, in place of once."""

    def __init__(self, changes: Sequence[str], stats: dict[str, dict[str, list[str]]]) -> None:
        self._changes = changes
        self._reached_by = stats["tests_by_mangled_function_name"]
        self.codes: dict[str, int] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests that reach each change."""
        items = {item.nodeid: item for item in session.items}
        os.environ[_IN_FORCE] = ""
        seconds = dict[str, float]()
        for each, item in items.items():
            status, seconds[each] = _forked([(item, _LONGEST)])
            # A test that fails without a change says nothing of one.
            if status != PASSED:
                pytest.exit(f"{each} fails without a change", returncode=2)
        for change in self._changes:
            reached = self._reached_by.get(change.rpartition("__mutmut_")[0], ())
            # The quickest first: mostly one of them notices the change.
            reaching = sorted((each for each in reached if each in items), key=seconds.__getitem__)
            tests = [(items[each], _SECONDS + _TIMES * seconds[each]) for each in reaching]
            os.environ[_IN_FORCE] = change
            self.codes[change] = _forked(tests)[0] if tests else NOT_REACHED
        return True


def _passes(test: pytest.Item, longest: float) -> bool:
    signal.setitimer(signal.ITIMER_PROF, longest)
    return not any(report.failed for report in runtestprotocol(test, nextitem=None, log=False))


def _forked(tests: Sequence[tuple[pytest.Item, float]]) -> tuple[int, float]:
    """Run tests in a fork, until one of them fails.

    Args:
        tests: The tests, each with the seconds of the processor after which a signal ends the fork.

    Returns:
        The exit status, below 0 if a signal has ended the fork, and the seconds of the processor that the fork has used.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        status = FAILED
        try:
            status = PASSED if all(_passes(test, longest) for test, longest in tests) else FAILED
        finally:
            os._exit(status)
    _watch(child)
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def _watch(child: int) -> None:
    """Wait for the end of a fork, and end a fork that sleeps without end."""
    descriptor, asleep = os.pidfd_open(child), 0
    while not select.select([descriptor], [], [], _LOOK)[0]:
        asleep = asleep + 1 if _sleeps(child) else 0
        if asleep == _ASLEEP:
            os.kill(child, signal.SIGKILL)
    os.close(descriptor)


def _sleeps(process: int) -> bool:
    """Return whether all threads of a process sleep. One that waits for the processor does not, nor one that was stopped."""
    try:
        states = [
            stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{process}/task").glob("*/stat")
        ]
    except OSError:  # a thread has just ended
        return False
    return set(states) == {"S"}


def main(changes: str, codes: str, *tests: str) -> int:
    """Try the changes, write the exit status for each, and return the exit status of pytest."""
    sys.path.insert(0, str(Path.cwd()))
    stats = json.loads(Path("mutmut-stats.json").read_text())
    forks = Forks(Path(changes).read_text().split(), stats)
    status = pytest.main(["-n0", "-p", "no:cacheprovider", "-m", "", "-q", "--no-header", *tests], plugins=[forks])
    Path(codes).write_text(json.dumps(forks.codes))
    return int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
