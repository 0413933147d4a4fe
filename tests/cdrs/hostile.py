"""A hostile case, and what is promised of it.

A `Case` says everything of a pull: the rows, the server's manners, when rows appear, what goes wrong, where the pull crashes and
goes on. The oracle is the plain list of rows, and borrows nothing from what it judges.

What must come: each row that is there from the start, and each that appears before any window around it is answered. A row that
appears later may come. None may come twice or out of order. What a pull says is saturated must be, and may be missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, Literal

from attrs import define, evolve, field, frozen

from unlimcall_async import CallRecord
from unlimcall_async.cdrs.times import WIDEST, to_datetime

Order = Literal[
    "newest_first",
    "oldest_first",
    "insertion",  # as calls end
    "insertion_backwards",
    "arbitrary",
    "by_blocks",  # the newest hour first, and in each the oldest call first
    "shuffled",  # another part of the window in each answer
    "sorted_after_limit",  # any rows of the window, and then newest first
    "by_id",  # as texts; the numbers rise with time, but a prefix or another digit may break the order of time
    "by_id_backwards",
]
Fault = Literal["none", "field", "start"]
HONEST: Final[tuple[Order, ...]] = ("newest_first", "oldest_first")
FIXED: Final[tuple[Order, ...]] = (*HONEST, "insertion", "insertion_backwards", "arbitrary", "by_blocks")
ORDERS: Final[tuple[Order, ...]] = (*FIXED, "shuffled", "sorted_after_limit")
BY_ID: Final[tuple[Order, ...]] = ("by_id", "by_id_backwards")

# Fewer records than this, where the density of a page would have them: a gap that nobody has to doubt (contract, section 2).
HANDFUL: Final = 5
# If an exchange stood in for another, a gap of up to so many times the longest pause between calls need not be doubted either.
FAR_LONGER: Final = 4
# The kind of a case in which answers may be cut short without saying so, and nothing may be lost all the same.
SILENT_CAPS: Final = "silent caps"
# So many requests of a run are enough to hand something out (contract, section 2, promise 7).
ENOUGH_TO_ADVANCE: Final = 30

# Nothing sane comes near it.
PATIENCE: Final = 10_000


# What changes of a row that is rated again: one field, by its number and leg.
_RATED: Final[tuple[dict[str, Any], ...]] = (
    {"sell_price_cents": 7},
    {"currency": "EUR"},
    {"disposition": "ANSWERED"},
    {"country": "DE"},
)


@frozen(repr=False)
class Row:
    """A row: when it starts, in microseconds, its id and leg, how many seconds it lasts, and in which answer it can be first.

    `fault` is what cannot be read of it: nothing, a field that is not its start, or its start. The id is the number behind the
    prefix. From the answer with the number `rated` on, the row has another price, currency, disposition or country.
    """

    at: int
    number: int
    leg: int = 0
    lasts: int = 0
    born: int = 0
    fault: Fault = "none"
    prefix: str = ""
    rated: int = PATIENCE

    @property
    def id(self) -> str:
        """The id that the answers say."""
        return f"{self.prefix}{self.number}"

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells a row from others, in the order of the output."""
        return self.at, self.id, str(self.leg)

    def __repr__(self) -> str:
        rest = [self.leg, self.lasts, self.born]
        while rest and not rest[-1]:
            rest.pop()
        named = [] if self.fault == "none" else [f"fault={self.fault!r}"]
        named += [f"prefix={self.prefix!r}"] if self.prefix else []
        named += [f"rated={self.rated}"] if self.rated < PATIENCE else []
        return f"Row({', '.join([*map(str, (self.at, self.number, *rest)), *named])})"

    @property
    def text(self) -> bytes:
        """What the answers have of a row that cannot be read."""
        return f"{self.at} {self.number} {self.leg}".encode()

    def as_record(self, *, rated: bool = False) -> CallRecord:
        """Write the row as the client reads it, before or after it was rated again."""
        changed = _RATED[(self.number + self.leg) % len(_RATED)] if rated else {}
        return CallRecord(self.id, to_datetime(self.at), self.lasts, 0, dst=str(self.leg), **changed)


