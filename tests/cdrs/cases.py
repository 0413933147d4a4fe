"""Many hostile cases: no record may be lost, doubled or out of order, whatever the server does.

    python -m tests.cdrs.cases                  20,000 cases, half an hour on two cores
    python -m tests.cdrs.cases --cases 500 --seed 7
    python -m tests.cdrs.cases --only 1234567   one of them again
    python -m tests.cdrs.cases --kinds "breaks,cut off"   cases that surely have one of these kinds: see `kinds`

Each case is a pull and a follow.

Prints how many of the cases had what is hard in them. Exits with 1 if none had one of these things, or if a case failed; then it
prints the case, as small as it could be made.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise, repeat
from typing import Any, Final

from attrs import define, evolve, field, frozen

from tests.cdrs.hostile import FIXED, HONEST, ORDERS, PATIENCE, Case, Fault, Manners, Order, Row, Run, Story
from tests.cdrs.hostile_caps import EXCUSES
from tests.cdrs.hostile_follow import FollowCase, make_follow_case, run_follow
from tests.cdrs.hostile_pull import run
from tests.cdrs.kinds import DAY, KINDS, MINUTE, ON, RATED_AGAIN, Dice, with_kinds
from unlimcall_async.cdrs.times import SECOND, WIDEST


def make_case(
    chance: random.Random,
    *,
    order: Order | None = None,
    seek: bool | None = None,
    kinds: tuple[str, ...] = ON,
    surely: bool = False,
) -> Case:
    """Make a case; of that order, or of any. It may have some of the kinds, and surely has one of them if that is asked for."""
    dice = Dice(chance)
    if order is None:
        any_order: Order = dice.one_of(ORDERS + 3 * HONEST)
        order = any_order
    seek = (order in FIXED or dice.happens(50)) if seek is None else seek
    page, span = _page_size(dice), dice.one_of((MINUTE, 20 * MINUTE, DAY, 45 * DAY, 100 * DAY))
    start = dice.one_of((0, 999_000, dice.between(0, 10**6) * 1000, dice.between(0, 10**15)))
    full_pages = dice.one_of((0, 1, 3, 4, 5, 6)) if page > 25 else dice.one_of((0, 1, 3, 5, 5, 8, 12))
    rows = _rows(dice, page, full_pages, start, start + span)
    case = Case(
        rows=tuple(rows),
        manners=_manners(dice, order, page, rows),
        start=start,
        end=start + span,
        newest_first=dice.happens(50),
        seek=seek,
        runs=tuple(_runs(dice, page, rows)),
        trouble=dice.one_of((0, 0, 0, 3, 20)),
        seed=dice.between(0, 10**6),
    )
    # Drawn last, so that what a seed stands for stays the same.
    if dice.happens(20):
        case = evolve(case, rows=_with_faults(dice, rows))
    if dice.happens(15):
        case = evolve(case, manners=evolve(case.manners, widest=dice.between(3700, 20 * 86_400) * SECOND))
    return with_kinds(case, dice.between(0, 10**6), kinds, surely=surely)


def _page_size(dice: Dice) -> int:
    return dice.one_of((dice.between(3, 10), dice.between(11, 25), dice.between(11, 25), dice.between(30, 120)))


def _manners(dice: Dice, order: Order, page: int, rows: list[Row]) -> Manners:
    counts_matches = dice.happens(40)
    cap = _cap(dice, page, counts_matches=counts_matches)
    # Where a second overflows a page, times that are written more coarsely than they are compared cost records: see `bounds`.
    coarse = dice.happens(10) and not _crowded(rows, min(cap, page) // 4)
    step = dice.one_of((1, 1000, 1000, 1000, 100_000, 250_000, SECOND, SECOND))
    return Manners(
        order=order,
        then=dice.one_of(ORDERS + 3 * HONEST),
        turn=dice.between(2, 40) if dice.happens(20) else 10**6,
        from_included=dice.happens(50),
        till_included=dice.happens(50),
        step=step,
        grain=dice.one_of((1, 1000, SECOND, SECOND, MINUTE)),
        unstable=dice.happens(30),
        counts_matches=counts_matches,
        cap=cap,
        written=SECOND if coarse else 1,
        # Whole seconds, cut to be compared but rounded to be written, would be up to two seconds apart.
        nearest=coarse and step < SECOND and dice.happens(50),
        stragglers=dice.one_of((2, 10)) if dice.happens(10) else 0,
        tidy=dice.happens(50),
        betrays=dice.happens(10),
        slips=20 if dice.happens(10) else 0,
    )


def _crowded(rows: list[Row], most: int) -> bool:
    """Whether any few seconds hold more rows than that."""
    ordered = sorted(row.at for row in rows)
    return any(latter - former < 8 * SECOND for former, latter in zip(ordered, ordered[most:], strict=False))


def _cap(dice: Dice, page: int, *, counts_matches: bool) -> int:
    """Return a cap that shows: by a `count` above the rows, or by sizes that are round."""
    if not dice.happens(20):
        return 1000
    if counts_matches:
        return dice.between(max(3, page // 3), page)
    return 50


def _runs(dice: Dice, page: int, rows: list[Row]) -> Iterator[Run]:
    """Make runs of which all but the last end early, some of them between rows of one instant."""
    for _ in range(dice.one_of((0, 0, 0, 1, 2, 4))):
        size = _other_size(dice, page)
        if dice.happens(40):
            yield Run(size, dice.between(1, 5), answers=dice.between(0, 30))
        else:
            records = dice.one_of((*_within_ties(rows)[:50], dice.between(0, 100), dice.between(0, 100)))
            yield Run(size, dice.between(1, 5), records=records)
    yield Run(_other_size(dice, page), dice.one_of((1, 4, 4, dice.between(1, 6))))


def _other_size(dice: Dice, page: int) -> int:
    return dice.one_of((page, page, dice.between(max(3, page // 3), 2 * page)))


def _within_ties(rows: list[Row]) -> list[int]:
    """How many rows come before a place that lies between two of one instant."""
    ordered = sorted(row.at for row in rows if not row.born)
    return [count for count, (former, latter) in enumerate(pairwise(ordered), 1) if former == latter]


def _rows(dice: Dice, page: int, full_pages: int, start: int, end: int) -> list[Row]:
    """Make rows in a few clumps, so that Hypothesis has little to draw and much to leave out."""
    rows: list[Row] = []
    left = page * full_pages + dice.between(0, page)
    finer = dice.happens(15)
    slow = dice.one_of((0, 0, 5, 50))
    while left > 0:
        size = min(left, dice.one_of((left, left, page, page // 2, 3)))
        left -= size
        rows += _clump(dice, size, start, end, slow, len(rows), finer=finer)
    for _ in range(dice.one_of((0, 0, 0, 1, 3, 6))):
        born = dice.between(1, 3 * full_pages + 8)
        size = dice.one_of((1, 1, 2, page))
        more = _clump(dice, size, start, end, slow, len(rows) - dice.one_of((0, 2)), finer=finer)
        beside = dice.one_of((None, *(row.at for row in rows[-20:])))
        rows += [evolve(row, born=born, at=row.at if beside is None else beside) for row in more]
    return rows


def _with_faults(dice: Dice, rows: list[Row]) -> tuple[Row, ...]:
    """Have a few rows that cannot be read, some of them of one instant."""
    faulty = {dice.between(0, len(rows)) for _ in range(dice.one_of((1, 1, 3, 8)))}
    fault: Fault = dice.one_of(("field", "start"))
    return tuple(evolve(row, fault=fault) if place in faulty else row for place, row in enumerate(rows))


def _clump(dice: Dice, size: int, start: int, end: int, slow: int, number: int, *, finer: bool) -> list[Row]:
    """Make rows of one kind."""
    kind = dice.one_of(("any", "any", "any", "steady", "steady", "burst", "second", "tie", "legs", "edges"))
    if kind in {"second", "tie"} and dice.happens(80):
        size = min(size, dice.between(2, 8))
    chance = random.Random(dice.between(0, 10**6))
    beyond = (end - start) // 20
    base = dice.one_of((start, end, chance.randint(start - beyond, end + beyond)))
    every = dice.one_of((200_000, SECOND, 5 * SECOND, (end - start) // (size + 1)))
    edges = [start, end, *range(start, end, WIDEST), *range(start, end, WIDEST - 4 * SECOND)]
    ats: dict[str, Callable[[int], int]] = {
        "any": lambda _: chance.randint(start - beyond, end + beyond),
        "steady": lambda index: base + index * every,
        "burst": lambda _: base + int(chance.expovariate(1) * 5 * SECOND),
        "second": lambda _: base // SECOND * SECOND + chance.randrange(1000) * 1000,
        "tie": lambda _: base,
        "legs": lambda index: base + index // 3 * every,
        "edges": lambda _: chance.choice(edges) + chance.choice((-SECOND, -1000, 0, 0, 1000, SECOND)),
    }
    unit = dice.one_of((1, 1000)) if finer else dice.one_of((1000, 1000, SECOND))
    legs = {"legs": 3, "tie": dice.one_of((1, 2, 10**6))}.get(kind, 1)
    return [
        Row(
            at=ats[kind](index) // unit * unit,
            number=max(0, number) + index // legs,
            leg=chance.randrange(2),
            lasts=chance.randrange(7200) if chance.randrange(100) < slow else chance.randrange(3),
        )
        for index in range(size)
    ]


# What a server is like where nothing is special about it.
_PLAIN: Final[tuple[dict[str, Any], ...]] = (
    *({"turn": 10**6}, {"grain": 1}, {"unstable": False}, {"cap": 1000}, {"step": 1000}, {"slips": 0}),
    {"widest": WIDEST},
    *({"stragglers": 0}, {"betrays": False}, {"written": 1, "nearest": False, "up": False}),
    *({"races": 0}, {"raced": PATIENCE}, {"capped": 0}),
)


def smaller(case: Case) -> Iterator[Case]:
    """Yield cases that are smaller than this one."""
    size = len(case.rows)
    while size := size // 2:
        for first in range(0, len(case.rows), size):
            yield evolve(case, rows=case.rows[:first] + case.rows[first + size :])
    for place, each in enumerate(case.runs):
        before, behind = case.runs[:place], case.runs[place + 1 :]
        if behind:
            yield evolve(case, runs=before + behind)
        yield evolve(case, runs=(*before, evolve(each, concurrency=1), *behind))
    for plain in _PLAIN:
        yield evolve(case, manners=evolve(case.manners, **plain))
    yield evolve(case, trouble=0)
    for place, row in enumerate(case.rows):
        plain_row = evolve(row, lasts=0, leg=0, born=0, fault="none", rated=PATIENCE)
        yield evolve(case, rows=(*case.rows[:place], plain_row, *case.rows[place + 1 :]))


def failure(case: Case) -> str:
    """Run a case, and tell what is wrong: nothing, if all is well."""
    try:
        run(case)
    except Exception as error:  # noqa: BLE001 # whatever the planner raises is a finding
        return f"{type(error).__name__}: {error}"
    return ""


def shrink(case: Case, seconds: float = 20) -> Case:
    """Make a case that fails smaller, as long as it fails and there is time."""
    end = time.monotonic() + seconds
    found: Case | None = case
    while found is not None:
        case, found = found, _smaller_failure(found, end)
    return case


def _smaller_failure(case: Case, end: float) -> Case | None:
    for candidate in smaller(case):
        if time.monotonic() > end:
            return None
        if candidate != case and failure(candidate):
            return candidate
    return None


@define
class Shares:
    """How many cases had what in them, by name; which failed; and how often the oracle had to excuse something."""

    cases: int = 0
    answers: int = 0
    had: Counter[str] = field(factory=Counter)
    kinds: Counter[str] = field(factory=Counter)
    kinds_failed: Counter[str] = field(factory=Counter)
    excuses: Counter[str] = field(factory=Counter)
    failed: list[int] = field(factory=list)

    def note(self, story: Story) -> None:
        """Count a case."""
        self.answers += story.answers
        self.had.update(
            {
                "three or more full pages": story.full_pages >= 3,
                "a saturated instant": bool(story.saturations),
                "a resume inside a tie": bool(story.tie_resumes),
                "late rows": bool(story.late),
                "rows that cannot be read": bool(story.unreadable),
                "a window that was not answered in time": bool(story.narrowed),
                "a proof": bool(story.proofs),
                "a withdrawn proof": bool(story.withdrawals),
                "a claim that disagreed": bool(story.disagreements),
                "a cap found": bool(story.caps),
            }
        )
        self.excuses.update(
            {
                "a server lied behind the page that its order was proven on": bool(story.excused),
                "rows were handed out before a server showed that it does not sort": bool(story.void),
                "a cap that nothing but round sizes shows: it was found too late, which is an error": bool(
                    story.gave_up
                ),
                "a cap that nothing but round sizes shows: it was not found": bool(story.cut_silently),
                **{f"a silent cap: {excuse}": bool(story.lost_to_caps[excuse]) for excuse in EXCUSES},
                "an instant named as saturated, because it is not known how its server rounds times": bool(
                    story.saturated_by_rounding
                ),
                "a gap in which the page would have hardly any rows, or that pauses make plausible: rows were lost": bool(
                    story.lost_in_gaps
                ),
            }
        )

    def add(self, other: Shares) -> None:
        """Count the cases of another process too."""
        self.cases += other.cases
        self.answers += other.answers
        self.failed += other.failed
        for name in ("had", "kinds", "kinds_failed", "excuses"):
            getattr(self, name).update(getattr(other, name))


@frozen
class Choice:
    """Which kinds the cases may have: see `with_kinds`."""

    kinds: tuple[str, ...] = ON
    surely: bool = False

    def pull(self, seed: int) -> Case:
        """Make the pull of a seed."""
        return make_case(random.Random(seed), kinds=self.kinds, surely=self.surely)

    def follow(self, seed: int) -> FollowCase:
        """Make the follow of a seed."""
        return make_follow_case(random.Random(seed), rated_again=RATED_AGAIN in self.kinds)


def run_seeds(seeds: range, choice: Choice = Choice()) -> Shares:
    """Run the cases of some seeds."""
    shares = Shares()
    for seed in seeds:
        shares.cases += 1
        case = choice.pull(seed)
        shares.kinds.update(case.kinds)
        try:
            shares.note(run(case))
        except Exception:  # noqa: BLE001 # whatever the planner raises is a finding
            shares.failed.append(seed)
            shares.kinds_failed.update(case.kinds)
        try:
            shares.had.update({"a follow whose clock jumped": bool(run_follow(choice.follow(seed)).jumps)})
        except Exception:  # noqa: BLE001 # whatever the tail raises is a finding
            shares.failed.append(seed)
            shares.kinds_failed["a follow"] += 1
    return shares


def _show(seed: int, choice: Choice) -> bool:
    """Run one case, and tell what is wrong with it."""
    case, follow = choice.pull(seed), choice.follow(seed)
    wrong = failure(case)
    try:
        run_follow(follow)
    except Exception as error:  # noqa: BLE001 # whatever the tail raises is a finding
        print(f"--only {seed}: the follow: {type(error).__name__}: {error}\n  {follow}")
        return False
    if not wrong:
        print(f"--only {seed}: fine")
        return True
    small = shrink(case)
    print(f"--only {seed} {case.kinds}: {wrong}\n  as small as it gets: {failure(small)}\n  {small}", flush=True)
    return False


def _some_kinds(text: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in text.split(","))
    if not set(chosen) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"some of {', '.join(KINDS)}, not {text}")
    return chosen


def main() -> int:
    """Run the cases, and tell what they had in them, and which failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int)
    parser.add_argument("--kinds", type=_some_kinds, metavar="A,B", help=f"cases of these kinds: {', '.join(KINDS)}")
    options = parser.parse_args()
    choice = Choice() if options.kinds is None else Choice(options.kinds, surely=True)
    if options.only is not None:
        return 0 if _show(options.only, choice) else 1
    began, total, first = time.monotonic(), Shares(), options.seed * 10**6
    chunks = [range(seed, min(seed + 100, first + options.cases)) for seed in range(first, first + options.cases, 100)]
    with ProcessPoolExecutor(options.jobs) as pool:
        for shares in pool.map(run_seeds, chunks, repeat(choice)):
            total.add(shares)
    print(f"{total.cases} cases, {total.answers} answers, {time.monotonic() - began:.0f} s")
    for name, count in total.had.items():
        print(f"{count / total.cases:7.1%}  {name}")
    for name, count in total.kinds.items():
        print(f"{count:7}  {name}: {total.kinds_failed[name]} failed")
    print("What the oracle excused:")
    for name, count in total.excuses.items():
        print(f"{count:7}  {name}")
    print(f"{len(total.failed)} failed: {total.failed[:20]}")
    for seed in total.failed[:5]:
        _show(seed, choice)
    # Some kinds leave no room for all that is hard elsewhere.
    return 1 if total.failed or (options.kinds is None and not all(total.had.values())) else 0


if __name__ == "__main__":
    sys.exit(main())
