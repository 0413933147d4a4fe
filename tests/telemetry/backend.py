"""The SDK of OpenTelemetry, with exporters in memory."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from unlimcall_async.telemetry import OpenTelemetryObserver


def attributes_of(shown: Event | ReadableSpan | HistogramDataPoint | NumberDataPoint) -> dict[str, Any]:
    return dict(shown.attributes or {})


class Backend:
    """Providers of OpenTelemetry's SDK, and what they have exported."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])

    def observer(self, name: str | None = None) -> OpenTelemetryObserver:
        return OpenTelemetryObserver(tracer_provider=self.tracers, meter_provider=self.meters, name=name)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of the client, in the order of their ends."""
        return [span for span in self._spans.get_finished_spans() if span.kind.name == "CLIENT"]

    def points(self) -> dict[str, list[HistogramDataPoint | NumberDataPoint]]:
        """The points of each metric that has any."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)  # type: ignore[arg-type] # none is an exponential histogram
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def values(self, name: str) -> dict[tuple[object, ...], float]:
        """The values of a metric by the values of its attributes, in the order of their names."""
        found = {}
        for point in self.points().get(name, []):
            assert isinstance(point, NumberDataPoint)
            key = tuple(value for _, value in sorted(attributes_of(point).items()))
            assert key not in found
            found[key] = point.value
        return found

    def histogram(self, name: str) -> list[tuple[dict[str, Any], HistogramDataPoint]]:
        """The points of a histogram with their attributes."""
        points = self.points().get(name, [])
        return [(attributes_of(point), point) for point in points if isinstance(point, HistogramDataPoint)]

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()
