"""Opening, sharing and closing."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from unlimcall_async import AsyncClient, ClientClosedError, RateLimits, RetryPolicy, TransportError, UnlimCallError
from unlimcall_async.sandbox import Sandbox, Stall, Status


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)


def test_a_client_is_made_without_a_loop_and_opens_in_the_one_that_runs() -> None:
    client = AsyncClient("unl_test_token", base_url="http://127.0.0.1:9", retry=RetryPolicy(delays=()))

    async def use() -> None:
        with pytest.raises(TransportError):
            await client.me()
        await client.aclose()

    asyncio.run(use())


def test_a_client_belongs_to_its_first_loop() -> None:
    client = AsyncClient("unl_test_token", base_url="http://127.0.0.1:9", retry=RetryPolicy(delays=()))

    async def use() -> None:
        with pytest.raises(TransportError):
            await client.me()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(use())
        with pytest.raises(
            RuntimeError,
            match=r"the client of http://127\.0\.0\.1:9 belongs to another event loop.*make a client in each loop",
        ):
            second.run(client.me())
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run(client.aclose())
        first.run(client.aclose())
        with pytest.raises(RuntimeError, match="closed"):
            second.run(client.me())


async def test_a_closed_client_says_so(client: AsyncClient) -> None:
    await client.me()
    await client.aclose()
    await client.aclose()
    stream = client.cdrs.stream(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    for act in (client.me, client.with_options(timeout=1).me, client.__aenter__, lambda: anext(stream.batches())):
        with pytest.raises(RuntimeError, match="this AsyncClient is closed") as caught:
            await act()
        # Also one of the package's own, so that `except UnlimCallError` sees it, and no loop of a caller tries it for ever.
        error = caught.value
        assert isinstance(error, ClientClosedError)
        assert str(client._caller.base_url) in str(error)
        assert "make a new one" in str(error)
        assert (error.permanent, error.outcome_unknown, error.cause) == (True, False, "closed")
    assert repr(client).endswith("closed>")


async def test_a_call_that_fails_leaves_no_cycle(sandbox: Sandbox, client: AsyncClient) -> None:
    """Else a failed call would keep its frames and its body until the next full collection of garbage."""

    async def fail() -> weakref.ref[BaseException]:
        try:
            await client.me()
        except UnlimCallError as error:
            return weakref.ref(error)
        raise AssertionError("it did not fail")

    await client.me()
    gc.disable()
    try:
        for fault in (Status(500), Status(200, body="{}")):
            sandbox.inject(fault, times=4)
            assert (await fail())() is None
            sandbox.clear_faults()
    finally:
        gc.enable()


async def test_a_view_of_a_closed_view_is_closed(client: AsyncClient) -> None:
    view = client.with_options(timeout=1)
    await view.aclose()
    with pytest.raises(RuntimeError, match="GET /me: this view of an AsyncClient is closed"):
        await view.with_options(timeout=2).me()


async def test_a_client_that_was_never_used_closes() -> None:
    async with AsyncClient("unl_test_token"):
        pass


async def test_one_pool_serves_all_calls(client: AsyncClient) -> None:
    for _ in range(3):
        await client.me()
        await client.balance()
        await client.with_options(timeout=3).agents()
    transport = client._caller.pool._transport
    assert transport is not None
    connector = transport.session.connector
    assert connector is not None
    assert sum(len(idle) for idle in connector._conns.values()) == 1


@pytest.mark.parametrize("close_twice_at_once", [False, True])
async def test_closing_ends_what_is_under_way_and_says_what_is_in_doubt(
    sandbox: Sandbox, client: AsyncClient, close_twice_at_once: bool
) -> None:
    sandbox.inject(Stall(), times=None)
    reading = asyncio.create_task(client.me())
    calling = asyncio.create_task(client.calls.create(ai_agent_id="27", to_number="+14155551234"))
    viewing = asyncio.create_task(client.with_options(timeout=9).balance())
    await until(lambda: len(sandbox.requests) == 3)
    await asyncio.gather(*[client.aclose() for _ in range(1 + close_twice_at_once)])
    outcomes = [task.exception() for task in (reading, calling, viewing)]
    assert all(isinstance(outcome, ClientClosedError) for outcome in outcomes)
    assert [outcome.outcome_unknown for outcome in outcomes if isinstance(outcome, TransportError)] == [
        False,
        True,
        False,
    ]
    assert isinstance(outcomes[0], RuntimeError)


@pytest.mark.looptime
async def test_closing_ends_waits_too_and_what_was_not_sent_is_not_in_doubt(sandbox: Sandbox) -> None:
    client = AsyncClient(sandbox.token, base_url=sandbox.url)
    sandbox.settings.rate_limits = {"calls": 1}
    await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    calling = asyncio.create_task(client.calls.create(ai_agent_id="27", to_number="+14155551234"))
    await asyncio.sleep(1)
    await client.aclose()
    error = calling.exception()
    assert isinstance(error, ClientClosedError)
    assert not error.outcome_unknown


async def test_leaving_the_block_by_an_error_closes_too(sandbox: Sandbox) -> None:
    client = AsyncClient(sandbox.token, base_url=sandbox.url)

    async def fail() -> None:
        async with client:
            await client.me()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    with pytest.raises(RuntimeError, match="closed"):
        await client.me()


async def test_closing_that_is_cancelled_still_closes_the_connections(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Stall())
    reading = asyncio.create_task(client.me())
    await until(lambda: sandbox.requests)
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing, reading])
    assert isinstance(reading.exception(), ClientClosedError)
    assert client._caller.pool._transport is not None
    assert client._caller.pool._transport.session.closed


async def test_closing_a_view_ends_its_own_calls_only(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Stall(), times=None)
    view = client.with_options(timeout=9)
    mine, its = asyncio.create_task(client.me()), asyncio.create_task(view.me())
    await until(lambda: len(sandbox.requests) == 2)
    await view.aclose()
    assert isinstance(its.exception(), ClientClosedError)
    assert not mine.done()
    with pytest.raises(RuntimeError, match="closed"):
        await view.me()
    mine.cancel()
    await asyncio.wait([mine])
    sandbox.clear_faults()
    await client.me()


async def test_a_call_that_is_cancelled_and_closed_at_once_is_cancelled(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Stall(), times=None)
    reading = asyncio.create_task(client.me())
    await until(lambda: sandbox.requests)
    reading.cancel()
    await client.aclose()
    assert reading.cancelled()


async def test_options_are_checked_in_views_too(client: AsyncClient) -> None:
    with pytest.raises(ValueError, match="timeout"):
        client.with_options(timeout=0)
    with pytest.raises(TypeError, match="rate_limits"):
        client.with_options(rate_limits=60)  # type: ignore[arg-type] # wrong on purpose


async def test_token_and_base_url_may_come_from_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNLIMCALL_TOKEN", f"{sandbox.token}\n")
    monkeypatch.setenv("UNLIMCALL_BASE_URL", f" {sandbox.url}\n")
    async with AsyncClient(rate_limits=RateLimits.unlimited()) as client:
        assert (await client.me()).customer_id == "1042"


def test_a_missing_token_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLIMCALL_TOKEN", "")
    with pytest.raises(ValueError, match=r"^token is missing: pass it, or set UNLIMCALL_TOKEN$"):
        AsyncClient()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("UNLIMCALL_TOKEN", "two words", "UNLIMCALL_TOKEN must be visible ASCII without spaces"),
        ("UNLIMCALL_BASE_URL", "api.corp.example", "UNLIMCALL_BASE_URL must be an absolute http or https URL"),
        ("UNLIMCALL_BASE_URL", "http://api.corp.example", "UNLIMCALL_BASE_URL: plain http would send the token"),
        ("UNLIMCALL_BASE_URL", "https://api.corp.example/a b", "UNLIMCALL_BASE_URL must not contain spaces"),
        ("UNLIMCALL_BASE_URL", "https://me:pw@api.corp.example", "UNLIMCALL_BASE_URL must not hold credentials"),
    ],
)
def test_what_is_wrong_in_the_environment_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv("UNLIMCALL_TOKEN", "unl_test_token")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^{words}"):
        AsyncClient()


def test_production_is_the_default() -> None:
    assert repr(AsyncClient("unl_test_token")) == "<AsyncClient https://app.unlimcall.com/api/v1 open>"


@pytest.mark.slow
def test_importing_the_package_does_not_import_aiohttp() -> None:
    code = (
        "import sys, unlimcall_async; unlimcall_async.AsyncClient('unl_test_token'); sys.exit('aiohttp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 # our own code
