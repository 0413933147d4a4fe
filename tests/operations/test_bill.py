"""An invoice against call records: what agrees, and what is found of the rest."""

from __future__ import annotations

import time
import tracemalloc
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from tests.operations.bills import HOUR, Seeded, call, found, line_of, month, seeded
from tests.operations.records import START, after
from unlimcall_async import CallRecord
from unlimcall_async.operations import (
    BillKind,
    BillReconciler,
    BillSum,
    InvoiceLine,
    bill_range,
    check_bill,
    read_invoice,
)

pytestmark = pytest.mark.own_rules

CENT = Decimal("0.01")
BERLIN = ZoneInfo("Europe/Berlin")


# --- by record --------------------------------------------------------------------------------------------------------


def checked(seed: Seeded) -> None:
    start, end = month()
    check = check_bill(seed.lines, seed.records, start=start, end=end, tolerance_cents=Decimal("0.5"))
    for kind in ("other amount", "other currency", "other time", "only billed"):
        assert {finding.lines[0] for finding in check.of_kind(kind)} == seed.kinds[kind], kind
    # Of two lines that are alike, either is the second.
    assert {finding.lines[0] for finding in check.of_kind("billed twice")} <= {
        number for last in seed.kinds["billed twice"] for number in (last - 1, last)
    }
    assert check.count("billed twice") == len(seed.kinds["billed twice"])
    assert {each.record.id for each in check.only_recorded if each.record is not None} == seed.kinds["only recorded"]
    assert check.count("within tolerance") == len(seed.kinds["within tolerance"])
    totals = check.totals()
    for currency in ("USD", "EUR"):
        billed = sum(line.amount for line in seed.lines if line.currency == currency)
        recorded = sum(record.sell_price_cents or 0 for record in seed.records if record.currency == currency)
        assert (totals[currency].billed, totals[currency].recorded) == (billed, recorded * CENT)
    pairs = len(seed.records) - len(seed.kinds["only recorded"])
    assert sum(check.count(kind) for kind in ("matched", "within tolerance", *BOTH)) == pairs
    assert (check.records, check.lines, check.ok) == (len(seed.records), len(seed.lines), False)


BOTH: tuple[BillKind, ...] = ("other amount", "other currency", "other time")


@pytest.mark.parametrize("ids", [True, False])
def test_each_error_is_classified_to_the_cent(ids: bool) -> None:
    checked(seeded(1000, ids=ids))


@pytest.mark.slow
@pytest.mark.parametrize("ids", [True, False])
def test_each_error_of_thirty_thousand_lines_is_classified(ids: bool) -> None:
    checked(seeded(30_000, ids=ids, seed=2))


def test_an_invoice_that_agrees_is_ok() -> None:
    records = [call(number, 60 * number) for number in range(5)]
    check = check_bill([line_of(record, number) for number, record in enumerate(records, 2)], records)
    assert (check.ok, check.matched, check.findings, check.by) == (True, 5, (), ("record",))
    assert check.totals() == {"USD": BillSum(count=5, billed=Decimal("1.70"), recorded=Decimal("1.70"))}
    assert repr(check) == "<BillCheck by record: 5 matched>"
    assert (check_bill([], []).ok, repr(check_bill([], []))) == (True, "<BillCheck by record: nothing>")


@pytest.mark.parametrize("ids", [True, False])
def test_one_wrong_amount_among_equal_calls_is_one_other_amount(ids: bool) -> None:
    records = [call(1, 0, cents) for cents in (10, 20, 30)]
    lines = [line_of(record, number, ids=ids) for number, record in enumerate(records, 2)]
    lines[1] = evolve(lines[1], amount=Decimal("0.25"))
    for order in permutations(lines):
        check = check_bill(order, records)
        assert found(check) == {"other amount": [(3,)]}
        (finding,) = check.other_amount
        assert (finding.billed, finding.recorded, finding.difference) == (Decimal("0.25"), Decimal("0.20"), 5 * CENT)


