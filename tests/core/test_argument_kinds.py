"""An argument of a wrong kind is named, wherever in the package it is passed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from unlimcall_async import AsyncClient, CheckpointFile, CheckpointJournal
from unlimcall_async.accounts import Accounts
from unlimcall_async.columns import to_batch, write_parquet
from unlimcall_async.operations import (
    BillReconciler,
    CallerIdHealth,
    CallerIdPool,
    CreditMonitor,
    CreditWatch,
    balance_falls,
    bill_range,
    check_bill,
    columns_named,
    place_of,
    read_balances,
    read_invoice,
    read_log,
)
from unlimcall_async.proof import DayDigest
from unlimcall_async.sync import repair_cdrs, sync_cdrs

pytestmark = pytest.mark.own_rules

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
CLIENT = AsyncClient("unl_test_token")
STREAM = CLIENT.cdrs.stream(START, END)
URL = "sqlite:///calls.db"


async def result_of(call: Callable[[Any], Any], value: object) -> object:
    result = call(value)
    return await result if inspect.isawaitable(result) else result


async def print_later(_progress: object) -> None: ...


# Each with the name of the argument, and values of another kind.
CALLS: list[tuple[Callable[[Any], Any], str, list[Any]]] = [
    (Accounts.from_file, "path", [5, b"accounts.toml", None, ""]),
    (CheckpointFile, "path", [5, b"place", None, "place\0", ""]),
    (read_log, "path", [5, b"calls.db", None, "calls.db\0", ""]),
    (lambda value: write_parquet(STREAM, value), "path", [5, b"calls.parquet", None, "calls.parquet\0", ""]),
    (CheckpointJournal, "texts", [5, "text", None, [5], [None]]),
    (to_batch, "records", [5, iter(()), None]),
    (DayDigest.of, "records", [5, "text", None]),
    (lambda value: check_bill([], value), "records", [5, "text", None]),
    (lambda value: check_bill(value, []), "lines", [5, "text", [5]]),
    (bill_range, "lines", [5, "text", [5]]),
    (lambda value: BillReconciler([], by=value), "by", [5, 1.5]),
    (read_balances, "lines", [5, "text", None, [5], [None]]),
    (lambda value: balance_falls(value, START, END), "balances", [5, "text", None, [5]]),
    (lambda value: CreditWatch(CLIENT, CreditMonitor(25, "USD"), keep=value), "keep", [5, b"kept", "kept\0", ""]),
    (lambda value: CreditWatch(CLIENT, CreditMonitor(25, "USD"), clock=value), "clock", [5, None, print_later]),
    (lambda value: read_invoice("Call ID,Amount\n", columns=value), "columns", [5, "id=Call ID"]),
    (lambda value: read_invoice("Call ID,Amount\n", dates=value), "dates", [[], 5]),
    (columns_named, "text", [5, b"id=Call ID", None]),
    (place_of, "number", [5, b"+14155551234", None]),
    (CallerIdPool, "numbers", [5, "+14155551234", ["+14155551234"]]),
    (CallerIdHealth, "numbers", [5, "+14155551234", ["+14155551234"]]),
    (lambda value: sync_cdrs(value, URL, START), "client", [5, None]),
    (lambda value: sync_cdrs(CLIENT, value, START), "destination", [5, None, b"sqlite:///calls.db"]),
    (lambda value: sync_cdrs(CLIENT, URL, START, on_progress=value), "on_progress", [5, print_later]),
    (lambda value: repair_cdrs(value, URL, []), "client", [5, None]),
    (lambda value: repair_cdrs(CLIENT, value, []), "destination", [5, None]),
    (lambda value: repair_cdrs(CLIENT, URL, value), "ranges", [5, "2026-05-01"]),
    (lambda value: repair_cdrs(CLIENT, URL, [], on_progress=value), "on_progress", [5, print_later]),
]


@pytest.mark.parametrize(
    ("call", "name", "value"), [(call, name, each) for call, name, values in CALLS for each in values]
)
async def test_an_argument_of_another_kind_is_named(call: Callable[[Any], Any], name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{name} must "):
        await result_of(call, value)
