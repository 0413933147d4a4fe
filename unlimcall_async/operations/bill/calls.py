"""The lines of an invoice against call records, call by call. Pure: no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from unlimcall_async import CallRecord
from unlimcall_async.operations.bill.keys import (
    Call,
    Shape,
    apart_of,
    cents_of,
    number_of,
    number_of_day,
    shape_of,
    units_of,
    window_of,
)
from unlimcall_async.operations.bill.lines import BillFinding, BillKind, BillSum, InvoiceLine
from unlimcall_async.operations.bill.pairs import Billed, Pairing, shift_of


class Calls:
    """Pairs lines with records, and says what is found.

    Args:
        lines: The lines.
        wall: Returns the time of a clock on the wall.
        tolerance: How far two amounts may differ, in hundredths.
        slack: How far two starts may differ, beside rounding.
        is_outside: Returns whether a line is of another time than the range.

    Attributes:
        agreed: The sums of what needs no attention, by kind and currency, after `findings`.
        ids_unknown: Whether the lines have ids of which no record has one, after `findings`.

    Raises:
        ValueError: A line does not name its call.
    """

    def __init__(
        self,
        lines: Iterable[InvoiceLine],
        wall: Callable[[datetime], int],
        tolerance: Decimal,
        slack: timedelta,
        is_outside: Callable[[InvoiceLine], bool],
    ) -> None:
        every = [*lines]
        self._wall, self._tolerance, self._is_outside = wall, tolerance, is_outside
        self._walls = {line: wall(line.start) for line in every if line.start is not None}
        self._window = window_of(self._walls.values()) + slack // timedelta(microseconds=1)
        self._ids = {line.id for line in every if line.id is not None}
        # Whether ids can be believed: the ids of an invoice may be others than those of the records.
        self._ids_known = not self._ids
        self._pairings = self._made(every, ids=True)
        self._paired: list[Billed] = []
        # The number and the sum in hundredths of pairs that agree, by the currency that the line names.
        self._exact = defaultdict[tuple[str | None, str], tuple[int, int]](lambda: (0, 0))
        # Records without a line, and whether they lie in the range.
        self._left: dict[Call, bool] = {}
        self._free = 0
        self._found: list[BillFinding] = []
        self.agreed: dict[tuple[BillKind, str], BillSum] = {}
        self.ids_unknown: bool = False

    def _made(self, lines: Iterable[InvoiceLine], *, ids: bool) -> list[Pairing]:
        """Return the pairings of lines, those that say most of their calls first."""
        shapes = defaultdict[Shape, list[Billed]](list)
        for line in lines:
            shape = shape_of(line, ids=ids)
            shapes[shape].append(self._billed(line, shape))
        order = sorted(
            shapes, key=lambda shape: (shape.id, shape.start, shape.destination, shape.duration), reverse=True
        )
        return [Pairing(shape, shapes[shape], self._window, self._tolerance) for shape in order]

    def _billed(self, line: InvoiceLine, shape: Shape) -> Billed:
        day = None if line.day is None else number_of_day(line.day)
        return Billed(line, self._walls.get(line, 0), cents_of(line.amount), shape.key_of_line(line, day))

    def add(self, record: CallRecord, start: datetime, *, inside: bool) -> None:
        """Add a record.

        Args:
            record: The record.
            start: Its start, in UTC.
            inside: Whether it lies in the range.
        """
        currency = (record.currency or "").upper()
        call = Call(record, self._wall(start), record.sell_price_cents or 0, currency, number_of(record.dst or ""))
        self._ids_known = self._ids_known or record.id in self._ids
        if self._is_paired_at_once(call, inside=inside):
            return
        # Of the records that no line can be of, only those that cost something in the range are to be shown.
        if self._ids_known and not (inside and call.cents) and not any(each.knows(call) for each in self._pairings):
            self._free += inside
            return
        self._left[call] = inside

    def _is_paired_at_once(self, call: Call, *, inside: bool) -> bool:
        for pairing in self._pairings:
            billed = pairing.paired_at_once(call)
            if billed is not None:
                self._paired.append(billed)
                if not inside and self._is_outside(billed.line):
                    self._found.append(of_line("outside", billed.line, None))
                else:
                    key = billed.line.currency, call.currency
                    count, cents = self._exact[key]
                    self._exact[key] = count + 1, cents + call.cents
                return True
        return False

    def findings(self, currency: str | None) -> list[BillFinding]:
        """Return all that needs attention, and the lines outside of the range.

        Args:
            currency: The currency of lines without one.
        """
        if not self._ids_known and self._can_do_without_ids():
            self.ids_unknown = True
            self._pairings = self._made([each.line for pairing in self._pairings for each in pairing.free], ids=False)
            for call, inside in [*self._left.items()]:
                if self._is_paired_at_once(call, inside=inside):
                    del self._left[call]
        for (line_currency, call_currency), (count, cents) in self._exact.items():
            units = units_of(cents)
            self._agree("matched", line_currency or currency or call_currency, count, units, units)
        for pairing in self._pairings:
            for billed, call in pairing.rest(self._left):
                self._note_pair(billed, call, currency, inside=self._left.pop(call))
        self._pair_other_ids(currency)
        self._note_lines(currency)
        for call, inside in self._left.items():
            if inside:
                self._note_record(call)
        if self._free:
            self._agree("free of charge", "", self._free, Decimal(0), Decimal(0))
        return self._found

    def _pair_other_ids(self, currency: str | None) -> None:
        """Pair lines and records whose ids are in one of the two alone, if all else is equal.

        A spreadsheet takes an id for a number, and 17.10 becomes 17.1.
        """
        if self.ids_unknown:
            return
        for pairing in self._pairings:
            known = [each for each in pairing.free if each.line.id and each.line.start and each.line.destination]
            twins = {twin: each for each in known for twin in [self._billed(each.line, shape_of(each.line, ids=False))]}
            for shape in {shape_of(each.line, ids=False) for each in known}:
                some = [twin for twin in twins if shape_of(twin.line, ids=False) == shape]
                # Lines of another shape may have taken some meanwhile.
                calls = [call for call in self._left if call.record.id not in self._ids]
                for twin, call in Pairing(shape, some, self._window, self._tolerance).rest(calls, exactly=True):
                    del pairing.free[twins[twin]]
                    self._note_pair(twin, call, currency, inside=self._left.pop(call))

    def _can_do_without_ids(self) -> bool:
        return all(
            each.line.start is not None or each.line.day is not None
            for pairing in self._pairings
            for each in pairing.free
        )

    def _agree(self, kind: BillKind, currency: str, count: int, billed: Decimal, recorded: Decimal) -> None:
        key = kind, currency
        some = BillSum(count=count, billed=billed, recorded=recorded)
        self.agreed[key] = self.agreed.get(key, BillSum()) + some

    def _note_pair(self, billed: Billed, call: Call, currency: str | None, *, inside: bool) -> None:
        line = billed.line
        self._paired.append(billed)
        if not inside and self._is_outside(line):
            self._found.append(of_line("outside", line, currency))
            return
        billed_in = line.currency or currency or call.currency
        # Nothing is nothing in every currency.
        recorded_in = call.currency if call.cents and billed.cents else billed_in
        if call.cents and not billed.cents:
            billed_in = recorded_in = call.currency
        apart = apart_of(billed.cents, call.cents)
        shift = None
        if line.start is not None and abs(billed.wall - call.wall) >= self._window:
            shift = shift_of(billed, call, self._window) or timedelta(seconds=(billed.wall - call.wall) // 1_000_000)
        kind: BillKind
        if billed_in != recorded_in:
            kind = "other currency"
        elif apart > self._tolerance:
            kind = "other amount"
        elif shift is not None:
            kind = "other time"
        elif line.id not in {None, call.record.id} and not self.ids_unknown:
            kind = "other id"
        else:
            kind = "within tolerance" if apart else "matched"
            self._agree(kind, billed_in, 1, line.amount, units_of(call.cents))
            return
        self._found.append(
            BillFinding(
                kind=kind,
                billed=line.amount,
                recorded=units_of(call.cents),
                currency=billed_in,
                recorded_currency=recorded_in,
                line=line,
                record=call.record,
                lines=(line.number,),
                shift=shift,
            )
        )

    def _note_lines(self, currency: str | None) -> None:
        """Note the lines that are of no record."""
        left = sorted((each.line for pairing in self._pairings for each in pairing.free), key=lambda line: line.number)
        billed = {_signature(each.line) for each in self._paired} if left else set()
        for line in left:
            if self._is_outside(line):
                self._found.append(of_line("outside", line, currency))
                continue
            if not line.amount:
                self._agree("free of charge", line.currency or currency or "", 1, Decimal(0), Decimal(0))
                continue
            signature = _signature(line)
            # A line below zero takes back what another has billed.
            twice = signature in billed and line.amount > 0
            billed.add(signature)
            self._found.append(of_line("billed twice" if twice else "only billed", line, currency))

    def _note_record(self, call: Call) -> None:
        if not call.cents:
            self._free += 1
            return
        self._found.append(
            BillFinding(
                kind="only recorded",
                recorded=units_of(call.cents),
                currency=call.currency,
                recorded_currency=call.currency,
                record=call.record,
            )
        )


def of_line(kind: BillKind, line: InvoiceLine, currency: str | None) -> BillFinding:
    """Return what is found of a line without a record."""
    return BillFinding(
        kind=kind, billed=line.amount, currency=line.currency or currency or "", line=line, lines=(line.number,)
    )


def _signature(line: InvoiceLine) -> tuple[Hashable, ...]:
    """Return what two lines share that bill one call."""
    number = None if line.destination is None else number_of(line.destination)
    # Without an id and a destination, two calls of one instant are alike.
    amount = line.amount if line.id is None and number is None else None
    return line.id, line.start, line.day, number, line.duration, amount
