"""The credit watch over HTTP, under a clock that is set and under an amount that no honest server sends."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.operations.records import START
from unlimcall_async import AsyncClient
from unlimcall_async.operations import CreditMonitor, CreditWatch
from unlimcall_async.sandbox import Sandbox

pytestmark = pytest.mark.looptime

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


async def test_the_watch_says_stale_after_a_step_back_of_the_clock(sandbox: Sandbox) -> None:
    readings = iter([START, *(START - (1 + minute) * HOUR for minute in range(99))])
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        monitor = CreditMonitor(25, "USD", ahead=None, stale_after=3 * MINUTE)
        watch = CreditWatch(client, monitor, clock=lambda: next(readings))
        sandbox.account.balance = "3"
        async for alert in watch:
            if alert.kind == "stale":
                break
            assert alert.kind == "low"
            sandbox.account.stale = True
    assert alert.at == START - 3 * HOUR


async def test_the_watch_goes_on_after_an_amount_beyond_all_bounds(sandbox: Sandbox) -> None:
    sandbox.account.balance = "1E+999999"
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        monitor = CreditMonitor(25, "USD", ahead=None, stale_after=MINUTE)
        waiting = aiter(CreditWatch(client, monitor, interval=MINUTE))
        sandbox.account.credit_limit = "9E+999999"
        sandbox.account.blocked = True
        assert (await anext(waiting)).kind == "blocked"
        assert monitor.balance is not None
        assert monitor.balance.balance == Decimal("1E+999999")
        sandbox.account.balance, sandbox.account.credit_limit = "3", None
        assert (await anext(waiting)).kind == "low"
        await waiting.aclose()


async def test_a_clock_without_a_timezone_is_named(sandbox: Sandbox) -> None:
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        watch = CreditWatch(client, CreditMonitor(25, "USD"), clock=datetime.now)
        with pytest.raises(ValueError, match="clock must be timezone-aware"):
            await anext(aiter(watch))
        with pytest.raises(ValueError, match="spend_over must be 366 days, 0:00:00 or less"):
            CreditWatch(client, CreditMonitor(25, "USD"), spend_over=timedelta.max)
