"""An invoice against call records: what agrees, what only one of the two has, and what they say differently. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from unlimcall_async import CallRecord, _arguments
from unlimcall_async._argument_kinds import all_of, many
from unlimcall_async.operations import _checks
from unlimcall_async.operations.bill.calls import Calls, of_line
from unlimcall_async.operations.bill.keys import date_of, day_of, is_midnight, wall_clock
from unlimcall_async.operations.bill.lines import (
    BILL_KINDS,
    QUIET_KINDS,
    BillCheck,
    BillFinding,
    BillKind,
    BillSum,
    InvoiceLine,
)
from unlimcall_async.operations.bill.sums import GROUPS, BillGroup, Sums

# Records this far outside of the range may be those of lines within it, by the clock of another time zone.
BILL_MARGIN: Final = timedelta(hours=26)
# The clocks of two time zones differ by half an hour at least, which must not pass for a tolerance.
_MOST_SLACK: Final = timedelta(minutes=10)
_DAY: Final = timedelta(days=1)


class BillReconciler:
    """Compares an invoice with call records, record by record.

        reconciler = BillReconciler(invoice.lines, zone=ZoneInfo("Europe/Berlin"))
        async for record in client.cdrs.stream(start, end):
            reconciler.add(record)
        check = reconciler.result()

    By record, a line is the record with its id. Lines without an id are compared by start, destination and duration, as far as they
    have them. Equal calls are paired so that as few amounts as possible differ. Memory grows with the lines, and with the records
    that agree with no line and cost something, or may be of a line.

    Args:
        lines: The lines of the invoice.
        by: `"record"`, or the parts of a group: one or several of `"day"`, `"country"` and `"line"`. `None` for `"record"` if the
            lines name their calls, and otherwise for the parts that all lines have. Lines without a time and a number are sums,
            unless they have ids and bill one call each. Midnight is not taken for a time.
        zone: The time zone in which the invoice shows starts and days.
        start: The start of the invoice's range, timezone-aware; `None` for any.
        end: Its end, which is not part of it, timezone-aware; `None` for any.
        tolerance_cents: How far the amounts of a call or a group may differ, in hundredths of the currency.
        start_tolerance: How far the start of a line may be from that of its record, beside rounding; up to ten minutes. An invoice
            may show when a call was answered.

    Attributes:
        by: What is compared: `("record",)`, or the parts of a group.

    Raises:
        ValueError: A line does not say which call or group it is of, a tolerance is below zero or too large, or `end` is before
            `start`.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        lines: Iterable[InvoiceLine],
        *,
        by: str | Sequence[str] | None = None,
        zone: tzinfo = UTC,
        start: datetime | None = None,
        end: datetime | None = None,
        tolerance_cents: Decimal | int = 0,
        start_tolerance: timedelta = timedelta(0),
    ) -> None:
        every = all_of("lines", lines, InvoiceLine)
        tolerance = _checks.money("tolerance_cents", tolerance_cents)
        if tolerance < 0:
            raise ValueError(f"tolerance_cents must not be below zero, but is {tolerance}")
        slack = _checks.span("start_tolerance", start_tolerance, at_least=timedelta(0))
        if slack > _MOST_SLACK:
            raise ValueError(f"start_tolerance must be {_MOST_SLACK} or less, not {slack}")
        self._start, self._end = _arguments.window(start, end)
        if not isinstance(zone, tzinfo):
            raise TypeError(f"zone must be a tzinfo, for example ZoneInfo('Europe/Berlin'), not {type(zone).__name__}")
        self._wall = wall_clock(zone)
        groups = _groups(by, every, self._wall)
        self.by: tuple[str, ...] = groups or ("record",)
        self._lines = every
        self._outside: list[InvoiceLine] = []
        self._records = 0
        # The currencies of records with a price.
        self._currencies: set[str] = set()
        self._check: BillCheck | None = None
        self._sums: Sums | None = None
        self._calls: Calls | None = None
        if groups:
            self._sums = Sums(groups, self._wall, tolerance)
            self._sums.add_lines(line for line in every if not self._is_outside(line))
            self._outside = [line for line in every if self._is_outside(line)]
        else:
            self._calls = Calls(every, self._wall, tolerance, slack, self._is_outside)

    def _is_outside(self, line: InvoiceLine) -> bool:
        """Return whether no part of what a line is about lies in the range."""
        if line.start is not None:
            return not self._is_in_range(line.start)
        if line.day is None:
            return False
        first = self._start is None or line.day >= date_of(day_of(self._wall(self._start)))
        last = self._end is None or line.day <= date_of(day_of(self._wall(self._end) - 1))
        return not (first and last)

    def _is_in_range(self, moment: datetime) -> bool:
        return (self._start is None or moment >= self._start) and (self._end is None or moment < self._end)

    def add(self, record: CallRecord) -> None:
        """Compare a record.

        Records outside of the range are not part of the comparison. By record, those up to `BILL_MARGIN` outside may be paired with
        lines.

        Raises:
            TypeError: `record` is not a `CallRecord`.
            ValueError: The result was taken.
        """
        start = _checks.start("record", record)
        if self._check is not None:
            raise ValueError("the result was taken: compare more records with a new reconciler")
        inside = self._is_in_range(start)
        if inside:
            self._records += 1
            if record.sell_price_cents and record.currency:
                self._currencies.add(record.currency.upper())
        if self._calls is not None:
            if inside or self._is_near(start):
                self._calls.add(record, start, inside=inside)
        elif self._sums is not None and inside:
            self._sums.add(record)

    def _is_near(self, moment: datetime) -> bool:
        # Subtracted from the later time: no time is too early or too late for that.
        return (self._start is None or self._start - moment <= BILL_MARGIN) and (
            self._end is None or moment - self._end < BILL_MARGIN
        )

    def result(self) -> BillCheck:
        """Return what was found, once all records have been added.

        Raises:
            ValueError: The invoice does not name its currency, and the records are in several.
        """
        if self._check is None:
            currency = self._currency()
            if self._calls is not None:
                findings = self._calls.findings(currency)
            else:
                findings = [] if self._sums is None else self._sums.findings(currency)
                findings += [of_line("outside", line, currency) for line in self._outside]
            self._check = self._checked(findings)
        return self._check

    def _currency(self) -> str | None:
        """Return the currency of lines that name none."""
        if all(line.currency is not None for line in self._lines) or not self._currencies:
            return None
        if len(self._currencies) > 1:
            names = " and ".join(sorted(self._currencies))
            raise ValueError(f"the invoice does not name its currency, and the records are in {names}: pass currency")
        return min(self._currencies)

    def _checked(self, findings: list[BillFinding]) -> BillCheck:
        sums: dict[tuple[BillKind, str], BillSum] = {}
        for finding in findings:
            _count(sums, finding)
        if self._calls is not None:
            for (kind, currency), some in self._calls.agreed.items():
                key = kind, currency
                sums[key] = sums.get(key, BillSum()) + some
        order = {kind: place for place, kind in enumerate(BILL_KINDS)}
        shown = [each for each in findings if each.kind not in QUIET_KINDS or each.kind == "outside"]
        return BillCheck(
            self.by,
            tuple(sorted(shown, key=lambda each: (order[each.kind], each.lines))),
            dict(sorted(sums.items(), key=lambda item: (order[item[0][0]], item[0][1]))),
            records=self._records,
            lines=len(self._lines),
            ids_unknown=self._calls is not None and self._calls.ids_unknown,
        )


