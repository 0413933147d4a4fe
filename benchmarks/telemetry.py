"""What `OpenTelemetryObserver` costs for a call of one attempt, in processor time.

    python benchmarks/telemetry.py

The rows: OpenTelemetry's API alone, as in a program without an SDK; an SDK whose sampler drops every span; and an SDK that makes
every span and exports none. Both SDKs measure into all histograms. Each figure is the median of many short rounds that take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider

from unlimcall_async import Observation
from unlimcall_async.telemetry import OpenTelemetryObserver

REPORT = Observation(
    endpoint="cdrs",
    method="GET",
    path="/cdrs",
    number=1,
    status=200,
    error=None,
    waited_s=0.5,
    elapsed_s=0.7,
    request_id="0d5f",
    base_url="https://app.unlimcall.com/api/v1",
)


def observers() -> dict[str, OpenTelemetryObserver]:
    """Return the observer of each row."""
    dropping, making = TracerProvider(sampler=ALWAYS_OFF), TracerProvider()
    for provider in (dropping, making):
        # Without any processor, an SDK takes short cuts.
        provider.add_span_processor(SpanProcessor())
    return {
        "the API alone": OpenTelemetryObserver(
            tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider()
        ),
        "an SDK that drops spans": OpenTelemetryObserver(
            tracer_provider=dropping, meter_provider=MeterProvider([InMemoryMetricReader()])
        ),
        "an SDK that makes spans": OpenTelemetryObserver(
            tracer_provider=making, meter_provider=MeterProvider([InMemoryMetricReader()])
        ),
    }


def microseconds(observer: OpenTelemetryObserver, calls: int) -> float:
    """Return the processor time of a call, averaged over a round."""
    begin = time.process_time()
    for _ in range(calls):
        observer.attempt(REPORT)
        observer.call(REPORT)
    return (time.process_time() - begin) / calls * 1e6


async def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=201)
    parser.add_argument("--calls", type=int, default=100, help="calls in a round")
    options = parser.parse_args()
    rows = observers()
    rounds = [[microseconds(observer, options.calls) for observer in rows.values()] for _ in range(options.rounds)]
    for name, taken in zip(rows, zip(*rounds, strict=True), strict=True):
        print(f"{statistics.median(taken):7.1f} us  {name}")


if __name__ == "__main__":
    # In a task, as the client calls its observer.
    asyncio.run(main())