def test_legs_that_share_an_id_are_one_record_each() -> None:
    legs = [call(1, 0, 10), call(1, 30, 20)]
    lines = [line_of(leg, number) for number, leg in enumerate(legs, 2)]
    assert check_bill(lines, legs).ok
    assert found(check_bill(lines[:1], legs)) == {"only recorded": [()]}
    # A third line with the id is of no leg: its start is another.
    third = line_of(call(1, 60, 20), 4)
    assert found(check_bill([*lines, third], legs)) == {"only billed": [(4,)]}
    assert found(check_bill([*lines, evolve(lines[0], number=4)], legs)) == {"billed twice": [(4,)]}


def test_a_line_that_takes_back_another_is_not_billed_twice() -> None:
    record = call(1, 0)
    lines = [line_of(record), line_of(record, 3, amount=Decimal("-0.34"))]
    assert found(check_bill(lines, [record])) == {"only billed": [(3,)]}


def test_ids_decide() -> None:
    one, other = call(1, 0), call(2, 0, dst="+4420718", duration=1)
    lines = [line_of(one, id="17.9", amount=CENT), line_of(other, 3)]
    assert found(check_bill(lines, [one, other])) == {"only billed": [(2,)], "only recorded": [()]}


def test_an_id_that_a_spreadsheet_has_changed() -> None:
    records = [call(number, 7 * number) for number in (1, 10, 2)]
    lines = [line_of(record, number) for number, record in enumerate(records)]
    # 17.10 is now 17.1, which another call has.
    lines[1] = evolve(lines[1], id="17.1")
    lines[2] = evolve(lines[2], id="17.20")
    check = check_bill(lines, records)
    assert found(check) == {"other id": [(1,), (2,)]}
    assert check.totals()["USD"].difference == 0
    # A record whose own line is there needs no other.
    doubled = evolve(lines[0], id="17.0", number=3)
    assert found(check_bill([lines[0], doubled], records[:1])) == {"only billed": [(3,)]}


def test_a_record_without_a_line_of_its_id_is_that_of_one_line() -> None:
    records = [call(1, 0), call(10, 60)]
    known = line_of(records[0])
    # Both are like the second record, and differ in what they say of it.
    alike = [line_of(records[1], 3, id="17.100"), line_of(records[1], 4, id="17.100", duration=None)]
    for lines in permutations([known, *alike]):
        assert found(check_bill(lines, records)) == {"other id": [(3,)], "only billed": [(4,)]}


def test_ids_that_no_record_has_are_left_aside() -> None:
    records = [call(number, 60 * number) for number in range(5)]
    lines = [line_of(record, number, id=f"INV-{number}") for number, record in enumerate(records, 2)]
    check = check_bill([*lines[1:], evolve(lines[1], number=9)], records)
    assert (check.ids_unknown, found(check)) == (True, {"billed twice": [(9,)], "only recorded": [()]})
    # Without starts there is nothing but the ids.
    bare = [evolve(line, start=None) for line in lines]
    assert check_bill(bare, records).count("only billed") == 5


@pytest.mark.parametrize(
    "spelling",
    [
        *("+442071800001", "00442071800001", "44 20 7180-0001", "(+44) 2071800001", "+44 (0)20 7180 0001"),
        "sip:+442071800001@10.0.0.1:5060",
    ],
)
def test_numbers_are_compared_by_their_digits(spelling: str) -> None:
    record = call(1, 0)
    assert check_bill([line_of(record, ids=False, destination=spelling)], [record]).ok


@pytest.mark.parametrize(
    ("at", "shown", "agrees"),
    [
        *[(0.4, 0, True), (0.6, 1, True), (0.6, 0, True), (0, 1, False), (1.2, 0, False)],
    ],
)
def test_a_start_may_be_rounded_or_cut_off_to_the_second(at: float, shown: int, agrees: bool) -> None:
    record, other = call(1, at), call(2, 7)
    lines = [line_of(record, ids=False, start=after(shown)), line_of(other, 3, ids=False)]
    assert check_bill(lines, [record, other]).ok is agrees


@pytest.mark.parametrize("seconds", [(50, 100), (30, 0)])
def test_starts_in_whole_minutes_are_compared_as_minutes(seconds: tuple[int, int]) -> None:
    # One record may be of either line, and the other of one alone: the first must not take that line, whichever comes first.
    records = [call(number, at, dst="+1") for number, at in enumerate(seconds, 1)]
    lines = [line_of(record, number, ids=False, start=after(60 * number)) for number, record in enumerate(records)]
    for order in permutations(records):
        assert check_bill(lines, order).ok


