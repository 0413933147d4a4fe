"""A service whose calls, pulls and webhooks show in OpenTelemetry: prints its trace, and its metrics.

    python -m pip install '.[otel]' opentelemetry-sdk
    python examples/observed_service.py

The example runs against the sandbox, so you need no account, and its exporters keep everything in memory. In your service, give the
two providers the exporters of your backend, for example those of `opentelemetry-exporter-otlp`. The dashboard in docs/grafana.json
shows these metrics.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from unlimcall_async import AsyncClient, RetryPolicy
from unlimcall_async.sandbox import Sandbox, Status, generate_traffic
from unlimcall_async.telemetry import OpenTelemetryObserver
from unlimcall_async.webhooks import CallEnded, WebhookReceiver

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
WEEK = timedelta(days=7)


async def work(client: AsyncClient, observer: OpenTelemetryObserver, tracers: TracerProvider) -> None:
    """Pull the records of a week, and place a call. Each of the two is a span of the service's own."""
    tracer = tracers.get_tracer("service")
    with tracer.start_as_current_span("weekly report") as span:
        # The stream reports its counts, also while it is read.
        stream = observer.watch(client.cdrs.stream(TODAY - WEEK, TODAY))
        span.set_attribute("spend_cents", sum([record.sell_price_cents or 0 async for record in stream]))
    with tracer.start_as_current_span("call back"):
        await client.calls.create(ai_agent_id="27", to_number="+14155551234")


async def receive(observer: OpenTelemetryObserver) -> None:
    """Receive a delivery that nobody has signed. A real receiver is served as in docs/webhooks.md."""
    receiver = observer.watch(WebhookReceiver("whsec_example"))
    receiver.on(CallEnded)(print)
    await receiver.handle(b'{"event": "call.ended"}', {})


def show_trace(spans: tuple[ReadableSpan, ...]) -> None:
    """Print the spans as a tree, with the attempts of each call that needed more than one."""
    for parent in sorted((span for span in spans if span.parent is None), key=lambda span: span.start_time or 0):
        print(parent.name)
        for span in spans:
            if span.parent is None or span.parent.span_id != parent.context.span_id:
                continue
            took = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
            print(f"  {span.name:24} {took:5.2f} s")
            for number, event in enumerate(span.events if len(span.events) > 1 else (), 1):
                print(f"    attempt {number}:", (event.attributes or {})["http.response.status_code"])


def show_metrics(data: MetricsData | None) -> None:
    """Print the counts by their attributes, and of each histogram how much it holds."""
    for resource in data.resource_metrics if data is not None else ():
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            print(f"{metric.name} ({metric.unit})")
            for point in metric.data.data_points:
                shown = {key: value for key, value in (point.attributes or {}).items() if not key.startswith("server.")}
                value = getattr(point, "value", None)
                amount = f"{value:,.6g}" if value is not None else f"{getattr(point, 'count', 0)} measured"
                print(f"  {amount:>12}  {', '.join(f'{key}={value}' for key, value in shown.items())}")


async def main() -> None:
    """Do the work of a service that is watched, against a sandbox that fails once."""
    kept, reader = InMemorySpanExporter(), InMemoryMetricReader()
    resource = Resource({"service.name": "reports"})
    tracers, meters = TracerProvider(resource=resource), MeterProvider([reader], resource=resource)
    tracers.add_span_processor(SimpleSpanProcessor(kept))
    observer = OpenTelemetryObserver(tracer_provider=tracers, meter_provider=meters)
    async with Sandbox() as sandbox:
        sandbox.add_calls(generate_traffic(2500, start=TODAY - WEEK, end=TODAY))
        sandbox.inject(Status(503), endpoint="cdrs")
        retry = RetryPolicy(delays=(0.1, 0.2))
        async with AsyncClient(sandbox.token, base_url=sandbox.url, observer=observer, retry=retry) as client:
            await work(client, observer, tracers)
            await receive(observer)
    show_trace(kept.get_finished_spans())
    show_metrics(reader.get_metrics_data())
    # What has not been exported yet is exported now.
    tracers.shutdown()
    meters.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
