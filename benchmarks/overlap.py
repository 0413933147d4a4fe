"""How long a pull takes where the network is slow, by the number of requests at once, against the ideal.

    python benchmarks/overlap.py
    python benchmarks/overlap.py --traffic uniform --latencies 300 --concurrency 1,4 --picture overlap.png

Real seconds, with a server in another process that waits before each answer. The ideal is the fewest requests that anybody could
need (a thousand records each), so many at once, each of which takes no longer than the latency; it needs to know where the records
lie. The cases take turns, and the medians count.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import ceil
from pathlib import Path
from statistics import median

from attrs import frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.pictures import OverlapPanel, check_matplotlib, draw_overlap
from benchmarks.planner_traffic import KINDS
from benchmarks.records_server import END, PAGE, START, served
from benchmarks.stamp import spread, stamp
from unlimcall_async import AsyncClient, RateLimits


@frozen
class Case:
    """A pull: the traffic, milliseconds of latency, and the requests at once."""

    traffic: str
    latency: int
    concurrency: int

    def ideal(self, records: int) -> float:
        """Return the seconds that the fewest requests take, overlapped fully."""
        return ceil(ceil(records / PAGE) / self.concurrency) * self.latency / 1000


@frozen
class Pull:
    """What a pull took; of several pulls the median, with the shortest and the longest."""

    seconds: float
    requests: int
    spread: str = ""


async def pull(url: str, concurrency: int, records: int) -> Pull:
    """Pull all records."""
    got, began = 0, time.perf_counter()
    async with AsyncClient("unl_live_benchmark", base_url=url, rate_limits=RateLimits.unlimited()) as client:
        stream = client.cdrs.stream(START, END, concurrency=concurrency)
        async for batch in stream.batches():
            got += len(batch)
    if got != records:
        raise RuntimeError(f"{got} of {records} records came")
    return Pull(time.perf_counter() - began, stream.stats.requests)


def measured(cases: Sequence[Case], records: int, rounds: int) -> dict[Case, list[Pull]]:
    """Pull in each case, taking turns."""
    pulls: dict[Case, list[Pull]] = {case: [] for case in cases}
    for number in range(rounds):
        for traffic, latency in dict.fromkeys((case.traffic, case.latency) for case in cases):
            with served(records, traffic=traffic, latency=latency / 1000) as url:
                for case in cases:
                    if (case.traffic, case.latency) == (traffic, latency):
                        print(f"\rround {number + 1} of {rounds}: {case}    ", end="", file=sys.stderr, flush=True)
                        pulls[case].append(asyncio.run(pull(url, case.concurrency, records)))
    print("\r" + " " * 90 + "\r", end="", file=sys.stderr)
    return pulls


def table(found: Mapping[Case, Pull], records: int) -> Iterator[str]:
    """Yield a line for each case: ratios first."""
    costs = f"{'seconds':>9}{'by round':>12}{'ideal':>7}{'requests':>10}"
    yield f"{'traffic':13}{'latency':>8}{'at once':>9}{'faster than 1':>15}{'of the ideal':>14}{costs}"
    for case, each in found.items():
        one, ideal = found.get(Case(case.traffic, case.latency, 1)), case.ideal(records)
        faster = f"{one.seconds / each.seconds:.2f}" if one else ""
        head = f"{case.traffic:13}{case.latency:>5} ms{case.concurrency:>9}{faster:>15}{each.seconds / ideal:>14.2f}"
        yield f"{head}{each.seconds:>9.1f}{each.spread:>12}{ideal:>7.1f}{each.requests:>10}"


def panels(found: Mapping[Case, Pull], records: int) -> list[OverlapPanel]:
    """Return the bars of the picture."""
    shown = []
    for traffic, latency in dict.fromkeys((case.traffic, case.latency) for case in found):
        cases = [case for case in found if (case.traffic, case.latency) == (traffic, latency)]
        seconds, ideal = [found[case].seconds for case in cases], [case.ideal(records) for case in cases]
        title = f"{traffic.replace('_', ' ')}, {latency} ms of latency"
        shown.append(OverlapPanel(title, tuple(case.concurrency for case in cases), tuple(seconds), tuple(ideal)))
    return shown


def _median(pulls: Sequence[Pull]) -> Pull:
    seconds = [each.seconds for each in pulls]
    return Pull(median(seconds), max(each.requests for each in pulls), spread(seconds, 1))


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--traffic", default="uniform,call_centre", metavar="A,B", help=f"some of {','.join(KINDS)}")
    parser.add_argument("--latencies", default="50,300", metavar="MS,MS")
    parser.add_argument("--concurrency", default="1,2,4,8", metavar="A,B")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw it, too")
    given = parser.parse_args()
    if given.picture:
        check_matplotlib()
    wanted = product(given.traffic.split(","), given.latencies.split(","), given.concurrency.split(","))
    cases = [Case(traffic, int(latency), int(concurrency)) for traffic, latency, concurrency in wanted]
    pulls = measured(cases, given.records, given.rounds)
    found = {case: _median(own) for case, own in pulls.items()}
    print(f"{given.records:,} records, {given.rounds} rounds, {stamp()}\n")
    print(*table(found, given.records), sep="\n")
    if given.picture:
        draw_overlap(
            given.picture,
            panels(found, given.records),
            f"{given.records:,} records, median of {given.rounds} rounds; {stamp()}",
        )


if __name__ == "__main__":
    main()