@frozen
class Manners:
    """What the reference leaves open.

    Attributes:
        order: The order at first.
        then: The order from the answer with the number `turn` on.
        turn: When the order changes.
        step: Bounds are compared in steps of so many microseconds.
        grain: Sorting goes by steps of so many microseconds.
        unstable: Rows of one grain come in another order each time.
        cap: The most rows of an answer, whatever is asked for.
        capped: From the answer with this number on.
        written: Times are written in steps of so many microseconds, though they are compared as they are.
        nearest: They are rounded, not cut.
        up: They are rounded up, not cut.
        stragglers: The share of rows, in percent, that a sorted server gives behind all others.
        tidy: Whether they stand in their places where an answer is whole.
        betrays: Whether it skips rows where nobody can see it, once the order is proven, and then shows that it does not sort.
        slips: The share of pages, in percent, that skip rows though they arrive sorted, one of them where they must repeat it.
        widest: The widest window, in microseconds, that is answered in time.
        races: The share of whole answers, in percent, whose `count` is up to three off the rows.
        raced: The number of the one answer that surely is.
        under: Whether `count` is below the rows then, and not above.
    """

    order: Order = "newest_first"
    then: Order = "newest_first"
    turn: int = PATIENCE
    from_included: bool = True
    till_included: bool = False
    step: int = 1000
    grain: int = 1
    unstable: bool = False
    counts_matches: bool = False
    cap: int = 1000
    capped: int = 0
    written: int = 1
    nearest: bool = False
    up: bool = False
    stragglers: int = 0
    tidy: bool = False
    betrays: bool = False
    slips: int = 0
    widest: int = WIDEST
    races: int = 0
    raced: int = PATIENCE
    under: bool = False

    def write(self, row: Row) -> Row:
        """Say of a row what the answers say."""
        late = self.written - 1 if self.up else self.written // 2 if self.nearest else 0
        return evolve(row, at=(row.at + late) // self.written * self.written)


@frozen
class Run:
    """One process of a pull: it ends after so many records, or so many answers, or never before the pull is over.

    A run that `advances` takes all that is ready before it ends, and must have come further than the run before.
    """

    page_size: int
    concurrency: int
    records: int = PATIENCE
    answers: int = PATIENCE
    advances: bool = False


@frozen
class Case:
    """A pull of `[start, end)`, in microseconds. `trouble` is the share of answers, in percent, that go wrong.

    `kinds` are the names of what was added to the case: see `kinds`.
    """

    rows: tuple[Row, ...]
    manners: Manners
    start: int
    end: int
    newest_first: bool
    seek: bool
    runs: tuple[Run, ...]
    trouble: int = 0
    seed: int = 0
    kinds: tuple[str, ...] = ()


@define
class Story:
    """What happened in a case."""

    answers: int = 0
    full_pages: int = 0
    saturations: int = 0
    tie_resumes: int = 0
    late: int = 0
    proofs: int = 0
    disagreements: int = 0
    withdrawals: int = 0
    caps: int = 0
    gave_up: int = 0
    void: int = 0
    excused: int = 0
    cut_silently: int = 0
    most_held: int = 0
    unreadable: int = 0
    narrowed: int = 0
    raced: int = 0
    rated_between: int = 0
    gaps: int = 0
    lost_in_gaps: int = 0
    saturated_by_rounding: int = 0
    lost_to_caps: Counter[str] = field(factory=Counter)


class BrokenError(AssertionError):
    """A promise was broken."""


def check(promise: object, otherwise: str) -> None:
    """Insist on a promise, `python -O` or not."""
    if not promise:
        raise BrokenError(otherwise)


def check_order(keys: Sequence[tuple[int, str]], *, newest_first: bool) -> None:
    """Insist on the order of the output."""
    for former, latter in pairwise(keys):
        ordered = former >= latter if newest_first else former <= latter
        check(ordered, f"{former} came before {latter}")


def check_unreadable(named: Counter[bytes], must: Iterable[Row], may: Iterable[Row]) -> None:
    """Insist on it that each row that cannot be read is named, and none too often."""
    lost = Counter(row.text for row in must) - named
    check(not lost, f"{lost.total()} were not named: {sorted(lost)[:3]}")
    more = named - Counter(row.text for row in may)
    check(not more, f"{more.total()} were named too often: {sorted(more)[:3]}")


def check_rows(came: Counter[tuple[int, str, str]], must: Iterable[Row], may: Iterable[Row]) -> None:
    """Insist on all that must come, and nothing but what may."""
    lost = Counter(row.key for row in must) - came
    check(not lost, f"lost {lost.total()}: {sorted(lost)[:3]}")
    more = came - Counter(row.key for row in may)
    check(not more, f"{more.total()} came too often: {sorted(more)[:3]}")
