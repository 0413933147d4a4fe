"""What a pull costs: requests, as a multiple of the fewest that anybody could need, and rows held back.

    python benchmarks/requests.py                       (some 40 minutes on two processors)
    python benchmarks/requests.py --sizes 100000        (some 6 minutes)
    python benchmarks/requests.py --quick --picture requests.png
    python benchmarks/requests.py --traffic bursts,campaigns --sizes 100000 --orders newest_first
    python benchmarks/requests.py --tables year --sizes 100000 --seeds 5
    python benchmarks/requests.py --tables dense,small,cut,first

The fewest is `max(ceil(records / 1000), ceil(range / 31 days))`. Counted at a simulated server, whose order is the case, and
whose bounds and resolution are others for each pull; the planner is told none of them. Beside ours stands plain halving: a window
of at most 31 days, and a full one is two halves, one after the other. Behind each ratio of ours stands that of an oracle, which
knows how dense the calls are, and not when each of them starts (`planner_oracle`): how far below ours a planner can be.

Behind the table of a year come those of dense traffic, of small pulls by one client, of pulls that are cut off after 30 requests
each, and of the answers up to the first record. All but the first of these go through the client, over loopback HTTP.

Every pull is checked, part by part, against the plain list of the records. The exit code is 1 if a record was lost, doubled or
out of order, or if a pull stopped or asked without end; a target that is missed is shown, and no failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby, product
from pathlib import Path

from attrs import evolve, frozen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.planner_costs import Case, Options, Outcome, Result, Way, all_measured
from benchmarks.planner_picture import Bar, Panel, check_matplotlib, draw
from benchmarks.planner_server import ORDERS
from benchmarks.planner_tables import Table, cut_off, dense, first_record, lines_of, small
from benchmarks.planner_traffic import KINDS

SIZES = (3_000, 100_000, 1_000_000)
DIRECTIONS = ("oldest", "newest")
CONCURRENCIES = (1, 4, 16)
# A year of each traffic; and what users meet besides: see `planner_tables`.
TABLES = ("year", "dense", "small", "cut", "first")
# Of the pulls that are cut off, and of those up to the first record: some 300 requests.
MOST_OF_A_PULL = 300_000

# What the project has promised itself, as multiples of the fewest requests, for servers that sort by time ...
SORTED_TARGETS = {3_000: 1.25, 100_000: 1.10, 1_000_000: 1.10}
# ... and for those that do not; and the most rows held back, for each request that may be under way.
UNSORTED_TARGETS: dict[str, float] = {"insertion": 1.8, "arbitrary": 1.6}
HELD_WITH_ORDER, HELD_AGAINST_ORDER = 16_000, 24_000

# The concurrency of the picture: that of a stream unless another is given.
DRAWN = 4

# Ratio against buffer: what it costs to put a server's order round in little room.
CURVE_OF = 100_000, "newest_first"
CURVE = tuple(Way("oldest", 4, pages) for pages in (4, 8, 12, 16, 24))


# --- telling --------------------------------------------------------------------------------------------------------------


def table(results: Sequence[Result], ways: Sequence[Way], *, seeds: int = 1) -> Iterator[str]:
    """Yield a line for each case: ratios first, then the rows held back; of several years the median, and the worst."""
    wide = 13 if seeds == 1 else 19
    heads, above = ("".join(f"{way.name:>{each}}" for way in ways) for each in (11, wide))
    title = f"REQUESTS, as a multiple of the fewest: ours{'' if seeds == 1 else ', the worst'}/oracle"
    yield f"{'':38}{title:{9 + len(above)}}   |  MOST ROWS HELD"
    yield f"{'traffic':13}{'records':>10}  {'server':13}{'halving':>9}{above}   |{heads}"
    for result in results:
        case, ours = result.case, [result.ours[way] for way in ways]
        ratios = "".join(f"{'WRONG' if each.fault else _told(each, seeds):>{wide}}" for each in ours)
        held = "".join(f"{each.held:>11,}" for each in ours)
        yield f"{case.traffic:13}{case.records:>10,}  {case.order:13}{result.halving.ratio:>9.2f}{ratios}   |{held}"


def _told(outcome: Outcome, seeds: int) -> str:
    worst = "" if seeds == 1 else f", {outcome.worst:.2f}"
    return f"{outcome.ratio:.2f}{worst}/{outcome.oracle:.2f}"


@frozen
class Pulled:
    """One pull by our planner."""

    case: Case
    way: Way
    outcome: Outcome


def summary(results: Sequence[Result]) -> Iterator[str]:
    """Yield the worst of each class of pulls, beside its target."""
    pulled = [Pulled(result.case, way, outcome) for result in results for way, outcome in result.ours.items()]
    by_time = [each for each in pulled if each.case.sorts]
    for size in SIZES:
        here = [each for each in by_time if each.case.records == size]
        yield from _worst(f"sorts, {size:,}", here, _ratio, SORTED_TARGETS[size])
    for order, size in product(UNSORTED_TARGETS, SIZES):
        here = [each for each in pulled if each.case.records == size and each.case.order == order]
        yield from _worst(f"{_COLUMNS[order].removeprefix('server ')}, {size:,}", here, _ratio, UNSORTED_TARGETS[order])
    along = [each for each in by_time if each.way.with_order(each.case)]
    yield from _worst("held / concurrency, in its order", along, _held_each, HELD_WITH_ORDER)
    against = [each for each in by_time if not each.way.with_order(each.case)]
    yield from _worst("held / concurrency, against it", against, _held_each, HELD_AGAINST_ORDER)
    unsorted = [each for each in pulled if not each.case.sorts]
    yield from _worst("held / concurrency, no order", unsorted, _held_each, None)


def _ratio(pulled: Pulled) -> float:
    return pulled.outcome.worst


def _held_each(pulled: Pulled) -> float:
    return pulled.outcome.held / pulled.way.concurrency


def _worst(name: str, pulled: Sequence[Pulled], cost: Callable[[Pulled], float], most: float | None) -> Iterator[str]:
    for concurrency in sorted({each.way.concurrency for each in pulled}):
        right = [each for each in pulled if each.way.concurrency == concurrency and not each.outcome.fault]
        line = f"{name:34}x{concurrency:<3}{'' if most is None else f'<= {most:,}':>10}"
        if not right:
            yield f"{line}{'all wrong':>11}"
            continue
        worst = max(right, key=cost)
        verdict = "" if most is None else "ok" if cost(worst) <= most else "MISSED"
        where = f"{worst.case.traffic}, {worst.case.records:,}, {worst.case.order}, {worst.way.direction} out"
        by_oracle = f" (oracle {worst.outcome.oracle:.2f})" if cost is _ratio else ""
        yield f"{line}{cost(worst):>11,.2f}  {verdict:7} {where}{by_oracle}"


_COLUMNS = {
    "newest_first": "server sorts newest first",
    "oldest_first": "server sorts oldest first",
    "insertion": "server sorts by end of call",
    "arbitrary": "server does not sort",
}


def panels(results: Sequence[Result], concurrency: int) -> Iterator[Panel]:
    """Yield what the picture shows: the sizes that take more than a few pages, and the worse of both directions."""
    shown = [result for result in results if result.case.records > min(SIZES)] or results
    for (records, order), here in groupby(sorted(shown, key=_row_and_column), key=_row_and_column):
        target = UNSORTED_TARGETS.get(ORDERS[order], SORTED_TARGETS[records])
        bars = tuple(_bar(result, concurrency) for result in here)
        yield Panel(_COLUMNS[ORDERS[order]], f"{records:,} records", target, bars)


def _bar(result: Result, concurrency: int) -> Bar:
    here = [outcome for way, outcome in result.ours.items() if way.concurrency == concurrency]
    ours, oracle = max(each.ratio for each in here), min(each.oracle for each in here)
    return Bar(result.case.traffic.replace("_", " "), result.halving.ratio, ours, oracle)


def _row_and_column(result: Result) -> tuple[int, int]:
    return result.case.records, ORDERS.index(result.case.order)


# --- the command ----------------------------------------------------------------------------------------------------------


SUBSETS: dict[str, Sequence[str | int]] = {
    "traffic": tuple(KINDS),
    "sizes": SIZES,
    "orders": ORDERS,
    "directions": DIRECTIONS,
    "concurrency": CONCURRENCIES,
    "tables": TABLES,
}


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, known in SUBSETS.items():
        parser.add_argument(f"--{name}", type=partial(_some, known), default=list(known), metavar="A,B")
    parser.add_argument("--quick", action="store_true", help="leave the million out, and most rows of the other tables")
    parser.add_argument("--divide", action="store_true", help="our planner with strategy='divide'")
    parser.add_argument("--count", choices=("rows", "matches"), default="rows", help="what `count` counts")
    parser.add_argument(
        "--seeds", type=int, default=1, help="so many years of each traffic, their median and the worst"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw it, too")
    return parser.parse_args(arguments)


def _some(known: Sequence[str | int], text: str) -> list[str | int]:
    chosen = [one for one in known if str(one) in text.split(",")]
    if len(chosen) != len(text.split(",")):
        raise argparse.ArgumentTypeError(f"some of {','.join(map(str, known))}, not {text}")
    return chosen


def _print_year(given: argparse.Namespace, sizes: Sequence[int]) -> list[str]:
    """Print what a year of each traffic costs, and return what was wrong."""
    cases = [Case(*each) for each in product(given.traffic, sizes, given.orders)]
    ways = tuple(Way(*each) for each in product(given.directions, given.concurrency))
    options = Options(ways, given.seeds, not given.divide, given.count == "matches")
    results = all_measured(cases, options)
    print(*table(results, ways, seeds=given.seeds), "", *summary(results), "", sep="\n")
    curve: list[Result] = []
    if (bent := [case for case in cases if (case.records, case.order) == CURVE_OF]) and Way("oldest", 4) in ways:
        curve = all_measured(bent, evolve(options, ways=CURVE))
        print("By pages that may be held for each of 4 requests, the oldest out first:")
        print(*table(curve, CURVE, seeds=given.seeds), "", sep="\n")
    faults = [fault for result in [*results, *curve] for fault in result.faults]
    if given.picture and not faults:
        concurrency = DRAWN if DRAWN in given.concurrency else max(given.concurrency)
        about = f"as a multiple of the fewest possible; concurrency {concurrency}, the worse of both output directions"
        draw(given.picture, list(panels(results, concurrency)), about)
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell."""
    given = _parsed(arguments)
    if given.picture:
        check_matplotlib()
    sizes = [size for size in given.sizes if not given.quick or size < 1_000_000]
    records = min(MOST_OF_A_PULL, max(sizes))
    faults = _print_year(given, sizes) if "year" in given.tables else []
    tables: dict[str, Callable[[], Table]] = {
        "dense": partial(dense, quick=given.quick),
        "small": partial(small, quick=given.quick),
        "cut": partial(cut_off, records, quick=given.quick),
        "first": partial(first_record, records),
    }
    for name, make in tables.items():
        if name in given.tables:
            for line, fault in lines_of(make()):
                print(line, flush=True)
                faults += [fault] if fault else []
            print()
    print(*(faults or ["Every pull gave exactly the records."]), sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
