"""What the simulated API holds: call records that appear late, are revised, go, and come back, each at a time of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from random import Random
from typing import Final, cast
from zlib import crc32

from attrs import define, evolve, field, frozen

from unlimcall_async import CallRecord
from unlimcall_async.sandbox import SandboxCall
from unlimcall_async.sandbox.calls import CallStore, Window, epoch_ms
from unlimcall_async.sandbox.settings import Order

# Milliseconds.
_MARGIN: Final = 3000


@frozen
class Version:
    """A row as it is from a time on; `None` while the API does not show it."""

    since: float
    call: SandboxCall | None


@define(eq=False)
class Held:
    """A row and its versions, the earliest first."""

    start: int
    number: int
    versions: list[Version]

    @property
    def first(self) -> SandboxCall:
        """The row as it is at first."""
        call = self.versions[0].call
        assert call is not None, "a row begins with a version that is there"
        return call

    def at(self, now: float) -> SandboxCall | None:
        """Return the row as it is at a time of the loop."""
        shown = None
        for version in self.versions:
            if version.since > now:
                break
            shown = version.call
        return shown


@define(eq=False)
class Rows(CallStore):
    """The rows, in place of the sandbox's own store: with time, and in odd orders.

    Attributes:
        clock: Returns the loop's time.
        held: All rows, in order of their start.
        by_end: Whether rows are given as their calls end, if the order is "insertion".
        turn: From which answer on they are sorted differently, and how.
        slip: Returns whether a full page that goes on from another lacks rows.
    """

    clock: Callable[[], float]
    held: list[Held] = field(factory=list)
    by_end: bool = False
    turn: tuple[int, str] | None = None
    slip: Callable[[], bool] = field(default=lambda: False)
    answers: int = 0
    # The last rows of the latest full page whose window ended there: what a page that goes on from it has, too.
    _tails: dict[int, set[int]] = field(factory=dict)

    def add(self, calls: Iterable[SandboxCall]) -> None:
        """Add rows that are there from now on."""
        for call in calls:
            self.hold(call, [Version(self.clock(), call)])

    def hold(self, call: SandboxCall, versions: list[Version]) -> None:
        """Add a row with its versions."""
        self.held.append(Held(epoch_ms(call.start_time), len(self.held), versions))

    @property
    def rows(self) -> tuple[SandboxCall, ...]:
        """The rows that are there now."""
        now = self.clock()
        return tuple(call for held in self.held if (call := held.at(now)) is not None)

    def select(self, window: Window, *, order: Order, limit: int) -> tuple[list[SandboxCall], int]:
        """Return the first rows of a window in an order, and how many the window has."""
        now = self.clock()
        self.answers += 1
        if self.turn is not None and self.answers >= self.turn[0]:
            order = cast("Order", self.turn[1])
        found = [
            (held, call)
            for held in self.held
            if window.start <= held.start < window.end and (call := held.at(now)) is not None
        ]
        if order == "newest_first":
            found.sort(key=lambda row: (-row[0].start, -row[0].number))
        elif order == "oldest_first":
            found.sort(key=lambda row: (row[0].start, row[0].number))
        elif order == "arbitrary":
            found.sort(key=lambda row: crc32(f"{row[0].number} {row[0].start}".encode()))
        elif self.by_end:
            found.sort(key=lambda row: (row[0].start + 1000 * row[1].duration, row[0].number))
        page = found[:limit]
        if len(found) > limit and order in {"newest_first", "oldest_first"}:
            far_end = window.start if order == "newest_first" else window.end
            place = self._place_to_slip(page, window, self._tails.get(far_end, set()))
            # A page that slips stays full: a shorter one would say that it is its whole window.
            if place is not None and len(found) >= limit + 2 and self.slip():
                # It still arrives sorted. Only the row that the page before had gives it away.
                del page[limit // 2], page[place]
                page += found[limit : limit + 2]
            self._tails[far_end] = {held.number for held, _ in page[-12:]}
        return [call for _, call in page], len(found)

    def forget_pages(self) -> None:
        """Have no page slip that goes on from one of a process which has ended: a new process does not know what that one had."""
        self._tails.clear()

    @staticmethod
    def _place_to_slip(page: list[tuple[Held, SandboxCall]], window: Window, before: set[int]) -> int | None:
        """Return the place of a row of the page that the page before had, too; `None` if the pages share no row that must be there.

        No page need hold the rows in the first seconds of its window: some servers leave them out.
        """
        if len(page) <= 16 or not all(held.number in before for held, _ in page[:6]):
            return None
        surely = (
            place
            for place, (held, _) in enumerate(page[:6])
            if window.start + _MARGIN < held.start < window.end - _MARGIN
        )
        return next(surely, None)

    def between(self, start: datetime, end: datetime, now: float | None = None) -> list[SandboxCall]:
        """Return the rows of a range at a time, in order of their start."""
        now = self.clock() if now is None else now
        first, last = epoch_ms(start), epoch_ms(end)
        shown = [(held, held.at(now)) for held in self.held if first <= held.start < last]
        return [call for held, call in sorted(shown, key=lambda row: (row[0].start, row[0].number)) if call is not None]


def as_record(call: SandboxCall) -> CallRecord:
    """Return a row as the client reads it."""
    return CallRecord(
        *(call.id, call.start_time.astimezone(UTC), call.duration, call.billsec, call.src, call.dst),
        *(call.disposition, call.sip_username, call.sell_price_cents, call.currency, call.country, call.did),
    )


def some_rows(chance: Random, count: int, start: datetime, end: datetime, *, kind: str) -> list[SandboxCall]:
    """Return rows of a range: bursts, ties, legs that share an id, and silence."""
    first, span = epoch_ms(start), epoch_ms(end) - epoch_ms(start)
    centres = [chance.randrange(span) for _ in range(4)]
    # Some traffic is so dense that a page holds less than a second.
    width = chance.choice((2500, 8000))
    rows = list[SandboxCall]()
    while len(rows) < count:
        match kind:
            case "bursts":
                at = centres[chance.randrange(4)] + int(chance.gauss(0, span / 400))
            case "dense":
                at = centres[0] + chance.randrange(width)
            case "ties" if rows and chance.random() < 0.4:
                at = epoch_ms(rows[-1].start_time) - first
            case _:
                at = chance.randrange(span)
        at = min(max(at, 0), span - 1)
        at -= at % chance.choice((1, 1, 1 if kind == "dense" else 1000))
        moment = datetime.fromtimestamp((first + at) / 1000, UTC)
        row = SandboxCall(
            id=f"{(first + at) // 1000}.{len(rows)}",
            start_time=moment.replace(microsecond=(first + at) % 1000 * 1000),
            duration=int(min(300, chance.expovariate(1 / 60))),
            sell_price_cents=chance.choice((None, 0, 7, 34)),
            dst=f"+4930{chance.randrange(10**6):06d}",
        )
        rows.append(row)
        if chance.random() < 0.05:
            rows.append(evolve(row, dst=f"+4940{chance.randrange(10**6):06d}"))
    return rows[:count]


def lives(
    chance: Random, call: SandboxCall, since: float, *, late: float, revised: float, lost: float
) -> list[Version]:
    """Return the versions of a row: when it appears, and whether it is revised, or goes and comes back."""
    # Many that are late appear between two pages of a pull.
    delay = chance.choice((chance.uniform(0, 4), chance.uniform(1, 60))) if chance.random() < late else 0.0
    versions = [Version(since + delay, call)]
    if chance.random() < revised:
        versions.append(Version(versions[-1].since + chance.uniform(1, 60), evolve(call, sell_price_cents=99)))
    if chance.random() < lost:
        gone = versions[-1].since + chance.uniform(1, 40)
        versions.append(Version(gone, None))
        if chance.random() < 0.5:
            versions.append(Version(gone + chance.uniform(5, 40), call))
    return versions
