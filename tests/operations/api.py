"""The operations, used as users use them, for the type checkers: this file is checked, not run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, assert_type

from unlimcall_async import AsyncClient, Balance, CallRecord
from unlimcall_async.operations import (
    AlertState,
    BalanceFall,
    BillCheck,
    BillKind,
    BillReconciler,
    BillSum,
    CallerId,
    CallerIdHealth,
    CallerIdPool,
    CarrierAlert,
    CarrierMonitor,
    CreditAlert,
    CreditKind,
    CreditMonitor,
    CreditWatch,
    EventAlert,
    EventLog,
    EventMatch,
    EventReconciler,
    Grade,
    InvoiceLine,
    MissedCall,
    NoCallerIdError,
    NumberHealth,
    Place,
    SeenEvent,
    Share,
    Spend,
    SpendTally,
    Step,
    Verdict,
    available_credit,
    balance_falls,
    bill_range,
    check_bill,
    columns_named,
    place_of,
    read_balances,
    read_invoice,
    read_log,
)
from unlimcall_async.webhooks import CallEnded, RecoveredCall, SQLiteStore, WebhookReceiver, recovered_event


async def caller_ids(source: AsyncIterator[CallerId], now: datetime) -> None:
    pool = CallerIdPool([CallerId("+12", "US", campaign=None)], fallback=("country", "any"))
    assert_type(pool.fallback, tuple[Step, ...])
    await pool.fill(source)
    pool.burn("+12")
    pool.burn("+12", until=now)
    try:
        assert_type(pool.select("+12", campaign="spring", now=now), CallerId)
    except NoCallerIdError as error:
        assert_type(error.free_at, datetime | None)
    assert_type(pool.numbers[0].country, str | None)
    assert_type(pool.burned(now=now), dict[str, datetime | None])
    assert_type(CallerIdPool.from_json(pool.to_json(), fallback=["region"]), CallerIdPool)
    assert_type(place_of("+12"), Place)


async def health(client: AsyncClient, numbers: list[CallerId], now: datetime) -> None:
    watched = CallerIdHealth(numbers, minimum=50, short_seconds=3, margin=0.5)
    await watched.read(client.cdrs.stream(now))
    for number in watched.report():
        assert_type(number, NumberHealth)
        assert_type(number.answered, Share)
        assert_type(number.answered.rate, float | None)
        assert_type(number.verdict, Verdict)


async def carrier(client: AsyncClient, now: datetime, record: CallRecord) -> None:
    monitor = CarrierMonitor(span=timedelta(hours=2), failed={"FAILED"})
    CarrierMonitor(failed=lambda each: each.billsec == 0)
    assert_type(monitor.add(record), list[CarrierAlert])
    async for alert in monitor.watch(client.cdrs.follow(now)):
        assert_type(alert, CarrierAlert)
        assert_type(alert.state, AlertState)
        assert_type(alert.country, str | None)
    assert_type(monitor.countries, dict[str, Share])


async def credit(client: AsyncClient, balance: Balance, now: datetime, record: CallRecord) -> None:
    monitor = CreditMonitor(Decimal(25), "USD", ahead=None)
    tally = SpendTally(timedelta(hours=1))
    tally.add(record)
    assert_type(monitor.note(balance, at=now, spend=tally.spend, monotonic=0.5), list[CreditAlert])
    assert_type(tally.spend.per_hour("USD"), Decimal)
    assert_type(available_credit(balance), Decimal)
    async for alert in CreditWatch(client, monitor, interval=timedelta(minutes=5), keep="balances.ndjson"):
        assert_type(alert, CreditAlert)
        assert_type(alert.kind, CreditKind)
        assert_type(alert.spend, Spend | None)


def balances(lines: list[bytes], now: datetime) -> None:
    assert_type(balance_falls(read_balances(lines), now, now), list[BalanceFall])


async def bill(client: AsyncClient, content: bytes, records: list[CallRecord]) -> None:
    invoice = read_invoice(content, columns=columns_named("id=Call ID,amount=Charge"), decimal=",", dates="dmy")
    assert_type(invoice.lines, tuple[InvoiceLine, ...])
    assert_type(invoice.unreadable[0].column, str)
    assert_type(bill_range(invoice.lines), tuple[datetime, datetime] | None)
    assert_type(check_bill(invoice.lines, records, by=["day", "country"], tolerance_cents=1), BillCheck)
    reconciler = BillReconciler(invoice.lines, by="record", tolerance_cents=Decimal("0.5"))
    async for record in client.cdrs.stream(records[0].start_time):
        reconciler.add(record)
    check = reconciler.result()
    assert_type(check.only_billed[0].kind, BillKind)
    assert_type(check.other_amount[0].difference, Decimal | None)
    assert_type(check.totals(), dict[str, BillSum])


async def events(client: AsyncClient, receiver: WebhookReceiver, record: CallRecord, now: datetime) -> None:
    reconciler = EventReconciler(lines={"unl_001"}, grace=timedelta(minutes=3))
    EventReconciler(lines=lambda each: each.sip_username is not None)
    receiver.on(CallEnded)(reconciler.seen)
    reconciler.add(record)
    assert_type(reconciler.sweep(now=now), list[EventAlert])
    assert_type(reconciler.matched, tuple[EventMatch, ...])
    assert_type(reconciler.matched[0].grade, Grade)
    assert_type(reconciler.waiting, tuple[SeenEvent, ...])
    assert_type(reconciler.silent_lines, dict[str | None, int])
    for call in reconciler.missed:
        assert_type(call, MissedCall)
        event = recovered_event(call.record)
        assert_type(event, RecoveredCall)
        assert_type(await receiver.handle_event(event), Literal["handled", "seen", "failed"])
    assert_type(reconciler.share, Share)
    async for alert in reconciler.watch(client.cdrs.follow(now), every=timedelta(minutes=1)):
        assert_type(alert, EventAlert)
    receiver.on(CallEnded)(EventLog(SQLiteStore("seen.db"), keep=timedelta(days=3)).note)
    assert_type(read_log("seen.db"), list[SeenEvent])
    EventReconciler().load(reconciler.to_json())
