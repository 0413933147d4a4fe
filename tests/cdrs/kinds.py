"""Kinds of hostility that are added to a case: each can be turned on or off without a change of the cases that lack it.

`ON` are the kinds that every campaign has. `python -m tests.cdrs.cases --kinds "breaks,cut off"` has just those, and surely.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from typing import Final

from attrs import evolve

from tests.cdrs.hostile import BY_ID, ENOUGH_TO_ADVANCE, HONEST, PATIENCE, SILENT_CAPS, Case, Manners, Row, Run
from unlimcall_async.cdrs.times import SECOND

MINUTE, DAY = 60 * SECOND, 86_400 * SECOND

DENSE: Final = "dense"
BREAKS: Final = "breaks"
RACING_COUNTS: Final = "racing counts"
ROUNDED_TIMES: Final = "rounded times"
# A kind of follows, too.
RATED_AGAIN: Final = "rated again"
# In percent: how many of the cases have a kind that is on.
_SHARE: Final = 15


class Dice:
    """Makes cases from chance: a seeded generator, or Hypothesis's, which can make them smaller."""

    def __init__(self, chance: random.Random) -> None:
        self.one_of = chance.choice
        self.between = chance.randint

    def happens(self, percent: int) -> bool:
        """Return whether an event happens that has this percentage of chance."""
        return self.between(1, 100) > 100 - percent


def page_of(case: Case) -> int:
    """Return the largest page size of a case."""
    return max(run.page_size for run in case.runs)


def _with_bulk(dice: Dice, case: Case, rows: int) -> Case:
    """Add so many rows all over the range, evenly, or in bursts between which there is less."""
    chance = random.Random(dice.between(0, 10**6))
    first = max((row.number for row in case.rows), default=0) + 1
    span = case.end - case.start
    bursts = [chance.random() for _ in range(dice.one_of((1, 3, 12)))]
    bursty = dice.happens(50)

    def at() -> int:
        place = chance.gauss(chance.choice(bursts), 0.03) % 1 if bursty and chance.random() < 0.8 else chance.random()
        return case.start + int(span * place) // 1000 * 1000

    ats = sorted(at() for _ in range(rows))
    bulk = [Row(at, first + index, lasts=chance.randrange(3)) for index, at in enumerate(ats)]
    return evolve(case, rows=(*case.rows, *bulk))


def _honest(case: Case) -> Manners:
    """Return manners of a server that shows what it does: the kinds that lie on their own do not mix with others that do."""
    return evolve(case.manners, betrays=False, slips=0, stragglers=0, turn=10**6)


# --- the kinds ------------------------------------------------------------------------------------------------------------


