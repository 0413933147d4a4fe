"""The credit watch over HTTP, on virtual time: client and server share the loop, and nothing sleeps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.certificates import untrusted_context
from tests.operations.records import after
from unlimcall_async import (
    AsyncClient,
    AuthenticationError,
    ClientClosedError,
    RateLimit,
    RateLimits,
    SuspendedError,
    TransportError,
)
from unlimcall_async.operations import CreditAlert, CreditMonitor, CreditWatch
from unlimcall_async.sandbox import Garbage, ResetBefore, Sandbox, SandboxCall, Status

pytestmark = pytest.mark.looptime

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DAY = 86_400


def now() -> datetime:
    """The wall clock: a day after the start when a test begins."""
    return after(DAY + round(asyncio.get_running_loop().time(), 3))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(balance="100") as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        yield client


def watch_of(client: AsyncClient, *, ahead: timedelta | None = None, **options: Any) -> CreditWatch:
    return CreditWatch(client, CreditMonitor(25, "USD", ahead=ahead), **{"clock": now, **options})


def later(seconds: float, act: Callable[..., object], *arguments: object) -> None:
    asyncio.get_running_loop().call_later(seconds, act, *arguments)


async def some(watch: CreditWatch, count: int) -> list[CreditAlert]:
    """Take so many alerts, and leave."""
    taken: list[CreditAlert] = []
    async with aclosing(aiter(watch)) as alerts:
        async for alert in alerts:
            taken.append(alert)
            if len(taken) == count:
                break
    return taken


def told(alerts: list[CreditAlert]) -> list[str]:
    return [f"{alert.kind} {alert.state} {(alert.at - after(DAY)).total_seconds():.0f}" for alert in alerts]


def asked(sandbox: Sandbox, path: str) -> int:
    return sum(request.path.endswith(path) for request in sandbox.requests)


def call(at: float, cents: int | None, currency: str = "USD") -> SandboxCall:
    return SandboxCall(id=f"{at}", start_time=after(at), sell_price_cents=cents, currency=currency)


async def test_the_balance_is_polled_at_the_interval(sandbox: Sandbox, client: AsyncClient) -> None:
    later(150, setattr, sandbox.account, "balance", "24.99")
    later(400, setattr, sandbox.account, "balance", "80")
    watch = watch_of(client)
    assert told(await some(watch, 2)) == ["low started 180", "low ended 420"]
    assert asked(sandbox, "/balance") == 8
    assert asked(sandbox, "/cdrs") == 0
    assert repr(watch) == "<CreditWatch of <CreditMonitor at 25 USD: no alert>>"


async def test_the_interval_is_from_start_to_start(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.settings.latency = 10
    later(150, setattr, sandbox.account, "balance", "24.99")
    assert told(await some(watch_of(client), 1)) == ["low started 190"]


async def test_the_time_left_comes_from_recent_calls(sandbox: Sandbox, client: AsyncClient) -> None:
    # 10 USD in the last hour, another 990 before it, and 75 USD above the threshold: 7.5 hours.
    sandbox.add_calls(call(DAY - HOUR.total_seconds() - number, 1000) for number in range(1, 100))
    sandbox.add_calls(call(DAY - 10 * number, 10) for number in range(1, 101))
    (alert,) = await some(watch_of(client, ahead=8 * HOUR), 1)
    assert (alert.kind, alert.time_left) == ("soon", 7.5 * HOUR)
    assert alert.spend is not None
    assert (alert.spend.totals, alert.spend.priced) == ({"USD": Decimal(10)}, 100)


@pytest.mark.slow
async def test_the_calls_are_read_less_often_than_the_balance(sandbox: Sandbox, client: AsyncClient) -> None:
    later(HOUR.total_seconds() - 1, setattr, sandbox.account, "balance", "1")
    await some(watch_of(client, ahead=HOUR), 1)
    assert asked(sandbox, "/balance") == 61
    assert asked(sandbox, "/cdrs") == 7


async def test_other_currencies_are_told_and_not_added(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.add_calls([call(DAY - 10, 100), call(DAY - 20, 5000, "EUR"), call(DAY - 30, None)])
    with caplog.at_level(logging.WARNING, "unlimcall_async"):
        (alert,) = await some(watch_of(client, ahead=100 * HOUR), 1)
    assert alert.spend is not None
    assert (alert.spend.totals, alert.spend.unpriced) == ({"USD": Decimal(1), "EUR": Decimal(50)}, 1)
    assert alert.time_left == 75 * HOUR
    assert "calls cost money in EUR" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [Status(500), Status(429), ResetBefore(), Garbage()], ids=lambda fault: type(fault).__name__
)
async def test_an_outage_is_survived_and_alerted_of(sandbox: Sandbox, client: AsyncClient, fault: Any) -> None:
    sandbox.inject(fault, endpoint="balance", times=None, skip=1)
    later(30 * 60, sandbox.clear_faults)
    stale, fresh = await some(watch_of(client), 2)
    assert (stale.kind, stale.state, fresh.state) == ("stale", "started", "ended")
    assert after(DAY) + 15 * MINUTE <= stale.at <= after(DAY) + 17 * MINUTE
    assert after(DAY) + 30 * MINUTE <= fresh.at <= after(DAY) + 32 * MINUTE


async def test_a_stale_snapshot_is_not_taken_for_now(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.account.balance, sandbox.account.stale = "3", True
    later(5 * 60 - 1, setattr, sandbox.account, "stale", False)
    assert told(await some(watch_of(client), 1)) == ["low started 300"]


async def test_calls_that_cannot_be_read_are_asked_for_again(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.add_calls(call(DAY - number, 1000) for number in range(100))
    sandbox.inject(Status(500), endpoint="cdrs", times=4)
    (alert,) = await some(watch_of(client, ahead=HOUR), 1)
    assert (alert.kind, asked(sandbox, "/balance")) == ("soon", 2)


async def test_what_no_wait_can_mend_ends_it(sandbox: Sandbox, client: AsyncClient) -> None:
    async with AsyncClient(sandbox.add_token(["read:balance"]), base_url=sandbox.url) as narrow:
        with pytest.raises(AuthenticationError):
            await some(watch_of(narrow, ahead=HOUR), 1)
    watch = watch_of(client)
    later(90, setattr, sandbox.account, "suspended", True)
    with pytest.raises(SuspendedError):
        await some(watch, 1)
    # It goes on from there, once somebody has seen to it.
    sandbox.account.suspended, sandbox.account.balance = False, "3"
    assert [alert.kind for alert in await some(watch, 1)] == ["low"]


async def test_an_alert_is_not_repeated_by_the_next_iteration(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.account.balance = "3"
    watch = watch_of(client)
    await some(watch, 1)
    later(100, setattr, sandbox.account, "blocked", True)
    assert [alert.kind for alert in await some(watch, 1)] == ["blocked"]
    assert list(watch.monitor.active) == ["low", "blocked"]


@pytest.mark.slow
async def test_it_waits_for_the_rate_limit(sandbox: Sandbox) -> None:
    limits = RateLimits(balance=RateLimit(1))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        later(600, setattr, sandbox.account, "balance", "3")
        await some(watch_of(client, interval=timedelta(seconds=1)), 1)
    assert 10 <= asked(sandbox, "/balance") <= 11


async def test_a_cancelled_watch_leaves_nothing_and_the_client_stays_open(client: AsyncClient) -> None:
    for seconds in (0.0, 30, 61):
        task = asyncio.create_task(some(watch_of(client, ahead=HOUR), 1))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert (await client.balance()).balance == 100


async def test_a_closed_client_ends_it(client: AsyncClient) -> None:
    later(90, lambda: asyncio.ensure_future(client.aclose()))
    with pytest.raises(RuntimeError, match="closed"):
        await some(watch_of(client), 1)


async def test_a_certificate_that_is_not_trusted_ends_it() -> None:
    tls = untrusted_context()
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncClient("unl_test_token", base_url=f"https://127.0.0.1:{port}") as client:
            with pytest.raises(TransportError, match="certificate is not trusted"):
                await some(watch_of(client), 1)


async def test_a_call_that_is_under_way_when_the_client_closes_ends_it_too(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.settings.latency = 10
    later(5, lambda: asyncio.ensure_future(client.aclose()))
    with pytest.raises(ClientClosedError):
        await some(watch_of(client), 1)


async def test_a_failure_is_logged_without_its_traceback_and_the_servers_words(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    body = '{"error": "internal_error", "detail": "no snapshot for +14155551234"}'
    sandbox.inject(Status(503, body=body), endpoint="balance", times=4)
    sandbox.account.balance = "3"
    with caplog.at_level(logging.WARNING, "unlimcall_async"):
        await some(watch_of(client), 1)
    (logged,) = [each for each in caplog.records if "credit watch" in each.getMessage()]
    assert logged.exc_info is None
    assert "503" in logged.getMessage()
    assert "+1415" not in caplog.text


async def test_the_clock_is_the_wall_clock_unless_it_is_given(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.account.balance = "3"
    watch = CreditWatch(client, CreditMonitor(25, "USD", ahead=None))
    before = datetime.now(after(0).tzinfo)
    (alert,) = await some(watch, 1)
    assert before <= alert.at <= datetime.now(after(0).tzinfo)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"client": "token"}, TypeError, "client must be an AsyncClient, not str"),
        ({"monitor": 25}, TypeError, "monitor must be a CreditMonitor, not int"),
        ({"interval": timedelta(0)}, ValueError, "interval must be"),
        ({"spend_over": 3600}, TypeError, "spend_over must be a timedelta"),
        ({"spend_every": -MINUTE}, ValueError, "spend_every must be"),
    ],
)
async def test_a_wrong_argument_is_named(
    client: AsyncClient, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        CreditWatch(**{"client": client, "monitor": CreditMonitor(25, "USD"), **options})


@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(hours=-2)], ids=["ahead", "behind"])
async def test_the_spend_rate_is_that_of_now_whatever_the_clock_here_says(
    sandbox: Sandbox, client: AsyncClient, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    sandbox.add_calls(
        SandboxCall(id=f"{n}", start_time=began - n * MINUTE, sell_price_cents=100, currency="USD")
        for n in range(2, 52)
    )
    monkeypatch.setattr("unlimcall_async._clock.utc_now", lambda: datetime.now(UTC) + wrong)
    async with asyncio.timeout(600):
        (alert,) = await some(CreditWatch(client, CreditMonitor(25, "USD", ahead=2 * HOUR)), 1)
    assert (alert.kind, alert.spend and alert.spend.totals) == ("soon", {"USD": Decimal(50)})
