"""An observer learns of each attempt and of each call, whatever ends them, and changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import attrs
import pytest

from unlimcall_async import (
    APIError,
    AsyncClient,
    ClientClosedError,
    Observation,
    Observer,
    RateLimit,
    RateLimitedError,
    RateLimits,
    ResponseError,
    RetryPolicy,
    TransportError,
)
from unlimcall_async.sandbox import Close, Fault, Sandbox, Stall, Status, generate_traffic

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 24, tzinfo=UTC)
HOOK = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"


class Seen(Observer):
    """Keeps all that it learns, in order."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, Observation]] = []

    def attempt(self, info: Observation, /) -> None:
        self.reports.append(("attempt", info))

    def call(self, info: Observation, /) -> None:
        self.reports.append(("call", info))

    def short(self) -> list[tuple[str, int, int | None, str | None]]:
        return [(what, info.number, info.status, info.error) for what, info in self.reports]

    @property
    def calls(self) -> list[Observation]:
        return [info for what, info in self.reports if what == "call"]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def client(sandbox: Sandbox, seen: Seen) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(
        sandbox.token,
        base_url=sandbox.url,
        retry=RetryPolicy(delays=(1, 2, 4), jitter=0),
        rate_limits=RateLimits.unlimited(),
        observer=seen,
    ) as client:
        yield client


async def under_way(sandbox: Sandbox, call: Awaitable[Any]) -> asyncio.Task[Any]:
    """Return the task of a call whose request has reached the server."""
    before = len(sandbox.requests)
    task = asyncio.ensure_future(call)
    while len(sandbox.requests) == before:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    return task


# --- what is reported -----------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_attempts_come_before_their_call_with_their_times(
    sandbox: Sandbox, client: AsyncClient, seen: Seen
) -> None:
    sandbox.inject(Status(500, headers={"X-Request-Id": "r-1"}))
    sandbox.inject(Close())
    await client.with_options(rate_limits=RateLimits(me=RateLimit(60, burst=1))).me()
    assert seen.short() == [
        ("attempt", 1, 500, "ServerError"),
        ("attempt", 2, None, "TransportError"),
        ("attempt", 3, 200, None),
        ("call", 3, 200, None),
    ]
    infos = [info for _, info in seen.reports]
    assert {(info.endpoint, info.method, info.path) for info in infos} == {("me", "GET", "/me")}
    assert [info.request_id for info in infos] == ["r-1", None, None, None]
    # Time stands still while a request is under way. The delay before a retry is no wait for the rate limit.
    assert infos[-1].elapsed_s == pytest.approx(3, abs=0.1)
    assert infos[-1].waited_s == pytest.approx(sum(info.waited_s for info in infos[:3]))


@pytest.mark.looptime
async def test_a_wait_for_the_rate_limit_is_told(client: AsyncClient, seen: Seen) -> None:
    view = client.with_options(rate_limits=RateLimits(me=RateLimit(60, burst=1)))
    for _ in range(3):
        await view.me()
    waits = [info.waited_s for what, info in seen.reports if what == "attempt"]
    assert waits == pytest.approx([0, 1, 1], abs=0.1)
    assert [info.waited_s for info in seen.calls] == waits
    assert [info.elapsed_s for info in seen.calls] == pytest.approx(waits, abs=0.1)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("act", "endpoint", "method", "path"),
    [
        (lambda client: client.hooks.delete(HOOK), "hooks", "DELETE", "/hooks/{id}"),
        (lambda client: client.request("GET", f"/hooks/{HOOK}"), "hooks", "GET", "/hooks/{id}"),
        (lambda client: client.request("GET", "/numbers/+14155551234"), "(other)", "GET", "(other)"),
        (lambda client: client.request("PATCH", "/%6de", params={"to": "+14155551234"}), "me", "PATCH", "/me"),
        (
            lambda client: client.calls.create(ai_agent_id="7", to_number="+14155551234"),
            "calls",
            "POST",
            "/calls",
        ),
    ],
)
async def test_a_path_is_that_of_the_endpoint_and_nothing_private_is_told(
    sandbox: Sandbox,
    client: AsyncClient,
    seen: Seen,
    act: Callable[[AsyncClient], Awaitable[object]],
    endpoint: str,
    method: str,
    path: str,
) -> None:
    with suppress(APIError):
        await act(client)
    for _, info in seen.reports:
        assert (info.endpoint, info.method, info.path) == (endpoint, method, path)
        shown = f"{info} {attrs.asdict(info)}"
        assert sandbox.token not in shown
        assert "4155551234" not in shown
        assert HOOK not in shown
    assert [what for what, _ in seen.reports] == ["attempt", "call"]


