"""The sums of a report add up to the calls for every choice of a country and a line, however much is folded together."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord
from unlimcall_async.operations import CallSummary
from unlimcall_async.report import cube as cubes
from unlimcall_async.report.cube import cube_of

pytestmark = pytest.mark.own_rules

START = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = st.sampled_from([None, "", "A", "B", "C", "D"])
RECORDS = st.lists(
    st.builds(
        CallRecord,
        id=st.just("1"),
        start_time=st.integers(0, 5000).map(lambda hours: START + timedelta(hours=hours)),
        duration=st.just(9),
        billsec=st.integers(0, 90),
        disposition=st.sampled_from([None, "ANSWERED", "BUSY", "FAILED"]),
        sip_username=NAMES,
        country=NAMES,
        sell_price_cents=st.none() | st.integers(0, 99),
        currency=st.sampled_from([None, "USD", "EUR"]),
    ),
    max_size=40,
)


def summaries(records: list[CallRecord]) -> tuple[CallSummary, CallSummary, CallSummary]:
    made = (
        CallSummary(("day", "country", "agent")),
        CallSummary(("weekday", "hour", "country", "agent")),
        CallSummary(("disposition", "country", "agent")),
    )
    for record in records:
        for summary in made:
            summary.add(record)
    return made


def column_sum(values: dict[str, Any], table: str, column: int) -> int:
    return sum(values[table][column])


@given(RECORDS, st.integers(1, 200))
def test_nothing_is_lost_and_nothing_counts_twice(records: list[CallRecord], room: int) -> None:
    made = summaries(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cubes, "_MOST_NUMBERS", room)
        patch.setattr(cubes, "_MOST_DAYS", room)
        cube = cube_of(*made)
    values: Any = cube.values
    total = made[0].total
    counts = [column_sum(values, "by_day", column) for column in range(3, 8)]
    assert counts == [total.attempts, total.answered, total.failed, total.talk_s, total.billed_s]
    assert column_sum(values, "by_hour", 3) == column_sum(values, "by_disposition", 3) == total.attempts
    assert column_sum(values, "by_hour", 4) == total.answered
    cents = defaultdict[str, int](int)
    for place, amount in zip(values["spend"][0], values["spend"][4], strict=True):
        cents[values["currencies"][place]] += amount
    assert {name: count for name, count in cents.items() if count} == {
        name: int(amount * 100) for name, amount in total.spend.items() if amount
    }
    for table, first in (("by_day", 1), ("by_hour", 1), ("by_disposition", 1), ("spend", 2)):
        assert set(values[table][first]) <= set(range(len(values["countries"])))
        assert set(values[table][first + 1]) <= set(range(len(values["lines"])))


@given(RECORDS)
def test_a_country_and_a_line_have_their_own_calls(records: list[CallRecord]) -> None:
    values: Any = cube_of(*summaries(records)).values
    found = defaultdict[tuple[str, str], int](int)
    for country, line, calls in zip(*values["by_day"][1:4], strict=True):
        found[values["countries"][country], values["lines"][line]] += calls
    wanted = defaultdict[tuple[str, str], int](int)
    # Two kinds of no name look alike, and stay apart: the first of them in the order of the names has the plain words.
    plain = [record for record in records if record.country and record.sip_username]
    for record in plain:
        wanted[str(record.country), str(record.sip_username)] += 1
    assert {pair: count for pair, count in found.items() if not any(name[0] == "(" for name in pair)} == wanted


@pytest.mark.parametrize(("days", "step"), [(0, "day"), (400, "day"), (401, "week"), (2800, "week"), (2801, "month")])
def test_a_bar_gets_longer_with_the_range(days: int, step: str) -> None:
    records = [
        CallRecord(id="1", start_time=START + timedelta(days=day), duration=1, billsec=1)
        for day in (0, days // 2, days)
    ]
    cube = cube_of(*summaries(records))
    assert cube.step == step
    starts = cube.values["starts"]
    assert starts == sorted(starts)
    if step == "week":
        assert all(datetime.fromisoformat(start).weekday() == 0 for start in starts)
    if step == "month":
        assert all(start.endswith("-01") for start in starts)


def test_currencies_beyond_those_to_choose_from_are_counted() -> None:
    records = [
        CallRecord(id="1", start_time=START, duration=1, billsec=1, sell_price_cents=1, currency=f"C{number:02}")
        for number in range(11)
    ]
    values = cube_of(*summaries(records)).values
    assert (len(values["currencies"]), values["other_currencies"]) == (8, 3)


def test_the_names_that_are_kept_are_those_with_the_most_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cubes, "_MOST_NUMBERS", 200)
    records = [
        CallRecord(id="1", start_time=START, duration=1, billsec=1, country=f"C{country}", sip_username=f"L{line}")
        for country in range(20)
        for line in range(20)
        for _ in range(country + line + 1)
    ]
    values: Any = cube_of(*summaries(records)).values
    assert values["countries"] == ["C19", "C18", "(18 other countries)"]
    assert values["lines"] == ["L19", "L18", "L17", "(17 other lines)"]


@pytest.mark.slow
@pytest.mark.parametrize("currencies", [1, 8])
def test_an_account_of_any_size_has_a_page_of_two_megabytes(monkeypatch: pytest.MonkeyPatch, currencies: int) -> None:
    # Each call has a day, a country and a line of its own: the most sums that so many calls can have. The real bound is for some
    # nine times as many numbers.
    monkeypatch.setattr(cubes, "_MOST_NUMBERS", 60_000)
    records = [
        CallRecord(
            id="1",
            start_time=START + timedelta(days=number % 365, hours=number % 24),
            duration=1,
            billsec=number % 3600,
            country=f"C{number % 97}",
            sip_username=f"L{number % 991}",
            sell_price_cents=number % 500,
            currency=f"C{number % currencies}",
            disposition=f"D{number % 11}",
        )
        for number in range(20_000)
    ]
    length = len(json.dumps(cube_of(*summaries(records)).values, separators=(",", ":")))
    assert length * 9 < 2_000_000