@pytest.mark.parametrize("ids", [True, False])
def test_an_invoice_may_show_when_calls_were_answered(ids: bool) -> None:
    records = [call(number, 60 * number, dst="+1") for number in range(4)]
    lines = [
        line_of(record, number, ids=ids, start=after(60 * number + 17 + number))
        for number, record in enumerate(records)
    ]
    assert check_bill(lines, records, start_tolerance=timedelta(seconds=20)).ok
    assert not check_bill(lines, records, start_tolerance=timedelta(seconds=18)).ok
    with pytest.raises(ValueError, match="start_tolerance must be 0:10:00 or less, not 0:11:00"):
        check_bill([], [], start_tolerance=timedelta(minutes=11))


def test_a_line_of_another_time_is_known_by_the_rest() -> None:
    records = [call(1, 0), call(2, 7)]
    lines = [line_of(records[0], ids=False, start=START + 2 * HOUR), line_of(records[1], 3, ids=False)]
    (finding,) = check_bill(lines, records).findings
    assert (finding.kind, finding.shift, finding.difference) == ("other time", 2 * HOUR, Decimal(0))
    # Not by an odd time, which no two time zones are apart.
    lines[0] = evolve(lines[0], start=START + timedelta(minutes=17))
    assert found(check_bill(lines, records)) == {"only billed": [(2,)], "only recorded": [()]}
    # An id knows the call all the same.
    (finding,) = check_bill([evolve(lines[0], id="17.1"), lines[1]], records).findings
    assert (finding.kind, finding.shift) == ("other time", timedelta(minutes=17))


def test_an_hour_that_comes_twice_is_no_doubt() -> None:
    twice = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    records = [evolve(call(1, 0), start_time=twice), evolve(call(2, 0), start_time=twice + HOUR)]
    # Both show 02:30 in Berlin, and a reader takes both for the first.
    lines = [line_of(record, number, ids=False, start=twice) for number, record in enumerate(records, 2)]
    assert check_bill(lines, records, zone=BERLIN).ok
    assert not check_bill(lines, records).ok


def test_days_without_times_are_those_of_the_zone() -> None:
    record = evolve(call(1, 0), start_time=datetime(2026, 5, 31, 22, 30, tzinfo=UTC))
    line = line_of(record, ids=False, start=None, day=date(2026, 6, 1))
    assert check_bill([line], [record], zone=BERLIN).ok
    assert not check_bill([line], [record]).ok


@pytest.mark.parametrize("what", [{"duration": 80}, {"duration": 120}, {"duration": None}])
def test_the_length_may_be_billed_or_rounded(what: dict[str, Any]) -> None:
    record = call(1, 0, duration=81, billsec=80)
    assert check_bill([line_of(record, ids=False, **what)], [record]).ok


@pytest.mark.parametrize(
    ("seconds", "agrees"),
    [(220, True), (340, True), (240, True), (180, True), (179, False), (241, False), (341, False)],
)
def test_the_length_of_a_sum_may_be_billed_or_rounded_or_that_of_the_calls(seconds: int, agrees: bool) -> None:
    records = [
        call(1, 0, duration=200, billsec=100),
        call(2, 7, duration=120, billsec=80),
        call(3, 9, 0, duration=20, billsec=0),
    ]
    amount = sum((Decimal(record.sell_price_cents or 0) for record in records), Decimal(0)) / 100
    line = InvoiceLine(number=2, amount=amount, currency="USD", day=START.date(), duration=seconds)
    assert check_bill([line], records, by="day").ok is agrees


def test_two_calls_of_one_instant_are_not_one() -> None:
    # Neither an id nor a number tells them apart, but their lengths do.
    record = call(1, 7)
    line = line_of(record, ids=False, destination=None, duration=500, amount=Decimal(3))
    assert found(check_bill([line], [record])) == {"only billed": [(2,)], "only recorded": [()]}
    assert found(check_bill([evolve(line, duration=81)], [record])) == {"other amount": [(2,)]}
    assert found(check_bill([evolve(line, duration=None)], [record])) == {"other amount": [(2,)]}