def _groups(
    by: str | Sequence[str] | None, lines: list[InvoiceLine], wall: Callable[[datetime], int]
) -> tuple[BillGroup, ...]:
    """Return the parts of a group; nothing for a comparison by record."""
    if by is None:
        if not lines or _name_calls(lines, wall):
            return ()
        days = all(line.day is not None or line.start is not None for line in lines)
        parts: tuple[BillGroup, ...] = tuple(
            part
            for part in GROUPS
            if (days if part == "day" else all(getattr(line, part) is not None for line in lines))
        )
        if not parts:
            raise ValueError("the lines name no calls, and not all of them have a day, a country or a SIP line")
        return parts
    wanted = (by,) if isinstance(by, str) else tuple(many("by", by, str))
    if wanted == ("record",):
        return ()
    parts = tuple(part for part in GROUPS if part in wanted)
    if len(parts) != len(wanted) or not parts:
        raise ValueError(f"by must be 'record', or some of 'day', 'country' and 'line', not {by!r}")
    return parts


def _name_calls(lines: list[InvoiceLine], wall: Callable[[datetime], int]) -> bool:
    """Return whether lines are calls, and not sums of calls."""
    for line in lines:
        # Spreadsheets write a day as its midnight.
        if line.start is not None and not is_midnight(wall(line.start)):
            return True
        if line.destination is not None and any(each is not None for each in (line.id, line.start, line.day)):
            return True
    # The lines of sums may be numbered, in a column that looks like ids.
    sums = any(line.calls is not None and line.calls > 1 for line in lines)
    return not sums and any(line.id is not None for line in lines)


def _count(sums: dict[tuple[BillKind, str], BillSum], finding: BillFinding) -> None:
    """Add a finding to the sums of its currencies."""
    one = {finding.currency: BillSum(count=1, billed=finding.billed or Decimal(0))}
    if finding.recorded is not None:
        recorded = BillSum(count=finding.recorded_currency not in one, recorded=finding.recorded)
        one[finding.recorded_currency] = one.get(finding.recorded_currency, BillSum()) + recorded
    for currency, some in one.items():
        key = finding.kind, currency
        sums[key] = sums.get(key, BillSum()) + some


def check_bill(
    lines: Iterable[InvoiceLine],
    records: Iterable[CallRecord],
    *,
    by: str | Sequence[str] | None = None,
    zone: tzinfo = UTC,
    start: datetime | None = None,
    end: datetime | None = None,
    tolerance_cents: Decimal | int = 0,
    start_tolerance: timedelta = timedelta(0),
) -> BillCheck:
    """Return what a comparison of an invoice with records finds. The arguments are those of `BillReconciler`.

    Raises:
        ValueError: As for `BillReconciler` and `BillReconciler.result`.
        TypeError: An argument is of the wrong type.
    """
    reconciler = BillReconciler(
        lines,
        by=by,
        zone=zone,
        start=start,
        end=end,
        tolerance_cents=tolerance_cents,
        start_tolerance=start_tolerance,
    )
    for record in many("records", records, CallRecord):
        reconciler.add(record)
    return reconciler.result()


def bill_range(lines: Iterable[InvoiceLine], zone: tzinfo = UTC) -> tuple[datetime, datetime] | None:
    """Return the days of an invoice, from the midnight before its first line to that after its last.

    Args:
        lines: The lines of the invoice.
        zone: The time zone of these days.

    Returns:
        The start and the end in UTC, or `None` if no line has a start or a day.
    """
    every = all_of("lines", lines, InvoiceLine)
    wall = wall_clock(zone)
    days = [date_of(day_of(wall(line.start))) if line.start is not None else line.day for line in every]
    known = [day for day in days if day is not None]
    if not known:
        return None
    begin = datetime.combine(min(known), time(), zone).astimezone(UTC)
    try:
        return begin, datetime.combine(max(known) + _DAY, time(), zone).astimezone(UTC)
    except OverflowError:  # the calendar ends with the year 9999
        return begin, datetime.max.replace(tzinfo=UTC)
