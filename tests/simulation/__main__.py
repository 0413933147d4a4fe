"""Runs the whole package under simulation.

    python -m tests.simulation --seeds 1000 --processes 2     seeds 0 to 999, and the table of the hard states that they reached
    python -m tests.simulation --seed 17                      one seed, with its log
    python -m tests.simulation --faults                       faults put into the code on purpose, each of which must be found

The exit status is 1 if a seed fails, if a fault is not found, or if 2,000 seeds or more do not reach each hard state.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from tests.simulation.broken import BROKEN, Broken
from tests.simulation.plan import Plan, plan_of
from tests.simulation.probes import probes
from tests.simulation.programs import PROGRAMS
from tests.simulation.run import Outcome, run
from tests.simulation.shrink import shrunk
from tests.simulation.states import STATES

# So many seeds reach all states.
ENOUGH: Final = 2000
# Seeds for each fault in the code, at least.
_AT_LEAST: Final = 25
# Seeds that one piece of work takes.
_AT_ONCE: Final = 20


def outcome_of(plan: Plan) -> Outcome:
    """Return what becomes of a plan."""
    return run(plan, PROGRAMS, probes)


def _results(first: int, count: int) -> list[tuple[int, str | None, Counter[str], str]]:
    outcomes = (outcome_of(plan_of(seed)) for seed in range(first, first + count))
    return [(outcome.plan.seed, outcome.failure, outcome.reached, outcome.digest) for outcome in outcomes]


def _all_results(start: int, seeds: int, processes: int) -> Iterator[tuple[int, str | None, Counter[str], str]]:
    pieces = [(first, min(_AT_ONCE, start + seeds - first)) for first in range(start, start + seeds, _AT_ONCE)]
    if processes == 1:
        for piece in pieces:
            yield from _results(*piece)
        return
    with ProcessPoolExecutor(processes) as pool:
        for results in pool.map(_results, *zip(*pieces, strict=True)):
            yield from results


def explained(plan: Plan, failure: str) -> str:
    """Return a failure in words, with the fewest faults that bring it about."""
    fewest = shrunk(plan, lambda fewer: outcome_of(fewer).failure is not None)
    lines = [
        f"seed {plan.seed} fails: {failure}",
        f"  again: python -m tests.simulation --seed {plan.seed}",
        f"  {', '.join(fewest.programs)}, with {len(fewest.ordered)} of {len(plan.ordered)} faults:",
        *(f"    {fault}" for fault in fewest.ordered),
    ]
    if (last := outcome_of(fewest).failure) != failure:
        lines.append(f"  with these alone: {last}")
    return "\n".join(lines)


def _run_seeds(start: int, seeds: int, processes: int) -> int:
    reached, digests, failed = Counter[str](), hashlib.sha256(), 0
    began = time.monotonic()
    for number, (seed, failure, states, digest) in enumerate(_all_results(start, seeds, processes), 1):
        reached.update(states)
        digests.update(digest.encode())
        if failure is not None:
            failed += 1
            print(explained(plan_of(seed), failure), flush=True)
        if number % 500 == 0:
            print(f"{number} seeds, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    missing = [state for state in STATES if not reached[state]]
    for state in STATES:
        print(f"{reached[state]:8}  {state}")
    print(f"seeds {start} to {start + seeds - 1}: {failed} failed; log {digests.hexdigest()[:16]}")
    print(f"{len(STATES) - len(missing)} of {len(STATES)} hard states reached", *missing, sep="\n  not: ")
    return 1 if failed or (missing and seeds >= ENOUGH) else 0


def found_in(broken: Broken, seeds: int) -> tuple[int, int, str]:
    """Return in how many seeds a fault in the code is found, of how many that ran, and how the first of them failed.

    The first seeds run in any case, and then others until one finds the fault.
    """
    found, ran, how = 0, 0, ""
    for seed in range(seeds):
        if found and seed >= _AT_LEAST:
            break
        plan = plan_of(seed, broken.program)
        with broken.applied():
            failure = outcome_of(plan).failure
        ran += 1
        if failure is not None:
            found, how = found + 1, how or f"seed {seed}: {failure}"
    return found, ran, how


def _run_faults(seeds: int) -> int:
    lost = 0
    for broken in BROKEN:
        found, ran, how = found_in(broken, seeds)
        print(f"found in {found:3} of {ran}: {broken.name}\n      {how[:150]}", flush=True)
        lost += not found
    return 1 if lost else 0


def main() -> int:
    """Run what is asked for, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="how many seeds (1000), or seeds for each fault, at most (400)"
    )
    parser.add_argument("--start", type=int, default=0, metavar="S", help="the first seed (0)")
    parser.add_argument("--seed", type=int, metavar="K", help="run this seed alone, and print its log")
    parser.add_argument("--processes", type=int, default=1, help="how many processes (1)")
    parser.add_argument("--faults", action="store_true", help="put faults into the code, one after the other")
    options = parser.parse_args()
    if options.faults:
        return _run_faults(options.seeds or 400)
    if options.seed is not None:
        outcome = outcome_of(plan_of(options.seed))
        print(*outcome.log, f"log {outcome.digest}", sep="\n")
        if outcome.failure is not None:
            print(explained(outcome.plan, outcome.failure))
        return 1 if outcome.failure else 0
    return _run_seeds(options.start, options.seeds or 1000, options.processes)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set of texts is one in every process then, and so is the log.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])  # noqa: S606 # this program again
    sys.exit(main())