def _dense(dice: Dice, case: Case) -> Case:
    """Have traffic so dense that pages hold seconds, alone or amid the other rows: steady, in bursts, or with pauses."""
    chance = random.Random(dice.between(0, 10**6))
    page, rate = dice.one_of((100, 128, 200, 300)), dice.one_of((15, 45, 80, 150, 300, 900))
    # A burst each so many seconds, of so many milliseconds.
    every, width = dice.one_of(((1, 1000), (1, 1000), (1, 1000), (1, 300), (1, 20), (3, 1000), (7, 5000)))
    number = page * dice.one_of((3, 5, 8, 12))
    bursts = max(2, number // (rate * every))
    alone, unit = dice.happens(70), 1 if dice.happens(15) else 1000
    begin = case.start if alone else dice.between(case.start, case.end)
    end = begin + bursts * every * SECOND
    others = () if alone else case.rows
    first = max((row.number for row in others), default=0) + 1
    ats = sorted(
        (begin + chance.randrange(bursts) * every * SECOND + chance.randrange(width * 1000)) // unit * unit
        for _ in range(number)
    )
    rows = [Row(at, first + index, lasts=chance.randrange(3)) for index, at in enumerate(ats)]
    if dice.happens(25):
        for _ in range(dice.one_of((1, 1, 4))):
            place = chance.randrange(len(rows))
            rows[place] = evolve(rows[place], fault=dice.one_of(("field", "start")))
    manners = evolve(
        case.manners,
        step=dice.one_of((1, 1000, 1000, 10_000, 100_000, 500_000, SECOND, SECOND)),
        grain=dice.one_of((1, 1000, 10_000, 100_000, SECOND)),
        # A second that overflows costs records if times are written more coarsely than they are compared: see `resolver`.
        written=1,
    )
    runs = tuple(evolve(run, page_size=max(run.page_size, page)) for run in case.runs)
    case = evolve(case, rows=(*others, *rows), manners=manners, runs=runs)
    if not alone:
        return case
    # At no whole second, or in the middle of the rows.
    start = begin + dice.one_of((0, 1000, 366_000, 999_000))
    return evolve(case, start=start, end=end + dice.one_of((-300_000, 0, 700_000, 5 * SECOND)))


def _racing(dice: Dice, case: Case) -> Case:
    """Have `count` off the rows of answers that are whole: of one, or of some."""
    once = dice.happens(50)
    manners = evolve(
        case.manners,
        races=0 if once else dice.one_of((1, 5, 20)),
        raced=dice.between(0, 40) if once else PATIENCE,
        under=dice.happens(20),
    )
    return evolve(case, manners=manners)


def _capped(dice: Dice, case: Case) -> Case:
    """Have a cap of ten rows or more, below the limit, that nothing but the sizes shows, from the start or from an answer on."""
    least = dice.between(16, 60)
    case = evolve(case, runs=tuple(evolve(run, page_size=max(run.page_size, least)) for run in case.runs))
    page = page_of(case)
    if dice.happens(80):
        # Several windows, each with more than the cap: of a size that comes once, nobody can tell that it is a cap.
        case = evolve(case, end=case.start + dice.between(3, 12) * 30 * DAY)
        case = _with_bulk(dice, case, dice.between(2, 12) * page)
    manners = evolve(
        _honest(case),
        cap=dice.between(10, page - 1),
        capped=0 if dice.happens(60) else dice.between(1, 30),
        counts_matches=False,
        # A year in windows of an hour would take more requests than a case has.
        widest=max(case.manners.widest, (case.end - case.start) // 1000),
    )
    # If its check fails, a page is handed out whose size came once: an error must not cost records that are here.
    return evolve(case, manners=manners, trouble=0)


def _breaking(dice: Dice, case: Case) -> Case:
    """Have the server sort by id, and ids that break the order of time once or twice."""
    case = _with_bulk(dice, case, min(1500, dice.one_of((4, 10, 25)) * page_of(case)))
    rows = sorted(case.rows, key=lambda row: (row.at, row.number))
    places = sorted(dice.between(0, len(rows) - 1) for _ in range(2))
    breaks = [rows[place].at + dice.one_of((0, 1000, SECOND)) for place in places]
    number, prefixes = 10**6, tuple[str, ...]()
    match dice.one_of(("prefix", "prefix", "digits", "for a while")):
        case "prefix":
            prefixes = dice.one_of((("a", "b"), ("b", "a"), ("2-", "1-")))
            breaks = breaks[:1]
        case "digits":
            # The ids get a digit more at the break: as texts, 10000 is less than 9999.
            prefixes, breaks, number = ("",), [], 10**6 - places[0]
        case _:
            prefixes = dice.one_of((("a", "c", "b"), ("b", "a", "c"), ("a", "b", "a"), ("b", "a", "b")))
    steps = ((former.at, former.number) != (latter.at, latter.number) for former, latter in pairwise(rows))
    named = [
        evolve(row, number=number + step, prefix=prefixes[sum(row.at >= at for at in breaks)])
        for row, step in zip(rows, accumulate(steps, initial=0), strict=True)
    ]
    order = dice.one_of(BY_ID)
    manners = evolve(
        _honest(case),
        order=order,
        then=order,
        cap=case.manners.cap if case.manners.counts_matches else 1000,
        # A second that overflows costs records if times are written more coarsely than they are compared: see `resolver`.
        written=1,
    )
    return evolve(case, rows=tuple(named), manners=manners, seek=dice.happens(90))


def _rounding(dice: Dice, case: Case) -> Case:
    """Have times written in other steps than they are compared in, cut, up, or to the nearest."""
    way = dice.one_of(("cut", "nearest", "up"))
    manners = evolve(
        case.manners,
        step=dice.one_of((1, 1000, 10_000, 100_000, 250_000, 500_000, SECOND, SECOND)),
        written=dice.one_of((1000, 10_000, 100_000, 500_000, SECOND, SECOND)),
        nearest=way == "nearest",
        up=way == "up",
    )
    if dice.happens(60):
        # Where parts are cut, there shall be rows.
        case = evolve(case, end=case.start + dice.between(2, 20) * MINUTE, seek=dice.happens(30))
        case = _with_bulk(dice, case, dice.between(5, 15) * page_of(case))
    rows = case.rows
    if dice.happens(60):
        # Off the whole steps; rows of one instant stay so.
        rows = tuple(evolve(row, at=row.at + random.Random(row.at).randrange(SECOND)) for row in rows)
    # A second that overflows costs records if times are written more coarsely than they are compared: see `resolver`.
    most = max(1, min(case.manners.cap, *(run.page_size for run in case.runs)) // 4)
    kept = list[Row]()
    for row in sorted(rows, key=lambda row: row.at):
        if len(kept) < most or row.at - kept[-most].at >= 8 * SECOND:
            kept.append(row)
    return evolve(case, rows=tuple(kept), manners=manners)


def _rating(dice: Dice, case: Case) -> Case:
    """Have rows rated again at some answer, legs that share start and id among them, and runs that end between such rows."""
    chance = random.Random(dice.between(0, 10**6))
    rows = list[Row]()
    for row in case.rows:
        legs = chance.choice((1, 1, 1, 1, 2, 3)) if row.fault == "none" else 1
        rows += [evolve(row, leg=leg if chance.random() < 0.7 else row.leg) for leg in range(row.leg, row.leg + legs)]
    share, last = dice.one_of((0.1, 0.5, 1.0)), dice.one_of((5, 40))
    rows = [evolve(row, rated=chance.randint(1, last)) if chance.random() < share else row for row in rows]
    page = page_of(case)
    more = [
        Run(page, dice.between(1, 5), records=dice.between(0, len(rows) // 2 + 1)) for _ in range(dice.between(1, 3))
    ]
    return evolve(case, rows=tuple(rows), runs=(*more, *case.runs))


def _cutting_off(dice: Dice, case: Case) -> Case:
    """Have runs that are cut off after a few requests, again and again, far more rows than one of them can pull."""
    page = dice.between(20, 40)
    answers = dice.one_of((10, 20, 30, 30, 30, 30, 45, 60))
    concurrency = dice.one_of((1, 4, 4, 16, dice.between(1, 16)))
    case = _with_bulk(dice, case, dice.between(35, 70) * page)
    order = dice.one_of((*3 * HONEST, case.manners.order))
    manners = evolve(_honest(case), order=order, cap=case.manners.cap if case.manners.counts_matches else 1000)
    run = Run(page, concurrency, answers=answers, advances=answers >= ENOUGH_TO_ADVANCE)
    return evolve(case, manners=manners, trouble=0, runs=(*[run] * 40, Run(page, concurrency)))


KINDS: Final[Mapping[str, Callable[[Dice, Case], Case]]] = {
    DENSE: _dense,  # before those that change rows
    BREAKS: _breaking,
    RACING_COUNTS: _racing,
    SILENT_CAPS: _capped,
    ROUNDED_TIMES: _rounding,
    RATED_AGAIN: _rating,
    "cut off": _cutting_off,
}
# What the planner is known to stand.
ON: Final[tuple[str, ...]] = (DENSE, BREAKS, RACING_COUNTS, SILENT_CAPS, ROUNDED_TIMES, RATED_AGAIN)
# A silent cap shows in sizes, if the order is what it seems: of a server with both, `docs/promises.md` promises nothing.
_NOT_TOGETHER: Final = frozenset({BREAKS, SILENT_CAPS})


def with_kinds(case: Case, seed: int, kinds: tuple[str, ...] = ON, *, surely: bool = False) -> Case:
    """Add kinds to a case, each by dice of its own: some of them by chance, or surely one of them."""
    share = random.Random(seed)
    one = kinds[share.randrange(len(kinds))] if surely else None
    for name in KINDS:
        dice = Dice(random.Random(f"{name} {seed}"))
        other = _NOT_TOGETHER - {name} if name in _NOT_TOGETHER else frozenset[str]()
        if other & {one, *case.kinds}:
            continue
        if (dice.happens(_SHARE) and name in kinds) or name == one:
            case = evolve(KINDS[name](dice, case), kinds=(*case.kinds, name))
    return case