def test_many_equal_days_are_paired_to_the_last() -> None:
    records = [call(1, number, cents=90) for number in range(300)]
    lines = [
        line_of(records[0], number, ids=False, start=None, day=START.date(), amount=Decimal(1)) for number in range(300)
    ]
    check = check_bill(lines, records)
    assert (check.count("other amount"), check.count("only billed")) == (300, 0)


# --- amounts ----------------------------------------------------------------------------------------------------------


def test_the_tolerance_is_in_cents_and_counts_its_edge() -> None:
    record = call(1, 0)
    line = line_of(record, amount=Decimal("0.345"))
    assert check_bill([line], [record], tolerance_cents=Decimal("0.5")).count("within tolerance") == 1
    assert found(check_bill([line], [record], tolerance_cents=Decimal("0.4999"))) == {"other amount": [(2,)]}
    with pytest.raises(TypeError, match="tolerance_cents must be a Decimal or an int, not float"):
        check_bill([], [], tolerance_cents=0.5)  # type: ignore[arg-type] # what is tested
    with pytest.raises(ValueError, match="tolerance_cents must not be below zero"):
        check_bill([], [], tolerance_cents=-1)


def test_the_arithmetic_of_the_program_rounds_nothing() -> None:
    record = call(1, 0, cents=123_456_789)
    with localcontext(prec=3):
        check = check_bill([line_of(record, amount=Decimal("1234567.90"))], [record])
    (finding,) = check.findings
    assert (finding.difference, check.totals()["USD"].difference) == (CENT, CENT)


def test_currencies_are_never_mixed() -> None:
    record = call(1, 0)
    check = check_bill([line_of(record, currency="EUR")], [record])
    (finding,) = check.other_amount
    assert (finding.kind, finding.difference, check.count("other currency")) == ("other currency", None, 1)
    assert {name: each.difference for name, each in check.totals().items()} == {
        "EUR": Decimal("0.34"),
        "USD": Decimal("-0.34"),
    }


def test_an_invoice_without_a_currency_is_in_that_of_the_records() -> None:
    records = [call(1, 0, 34, "gbp"), call(2, 7, None, None)]
    lines = [evolve(line_of(call(number, 7 * number - 7)), number=number + 1, currency=None) for number in (1, 2)]
    lines[1] = evolve(lines[1], amount=0)
    check = check_bill([*lines, evolve(lines[0], id="17.9", number=4)], records)
    assert ([*check.totals()], found(check)) == (["GBP"], {"only billed": [(4,)]})
    with pytest.raises(
        ValueError, match="does not name its currency, and the records are in GBP and USD: pass currency"
    ):
        check_bill(lines, [*records, call(3, 14)])


def test_calls_free_of_charge_need_no_line() -> None:
    records = [call(1, 0), call(2, 7, 0), call(3, 14, None, None)]
    check = check_bill([line_of(records[0])], records)
    assert (check.ok, check.count("free of charge")) == (True, 2)
    # But a line of nothing may be theirs, and a line of something is not.
    lines = [line_of(records[1], currency="EUR"), line_of(records[2], 3, currency="USD", amount=CENT)]
    check = check_bill(lines, records[1:])
    assert (check.matched, found(check)) == (1, {"other amount": [(3,)]})


@pytest.mark.parametrize("by", [None, "day"])
def test_a_line_that_bills_nothing_needs_no_record(by: str | None) -> None:
    record = call(1, 0)
    nothing = line_of(record, 3, id="17.9", start=after(2 * 86400), amount=0, duration=None)
    check = check_bill([line_of(record), nothing], [record], by=by)
    assert (check.ok, check.matched, check.count("free of charge"), found(check)) == (True, 1, 1, {})
    # But calls that nobody has made are another count, if the sum of a day has them.
    check = check_bill([InvoiceLine(number=2, amount=0, currency="USD", day=START.date(), calls=3)], [])
    assert found(check) == {"other count": [(2,)]}


# --- the range --------------------------------------------------------------------------------------------------------


