"""The spans, events and metrics of a pull with faults are those of the server's own log."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from opentelemetry.trace import StatusCode

from tests.telemetry.backend import Backend, attributes_of
from unlimcall_async import AsyncClient, RateLimits, RetryPolicy, _clock
from unlimcall_async.sandbox import Close, Fault, Sandbox, Status, Truncate, generate_traffic

START, END = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 24, tzinfo=UTC)


def statuses_by_query(sandbox: Sandbox) -> list[tuple[int | None, ...]]:
    """The statuses of the requests for each query, in their order, as far as a client could read them."""
    found: dict[object, list[int | None]] = defaultdict(list)
    for request in sandbox.requests:
        found[tuple(request.query.items())].append(request.status)
    # A response that is followed by another request for the same was cut off.
    shown = ((*(None if each == 200 else each for each in rest), last) for *rest, last in found.values())
    return sorted(shown, key=str)


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_pull_with_faults_is_told_as_the_server_has_seen_it(
    sandbox: Sandbox, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both the log and the spans go by the clock of the loop, on which time stands still while a request is under way.
    clock, began = asyncio.get_running_loop().time, datetime.now(UTC)
    monkeypatch.setattr(_clock, "utc_now", lambda: began + timedelta(seconds=clock()))
    sandbox.add_calls(generate_traffic(20_000, start=START, end=END))
    faults: list[Fault] = [Status(502), Close(), Status(500), Truncate(), Status(520)]
    for number, fault in enumerate(faults * 2):
        sandbox.inject(fault, endpoint="cdrs", skip=2 * (number % 4))
    observer, retry = backend.observer(), RetryPolicy(delays=(1,) * 10, jitter=0)
    limits = RateLimits.unlimited()
    async with AsyncClient(
        sandbox.token, base_url=sandbox.url, observer=observer, retry=retry, rate_limits=limits
    ) as client:
        stream = observer.watch(client.cdrs.stream(START, END))
        assert len(await stream.to_list()) == 20_000
    log, spans = sandbox.requests, backend.spans
    events = [event for span in spans for event in span.events]

    # A span for each query, with an event for each request and the status that its response had.
    statuses = [tuple(attributes_of(event).get("http.response.status_code") for event in span.events) for span in spans]
    assert sorted(statuses, key=str) == statuses_by_query(sandbox)
    assert Counter(status for each in statuses for status in each if status != 200) == {502: 2, 500: 2, 520: 2, None: 4}
    for span in spans:
        attributes = attributes_of(span)
        assert attributes.get("http.request.resend_count", 0) == len(span.events) - 1
        assert attributes["http.response.status_code"] == 200
        assert span.status.status_code is StatusCode.UNSET
        numbers = [attributes_of(event)["unlimcall.attempt.number"] for event in span.events]
        assert numbers == [*range(1, len(span.events) + 1)]
    assert sum(attributes_of(span).get("http.request.resend_count", 0) for span in spans) == 10
    (path,) = {each.path for each in log}
    (server,) = {each.headers["Host"] for each in log}
    assert {attributes_of(span)["url.template"] for span in spans} == {path}
    for attributes in map(attributes_of, spans):
        assert f"{attributes['server.address']}:{attributes['server.port']}" == server

    # Each request has arrived at the time of its attempt, and each attempt lies within its span.
    arrived = [began.timestamp() + each.received_at for each in log]
    assert sorted(event.timestamp / 1e9 for event in events) == pytest.approx(sorted(arrived), abs=0.01)
    for span in spans:
        times = [span.start_time or 0, *(event.timestamp for event in span.events), span.end_time or 0]
        assert times == sorted(times)
        waits = [(other - one) / 1e9 for one, other in pairwise(times)]
        assert waits == pytest.approx([0, *[1] * (len(span.events) - 1), 0], abs=0.01)

    # The metrics are of the same requests.
    attempts = Counter[object]()
    for attributes, point in backend.histogram("http.client.request.duration"):
        attempts[attributes.get("http.response.status_code")] += point.count
    assert attempts == Counter(status for each in statuses for status in each)
    ((_, calls),) = backend.histogram("unlimcall.client.call.duration")
    assert calls.count == len(spans)
    lasted = sum((span.end_time or 0) - (span.start_time or 0) for span in spans) / 1e9
    assert calls.sum == pytest.approx(lasted, rel=0.01)
    cdrs = {"records": 20_000, "requests": len(spans), "retries": 10, "unreadable": 0}
    assert {name: backend.values(f"unlimcall.cdrs.{name}") for name in cdrs} == {
        name: {("stream",): count} for name, count in cdrs.items()
    }
