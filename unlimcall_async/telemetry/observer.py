"""`OpenTelemetryObserver`: a span for each call, with its attempts as events, and metrics."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from opentelemetry import metrics, trace

from unlimcall_async import CdrFollow, CdrStream, Observation, Observer, __version__, _arguments, _clock
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.telemetry.conventions import (
    SCHEMA_URL,
    event_attributes,
    outcome_attributes,
    request_attributes,
    result_attributes,
    span_attributes,
    span_name,
)
from unlimcall_async.telemetry.instruments import instruments_of
from unlimcall_async.webhooks import WebhookReceiver

W = TypeVar("W", bound=CdrStream | CdrFollow | WebhookReceiver)

# The event of an attempt.
_ATTEMPT: Final = "unlimcall.attempt"


class OpenTelemetryObserver(Observer):
    """Reports the calls of clients to OpenTelemetry: traces, and metrics.

        observer = OpenTelemetryObserver()
        async with AsyncClient(observer=observer) as client:
            async for record in observer.watch(client.cdrs.stream(start)):
                ...

    Each call is a span of the kind CLIENT, below the span in whose context the call was made. Each attempt is an event of that
    span. Names and attributes are those of the semantic conventions for HTTP. No span and no metric holds a token, a phone number
    or a body. A span is made when its call has ended, so the headers of requests hold no `traceparent`.

    One observer serves any number of clients. Observers of one provider share their instruments.

    Args:
        tracer_provider: Makes the spans; `None` for the global provider.
        meter_provider: Makes the instruments; `None` for the global provider.
        name: The value of the attribute `unlimcall.name` of all that this observer reports, for example the name of an account;
            `None` for no such attribute.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: `name` is empty.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        name: str | None = None,
    ) -> None:
        for argument, provider, method in (
            ("tracer_provider", tracer_provider, "get_tracer"),
            ("meter_provider", meter_provider, "get_meter"),
        ):
            if provider is not None and not callable(getattr(provider, method, None)):
                raise TypeError(f"{argument} must have a method {method}, not be a {type(provider).__name__}")
        self._labels: tuple[tuple[str, str], ...] = ()
        if name is not None:
            if not _arguments.text("name", name):
                raise ValueError("name must not be empty")
            self._labels = (("unlimcall.name", name),)
        tracers = trace.get_tracer_provider() if tracer_provider is None else tracer_provider
        self._tracer = tracers.get_tracer("unlimcall_async", __version__, schema_url=SCHEMA_URL)
        self._instruments = instruments_of(meter_provider)
        # The attempts of the calls under way, each with the time of its end in nanoseconds. One task makes one call at a time.
        self._attempts: WeakKeyDictionary[object, list[tuple[int, Observation]]] = WeakKeyDictionary()

    def attempt(self, info: Observation, /) -> None:
        """Record the duration of an attempt, and keep the attempt for the span of its call."""
        self._attempts.setdefault(_task(), []).append((_now(), info))
        attributes = request_attributes(info) | outcome_attributes(info) | dict(self._labels)
        self._instruments.request_duration.record(info.elapsed_s, attributes)

    def call(self, info: Observation, /) -> None:
        """Make the span of a call, and record its duration and its waits."""
        attempts = self._attempts.pop(_task(), [])
        try:
            self._make_span(info, attempts)
        finally:
            attributes = request_attributes(info) | dict(self._labels)
            self._instruments.wait_duration.record(info.waited_s, attributes)
            self._instruments.call_duration.record(info.elapsed_s, attributes | result_attributes(info))

    def _make_span(self, info: Observation, attempts: list[tuple[int, Observation]]) -> None:
        end = _now()
        span = self._tracer.start_span(
            span_name(info),
            kind=trace.SpanKind.CLIENT,
            # All of them at once, because a sampler sees those alone with which a span starts.
            attributes=span_attributes(info) | dict(self._labels),
            start_time=end - int(info.elapsed_s * 1e9),
        )
        try:
            if span.is_recording():
                for ended, attempt in attempts:
                    span.add_event(_ATTEMPT, event_attributes(attempt), ended)
                if info.error is not None:
                    span.set_status(trace.StatusCode.ERROR)
        finally:
            span.end(end)

    def watch(self, watched: W, /) -> W:
        """Report the counts of a stream, a follow or a receiver of webhooks, and the lag of a follow. Return the same object.

        The object is not kept alive. Its counts stay when it is gone, so those of many streams add up. To watch an object twice
        changes nothing.

        Raises:
            TypeError: The object is of another kind.
        """
        self._instruments.watches.add(watched, self._labels)
        return watched


def _now() -> int:
    """Return the time of day in nanoseconds since 1970."""
    return to_micros(_clock.utc_now()) * 1000


class _NoTask:
    """The owner of attempts that are reported outside of any task, for example by a test that calls the observer itself."""


_NO_TASK: Final = _NoTask()


def _task() -> object:
    try:
        return asyncio.current_task() or _NO_TASK
    except RuntimeError:
        return _NO_TASK