async def test_a_report_has_the_url_under_which_the_path_is(sandbox: Sandbox, client: AsyncClient, seen: Seen) -> None:
    await client.me()
    await client.with_options().balance()
    assert {info.base_url for _, info in seen.reports} == {sandbox.url}


@pytest.mark.parametrize(
    ("fault", "unknown"), [(Status(502), True), (Close(), True), (Status(402), False), (None, False)]
)
async def test_a_call_that_may_have_been_placed_is_told_as_one(
    sandbox: Sandbox, client: AsyncClient, seen: Seen, fault: Fault | None, unknown: bool
) -> None:
    if fault is not None:
        sandbox.inject(fault)
    with suppress(APIError, TransportError):
        await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    assert [info.outcome_unknown for _, info in seen.reports] == [False, unknown]


@pytest.mark.parametrize("end", ["cancel", "close"])
@pytest.mark.parametrize(("name", "unknown"), [("create", True), ("me", False)])
async def test_a_post_that_is_ended_after_its_request_may_have_taken_effect(
    sandbox: Sandbox, client: AsyncClient, seen: Seen, end: str, name: str, unknown: bool
) -> None:
    sandbox.inject(Stall())
    create = partial(client.calls.create, ai_agent_id="27", to_number="+14155551234")
    call = await under_way(sandbox, create() if name == "create" else client.me())
    if end == "cancel":
        call.cancel()
    else:
        await client.aclose()
    await asyncio.wait([call])
    assert [info.outcome_unknown for info in seen.calls] == [unknown]
    assert call.cancelled() or isinstance(call.exception(), ClientClosedError)


async def test_a_post_that_is_cancelled_before_its_request_has_no_effect(client: AsyncClient, seen: Seen) -> None:
    call = asyncio.create_task(client.calls.create(ai_agent_id="27", to_number="+14155551234"))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert [(info.error, info.outcome_unknown) for info in seen.calls] == [("CancelledError", False)]


# --- one for every call ---------------------------------------------------------------------------------------------


async def test_a_call_on_a_closed_client_made_no_attempt(client: AsyncClient, seen: Seen) -> None:
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed") as caught:
        await client.me()
    assert seen.short() == [("call", 0, None, type(caught.value).__name__)]


async def test_a_client_that_is_closed_ends_the_attempt_and_the_call(
    sandbox: Sandbox, client: AsyncClient, seen: Seen
) -> None:
    sandbox.inject(Stall())
    call = await under_way(sandbox, client.me())
    await client.aclose()
    with pytest.raises(TransportError):
        await call
    assert seen.short() == [("attempt", 1, None, "ClientClosedError"), ("call", 1, None, "ClientClosedError")]


@pytest.mark.parametrize("fault", [Stall(), Stall(after_headers=True)], ids=["headers", "body"])
async def test_a_cancellation_ends_both(sandbox: Sandbox, client: AsyncClient, seen: Seen, fault: Fault) -> None:
    sandbox.inject(fault)
    call = await under_way(sandbox, client.me())
    call.cancel()
    await asyncio.wait([call])
    assert seen.short() == [("attempt", 1, None, "CancelledError"), ("call", 1, None, "CancelledError")]


@pytest.mark.looptime
async def test_a_cancellation_between_two_attempts_ends_the_call_alone(
    sandbox: Sandbox, client: AsyncClient, seen: Seen
) -> None:
    sandbox.inject(Status(503))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.me(), 0.5)
    assert seen.short() == [("attempt", 1, 503, "ServerError"), ("call", 1, 503, "CancelledError")]


@pytest.mark.looptime
async def test_a_call_that_may_not_wait_made_no_attempt(client: AsyncClient, seen: Seen) -> None:
    view = client.with_options(rate_limits=RateLimits(me=RateLimit(1)), max_wait=5)
    await view.me()
    seen.reports.clear()
    with pytest.raises(RateLimitedError):
        await view.me()
    call = asyncio.create_task(view.with_options(max_wait=100).me())
    await asyncio.sleep(7)
    call.cancel()
    await asyncio.wait([call])
    assert seen.short() == [("call", 0, None, "RateLimitedError"), ("call", 0, None, "CancelledError")]
    assert seen.calls[1].waited_s == seen.calls[1].elapsed_s == pytest.approx(7)


async def test_a_wrong_argument_begins_no_call(client: AsyncClient, seen: Seen) -> None:
    for act in (
        lambda: client.me(timeout=0),
        lambda: client.hooks.delete("7"),
        lambda: client.request("GET", "me"),
        lambda: client.cdrs.list(limit=0),
    ):
        with pytest.raises(ValueError, match="must"):
            await act()
    assert seen.reports == []


