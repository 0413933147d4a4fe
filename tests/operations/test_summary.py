"""A summary counts every record once in its group, exactly, in whatever order and pieces the records come."""

from __future__ import annotations

import pickle
import random
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa  # type: ignore[import-untyped] # pyarrow has no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import CallRecord
from unlimcall_async.operations import CallSummary, SummaryRow, summary_notebook

from .records import record

NAMES = ("day", "weekday", "hour", "country", "agent", "disposition", "currency")
FIELDS = {"country": "country", "agent": "sip_username", "disposition": "disposition", "currency": "currency"}
BERLIN = ZoneInfo("Europe/Berlin")

BY = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)
TEXTS = st.sampled_from([None, "", "DE", "GB", "=1+1"])
RECORDS = st.lists(
    st.builds(
        CallRecord,
        id=st.just("1"),
        start_time=st.datetimes(datetime(2026, 3, 27), datetime(2026, 4, 2), timezones=st.just(UTC)),  # noqa: DTZ001 # it gets one
        duration=st.just(9),
        billsec=st.integers(0, 10**6),
        disposition=st.sampled_from([None, "ANSWERED", "answered", "BUSY", "FAILED", "sip 503"]),
        sip_username=TEXTS,
        country=TEXTS,
        sell_price_cents=st.none() | st.integers(-(2**63), 2**63 - 1),
        currency=st.sampled_from([None, "", "USD", "EUR"]),
    )
)


