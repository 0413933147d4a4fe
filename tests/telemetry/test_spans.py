"""A call is a span by the conventions for HTTP, with its attempts as events; nothing private is in a span."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import StatusCode

from tests.telemetry.backend import Backend, attributes_of
from unlimcall_async import APIError, AsyncClient, Observation, RateLimit, RateLimitedError, RateLimits, UnlimCallError
from unlimcall_async.sandbox import Close, Fault, Sandbox, Stall, Status, Truncate, generate_traffic
from unlimcall_async.telemetry import OpenTelemetryObserver

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 24, tzinfo=UTC)
HOOK = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"


def made(client: AsyncClient) -> Awaitable[object]:
    return client.calls.create(ai_agent_id="27", to_number="+14155551234")


async def test_a_span_has_what_the_conventions_require(sandbox: Sandbox, client: AsyncClient, backend: Backend) -> None:
    sandbox.inject(Status(500, headers={"X-Request-Id": "r-1"}))
    sandbox.inject(Close())
    await client.me()
    (span,) = backend.spans
    url = urlsplit(sandbox.url)
    assert span.name == "GET /api/v1/me"
    assert attributes_of(span) == {
        "http.request.method": "GET",
        "http.request.resend_count": 2,
        "http.response.status_code": 200,
        "server.address": url.hostname,
        "server.port": url.port,
        "url.full": f"{sandbox.url}/me",
        "url.template": "/api/v1/me",
        "unlimcall.call.attempts": 3,
        "unlimcall.call.wait": pytest.approx(0, abs=5),
        "unlimcall.endpoint": "me",
    }
    assert span.status.status_code is StatusCode.UNSET
    shown = [attributes_of(event) for event in span.events]
    for each in shown:
        assert 0 <= each.pop("unlimcall.attempt.duration") < 5
        assert 0 <= each.pop("unlimcall.attempt.wait") < 5
    assert shown == [
        {
            "unlimcall.attempt.number": 1,
            "http.response.status_code": 500,
            "error.type": "500",
            "http.response.header.x-request-id": ("r-1",),
        },
        {"unlimcall.attempt.number": 2, "http.request.resend_count": 1, "error.type": "TransportError"},
        {"unlimcall.attempt.number": 3, "http.request.resend_count": 2, "http.response.status_code": 200},
    ]


async def test_a_span_lasts_from_the_start_of_its_call_to_its_end(client: AsyncClient, backend: Backend) -> None:
    before = datetime.now(UTC).timestamp()
    await client.me()
    after = datetime.now(UTC).timestamp()
    (span,) = backend.spans
    assert span.start_time is not None
    assert span.end_time is not None
    assert before - 0.01 <= span.start_time / 1e9 <= span.end_time / 1e9 <= after + 0.01
    assert span.start_time <= span.events[0].timestamp <= span.end_time


@pytest.mark.parametrize(
    ("fault", "act", "status", "error"),
    [
        (None, lambda client: client.me(), 200, None),
        (Status(401), lambda client: client.me(), 401, "401"),
        (Status(200, body='{"customerId": 1}'), lambda client: client.me(), 200, "ResponseError"),
        (Status(302), lambda client: client.me(), 302, "ResponseError"),
        (Close(), made, None, "TransportError"),
        (Status(502), made, 502, "502"),
    ],
)
async def test_the_status_of_a_span_is_that_of_the_conventions(
    sandbox: Sandbox,
    client: AsyncClient,
    backend: Backend,
    fault: Fault | None,
    act: Callable[[AsyncClient], Awaitable[object]],
    status: int | None,
    error: str | None,
) -> None:
    if fault is not None:
        sandbox.inject(fault)
    with suppress(UnlimCallError):
        await act(client)
    (span,) = backend.spans
    attributes = attributes_of(span)
    assert (attributes.get("http.response.status_code"), attributes.get("error.type")) == (status, error)
    assert span.status.status_code is (StatusCode.UNSET if error is None else StatusCode.ERROR)
    # The conventions leave the words out if the attributes say as much, and the server's words may be private.
    assert span.status.description is None
    assert "http.request.resend_count" not in attributes


async def test_a_404_that_is_a_success_is_none_of_the_errors(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    hook = await client.hooks.create(event="call.ended", target_url="https://example.com/hook")
    sandbox.inject(Truncate(), endpoint="hooks")
    await client.hooks.delete(hook.id)
    span = backend.spans[-1]
    assert attributes_of(span)["http.response.status_code"] == 404
    assert "error.type" not in attributes_of(span)
    assert span.status.status_code is StatusCode.UNSET
    assert attributes_of(span.events[1])["error.type"] == "404"


@pytest.mark.parametrize("act", [made, lambda client: client.me()], ids=["POST", "GET"])
async def test_a_call_that_may_have_been_placed_is_marked(
    sandbox: Sandbox, client: AsyncClient, backend: Backend, act: Callable[[AsyncClient], Awaitable[object]]
) -> None:
    sandbox.inject(Stall())
    call = asyncio.ensure_future(act(client))
    while not sandbox.requests:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    (span,) = backend.spans
    attributes = attributes_of(span)
    assert attributes["error.type"] == "CancelledError"
    assert attributes.get("unlimcall.call.outcome_unknown", False) is (act is made)
    assert span.status.status_code is StatusCode.ERROR
    assert [attributes_of(event)["error.type"] for event in span.events] == ["CancelledError"]


@pytest.mark.looptime
async def test_a_call_that_sent_nothing_has_no_attempt(client: AsyncClient, backend: Backend) -> None:
    view = client.with_options(rate_limits=RateLimits(me=RateLimit(1)), max_wait=5)
    await view.me()
    with pytest.raises(RateLimitedError):
        await view.me()
    span = backend.spans[1]
    assert attributes_of(span)["unlimcall.call.attempts"] == 0
    assert attributes_of(span)["error.type"] == "RateLimitedError"
    assert span.events == ()


@pytest.mark.parametrize(
    ("act", "name", "url"),
    [
        (lambda client: client.hooks.delete(HOOK), "DELETE /api/v1/hooks/{id}", "/hooks/REDACTED"),
        (lambda client: client.request("GET", "/numbers/+14155551234"), "GET", "/REDACTED"),
        (lambda client: client.request("PATCH", "/%6de", params={"to": "+14155551234"}), "PATCH /api/v1/me", "/me"),
        (made, "POST /api/v1/calls", "/calls"),
    ],
)
async def test_nothing_private_is_in_a_span_or_a_metric(
    sandbox: Sandbox,
    client: AsyncClient,
    backend: Backend,
    act: Callable[[AsyncClient], Awaitable[object]],
    name: str,
    url: str,
) -> None:
    sandbox.inject(Status(400, body=f'{{"error": "no such number +14155551234 {sandbox.token} {HOOK}"}}'))
    with suppress(APIError):
        await act(client)
    (span,) = backend.spans
    assert span.name == name
    assert attributes_of(span)["url.full"] == f"{sandbox.url}{url}"
    for shown in (span.to_json(), str(backend.points())):
        assert sandbox.token not in shown
        assert "4155551234" not in shown
        assert HOOK not in shown


# --- whose spans ------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize("follows", [False, True], ids=["stream", "follow"])
async def test_the_spans_of_a_stream_are_below_the_span_in_which_it_is_read(
    sandbox: Sandbox, client: AsyncClient, backend: Backend, follows: bool
) -> None:
    sandbox.add_calls(generate_traffic(3000, start=START, end=END))
    tracer = backend.tracers.get_tracer("test")
    stream = client.cdrs.follow(START) if follows else client.cdrs.stream(START, END)
    with tracer.start_as_current_span("pull") as parent:
        async with stream:
            count = 0
            async for _ in stream:
                count += 1
                if count == 3000:
                    break
    spans = backend.spans
    assert len(spans) >= 4
    assert {span.name for span in spans} == {"GET /api/v1/cdrs"}
    assert {span.parent and span.parent.span_id for span in spans} == {parent.get_span_context().span_id}


async def test_concurrent_calls_have_their_own_attempts_and_parents(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    sandbox.inject(Status(503), endpoint="balance", times=2)
    tracer = backend.tracers.get_tracer("test")

    async def call(name: str) -> int:
        with tracer.start_as_current_span(name) as parent:
            await getattr(client, name)()
            return parent.get_span_context().span_id

    names = ["me", "balance", "agents"]
    parents = await asyncio.gather(*map(call, names))
    found = {attributes_of(span)["unlimcall.endpoint"]: span for span in backend.spans}
    for name, parent in zip(names, parents, strict=True):
        assert found[name].parent is not None
        assert found[name].parent.span_id == parent  # type: ignore[union-attr] # as just asserted
    assert {name: len(span.events) for name, span in found.items()} == {"me": 1, "balance": 3, "agents": 1}


async def test_tasks_that_share_a_context_keep_their_attempts_apart(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    sandbox.inject(Status(503), endpoint="balance", times=2)
    context = contextvars.copy_context()
    async with asyncio.TaskGroup() as group:
        for act in (client.me, client.balance, client.agents):
            group.create_task(act(), context=context)
    found = {attributes_of(span)["unlimcall.endpoint"]: len(span.events) for span in backend.spans}
    assert found == {"me": 1, "balance": 3, "agents": 1}


# --- whatever is reported ---------------------------------------------------------------------------------------------


@given(
    attempts=st.lists(
        st.builds(
            partial(Observation, endpoint="me", method="GET", path="/me", request_id=None),
            number=st.integers(1, 9),
            status=st.none() | st.integers(100, 599),
            error=st.none() | st.sampled_from(["ServerError", "ResponseError", "CancelledError", "KeyError"]),
            waited_s=st.floats(0, 1e6),
            elapsed_s=st.floats(0, 1e6),
            base_url=st.sampled_from(["", "http://[::1]:8080", "https://api.example/api/v1"]),
        ),
        min_size=1,
    )
)
def test_each_report_is_in_the_span_and_an_error_is_never_a_success(attempts: list[Observation]) -> None:
    backend = Backend()
    observer = backend.observer()
    for each in attempts:
        observer.attempt(each)
    observer.call(attempts[-1])
    (span,) = backend.spans
    assert len(span.events) == len(attempts)
    for each, event in zip(attempts, span.events, strict=True):
        assert ("error.type" in attributes_of(event)) is (each.error is not None)
    assert ("error.type" in attributes_of(span)) is (attempts[-1].error is not None)
    assert (span.status.status_code is StatusCode.ERROR) is (attempts[-1].error is not None)
    assert sum(point.count for _, point in backend.histogram("http.client.request.duration")) == len(attempts)
    backend.close()


def test_arguments_are_checked() -> None:
    wrong: Any = "a provider"
    with pytest.raises(TypeError, match="tracer_provider"):
        OpenTelemetryObserver(tracer_provider=wrong)
    with pytest.raises(TypeError, match="meter_provider"):
        OpenTelemetryObserver(meter_provider=wrong)
    with pytest.raises(ValueError, match="name"):
        OpenTelemetryObserver(name="")