@pytest.mark.parametrize(
    ("body", "error"),
    [('{"customerId": 1}', "ResponseError"), ("no JSON", "ResponseError")],
    ids=["not as promised", "not JSON"],
)
@pytest.mark.looptime
async def test_a_body_that_cannot_be_used_is_an_error_of_its_attempt(
    sandbox: Sandbox, client: AsyncClient, seen: Seen, body: str, error: str
) -> None:
    sandbox.inject(Status(200, body=body), times=None)
    with pytest.raises(ResponseError):
        await client.me()
    attempts = 4 if body == "no JSON" else 1
    assert seen.short() == [
        *[("attempt", number, 200, error) for number in range(1, attempts + 1)],
        ("call", attempts, 200, error),
    ]


@pytest.mark.parametrize("steps", range(0, 40, 3))
async def test_a_call_that_is_cancelled_at_any_turn_of_the_loop_is_reported_once(
    client: AsyncClient, seen: Seen, steps: int
) -> None:
    calls = [asyncio.create_task(client.me()) for _ in range(3)]
    for _ in range(steps):
        await asyncio.sleep(0)
    begun = 3 if steps else 0  # a task that never ran has made no call
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert len(seen.calls) == begun
    ends = sorted(info.error or "" for info in seen.calls)
    assert ends == sorted("CancelledError" if call.cancelled() else "" for call in calls[:begun])
    assert all(info.number <= 1 for info in seen.calls)


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_stream_reports_what_it_asked_and_no_place_in_the_queue(
    sandbox: Sandbox, client: AsyncClient, seen: Seen
) -> None:
    sandbox.add_calls(generate_traffic(4_000, start=START, end=END))
    view = client.with_options(rate_limits=RateLimits(cdrs=RateLimit(60, burst=1)))
    async with view.cdrs.stream(START, END) as stream:
        assert len([record async for record in stream]) == 4_000
    assert {info.endpoint for info in seen.calls} == {"cdrs"}
    assert [info.number for info in seen.calls] == [1] * len(sandbox.requests)
    assert len(seen.calls) == stream.stats.requests
    seen.reports.clear()
    # One that is left has asked so much, and waits for its turn to ask more.
    async with view.cdrs.stream(START, END) as stream:
        await anext(aiter(stream))
    assert all(info.number == 1 for info in seen.calls)


async def test_a_page_of_a_stream_that_cannot_be_read_is_reported(
    sandbox: Sandbox, client: AsyncClient, seen: Seen
) -> None:
    sandbox.inject(Status(200, body='{"count": 1}'), times=None)
    with pytest.raises(ResponseError):
        await anext(aiter(client.cdrs.stream(START, START + timedelta(hours=1))))
    assert seen.short() == [("attempt", 1, 200, "ResponseError"), ("call", 1, 200, "ResponseError")]


@pytest.mark.looptime
async def test_windows_that_are_not_answered_in_time_are_calls_that_failed(
    sandbox: Sandbox, client: AsyncClient, seen: Seen
) -> None:
    sandbox.inject(Status(504), times=4)
    async with client.cdrs.stream(START, END, concurrency=1) as stream:
        assert [record async for record in stream] == []
    failed = [(info.number, info.error) for info in seen.calls if info.error]
    assert failed == [(2, "ServerError"), (2, "ServerError")]
    assert len(seen.calls) == len(failed) + stream.stats.requests


# --- what an observer does ------------------------------------------------------------------------------------------


class Failing(Observer):
    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)

    def attempt(self, info: Observation, /) -> None:
        self.call(info)

    def call(self, info: Observation, /) -> None:  # noqa: ARG002 # whatever it is
        if self._errors:
            raise self._errors.pop(0)


WARNED = "this is logged as a warning once"


