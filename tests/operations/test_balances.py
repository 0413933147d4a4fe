"""Balances that the credit watch keeps, and how far they fell."""

from __future__ import annotations

import logging
import resource
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operations.records import START, after
from unlimcall_async import AsyncClient
from unlimcall_async.operations import (
    BalanceFall,
    CreditMonitor,
    CreditWatch,
    KeptBalance,
    balance_falls,
    read_balances,
)
from unlimcall_async.sandbox import Sandbox

MINUTE = timedelta(minutes=1)


def kept(at: float, balance: str, currency: str = "USD") -> KeptBalance:
    return KeptBalance(after(at), Decimal(balance), currency)


# --- the watch --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(balance="100") as sandbox:
        yield sandbox


async def watched(sandbox: Sandbox, path: Path, polls: int) -> None:
    """Poll so often, with a balance that falls each time, until the credit is low."""
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        count = 0

        def clock() -> datetime:
            nonlocal count
            count += 1
            sandbox.account.balance = "1" if count >= polls - 1 else f"{100 - count}.1234"
            return START + count * MINUTE

        monitor = CreditMonitor(25, "USD", ahead=None)
        watch = CreditWatch(client, monitor, interval=MINUTE, keep=path, clock=clock)
        async with aclosing(aiter(watch)) as alerts:
            async for _ in alerts:
                break


@pytest.mark.slow
@pytest.mark.looptime
async def test_the_watch_keeps_each_fresh_balance(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "balances.ndjson"
    await watched(sandbox, path, 4)
    assert path.read_text().splitlines() == [
        '{"at": "2026-06-01T00:01:00Z", "balance": "100", "currency": "USD"}',
        '{"at": "2026-06-01T00:02:00Z", "balance": "99.1234", "currency": "USD"}',
        '{"at": "2026-06-01T00:03:00Z", "balance": "98.1234", "currency": "USD"}',
        '{"at": "2026-06-01T00:04:00Z", "balance": "1", "currency": "USD"}',
    ]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_line_that_was_cut_off_costs_that_line(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "balances.ndjson"
    path.write_text(f'{kept(0, "7").to_json()}\n{{"at": "2026-06-01T00:0')
    await watched(sandbox, path, 3)
    with path.open("rb") as file:
        assert [each.balance for each in read_balances(file)] == [7, 100, Decimal("99.1234"), 1]


@pytest.mark.looptime
async def test_a_balance_that_cannot_be_kept_stops_no_alert(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "unlimcall_async"):
        await watched(sandbox, tmp_path / "none" / "balances.ndjson", 2)
    assert "a balance could not be kept: No such file or directory" in caplog.text


@pytest.mark.looptime
async def test_a_disk_that_takes_a_part_of_a_line_is_told(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "balances.ndjson"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with caplog.at_level(logging.WARNING, "unlimcall_async"):
            await watched(sandbox, path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (path.stat().st_size, caplog.messages) == (100, ["a balance could not be kept: No space left on device"])
    with path.open("rb") as file:
        assert [each.balance for each in read_balances(file)] == [100]


@pytest.mark.looptime
async def test_a_stale_balance_is_not_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.account.stale = True
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        watch = CreditWatch(
            client,
            CreditMonitor(25, "USD", ahead=None, stale_after=timedelta(microseconds=1)),
            interval=MINUTE,
            keep=tmp_path / "balances.ndjson",
        )
        async with aclosing(aiter(watch)) as alerts:
            async for alert in alerts:
                assert alert.kind == "stale"
                break
    assert not (tmp_path / "balances.ndjson").exists()


# --- reading ----------------------------------------------------------------------------------------------------------


@given(
    st.datetimes(timezones=st.just(UTC)), st.decimals(allow_nan=False, allow_infinity=False), st.text("AZ", min_size=3)
)
def test_a_kept_balance_is_read_back_exactly(at: datetime, balance: Decimal, currency: str) -> None:
    one = KeptBalance(at, balance, currency)
    (read,) = read_balances([one.to_json()])
    assert (read, str(read.balance)) == (one, str(balance))


@pytest.mark.parametrize(
    "line",
    [
        '{"at": "soon", "balance": "1", "currency": "USD"}',
        '{"at": "2026-06-01T00:00:00Z", "balance": "NaN", "currency": "USD"}',
        '{"at": "2026-06-01T00:00:00Z", "balance": true, "currency": "USD"}',
        '{"at": "2026-06-01T00:00:00Z", "balance": [0, [1], 0], "currency": "USD"}',
        '{"at": "2026-06-01T00:00:00Z", "balance": "1", "currency": null}',
        "[]",
        '{"id": 1}',
        "id,amount",
        b"\xff\n",
    ],
)
def test_another_file_is_refused(line: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"line 2.* is not a balance that was kept"):
        read_balances([kept(0, "1").to_json() if isinstance(line, str) else kept(0, "1").to_json().encode(), line])


def test_a_clock_that_was_set_back_makes_no_rise() -> None:
    # Three polls by a clock that is an hour ahead, which is then set right. Two processes write the last two in another order.
    lines = [(0, "50"), (3660, "49"), (3720, "48"), (180, "47"), (240, "45"), (239, "46")]
    found = read_balances([kept(at, balance).to_json() for at, balance in lines])
    assert [(each.at, each.balance) for each in found] == [
        (after(at), Decimal(balance))
        for at, balance in zip((0, 180, 180, 180, 239, 240), range(50, 44, -1), strict=True)
    ]
    (fall,) = balance_falls(found, START, after(300))
    assert (fall.fell, fall.rose) == (Decimal(5), Decimal(0))


# --- falls ------------------------------------------------------------------------------------------------------------


def test_rises_are_told_apart_from_falls() -> None:
    balances = [kept(60 * number, balance) for number, balance in enumerate(["50", "40", "35.5", "135.5", "130", "9"])]
    assert balance_falls(reversed(balances), after(55), after(245)) == [
        BalanceFall(
            "USD",
            *(balances[1], balances[4]),
            fell=Decimal("10.0"),
            rose=Decimal("100.0"),
            rises=((after(180), Decimal("100.0")),),
            longest_gap=MINUTE,
        )
    ]


def test_a_balance_in_another_currency_is_another_balance() -> None:
    balances = [kept(0, "50"), kept(60, "40"), kept(30, "9", "EUR"), kept(90, "8", "EUR"), kept(90, "1", "GBP")]
    assert [(fall.currency, fall.fell) for fall in balance_falls(balances, START, after(90))] == [
        ("EUR", Decimal(1)),
        ("USD", Decimal(10)),
    ]


def test_without_two_balances_of_the_range_there_is_no_fall() -> None:
    assert balance_falls([], START, after(9)) == []
    assert balance_falls([kept(0, "50"), kept(60, "40")], after(100), after(900)) == []
