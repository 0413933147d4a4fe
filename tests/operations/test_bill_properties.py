"""The comparison of invoices against slow, obvious ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import TypeAlias

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.bills import call, line_of
from tests.operations.records import START, after
from unlimcall_async import CallRecord
from unlimcall_async.operations import BillKind, BillSum, InvoiceLine, check_bill

pytestmark = pytest.mark.own_rules

CENT = Decimal("0.01")
CENTS = st.integers(1, 3)
CURRENCIES = st.sampled_from(["USD", "EUR"])
NUMBERS = st.sampled_from(["+1", "+2"])

# A number, an instant, an amount and a currency: calls of one number and instant are alike but for their price.
Priced: TypeAlias = tuple[str, int, int, str]
PRICED = st.tuples(NUMBERS, st.integers(0, 4), CENTS, CURRENCIES)


def record(priced: Priced) -> CallRecord:
    number, second, cents, currency = priced
    return call(1, 3 * second + 1, cents, currency, dst=number)


def line(priced: Priced, number: int) -> InvoiceLine:
    return line_of(record(priced), number, ids=False)


@given(st.lists(PRICED), st.lists(PRICED), st.booleans())
def test_equal_calls_are_paired_so_that_few_amounts_differ(
    billed: list[Priced], recorded: list[Priced], ids: bool
) -> None:
    lines = [line(each, number) for number, each in enumerate(billed)]
    if ids:
        # The place is the id, which several legs share.
        lines = [evolve(each, id=f"{each.destination} {each.start}", start=None) for each in lines]
    records = [record(each) for each in recorded]
    if ids:
        records = [evolve(each, id=f"{each.dst} {each.start_time}") for each in records]
    check = check_bill(lines, records, by="record")
    expected = Counter[str]()
    for place in {each[:2] for each in [*billed, *recorded]}:
        _count_place(
            expected,
            Counter(each[2:] for each in billed if each[:2] == place),
            [each[2:] for each in recorded if each[:2] == place],
        )
    if check.ids_unknown:
        return
    kinds: tuple[BillKind, ...] = (
        "matched",
        "other amount",
        "other currency",
        "only billed",
        "billed twice",
        "only recorded",
    )
    assert {kind: check.count(kind) for kind in kinds if check.count(kind)} == {**expected}


def _count_place(expected: Counter[str], lines: Counter[tuple[int, str]], records: Sequence[tuple[int, str]]) -> None:
    """Count what there is to find among the calls of one place."""
    same = lines & Counter(records)
    lines_left, records_left = lines - same, Counter(records) - same
    billed_in, recorded_in = (
        Counter[str](currency for (_, currency), count in some.items() for _ in range(count))
        for some in (lines_left, records_left)
    )
    other_amount = (billed_in & recorded_in).total()
    other_currency = min(billed_in.total(), recorded_in.total()) - other_amount
    paired = same.total() + other_amount + other_currency
    surplus = lines.total() - paired
    first = min(surplus, 1) if not paired else 0
    expected.update(
        {
            kind: count
            for kind, count in {
                "matched": same.total(),
                "other amount": other_amount,
                "other currency": other_currency,
                "only billed": first,
                "billed twice": surplus - first,
                "only recorded": len(records) - paired,
            }.items()
            if count
        }
    )


@frozen
class Minutes:
    """Lines in whole minutes, and seconds of records."""

    lines: list[int]
    seconds: list[int]


@given(st.builds(Minutes, st.lists(st.integers(0, 6)), st.lists(st.integers(0, 400))), st.randoms())
def test_as_many_calls_match_as_can(some: Minutes, random: Random) -> None:
    lines = [line_of(call(1, 60 * minute, dst="+1"), number, ids=False) for number, minute in enumerate(some.lines)]
    records = [call(1, second, dst="+1") for second in some.seconds]
    random.shuffle(records)
    check = check_bill(lines, records, by="record")
    pairs: dict[int, int] = {}

    def finds(line: int, seen: set[int]) -> bool:
        """Return whether a line finds a record, for which others may move to another of theirs."""
        for place, second in enumerate(some.seconds):
            if abs(60 * some.lines[line] - second) < 60 and place not in seen:
                seen.add(place)
                if place not in pairs or finds(pairs[place], seen):
                    pairs[place] = line
                    return True
        return False

    most = sum(finds(line, set()) for line in range(len(lines)))
    assert check.matched == most


LINES = st.builds(
    InvoiceLine,
    number=st.just(0),
    amount=st.integers(-5, 5).map(lambda cents: cents * CENT),
    currency=CURRENCIES,
    id=st.none() | st.sampled_from(["17.1", "17.2"]),
    start=st.integers(0, 3).map(lambda step: after(1800 * step + step % 2)),
    destination=st.none() | NUMBERS,
    duration=st.none() | st.integers(80, 82),
)
RECORDS = st.builds(
    call,
    st.integers(1, 3),
    st.integers(-2, 6).map(lambda step: 1800 * step + 0.4),
    st.none() | st.integers(0, 5),
    CURRENCIES,
    dst=NUMBERS,
)


@given(st.lists(LINES), st.lists(RECORDS), st.integers(0, 2), st.sampled_from(["record", "day"]))
def test_all_that_is_billed_and_recorded_is_in_the_totals_once(
    lines: list[InvoiceLine], records: list[CallRecord], tolerance: int, by: str
) -> None:
    lines = [evolve(each, number=number) for number, each in enumerate(lines)]
    check = check_bill(lines, records, by=by, tolerance_cents=tolerance)
    totals = check.totals()
    for currency in ("USD", "EUR"):
        total = totals.get(currency, BillSum())
        recorded = sum(each.sell_price_cents or 0 for each in records if each.currency == currency)
        assert total.billed == sum(each.amount for each in lines if each.currency == currency)
        assert total.recorded == recorded * CENT


@given(st.lists(LINES), st.lists(RECORDS), st.booleans())
def test_each_line_has_one_kind(lines: list[InvoiceLine], records: list[CallRecord], ranged: bool) -> None:
    lines = [evolve(each, number=number) for number, each in enumerate(lines)]
    start, end = (START, START + timedelta(hours=1)) if ranged else (None, None)
    # Lines that are all at midnight would be sums of days.
    check = check_bill(lines, records, by="record", start=start, end=end)
    numbers = [number for finding in check.findings for number in finding.lines]
    assert len(numbers) == len({*numbers})
    kinds: list[BillKind] = [
        "matched",
        "within tolerance",
        "other amount",
        "other currency",
        "other time",
        "other id",
        "outside",
    ]
    # Records free of charge have no currency, and lines have one.
    free = sum(some.count for (kind, currency), some in check.sums.items() if kind == "free of charge" and currency)
    assert sum(map(check.count, kinds)) + len(check.only_billed) + free == len(lines)


@pytest.mark.slow
@given(st.lists(LINES), st.lists(RECORDS), st.randoms())
def test_the_order_of_records_changes_no_sum(
    lines: list[InvoiceLine], records: list[CallRecord], random: Random
) -> None:
    lines = [evolve(each, number=number) for number, each in enumerate(lines)]
    one = check_bill(lines, records)
    random.shuffle(records)
    other = check_bill(lines, records)
    for currency in {*one.totals(), *other.totals()}:
        before, after_it = (check.totals().get(currency, BillSum()) for check in (one, other))
        assert (before.billed, before.recorded) == (after_it.billed, after_it.recorded)