@pytest.mark.parametrize(
    "error", [ValueError("+14155551234"), asyncio.CancelledError(), GeneratorExit(), RecursionError()], ids=repr
)
async def test_what_it_raises_is_logged_and_changes_nothing(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    caplog.set_level(logging.WARNING, "unlimcall_async")
    view = client.with_options(observer=Failing(*[error] * 8))
    for _ in range(3):
        assert (await view.me()).customer_id == "1042"
    sandbox.inject(Status(403))
    with pytest.raises(APIError):
        await view.me()
    name = type(error).__name__
    assert caplog.messages == [
        f"the observer's method attempt raised {name}; {WARNED}",
        f"the observer's method call raised {name}; {WARNED}",
    ]
    assert sandbox.token not in caplog.text


@pytest.mark.parametrize("before", [0, 1], ids=["attempt", "call"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("cancelled", [False, True], ids=["", "cancelled"])
def test_the_end_of_the_process_passes_and_leaves_nothing_behind(
    error: BaseException, before: int, cancelled: bool
) -> None:
    seen = Seen()
    failing = Failing(*[ValueError()] * before, error)

    class Both(Observer):
        def attempt(self, info: Observation, /) -> None:
            seen.attempt(info)
            failing.attempt(info)

        def call(self, info: Observation, /) -> None:
            seen.call(info)
            failing.call(info)

    async def main() -> None:
        async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url, observer=Both()) as client:
            if cancelled:
                sandbox.inject(Stall())
            try:
                async with asyncio.timeout(0.05 if cancelled else None):
                    await client.me()
            finally:
                assert not client._caller.pool._connections.calls
                assert client.limits()["me"].waiting == 0

    with pytest.raises(type(error)):
        asyncio.run(main())
    assert [what for what, _ in seen.reports] == ["attempt", "call"]


async def test_one_with_some_of_the_methods_serves(client: AsyncClient) -> None:
    calls: list[Observation] = []

    class Calls(Observer):
        def call(self, info: Observation, /) -> None:
            calls.append(info)

    class Plain:
        """Not even derived from `Observer`."""

        attempt = staticmethod(calls.append)

    await client.with_options(observer=Calls()).me()
    await client.with_options(observer=cast("Observer", Plain())).me()
    mock = Mock()
    await client.with_options(observer=mock).me()
    await client.with_options(observer=Observer()).me()
    assert len(calls) == 2
    mock.attempt.assert_called_once()
    mock.call.assert_called_once()


class Coroutines:
    async def call(self, info: Observation, /) -> None:
        """Never run."""


class Generators:
    async def attempt(self, info: Observation, /) -> AsyncIterator[Observation]:
        yield info


@pytest.mark.parametrize(
    ("observer", "message"),
    [
        (Coroutines(), "observer.call must be a plain method: nothing would await its result"),
        (Generators(), "observer.attempt must be a plain method"),
        (AsyncMock(), "observer.attempt must be a plain method"),
        (Mock(spec=["call"], call=partial(Coroutines().call)), "observer.call must be a plain method"),
        (Mock(spec=["call"], call=5), "observer must be an Observer, not Mock"),
        (Mock(spec=["call", "attempt"], attempt=5), "observer.attempt must be a plain method"),
        (Seen, r"observer must be an Observer, not a class: write Seen\(\)"),
        (print, "observer must be an Observer, not builtin_function_or_method"),
        ("text", "observer must be an Observer, not str"),
    ],
)
def test_what_cannot_observe_is_refused(observer: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        AsyncClient("unl_test_token", observer=observer)
    with pytest.raises(TypeError, match=message):
        AsyncClient("unl_test_token").with_options(observer=observer)


async def test_a_coroutine_that_comes_back_is_closed_and_named(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    observer = Mock(spec=["call"], call=lambda info: Coroutines().call(info))
    await client.with_options(observer=observer).me()
    assert caplog.messages == [f"the observer's method call returned a coroutine, which nothing awaits; {WARNED}"]


async def test_a_view_keeps_the_observer_or_has_its_own(client: AsyncClient, seen: Seen) -> None:
    await client.with_options(timeout=9).me()
    assert len(seen.calls) == 1
    other = Seen()
    view = client.with_options(observer=other)
    await view.me()
    await view.raw.me()
    assert (len(seen.calls), len(other.calls)) == (1, 2)


# --- what can be built on it ----------------------------------------------------------------------------------------


class Spans(Observer):
    """A span for each call, with its attempts as events: it tells concurrent calls apart by a context variable."""

    def __init__(self) -> None:
        self._attempts: ContextVar[tuple[tuple[float, Observation], ...]] = ContextVar("attempts", default=())
        self.spans: list[tuple[float, float, Observation, list[float]]] = []

    def attempt(self, info: Observation, /) -> None:
        self._attempts.set((*self._attempts.get(), (asyncio.get_running_loop().time(), info)))

    def call(self, info: Observation, /) -> None:
        attempts = self._attempts.get()
        self._attempts.set(())
        # What is raised here is only logged, so that the span is missing from the test's count.
        assert [each.number for _, each in attempts] == list(range(1, info.number + 1))
        end = asyncio.get_running_loop().time()
        self.spans.append((end - info.elapsed_s, end, info, [at - each.elapsed_s for at, each in attempts]))


@pytest.mark.looptime
async def test_a_span_for_each_call_holds_its_attempts_though_calls_run_at_once(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    observer = Spans()
    view = client.with_options(observer=observer, rate_limits=RateLimits(balance=RateLimit(60, burst=1)))
    for endpoint in ("me", "balance", "agents"):
        sandbox.inject(Status(500), endpoint=endpoint, times=2)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*[call() for call in (view.me, view.balance, view.agents) for _ in range(3)])
    async with view.cdrs.stream(START, END) as stream:
        assert [record async for record in stream] == []
    assert len(observer.spans) == 9 + stream.stats.requests
    for start, end, info, sent in observer.spans:
        assert began <= start <= end
        assert all(start <= at <= end for at in sent)
        assert (len(sent), info.error) == (info.number, None)
