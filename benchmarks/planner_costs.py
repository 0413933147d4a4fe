"""What a pull costs: the cases, the ways to pull them, and their measuring on all processors."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from math import ceil
from multiprocessing import Pool
from pathlib import Path
from statistics import median
from traceback import extract_tb
from zlib import crc32

from attrs import evolve, frozen

from benchmarks.planner_oracle import Oracle, along, in_chains, unsorted
from benchmarks.planner_pulls import halve, pull
from benchmarks.planner_server import ALL_BOUNDS, PAGE, Calls, Order, Server
from benchmarks.planner_traffic import YEAR
from unlimcall_async.cdrs.planner.sizes import BUFFER
from unlimcall_async.cdrs.times import WIDEST


@frozen
class Case:
    """What is pulled, and from what server: a row of the table."""

    traffic: str
    records: int
    order: Order

    @property
    def fewest(self) -> int:
        """The requests that nobody can do without."""
        return max(ceil(self.records / PAGE), ceil(len(YEAR) / WIDEST))

    @property
    def sorts(self) -> bool:
        """Whether the server sorts by time."""
        return self.order in {"newest_first", "oldest_first"}


@frozen
class Way:
    """How the records are to come: a column of a table. `buffer` is in pages for each request, `None` for what it is."""

    direction: str
    concurrency: int
    buffer: int | None = None

    @property
    def name(self) -> str:
        """The heading of the column."""
        return f"{self.direction} x{self.concurrency}" if self.buffer is None else f"{self.buffer} pages"

    def with_order(self, case: Case) -> bool:
        """Whether the server gives the records in the direction that is wanted."""
        return case.order == f"{self.direction}_first"


@frozen
class Options:
    """What is measured of each case."""

    ways: tuple[Way, ...]
    seeds: int
    seek: bool
    counts_matches: bool


@frozen
class Outcome:
    """What a pull cost, what it would cost an oracle, and what was wrong with the pull, if anything was.

    Of several years, `ratio` and `oracle` are the medians, and `worst` is the largest ratio.
    """

    ratio: float
    held: int
    fault: str
    oracle: float = 0.0
    worst: float = 0.0


@frozen
class Result:
    """What a case cost, by halving and by our planner."""

    case: Case
    halving: Outcome
    ours: dict[Way, Outcome]

    @property
    def faults(self) -> Iterator[str]:
        """What was wrong."""
        for name, outcome in {"halving": self.halving, **{way.name: ours for way, ours in self.ours.items()}}.items():
            if outcome.fault:
                yield f"{self.case.traffic} {self.case.records} {self.case.order} {name}: {outcome.fault}"


def measured(task: tuple[Case, Options]) -> Result:
    """Measure a case."""
    case, options = task
    everyone = [_measured_once(case, options, seed) for seed in range(options.seeds)]
    ours = {way: _middle([each.ours[way] for each in everyone]) for way in options.ways}
    return Result(case, _middle([each.halving for each in everyone]), ours)


def _middle(outcomes: Sequence[Outcome]) -> Outcome:
    faults = next((outcome.fault for outcome in outcomes if outcome.fault), "")
    ratio, oracle = median(each.ratio for each in outcomes), median(each.oracle for each in outcomes)
    worst = max(each.ratio for each in outcomes)
    return Outcome(ratio, max(outcome.held for outcome in outcomes), faults, oracle, worst)


def _measured_once(case: Case, options: Options, seed: int) -> Result:
    calls = _calls(case.traffic, case.records, seed)

    def outcome(name: str, run: Callable[[Server], int]) -> Outcome:
        # By a digest, so that a pull meets the same bounds whichever others are measured with it.
        bounds = ALL_BOUNDS[crc32(f"{case} {name} {seed}".encode()) % len(ALL_BOUNDS)]
        server = Server(calls, case.order, bounds, options.counts_matches)
        held, fault = 0, ""
        try:
            held = run(server)
        except Exception as error:  # noqa: BLE001 # whatever a planner does wrong is a result, and the others are wanted too
            where = extract_tb(error.__traceback__)[-1]
            fault = (
                f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno}, seed {seed}, {bounds})"
            )
        return Outcome(server.requests / case.fewest, held, fault)

    ours = {way: outcome(way.name, partial(_pull, case, way, options.seek)) for way in options.ways}
    fewest = _fewest_of_oracle(case, calls, seed)
    ours = {way: evolve(each, oracle=fewest(way) / case.fewest) for way, each in ours.items()}
    return Result(case, outcome("halving", halve), ours)


def _fewest_of_oracle(case: Case, calls: Calls, seed: int) -> Callable[[Way], int]:
    """Return how many requests an oracle takes for each way."""
    starts, oracle = [row.millis for row in calls.rows], Oracle(case.traffic, case.records, seed)
    if not case.sorts:
        requests = unsorted(starts, oracle)
        return lambda _: requests
    one, many = along(starts), in_chains(starts, oracle, BUFFER)
    return lambda way: one if way.concurrency == 1 and way.with_order(case) else many


def _pull(case: Case, way: Way, seek: bool, server: Server) -> int:
    newest_first = way.direction == "newest"
    enough = 20 * case.fewest + 500
    return pull(
        server,
        newest_first=newest_first,
        concurrency=way.concurrency,
        seek=seek,
        buffer=way.buffer or BUFFER,
        enough=enough,
    )


@lru_cache(maxsize=1)
def _calls(traffic: str, records: int, seed: int) -> Calls:
    """Make the records; cases that share them come one after the other."""
    # A million objects of which nothing is garbage: the collector need not go through them now, nor later.
    gc.disable()
    calls = Calls.of_year(traffic, records, seed)
    gc.freeze()
    gc.enable()
    return calls


def all_measured(cases: Sequence[Case], options: Options) -> list[Result]:
    """Measure all cases, on all processors, the largest first; the results stand in the order of the cases."""
    tasks = [(case, options) for case in sorted(cases, key=lambda case: -case.records)]
    together = len({case.order for case in cases})
    results: list[Result] = []
    with Pool(os.cpu_count()) as pool:
        # One process makes the records once for all orders, unless there are fewer traffics than processes.
        for result in pool.imap_unordered(measured, tasks, together if len(tasks) // together > 1 else 1):
            results.append(result)
            if sys.stderr.isatty():
                print(f"\r{len(results)} of {len(cases)} ", end="", file=sys.stderr, flush=True)
    return sorted(results, key=lambda result: cases.index(result.case))
