"""The metrics of requests are those of the conventions, and those of calls tell waits and outcomes."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from tests.telemetry.backend import Backend, attributes_of
from unlimcall_async import AsyncClient, RateLimit, RateLimits, TransportError
from unlimcall_async.sandbox import Close, Sandbox, Status
from unlimcall_async.telemetry import OpenTelemetryObserver


async def test_the_duration_of_each_attempt_is_measured(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    sandbox.inject(Status(503))
    sandbox.inject(Close())
    await client.me()
    await client.me()
    url = urlsplit(sandbox.url)
    same = {
        "http.request.method": "GET",
        "server.address": url.hostname,
        "server.port": url.port,
        "url.template": "/api/v1/me",
    }
    found = backend.histogram("http.client.request.duration")
    assert [(attributes, point.count) for attributes, point in found] == [
        (same | {"http.response.status_code": 503, "error.type": "503"}, 1),
        (same | {"error.type": "TransportError"}, 1),
        (same | {"http.response.status_code": 200}, 2),
    ]
    # https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
    boundaries = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert all(point.explicit_bounds == boundaries for _, point in found)


@pytest.mark.looptime
async def test_waits_and_calls_are_measured(client: AsyncClient, backend: Backend) -> None:
    view = client.with_options(rate_limits=RateLimits(me=RateLimit(60, burst=1)))
    for _ in range(3):
        await view.me()
    for name in ("unlimcall.client.wait.duration", "unlimcall.client.call.duration"):
        ((attributes, point),) = backend.histogram(name)
        assert (attributes["url.template"], point.count) == ("/api/v1/me", 3)
        assert point.sum == pytest.approx(2, abs=0.1)


async def test_a_call_that_may_have_been_placed_is_counted(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    for fault in (Close(), Status(402), Status(502)):
        sandbox.inject(fault)
        with suppress(Exception):
            await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    found = {
        (attributes["error.type"], attributes.get("unlimcall.call.outcome_unknown")): point.count
        for attributes, point in backend.histogram("unlimcall.client.call.duration")
    }
    assert found == {("TransportError", True): 1, ("402", None): 1, ("502", True): 1}


async def test_one_observer_serves_many_clients_and_a_name_tells_them_apart(backend: Backend) -> None:
    observer = backend.observer()
    async with Sandbox() as one, Sandbox() as other:
        for sandbox in (one, other):
            for each in (observer, backend.observer(name="acme")):
                async with AsyncClient(sandbox.token, base_url=sandbox.url, observer=each) as client:
                    await client.me()
    found = {
        (attributes["server.port"], attributes.get("unlimcall.name")): point.count
        for attributes, point in backend.histogram("http.client.request.duration")
    }
    ports = [urlsplit(sandbox.url).port for sandbox in (one, other)]
    assert found == {(port, name): 1 for port in ports for name in (None, "acme")}
    assert [attributes_of(span).get("unlimcall.name") for span in backend.spans] == [None, "acme"] * 2


# --- what the SDK does wrong ------------------------------------------------------------------------------------------


class _BrokenError(Exception):
    """What the SDK raises in these tests."""


async def test_what_opentelemetry_raises_breaks_no_call(
    sandbox: Sandbox, backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    observer = backend.observer()

    def broken(*_: object, **__: object) -> None:
        raise _BrokenError

    async with AsyncClient(sandbox.token, base_url=sandbox.url, observer=observer) as client:
        with monkeypatch.context() as patch:
            patch.setattr("opentelemetry.sdk.trace.Tracer.start_span", broken)
            assert (await client.me()).customer_id
        # The metrics are measured although the span could not be made.
        assert len(backend.histogram("unlimcall.client.call.duration")) == 1
        with monkeypatch.context() as patch:
            patch.setattr("opentelemetry.sdk.metrics._internal.instrument._Histogram.record", broken)
            sandbox.inject(Close())
            with suppress(TransportError):
                await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        # The span is made although nothing could be measured, and has the attempt of its call alone.
        (span,) = backend.spans
        assert [attributes_of(event)["error.type"] for event in span.events] == ["TransportError"]
        await client.me()
        assert len(backend.spans[-1].events) == 1
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert all("_BrokenError" in warning for warning in warnings)


async def test_without_an_sdk_a_call_is_as_it_was(sandbox: Sandbox) -> None:
    async with AsyncClient(sandbox.token, base_url=sandbox.url, observer=OpenTelemetryObserver()) as client:
        assert (await client.me()).customer_id


# In a process of its own, because a global provider is set once.
GLOBAL = """
import asyncio
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.telemetry.backend import attributes_of
from unlimcall_async.telemetry import OpenTelemetryObserver
from unlimcall_async.webhooks import WebhookReceiver

reader = InMemoryMetricReader()
provider = MeterProvider([reader])
early = OpenTelemetryObserver(name="early")
metrics.set_meter_provider(provider)
observers = [early, OpenTelemetryObserver(name="late"), OpenTelemetryObserver(meter_provider=provider, name="given")]
receivers = [observer.watch(WebhookReceiver("whsec_1")) for observer in observers]
for receiver in receivers:
    asyncio.run(receiver.handle(b"", {}))
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.data.data_points:
                if point.value:
                    print(metric.name, attributes_of(point)["unlimcall.name"], point.value)
"""


@pytest.mark.slow
def test_an_observer_may_be_made_before_the_sdk_is_set_up() -> None:
    done = subprocess.run([sys.executable, "-c", GLOBAL], capture_output=True, text=True, check=False)  # noqa: S603 # ours
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == [
        f"unlimcall.webhook.deliveries {name} 1" for name in ("early", "given", "late")
    ]


def test_the_instruments_of_a_provider_go_with_it() -> None:
    backend = Backend()
    backend.observer()
    provider = weakref.ref(backend.meters)
    backend.close()
    del backend
    gc.collect()
    assert provider() is None
