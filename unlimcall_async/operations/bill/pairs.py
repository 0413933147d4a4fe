"""Pairs the lines of an invoice with call records. Pure: no I/O.

Lines and records that agree in everything are paired as the records come, so that memory holds the lines and the records that are
left. A record is paired at once if just one free line agrees with it: such a pair is part of some largest set of pairs. All others
wait for the end.

Then the rest is paired in passes, from the plainest to the least. A pass never undoes an earlier one. Amounts come first: of calls
that are alike, the one with the wrong amount is the one that is left.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from unlimcall_async.operations.bill.keys import Call, Key, Shape, apart_of
from unlimcall_async.operations.bill.lines import InvoiceLine
from unlimcall_async.operations.spending import MONEY

# What a pass allows an amount to be.
Amounts: TypeAlias = Literal["exact", "tolerated", "same currency", "any"]
# Where a pass looks for the start of a record.
Starts: TypeAlias = Literal["near", "shifted", "any"]

_MICROSECOND: Final = timedelta(microseconds=1)
# Clocks of two time zones differ by a multiple of this, and by no more than the second.
_STEP: Final = 1_800_000_000
_FARTHEST: Final = 26 * 3_600_000_000
# Records that are looked at for one line on each side of its start. So a file of equal calls costs no more than others.
_LOOKED_AT: Final = 200


@frozen(eq=False)
class Billed:
    """A line, with what is compared.

    Attributes:
        line: The line.
        wall: Its start on the wall, or 0.
        cents: Its amount in hundredths.
        key: What identifies its call.
    """

    line: InvoiceLine
    wall: int
    cents: Decimal
    key: Key


Pair: TypeAlias = tuple[Billed, Call]


@frozen
class _Pass:
    """One pass.

    Attributes:
        amounts: What an amount may be.
        starts: Where the start of a record may be.
        duration: Whether the duration must agree.
    """

    amounts: Amounts
    starts: Starts
    duration: bool


_AMOUNTS: Final[tuple[Amounts, ...]] = get_args(Amounts)


def _passes(shape: Shape) -> Iterator[_Pass]:
    """Yield the passes for lines of a shape."""
    for amounts in _AMOUNTS:
        if shape.duration:
            yield _Pass(amounts, "near", duration=True)
        # Two calls of one instant are not one for that alone, if their lengths could tell.
        if shape.id or shape.destination or not shape.duration or amounts in {"exact", "tolerated"}:
            yield _Pass(amounts, "near", duration=False)
    for amounts in _AMOUNTS:
        if shape.id:
            yield _Pass(amounts, "any", duration=False)
        elif shape.start and shape.destination and amounts in {"exact", "tolerated"}:
            yield _Pass(amounts, "shifted", duration=shape.duration)


@frozen(eq=False)
class _Bucket:
    """The lines that agree in everything, by their start."""

    walls: list[int] = field(factory=list)
    lines: list[Billed] = field(factory=list)


class Pairing:
    """Pairs the lines of one shape with records.

    Args:
        shape: The shape.
        lines: The lines.
        window: How far the start of a record may be from that of its line, in microseconds.
        tolerance: How far amounts may differ, in hundredths.
    """

    def __init__(self, shape: Shape, lines: Iterable[Billed], window: int, tolerance: Decimal) -> None:
        self._shape, self._window, self._tolerance = shape, window, tolerance
        self.free: dict[Billed, None] = dict.fromkeys(sorted(lines, key=lambda each: (each.wall, each.line.number)))
        self._buckets: dict[Key, _Bucket] = {}
        # The starts of lines by what identifies their calls.
        self._walls = defaultdict[Key, list[int]](list)
        self._amounts = {each.cents for each in self.free}
        self._prices = sorted(self._amounts)
        for each in self.free:
            line = each.line
            bucket = self._buckets.setdefault((*each.key, line.duration, each.cents, line.currency), _Bucket())
            bucket.walls.append(each.wall)
            bucket.lines.append(each)
            self._walls[each.key].append(each.wall)

    def knows(self, call: Call) -> bool:
        """Return whether a pass may pair a line with a record."""
        key = self._shape.key_of_call(call)
        if key not in self._walls or self._shape.id or not self._shape.start:
            return key in self._walls
        reach = self._window + (_FARTHEST if self._shape.destination and self._has_price(call.cents) else 0)
        walls = self._walls[key]
        place = bisect_right(walls, call.wall - reach)
        return place < len(walls) and walls[place] < call.wall + reach

    def _has_price(self, cents: int) -> bool:
        """Return whether a line has an amount, within the tolerance."""
        place = bisect_left(self._prices, MONEY.subtract(cents, self._tolerance))
        return place < len(self._prices) and apart_of(self._prices[place], cents) <= self._tolerance

    def paired_at_once(self, call: Call) -> Billed | None:
        """Return the only free line that agrees with a record in everything; `None` if there are none or several."""
        # Most records of an account are of calls that cost nothing, which few invoices have.
        if call.cents not in self._amounts:
            return None
        only: Billed | None = None
        for key in self._exact_keys(call, duration=True):
            bucket = self._buckets.get(key)
            if bucket is None:
                continue
            first, last = 0, len(bucket.lines)
            if self._shape.start:
                first = bisect_right(bucket.walls, call.wall - self._window)
                last = bisect_left(bucket.walls, call.wall + self._window)
            for place in range(first, last):
                if bucket.lines[place] in self.free:
                    if only is not None:
                        return None
                    only = bucket.lines[place]
        if only is not None:
            del self.free[only]
        return only

    def _exact_keys(self, call: Call, *, duration: bool) -> list[Key]:
        base = (*self._shape.key_of_call(call),)
        currency = call.currency if self._shape.currency else None
        lengths = call.lengths if duration and self._shape.duration else (None,)
        return [(*base, length, call.cents, currency) for length in lengths]

    def rest(self, calls: Iterable[Call], *, exactly: bool = False) -> Iterator[Pair]:
        """Pair what is left.

        Args:
            calls: The records that are not paired.
            exactly: Whether only calls with the amount and the start of their line are paired.

        Yields:
            Pairs of the passes, in their order.
        """
        left = dict.fromkeys(sorted(calls, key=_place_of))
        for one in _passes(self._shape):
            if not self.free or not left or (exactly and (one.amounts, one.starts) != ("exact", "near")):
                return
            pairs = (
                self._exactly(one, left)
                if one.amounts == "exact" and one.starts != "shifted"
                else self._best(one, left)
            )
            for billed, call in pairs:
                del self.free[billed], left[call]
                yield billed, call

    def _exactly(self, one: _Pass, left: Iterable[Call]) -> list[Pair]:
        """Return the largest set of pairs whose amounts are equal."""
        near = one.starts == "near" and self._shape.start
        pairs: list[Pair] = []
        taken: set[Call] = set()
        # An invoice shows the length of the call or that which is billed.
        for which in (0, -1) if one.duration else (0,):
            calls = defaultdict[Key, list[Call]](list)
            for call in left:
                if call not in taken:
                    calls[self._exact_keys(call, duration=one.duration)[which]].append(call)
            lines = defaultdict[Key, list[Billed]](list)
            used = {billed for billed, _ in pairs}
            for billed in self.free:
                line = billed.line
                if billed not in used:
                    key = (*billed.key, line.duration if one.duration else None, billed.cents, line.currency)
                    lines[key].append(billed)
            for key, some in lines.items():
                found = _in_step(some, calls.get(key, []), self._window if near else None)
                pairs += found
                taken |= {call for _, call in found}
        return pairs

    def _best(self, one: _Pass, left: Iterable[Call]) -> list[Pair]:
        """Return pairs whose amounts are as near as can be, line by line."""
        # By their start; without one, by their amount.
        places = defaultdict[Key, list[int]](list)
        calls = defaultdict[Key, list[Call]](list)
        for call in left if self._shape.start else sorted(left, key=lambda call: call.cents):
            key = self._shape.key_of_call(call)
            calls[key].append(call)
            places[key].append(call.wall if self._shape.start else call.cents)
        pairs: list[Pair] = []
        # From the lowest amount on: so two lines that tolerate one record leave it to the one that has no other.
        for billed in sorted(self.free, key=lambda each: (each.cents, each.wall, each.line.number)):
            if billed.key not in calls:
                continue
            some, at = calls[billed.key], places[billed.key]
            fits = self._fits(one, billed)
            allowed = [
                (_distance(billed, some[place]), place) for place in self._around(one, billed, at) if fits(some[place])
            ]
            if allowed:
                _, place = min(allowed)
                pairs.append((billed, some.pop(place)))
                del at[place]
        return pairs

    def _around(self, one: _Pass, billed: Billed, at: list[int]) -> range:
        """Return the places of the records that a pass looks at for a line."""
        first, last = 0, len(at)
        if self._shape.start and one.starts != "any":
            reach = self._window + (_FARTHEST if one.starts == "shifted" else 0)
            first, last = bisect_right(at, billed.wall - reach), bisect_left(at, billed.wall + reach)
        if one.starts == "shifted":
            return range(first, last)
        middle = bisect_left(at, billed.wall if self._shape.start else billed.cents)
        return range(max(first, middle - _LOOKED_AT), min(last, middle + _LOOKED_AT))

    def _fits(self, one: _Pass, billed: Billed) -> Callable[[Call], bool]:
        line = billed.line
        most = {"exact": Decimal(0), "tolerated": self._tolerance}.get(one.amounts)

        def fits(call: Call) -> bool:
            if one.duration and line.duration not in call.lengths:
                return False
            if one.amounts != "any" and line.currency is not None and call.currency != line.currency and call.cents:
                return False
            if one.starts == "shifted" and shift_of(billed, call, self._window) is None:
                return False
            return most is None or apart_of(billed.cents, call.cents) <= most

        return fits


def _place_of(call: Call) -> tuple[int, str, int, str, str, int, int]:
    """Return the place of a record in an order that depends on the record alone, and not on when the record came."""
    record = call.record
    return call.wall, record.id, call.cents, call.currency, call.number, record.duration, record.billsec


def _distance(billed: Billed, call: Call) -> tuple[bool, Decimal, int, int]:
    currency = billed.line.currency
    return (
        currency is not None and call.currency != currency,
        apart_of(billed.cents, call.cents),
        abs(billed.wall - call.wall),
        call.wall,
    )


def _in_step(lines: list[Billed], calls: list[Call], window: int | None) -> list[Pair]:
    """Return the largest set of pairs whose starts lie within a window. Both lists are in the order of their starts."""
    if window is None:
        return [*zip(lines, calls, strict=False)]
    pairs: list[Pair] = []
    place = 0
    for line in lines:
        while place < len(calls) and calls[place].wall <= line.wall - window:
            place += 1
        if place < len(calls) and calls[place].wall < line.wall + window:
            pairs.append((line, calls[place]))
            place += 1
    return pairs


def shift_of(billed: Billed, call: Call, window: int) -> timedelta | None:
    """Return how far a line's start is behind its record's, if clocks of two time zones differ by that much; otherwise `None`."""
    apart = billed.wall - call.wall
    steps = (apart + _STEP // 2) // _STEP
    if steps == 0 or abs(apart) > _FARTHEST or abs(apart - steps * _STEP) >= window:
        return None
    return steps * _STEP * _MICROSECOND