def test_only_the_range_is_compared() -> None:
    records = [call(number, 3600 * number) for number in range(6)]
    lines = [line_of(record, number, ids=False) for number, record in enumerate(records)]
    check = check_bill(lines, records, start=after(3600), end=after(4 * 3600))
    assert (check.ok, check.matched, check.records, found(check)) == (True, 3, 3, {"outside": [(0,), (4,), (5,)]})
    assert check.totals()["USD"].billed == Decimal("1.02")
    # A call just before the range that the invoice shows within it, as the clock of another zone did.
    check = check_bill([evolve(lines[0], start=after(2 * 3600))], records[:1], start=after(3600), end=after(4 * 3600))
    assert found(check) == {"other time": [(0,)]}


def test_the_range_of_an_invoice_is_that_of_its_days() -> None:
    lines = [
        InvoiceLine(number=1, amount=0, start=datetime(2026, 5, 1, 22, 30, tzinfo=UTC)),
        InvoiceLine(number=2, amount=0),
    ]
    assert bill_range(lines, BERLIN) == (datetime(2026, 5, 1, 22, tzinfo=UTC), datetime(2026, 5, 2, 22, tzinfo=UTC))
    lines.append(InvoiceLine(number=3, amount=0, day=date(2026, 5, 31)))
    assert bill_range(lines) == (datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    assert bill_range(lines[1:2]) is None


@pytest.mark.parametrize("ids", [True, False])
def test_memory_does_not_grow_with_calls_free_of_charge(ids: bool) -> None:
    # All records are of one number, and some lines bill nothing.
    lines = [line_of(call(1, 60 * number, number % 2), number, ids=ids) for number in range(10)]
    reconciler = BillReconciler(lines)
    reconciler.add(call(1, 0, 0))
    tracemalloc.start()
    try:
        for number in range(1000):
            reconciler.add(call(number if ids else 1, 200_000 + 60 * number, 0, id=f"18.{number}"))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000
    assert reconciler.result().count("free of charge") == 1000 + 4


# --- by sums ----------------------------------------------------------------------------------------------------------


def summed(records: list[CallRecord], *by: str) -> list[InvoiceLine]:
    sums = Counter[tuple[str, ...]]()
    for record in records:
        parts = {"day": record.start_time.date().isoformat(), "country": record.country, "line": record.sip_username}
        sums[tuple(parts[part] or "" for part in by)] += record.sell_price_cents or 0
    return [
        InvoiceLine(
            number=number,
            amount=cents * CENT,
            currency="USD",
            **{
                part: date.fromisoformat(value) if part == "day" else value
                for part, value in zip(by, name, strict=True)
            },  # type: ignore[arg-type] # as just decided
        )
        for number, (name, cents) in enumerate(sums.items(), 2)
    ]


@pytest.mark.rest_slow
@pytest.mark.parametrize("by", [("day",), ("country",), ("line",), ("day", "country"), ("day", "country", "line")])
def test_sums_are_compared_by_group(by: tuple[str, ...]) -> None:
    records = seeded(500, ids=True).records
    lines = summed(records, *by)
    check = check_bill(lines, records)
    assert (check.ok, check.matched, check.by) == (True, len(lines), by)
    # One group is billed too high, one is missing, and one is of nobody.
    wrong = [evolve(lines[0], amount=lines[0].amount + CENT), *lines[2:]]
    other = evolve(
        lines[0], number=999, day=date(2027, 1, 1) if by[0] == "day" else None, country="Narnia", line="unl_x"
    )
    check = check_bill([*wrong, other], records)
    assert found(check) == {"other amount": [(2,)], "only billed": [(999,)], "only recorded": [()]}
    total = check.totals()["USD"]
    assert total.billed == sum(line.amount for line in [*wrong, other])
    assert total.recorded == sum(record.sell_price_cents or 0 for record in records) * CENT


def test_a_group_in_two_currencies_is_two_groups() -> None:
    records = [call(1, 0, country="UK"), call(2, 7, 50, "EUR", country="UK"), call(3, 8, None, None, country="UK")]
    lines = [
        InvoiceLine(number=2, amount=Decimal("0.84"), currency="USD", country=" uk ", calls=3),
        InvoiceLine(number=3, amount=Decimal("0.50"), currency="EUR", country="UK"),
    ]
    check = check_bill(lines, records)
    assert found(check) == {"other amount": [(2,)]}
    assert check.findings[0].difference == Decimal("0.50")


@pytest.mark.slow
def test_many_groups_with_calls_free_of_charge_take_no_minutes() -> None:
    days, countries = range(100), [f"C{number}" for number in range(50)]
    records = [
        call(0, day * 86_400, cents, country=country) for day in days for country in countries for cents in (0, 5)
    ]
    lines = [line_of(record, id=None, destination=None, duration=None) for record in records if record.sell_price_cents]
    began = time.process_time()
    check = check_bill(lines, records, by=("day", "country"))
    # Some 0.2 s. Two looks at each pair of groups took 7.
    assert (check.ok, check.matched, time.process_time() - began < 3) == (True, 5000, True)


@pytest.mark.parametrize(
    ("calls", "seconds", "agrees"),
    [
        (3, 141, True),
        (2, 141, True),
        (3, 180, True),
        (1, None, False),
        (None, 139, False),
        (None, 182, False),
        (None, 60, False),
    ],
)
def test_calls_and_time_are_compared_as_invoices_count_them(
    calls: int | None, seconds: int | None, agrees: bool
) -> None:
    records = [call(1, 0, 10), call(2, 7, 10, billsec=60), call(3, 8, 0, billsec=0)]
    line = InvoiceLine(number=2, amount=20 * CENT, currency="USD", day=START.date(), calls=calls, duration=seconds)
    check = check_bill([line], records)
    assert check.ok is agrees
    if not agrees:
        assert found(check) == {"other count": [(2,)]}


@pytest.mark.parametrize(
    "rows", ["1,2026-06-01,2,0.22|2,2026-06-02,1,0.50", ",2026-06-01 00:00,,0.22|,02.06.2026 0:00,,0.50"]
)
def test_lines_of_days_are_sums_whatever_they_look_like(rows: str) -> None:
    invoice = read_invoice("ID,Date,Calls,Amount\n" + rows.replace("|", "\n"), zone=BERLIN)
    records = [call(1, 60, 10), call(2, 90, 12), call(3, 86_400, 50)]
    check = check_bill(invoice.lines, records, zone=BERLIN)
    assert (check.by, check.ok, check.matched) == (("day",), True, 2)


def test_lines_of_calls_are_calls_whatever_their_quantity() -> None:
    text = "ID,Date,Number,Quantity,Amount\n1,2026-06-01,+442071800001,81,0.34\n2,2026-06-01 00:01:30,,81,0.34\n"
    assert check_bill(read_invoice(text).lines, [call(1, 60), call(2, 90)]).by == ("record",)


def test_lines_of_calls_can_be_compared_by_sums() -> None:
    seed = seeded(300, ids=False)
    check = check_bill([line_of(record) for record in seed.records], seed.records, by=["country", "day"])
    assert (check.ok, check.by) == (True, ("day", "country"))


def test_what_a_line_does_not_say_is_asked_for() -> None:
    with pytest.raises(
        ValueError, match="the lines name no calls, and not all of them have a day, a country or a SIP line"
    ):
        check_bill([InvoiceLine(number=2, amount=1)], [])
    with pytest.raises(ValueError, match="line 2 has no day"):
        check_bill([InvoiceLine(number=2, amount=1, country="UK")], [], by="day")
    with pytest.raises(ValueError, match="line 2 has no id, no start and no day: compare sums"):
        check_bill([InvoiceLine(number=2, amount=1, country="UK")], [], by="record")
    with pytest.raises(ValueError, match="by must be 'record', or some of 'day', 'country' and 'line'"):
        check_bill([], [], by="week")


def test_the_result_ends_the_comparison() -> None:
    reconciler = BillReconciler([line_of(call(1, 0))])
    reconciler.add(call(1, 0))
    assert reconciler.result() is reconciler.result()
    with pytest.raises(ValueError, match="the result was taken"):
        reconciler.add(call(1, 0))


def test_rows_hold_no_phone_number() -> None:
    record = call(1, 0)
    check = check_bill([line_of(record, amount=Decimal(1)), line_of(call(2, 7), 3)], [record, call(3, 14)])
    assert [row["kind"] for row in check.rows()] == ["other amount", "only billed", "only recorded"]
    assert "4420718" not in repr(check.rows())
    assert (check.rows()[0]["difference"], check.rows()[0]["id"]) == (Decimal("0.66"), "17.1")
