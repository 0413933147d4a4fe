"""A server for the planner alone that is as adversarial as the contract's assumptions allow.

Doubt. An order that is proven may be relied on, says the contract, on later pages that arrive sorted. So from its first proof on
a server that only seems to sort gives itself away: see `ServerPage.as_proven`.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from attrs import define, evolve, frozen

from tests.cdrs.hostile import FAR_LONGER, HANDFUL, HONEST, PATIENCE, Case, Manners, Order, Row, check
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.page import Key, Page
from unlimcall_async.cdrs.planner.parts import Seam
from unlimcall_async.cdrs.rows import BadRow, UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, WIDEST, Range, Window, floor

HOUR: Final = 3600 * 1_000_000


@define(eq=False)
class Held:
    """A row as the server keeps it: in a place of its own, and as a record with the time as it is written."""

    at: int
    born: int
    ended: int
    rank: float
    written: int
    records: tuple[CallRecord, CallRecord]
    row: Row

    @classmethod
    def of(cls, row: Row, rank: float, manners: Manners) -> Held:
        """Take a row in."""
        written = manners.write(row)
        records = written.as_record(), written.as_record(rated=True)
        return cls(row.at, row.born, row.at + row.lasts * 1_000_000, rank, written.at, records, written)

    @property
    def key(self) -> Key:
        """What the planner knows it by, if it knows its start."""
        return self.records[0].start_time, self.as_row(Window(0, 1), 0).id

    def as_row(self, window: Window, now: int) -> CallRecord | BadRow:
        """Return the row as the planner receives it in the answer with a number, if its start can be read."""
        if self.row.fault == "none":
            return self.records[now >= self.row.rated]
        start = self.records[0].start_time
        return BadRow(where="", reason="", body=self.row.text, window=window, before=0, start_time=start)

    @property
    def second(self) -> int:
        """The second that it is said to start in."""
        return self.written // 1_000_000


@frozen
class ServerPage:
    """The rows of an answer, the other rows of its window, and the limit that it was asked with.

    `now` is the number of the answer, and `off` what its `count` has more than the rows if it is whole.
    """

    rows: list[Held]
    left: list[Held]
    limit: int
    counts_matches: bool
    now: int = 0
    off: int = 0

    def as_page(self, window: Window) -> Page:
        """Return the page as the planner receives it."""
        rows, unplaced = list[CallRecord | BadRow](), list[UnplacedRow]()
        for held in self.rows:
            if held.row.fault == "start":
                row = UnplacedRow(where="", reason="", body=held.row.text, window=window, before=len(rows))
                unplaced.append(row)
            else:
                rows.append(held.as_row(window, self.now))
        size = len(self.rows)
        count = size + (len(self.left) if self.counts_matches else 0)
        count = count if self.left else max(0, count + self.off)
        complete = size < self.limit and count <= size
        finer = any(held.written % MILLISECOND for held in self.rows)
        starts = [row.start_time for row in rows]
        return Page(rows, starts, count, complete, finer, any_bad=True, unplaced=unplaced, new_unplaced=unplaced)

    def _seems(self, *, newest_first: bool) -> bool:
        """Whether the page looks like the first of its window in that direction, but is not."""
        sign = -1 if newest_first else 1
        seconds = [sign * held.second for held in self.rows]
        return (
            bool(seconds)
            and all(a <= b for a, b in pairwise(seconds))
            and any(sign * held.second < seconds[-1] for held in self.left)
        )

    @property
    def seems_whole(self) -> bool:
        """Whether the page says that it is whole."""
        return len(self.rows) < self.limit and not (self.left and self.counts_matches)

    @property
    def is_cut_silently(self) -> bool:
        """Whether the page lacks rows, and says that it is whole."""
        return bool(self.left) and not self.counts_matches and len(self.rows) < self.limit

    def plausible_gaps(self, window: Window, longest: int) -> Iterator[Range]:
        """Yield where a page that arrives sorted skips rows, if it would have hardly any there by its density.

        A gap that is no longer than `longest`, in microseconds, is plausible, too.
        """
        seconds = [held.second for held in self.rows]
        for falls in (True, False):
            if not self.left or seconds != sorted(seconds, reverse=falls):
                continue
            ats = [window.till if falls else window.start, *(held.written for held in self.rows)]
            span = abs(ats[-1] - ats[1])
            for place, (former, latter) in enumerate(pairwise(ats)):
                low, high = min(former, latter), max(former, latter)
                around = span - (high - low if place else 0)
                plausible = len(self.rows) * (high - low) < HANDFUL * around or high - low <= longest
                if plausible and any(low <= held.written <= high for held in self.left):
                    yield Range(low, high + 1)

    def slipped(self, seam: Seam, chance: random.Random) -> ServerPage:
        """Skip rows, one of them surely where the page before it has it too: whoever compares the two sees it."""
        sign = -1 if seam.descending else 1
        rows = sorted(self.rows + self.left, key=lambda held: sign * held.at)
        first = seam.reach + sign * 2 * SECOND
        times = Counter(held.key for held in rows)
        repeated = {key for key, count in Counter(seam.near).items() if count == times[key]}
        seen = [held for held in rows if held.key in repeated and sign * held.written > sign * first][:8]
        if not self.left or not seen:
            return self
        others = chance.sample(rows, min(3, len(self.left) - 1))
        skipped = {id(held) for held in (chance.choice(seen), *others)}
        rows = [held for held in rows if id(held) not in skipped][: len(self.rows)]
        shown = {id(held) for held in rows}
        left = [held for held in self.rows + self.left if id(held) not in shown]
        return evolve(self, rows=rows, left=left)

    def skipping(self, chance: random.Random) -> ServerPage:
        """Skip rows far from the ends of the page, where no other page shows it."""
        newest_first = self.rows[0].at > self.rows[-1].at
        rows = sorted(self.rows + self.left, key=lambda held: held.at, reverse=newest_first)
        size = len(self.rows)
        middle = rows[size // 4 : size // 2]
        skipped = {id(held) for held in chance.sample(middle, min(3, len(middle), len(self.left)))}
        rows = [held for held in rows if id(held) not in skipped][:size]
        shown = {id(held) for held in rows}
        return evolve(self, rows=rows, left=[held for held in self.rows + self.left if id(held) not in shown])

    def as_proven(self) -> ServerPage:
        """Turn the page so that it does not arrive sorted, if it is not what a sorted page would be.

        Rows of a single second cannot be turned: they show no order, and nothing may be concluded from them.
        """
        return self.turned() if self.seems_sorted else self

    @property
    def seems_sorted(self) -> bool:
        """Whether the page arrives sorted, and is not what it seems to be."""
        return self._seems(newest_first=True) or self._seems(newest_first=False)

    @property
    def is_turned(self) -> bool:
        """Whether the rows go back and forth."""
        seconds = [held.second for held in self.rows]
        return sorted(seconds) != seconds != sorted(seconds, reverse=True)

    def turned(self) -> ServerPage:
        """Have the rows go back and forth."""
        if len(self.rows) < 3:
            return self
        low, *others, high = sorted(self.rows, key=lambda held: held.second)
        ups_and_downs = [low, high, *others] if others and others[0].second < high.second else [high, low, *others]
        return evolve(self, rows=ups_and_downs)


def _prefix_changes(rows: Sequence[Row]) -> int:
    """Return how often the prefix of the ids changes, over time."""
    return sum(a.prefix != b.prefix for a, b in pairwise(sorted(rows, key=lambda row: (row.at, row.number))))


class Server:
    """Answers windows as its manners are, and keeps what it answered."""

    def __init__(self, case: Case) -> None:
        self.manners = case.manners
        self._chance = random.Random(case.seed)
        self._racing = random.Random(case.seed + 2)
        ranks = [self._chance.random() for _ in case.rows]
        self._all = [Held.of(row, rank, case.manners) for row, rank in zip(case.rows, ranks, strict=True)]
        # The places of the rows by time: a window mostly holds few of them.
        self._places = sorted(range(len(self._all)), key=lambda place: self._all[place].at)
        self._ats = [self._all[place].at for place in self._places]
        # How long a gap is plausible if an exchange stood in for another for a while.
        self.plausible = FAR_LONGER * self._longest_pause(case) if _prefix_changes(case.rows) > 1 else 0
        self._finer = any(row.at % 1000 for row in case.rows)
        self.answered: list[Window] = []
        self.full_pages = 0

    def _longest_pause(self, case: Case) -> int:
        """Return for how long no row starts, within the range."""
        within = [at for at in self._ats if case.start <= at < case.end]
        return max(latter - former for former, latter in pairwise([case.start, *within, case.end]))

    def span(self, window: Window) -> tuple[int, int]:
        """Return the microseconds that the window holds: from the first up to, but not including, the second."""
        step = self.manners.step
        low = window.start // step + (not self.manners.from_included)
        high = window.till // step + self.manners.till_included
        return low * step, high * step

    def page(self, window: Window, limit: int) -> ServerPage:
        """Answer a window."""
        check(0 < len(window) <= WIDEST, "the API would refuse the window")
        now = len(self.answered)
        size = min(limit, self.manners.cap) if now >= self.manners.capped else limit
        self.answered.append(window)
        check(now < PATIENCE, "it asks without end")
        low, high = self.span(window)
        places = sorted(self._places[bisect_left(self._ats, low) : bisect_left(self._ats, high)])
        there = [self._all[place] for place in places if self._all[place].born <= now]
        order = self.manners.order if now < self.manners.turn else self.manners.then
        there.sort(key=self._key(order), reverse=order == "by_id_backwards")
        rows, left = there[:size], there[size:]
        if order == "sorted_after_limit":
            rows.sort(key=self._key("newest_first"))
        if self.manners.tidy and not left and order in HONEST:
            rows.sort(key=lambda held: held.at, reverse=order == "newest_first")
        self.full_pages += bool(left) or len(rows) >= limit
        return ServerPage(rows, left, limit, self.manners.counts_matches, now, self._off(now))

    def _off(self, now: int) -> int:
        """Return how much `count` is off in an answer that is whole."""
        manners = self.manners
        if now != manners.raced and (not manners.races or self._racing.randrange(100) >= manners.races):
            return 0
        return self._racing.choice((1, 1, 2, 3)) * (-1 if manners.under else 1)

    def _key(self, order: Order) -> Callable[[Held], Any]:
        grain, chance = self.manners.grain, self._chance.random

        def rank(held: Held) -> float:
            return chance() if self.manners.unstable else held.rank

        def straggles(held: Held) -> bool:
            return held.rank * 100 < self.manners.stragglers

        keys: dict[Order, Callable[[Held], Any]] = {
            "newest_first": lambda held: (straggles(held), -(held.at // grain), rank(held)),
            "oldest_first": lambda held: (straggles(held), held.at // grain, rank(held)),
            "insertion": lambda held: (held.born, held.ended, held.rank),
            "insertion_backwards": lambda held: (-held.born, -held.ended, held.rank),
            "arbitrary": lambda held: held.rank,
            "by_blocks": lambda held: (-(held.at // HOUR), held.at // grain, rank(held)),
            "shuffled": lambda _: chance(),
            "sorted_after_limit": rank,
            "by_id": lambda held: (held.row.id, held.rank),
            "by_id_backwards": lambda held: (held.row.id, held.rank),
        }
        return keys[order]

    def never_seen(self, row: Row) -> bool:
        """Whether no window around the row was answered before it was there."""
        spans = (self.span(window) for window in self.answered[: row.born])
        return not any(low <= row.at < high for low, high in spans)

    def saturates(self, where: Range, limit: int) -> bool:
        """Whether around some instant in, or beside, a range every window holds as many rows as a page."""
        size = min(limit, self.manners.cap)
        near = [
            held.at for held in self._all if where.start - SECOND <= floor(held.at, MILLISECOND) <= where.end + SECOND
        ]
        return any(self._fewest(at, near) >= size for at in set(near))

    def saturates_rounded(self, where: Range, limit: int) -> bool:
        """Whether a range is of a server that rounds the times that it writes, and does not fit on a page with its margins."""
        manners, written = self.manners, self.manners.written
        if written <= MILLISECOND or not (manners.nearest or manners.up or written > manners.step):
            return False  # they are compared as they are written
        low, high = floor(where.start, SECOND) - 2 * SECOND, floor(where.end - 1, SECOND) + 2 * SECOND
        return sum(low <= held.at <= high + SECOND for held in self._all) >= min(limit, manners.cap)

    def _fewest(self, at: int, near: Sequence[int]) -> int:
        """The rows of the window around an instant that has the fewest.

        Where times are finer than milliseconds, of that around its second, because what is known may lie at whole seconds alone:
        then nothing tells how finely times are compared, and a window must hold a second's last microsecond too.
        """
        millis, step = floor(at, MILLISECOND), max(MILLISECOND, self.manners.step)
        if self._finer:
            first = floor(at, SECOND)
            return sum(first - MILLISECOND <= each <= first + SECOND + MILLISECOND for each in near)
        cut = floor(millis, step)
        edges = sorted(
            {edge for base in (millis, cut, cut + step) for edge in (base - MILLISECOND, base, base + MILLISECOND)}
        )
        spans = {self.span(Window(start, till)) for start in edges for till in edges if start < till}
        return min(sum(low <= each < high for each in near) for low, high in spans if low <= at < high)
