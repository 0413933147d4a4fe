"""What some pulls cost that users meet: dense traffic, small pulls, pulls that are cut off, and the first record.

Each table is a list of tasks, one for a line, which are measured on all processors, and each line has its own server.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from multiprocessing import Pool
from random import Random
from typing import Any, Final
from zlib import crc32

from attrs import evolve, frozen

from benchmarks.planner_http import (
    STUCK,
    Pulling,
    Wire,
    answers_to_the_first,
    client_of,
    page_count,
    pull_cut_off,
    pull_whole,
)
from benchmarks.planner_pulls import pull
from benchmarks.planner_server import ALL_BOUNDS, Calls, Order, Server
from benchmarks.planner_traffic import SECOND, YEAR, durations
from unlimcall_async import RateLimit
from unlimcall_async.cdrs.planner.sizes import BUFFER
from unlimcall_async.cdrs.times import MILLISECOND, Range

_MINUTE: Final = 60 * SECOND
_HOUR: Final = 60 * _MINUTE
_START: Final = YEAR.start // MILLISECOND
_SORTED: Final[tuple[Order, ...]] = ("newest_first", "oldest_first")
_ALL: Final[tuple[Order, ...]] = (*_SORTED, "insertion", "arbitrary")
_WAYS: Final = (("oldest", 1), ("oldest", 4), ("newest", 1), ("newest", 4))
# Requests of a run that is cut off (contract, section 2, promise 7).
_REQUESTS: Final = 30


# Calls that start in a second, if all of them are sure to fit on a page with the margins of its window.
_MOST_IN_A_SECOND: Final = 500
# Requests that a client sends at once under the documented limit of 60 a minute.
_AT_ONCE: Final = RateLimit(60).at_once()


@frozen
class Line:
    """A line of a table: what is measured, its cells, and what was wrong, if anything was."""

    name: str
    cells: tuple[str, ...]
    fault: str = ""


@frozen
class Table:
    """A table: its title, the heads of its columns, and for each line a function with its arguments."""

    title: str
    heads: tuple[str, ...]
    measure: Callable[..., Line]
    tasks: tuple[tuple[Any, ...], ...]


def _measured(task: tuple[Callable[..., Line], tuple[Any, ...]]) -> Line:
    measure, arguments = task
    try:
        return measure(*arguments)
    except Exception as error:  # noqa: BLE001 # whatever a pull does wrong is a result, and the others are wanted too
        return Line(" ".join(map(str, arguments)), ("WRONG",), f"{arguments}: {type(error).__name__}: {error}")


def lines_of(table: Table) -> Iterator[tuple[str, str]]:
    """Yield each line of a table, and what was wrong with it."""
    yield table.title, ""
    yield f"{'':40}{''.join(f'{head:>14}' for head in table.heads)}", ""
    with Pool(os.cpu_count()) as pool:
        for line in pool.imap(_measured, [(table.measure, task) for task in table.tasks]):
            yield f"{line.name:40}{''.join(f'{cell:>14}' for cell in line.cells)}", line.fault


def _bounds_of(*case: object) -> Any:
    # By a digest, so that a pull meets the same bounds whichever others are measured with it.
    return ALL_BOUNDS[crc32(str(case).encode()) % len(ALL_BOUNDS)]


@lru_cache(maxsize=2)
def _spread(*stretches: tuple[int, int, int]) -> Calls:
    """Make calls in stretches: from when, for how many milliseconds, and how many, anywhere within."""
    chance = Random(f"{stretches}")  # noqa: S311 # made-up traffic guards no secret
    starts = sorted(
        _START + begin + chance.randrange(length) for begin, length, count in stretches for _ in range(count)
    )
    return Calls(zip(starts, durations(len(starts), 0), strict=True))


def _range(length: int) -> Range:
    return Range(YEAR.start, YEAR.start + length * MILLISECOND)


# --- dense traffic --------------------------------------------------------------------------------------------------------


def _dense(name: str, stretches: tuple[tuple[int, int, int], ...], order: Order) -> Line:
    calls, cells = _spread(*stretches), list[str]()
    wanted, fewest = _range(max(begin + length for begin, length, _ in stretches)), page_count(len(calls.rows))
    for direction, concurrency in _WAYS:
        bounds = _bounds_of(name, order, direction, concurrency)
        if max(count * SECOND / max(SECOND, length) for _, length, count in stretches) > _MOST_IN_A_SECOND:
            # A second that does not fit on a page can only be read if the server compares more finely.
            bounds = evolve(bounds, step=1)
        server = Server(calls, order, bounds)
        newest_first = direction == "newest"
        enough = 40 * fewest + 500
        pull(
            server,
            newest_first=newest_first,
            concurrency=concurrency,
            seek=True,
            buffer=BUFFER,
            enough=enough,
            wanted=wanted,
        )
        cells.append(f"{server.requests / fewest:.2f}")
    return Line(f"{name}, {order}", tuple(cells))


def dense(*, quick: bool) -> Table:
    """Return the table of dense traffic."""
    minutes, orders = (1, _SORTED) if quick else (10, _ALL)
    rates = (50, 200, 1000) if quick else (20, 50, 100, 200, 300, 500, 1000)
    kinds: list[tuple[str, tuple[tuple[int, int, int], ...]]] = [
        (f"{rate} a second, {minutes} minutes", ((0, minutes * _MINUTE, rate * minutes * 60),)) for rate in rates
    ]
    # A day of one record a second, with a minute of 200 a second each two hours.
    day = (0, 24 * _HOUR, 86_400), *((hour * _HOUR + 20 * _MINUTE, _MINUTE, 12_000) for hour in range(1, 24, 2))
    dialers = [
        ("400 in each other second", tuple((2 * at * SECOND, SECOND, 400) for at in range(150))),
        ("1500 in 5 s, each minute", tuple((at * _MINUTE, 5 * SECOND, 1500) for at in range(40))),
        ("200 in 20 ms, each 2 s", tuple((2 * at * SECOND, 20, 200) for at in range(300))),
        ("400 in 20 ms, each 5 s", tuple((5 * at * SECOND, 20, 400) for at in range(150))),
    ]
    kinds += [] if quick else [("a day with 12 dense minutes", day), *dialers]
    tasks = tuple((*kind, order) for kind in kinds for order in orders)
    heads = tuple(f"{direction} x{concurrency}" for direction, concurrency in _WAYS)
    return Table("DENSE TRAFFIC: requests, as a multiple of the fewest", heads, _dense, tasks)


# --- small pulls ----------------------------------------------------------------------------------------------------------


def _small(pages: float, order: Order, direction: str) -> Line:
    days = 2
    # A call that begins in a day shows in 24 pulls of that day.
    calls = _spread((0, days * 24 * _HOUR, int(days * pages * 1000)))
    ranges = [Range(*((_START + each * _HOUR) * MILLISECOND for each in (hour, hour + 24))) for hour in range(24)]
    return _one_client(f"{pages} pages", calls, ranges, order, direction)


def _empty(order: Order, direction: str) -> Line:
    days = range(6)
    month = 30 * 24 * _HOUR
    ranges = [Range(*((_START + day * 24 * _HOUR + at) * MILLISECOND for at in (0, month))) for day in days]
    return _one_client("an empty month", Calls(()), ranges, order, direction)


def _one_client(name: str, calls: Calls, ranges: Sequence[Range], order: Order, direction: str) -> Line:
    wire = Wire(Server(calls, order, _bounds_of("small", name, order, direction)))

    async def each_range() -> list[tuple[int, int]]:
        costs = []
        async with client_of(wire) as client:
            for wanted in ranges:
                pulling = Pulling(wanted, direction == "newest", 4)
                fewest = max(1, page_count(len(pulling.expected(calls.rows))))
                costs.append((await pull_whole(client, wire, pulling), fewest))
        return costs

    (first, least), *others = asyncio.run(each_range())
    cells = f"{first}", f"{least}", *(f"{sum(column) / len(others):.2f}" for column in zip(*others, strict=True))
    return Line(f"{name}, {order}, {direction} out", cells)


def _small_or_empty(pages: float, order: Order, direction: str) -> Line:
    return _small(pages, order, direction) if pages else _empty(order, direction)


def small(*, quick: bool) -> Table:
    """Return the table of small pulls."""
    sizes, orders = ((1.9, 0), _SORTED) if quick else ((1.9, 3.0, 3.3, 0), _ALL)
    tasks = tuple((pages, order, way) for pages in sizes for order in orders for way in ("oldest", "newest"))
    heads = "first pull", "fewest", "each next", "fewest"
    return Table(
        "SMALL PULLS: the last 24 hours each hour, or a month each day, by one client: requests of a pull",
        heads,
        _small_or_empty,
        tasks,
    )


# --- pulls that are cut off -----------------------------------------------------------------------------------------------


def _calls_of(records: int) -> Calls:
    return _spread((0, len(YEAR) // MILLISECOND, records))


def _cut(records: int, order: Order, direction: str, concurrency: int) -> Line:
    calls, pulling = _calls_of(records), Pulling(YEAR, direction == "newest", concurrency)
    server = Server(calls, order, _bounds_of("cut", records, order, direction, concurrency))

    async def whole() -> int:
        wire = Wire(evolve(server))
        async with client_of(wire) as client:
            return await pull_whole(client, wire, pulling)

    at_once = asyncio.run(whole())
    cut = asyncio.run(pull_cut_off(Wire(server), pulling, _REQUESTS))
    ended = f"{cut.requests / at_once:.2f}" if cut.arrived else "never"
    cells = f"{at_once}", f"{cut.runs}", f"{cut.idle}", f"{cut.requests}", ended
    return Line(f"{records:,}, {order}, {direction} x{concurrency}", cells)


def cut_off(records: int, *, quick: bool) -> Table:
    """Return the table of pulls that are cut off."""
    orders, concurrencies = ((*_SORTED, "arbitrary"), (4,)) if quick else (_ALL, (1, 4, 16))
    tasks = tuple(
        (records, order, way, concurrency)
        for order in orders
        for way in ("oldest", "newest")
        for concurrency in concurrencies
    )
    title = f"PULLS THAT ARE CUT OFF after {_REQUESTS} requests each, and given up after {STUCK} runs without a record"
    return Table(title, ("uninterrupted", "runs", "without record", "requests", "as multiple"), _cut, tasks)


# --- the first record -----------------------------------------------------------------------------------------------------


def _first(records: int, order: Order, direction: str) -> Line:
    calls, cells = _calls_of(records), list[str]()

    async def answers(concurrency: int) -> int:
        server = Server(calls, order, _bounds_of("first", records, order, direction, concurrency))
        async with client_of(Wire(server)) as client:
            return await answers_to_the_first(client, Pulling(YEAR, direction == "newest", concurrency))

    for came in (asyncio.run(answers(concurrency)) for concurrency in (1, 4, 16)):
        # The first requests go out at once, and then one a second.
        cells.append(f"{came} ({max(0, came - _AT_ONCE)} s)")
    return Line(f"{records:,}, {order}, {direction} out", tuple(cells))


def first_record(records: int) -> Table:
    """Return the table of the first record."""
    tasks = tuple((records, order, way) for order in _ALL for way in ("oldest", "newest"))
    title = "THE FIRST RECORD: answers that had come by then, and the wait for the limit if it is 60 a minute"
    return Table(title, ("x1", "x4", "x16"), _first, tasks)