def key_of(each: CallRecord, by: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the group of a record, written out."""
    local = each.start_time.astimezone(BERLIN)
    times = {"day": local.date(), "weekday": local.isoweekday(), "hour": local.hour}
    return tuple(times[name] if name in times else getattr(each, FIELDS[name]) for name in by)


def facts(row: SummaryRow) -> tuple[Any, ...]:
    return (
        tuple(row.group.values()),
        row.attempts,
        row.answered,
        row.failed,
        row.talk_s,
        row.billed_s,
        row.unpriced,
        dict(row.spend),
    )


def expected(records: list[CallRecord], by: tuple[str, ...]) -> list[tuple[Any, ...]]:
    groups = defaultdict[tuple[Any, ...], list[CallRecord]](list)
    for each in records:
        groups[key_of(each, by)].append(each)
    found = []
    for key, some in groups.items():
        answered = [each for each in some if (each.disposition or "").upper() == "ANSWERED"]
        failed = [each for each in some if (each.disposition or "").upper() in {"FAILED", "SIP 503"}]
        cents = defaultdict[str, int](int)
        for each in some:
            if each.sell_price_cents is not None:
                # ISO 4217 has XXX for "no currency".
                cents[each.currency or "XXX"] += each.sell_price_cents
        spend = {currency: Decimal(f"{count}e-2") for currency, count in cents.items()}
        unpriced = sum(each.sell_price_cents is None for each in some)
        talk, billed = (sum(each.billsec for each in these) for these in (answered, some))
        found.append((key, len(some), len(answered), len(failed), talk, billed, unpriced, spend))
    return found


def summed(records: list[CallRecord], by: tuple[str, ...]) -> CallSummary:
    summary = CallSummary(by, zone=BERLIN)  # type: ignore[arg-type] # texts of a strategy
    for each in records:
        summary.add(each)
    return summary


@given(RECORDS, BY)
def test_each_record_counts_once_in_its_group(records: list[CallRecord], by: tuple[str, ...]) -> None:
    rows = [facts(row) for row in summed(records, by).rows()]
    if by:
        assert sorted(rows, key=repr) == sorted(expected(records, by), key=repr)
    else:
        assert rows == (expected(records, by) or [((), 0, 0, 0, 0, 0, 0, {})])


@given(RECORDS, BY, st.data())
def test_pieces_in_any_order_add_up_to_the_whole(
    records: list[CallRecord], by: tuple[str, ...], data: st.DataObject
) -> None:
    whole = [facts(row) for row in summed(records, by).rows()]
    mixed = [*records]
    random.Random(data.draw(st.integers(0, 99))).shuffle(mixed)
    cut = data.draw(st.integers(0, len(mixed)))
    first, second = summed(mixed[:cut], by), pickle.loads(pickle.dumps(summed(mixed[cut:], by)))  # noqa: S301 # our own
    before = [facts(row) for row in second.rows()]
    first.merge(second)
    assert [facts(row) for row in first.rows()] == whole
    assert [facts(row) for row in second.rows()] == before


@given(RECORDS, BY, st.data())
def test_fewer_groups_are_those_that_a_summary_of_them_has(
    records: list[CallRecord], by: tuple[str, ...], data: st.DataObject
) -> None:
    fewer: Any = tuple(data.draw(st.lists(st.sampled_from(by), unique=True))) if by else ()
    assert [facts(row) for row in summed(records, by).regrouped(fewer).rows()] == [
        facts(row) for row in summed(records, fewer).rows()
    ]


def test_a_summary_merged_with_itself_counts_twice() -> None:
    summary = summed([record()], ("country",))
    summary.merge(summary)
    assert summary.total.attempts == 2


def test_a_summary_in_the_same_zone_is_merged_although_the_zone_is_another_object() -> None:
    summary, other = (CallSummary(("day",), zone=zone) for zone in (BERLIN, ZoneInfo.no_cache(str(BERLIN))))
    other.add(record())
    summary.merge(other)
    assert summary.total.attempts == 1


def test_rows_are_in_order_of_their_groups_and_those_without_a_name_come_last() -> None:
    summary = CallSummary(("hour", "country"))
    for at, country in ((7200, "B"), (0, None), (0, "A"), (7200, "A")):
        summary.add(record(at, country=country))
    assert [tuple(row.group.values()) for row in summary.rows()] == [(0, "A"), (0, None), (2, "A"), (2, "B")]
    assert [row.labels for row in summary.rows()][1:3] == [("0", "(none)"), ("2", "A")]


def test_a_day_and_an_hour_are_those_of_the_zone() -> None:
    summary = CallSummary(("day", "weekday", "hour"), zone=BERLIN)
    # The clocks of Berlin go from 2 to 3 on this Sunday.
    night = datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC)
    for hours in range(4):
        summary.add(CallRecord(id="1", start_time=night + timedelta(hours=hours), duration=1, billsec=1))
    assert [row.labels for row in summary.rows()] == [
        ("2026-03-28", "Sat", "23"),
        ("2026-03-29", "Sun", "0"),
        ("2026-03-29", "Sun", "1"),
        ("2026-03-29", "Sun", "3"),
    ]


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("America/New_York", datetime(1, 1, 1, tzinfo=UTC)),
        ("Europe/Berlin", datetime(9999, 12, 31, 23, 30, tzinfo=UTC)),
    ],
)
def test_a_time_that_the_zone_cannot_hold_counts_in_utc(zone: str, moment: datetime) -> None:
    summary = CallSummary(("day",), zone=ZoneInfo(zone))
    summary.add(CallRecord(id="1", start_time=moment, duration=1, billsec=1))
    assert summary.rows()[0].group == {"day": moment.date()}


def test_a_sum_that_no_float_can_hold_has_the_largest_mean() -> None:
    summary = CallSummary(())
    summary.add(record(0, "ANSWERED", billsec=10**400))
    row = summary.total
    assert row.billed_s == 10**400
    assert row.mean_length_s == row.billed_minutes == sys.float_info.max


def test_rates_are_those_of_the_counts() -> None:
    summary = CallSummary(())
    for disposition, billsec in (("ANSWERED", 90), ("answered", 30), ("FAILED", 0), ("BUSY", 3)):
        summary.add(record(0, disposition, billsec=billsec))
    row = summary.total
    assert (row.answer_rate, row.failure_rate, row.mean_length_s) == (0.5, 0.25, 60.0)
    assert (row.billed_s, row.billed_minutes) == (123, 2.05)
    assert (row.answers.count, row.failures.count, row.answers.of) == (2, 1, 4)
    empty = CallSummary(()).total
    assert (empty.answer_rate, empty.failure_rate, empty.mean_length_s) == (None, None, None)


def test_failures_are_what_the_user_says_but_never_answered() -> None:
    summary = CallSummary((), failed=lambda each: each.billsec == 0)
    for disposition in ("ANSWERED", "BUSY"):
        summary.add(record(0, disposition, billsec=0))
    assert summary.total.failed == 1
    listed = CallSummary((), failed={"busy"})
    listed.add(record(0, "BUSY"))
    assert listed.total.failed == 1


def test_a_function_that_raises_leaves_the_summary_as_it_was() -> None:
    def failed(_record: CallRecord) -> bool:
        raise RuntimeError

    summary = CallSummary(("country",), failed=failed)
    with pytest.raises(RuntimeError):
        summary.add(record(0, "BUSY"))
    assert len(summary) == 0


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: CallSummary("day"), TypeError, "by must be a sequence of names"),  # type: ignore[arg-type] # wrong
        (lambda: CallSummary(("month",)), ValueError, "by must have names of day, .*; 'month' is not one of them"),  # type: ignore[arg-type] # wrong
        (lambda: CallSummary(("day", "day")), ValueError, "by has 'day' twice"),
        (lambda: CallSummary(zone="Europe/Berlin"), TypeError, "zone must be a tzinfo"),  # type: ignore[arg-type] # wrong
        (lambda: CallSummary(failed=3), TypeError, "failed must be"),  # type: ignore[arg-type] # wrong
        (lambda: CallSummary().add({}), TypeError, "record must be a CallRecord"),  # type: ignore[arg-type] # wrong
        (lambda: CallSummary().merge(3), TypeError, "other must be a CallSummary"),  # type: ignore[arg-type] # wrong
        (lambda: CallSummary().merge(CallSummary(("day",))), ValueError, "other is grouped by"),
        (
            lambda: CallSummary().merge(CallSummary(zone=BERLIN)),
            ValueError,
            "other has days and hours in Europe/Berlin",
        ),
        (lambda: CallSummary().regrouped(("agent",)), ValueError, "by has 'agent'"),
    ],
)
def test_a_wrong_argument_is_named(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_summaries_without_times_merge_whatever_their_zones() -> None:
    summary = CallSummary(("country",))
    summary.merge(summed([record()], ("country",)))
    assert summary.total.attempts == 1


def test_arrow_has_the_groups_and_a_column_for_each_currency() -> None:
    summary = CallSummary(("day", "country"))
    summary.add(record(0, country="DE", sell_price_cents=2**63 - 1, currency="USD"))
    summary.add(record(0, country="DE", sell_price_cents=1, currency="USD"))
    summary.add(record(0, country=None, sell_price_cents=5, currency="EUR"))
    table = summary.to_arrow()
    assert table.column_names == [
        *("day", "country", "attempts", "answered", "failed", "answer_rate", "mean_length_s", "billed_s"),
        *("spend_EUR", "spend_USD", "unpriced"),
    ]
    assert table.column("spend_USD").to_pylist() == [Decimal("92233720368547758.08"), None]
    assert table.schema.field("day").type == pa.date32()
    assert CallSummary(()).to_arrow().num_rows == 1
    assert CallSummary(("day",)).to_arrow().num_rows == 0


@pytest.mark.slow
def test_a_notebook_shows_pictures_and_escaped_names() -> None:
    summary = CallSummary(("day", "weekday", "hour", "country", "agent", "disposition"))
    summary.add(record(0, country="<script>", sip_username="unl_001", sell_price_cents=250, currency="USD"))
    shown = summary._repr_html_()
    assert shown.count("<svg") == 5
    assert "<script>" not in shown
    assert all(text in shown for text in ("2.50 USD", "1 (100.0%)", "&lt;script&gt;"))
    assert CallSummary(())._repr_html_().count("<svg") == 0


def test_a_notebook_without_the_extra_has_tables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_notebook, "find_spec", lambda _: None)
    shown = summed([record()], ("day",))._repr_html_()
    assert "<svg" not in shown
    assert "2026-06-01" in shown


def test_the_repr_tells_how_much_was_counted() -> None:
    assert repr(summed([record(), record()], ("country",))) == "<CallSummary by ('country',): 2 attempts in 1 groups>"
