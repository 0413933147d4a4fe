"""What is measured, for each provider of meters once, however many observers there are.

An SDK adds up what several observers record in one instrument. It does not add up what two callbacks observe, so the observers of a
provider share one set of watched objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from opentelemetry import metrics

from unlimcall_async import __version__
from unlimcall_async.telemetry.conventions import SCHEMA_URL
from unlimcall_async.telemetry.watching import (
    DELIVERIES,
    LAG,
    LATE,
    RECORDS,
    REQUESTS,
    RETRIES,
    UNREADABLE,
    WAITED,
    Labels,
    Watches,
)

# The boundaries that the conventions fix for durations of requests.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
# Those of whole calls, and of waits for a rate limit: a full bucket fills again within a minute, and a day's bucket within a day.
_LONG: Final = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 3600, 86400)

# The counts of watched objects: name, unit, what is counted.
_COUNTS: Final = (
    (RECORDS, "{record}", "Call records that were handed out."),
    (UNREADABLE, "{row}", "Rows that cannot be read and were kept."),
    (REQUESTS, "{request}", "Answers to CDR requests."),
    (RETRIES, "{retry}", "Further attempts of CDR requests."),
    (WAITED, "s", "Time that CDR requests waited for the rate limit, added up."),
    (LATE, "{record}", "Records that appeared in time that a follow had asked before."),
    (DELIVERIES, "{delivery}", "Deliveries of webhooks, by what became of them."),
)


class Instruments:
    """The instruments of a provider of meters.

    Attributes:
        watches: What is watched.
        request_duration: Of each attempt.
        call_duration: Of each call, with all its waits and attempts.
        wait_duration: Of each call, how long it waited for its rate limit and for a connection.
    """

    def __init__(self, provider: metrics.MeterProvider) -> None:
        meter = provider.get_meter("unlimcall_async", __version__, SCHEMA_URL)
        self.watches: Watches = Watches()
        self.request_duration: metrics.Histogram = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.call_duration: metrics.Histogram = meter.create_histogram(
            "unlimcall.client.call.duration",
            "s",
            "Duration of calls of the client, with all waits and attempts.",
            explicit_bucket_boundaries_advisory=_LONG,
        )
        self.wait_duration: metrics.Histogram = meter.create_histogram(
            "unlimcall.client.wait.duration",
            "s",
            "Time that calls of the client waited for a rate limit and for a connection.",
            explicit_bucket_boundaries_advisory=_LONG,
        )
        for name, unit, description in _COUNTS:
            observe = _observing(partial(self.watches.counts, name))
            meter.create_observable_counter(name, [observe], unit, description)
        lag = "Every record that the API held so long ago has been handed out by the follow."
        meter.create_observable_gauge(LAG, [_observing(self.watches.lags)], "s", lag)


def _observing(
    read: Callable[[], dict[Labels, float]],
) -> Callable[[metrics.CallbackOptions], Iterable[metrics.Observation]]:
    """Return the callback of an instrument."""
    return lambda _: [metrics.Observation(value, dict(labels)) for labels, value in read().items()]


class _Known:
    """The instruments that were made.

    A program may make an observer before its SDK is set up, and another one afterwards. The instruments of the first are then those
    of a proxy, which passes them on to the SDK once that is the global provider. So they serve the second observer as well.
    """

    def __init__(self) -> None:
        self._by_provider: WeakKeyDictionary[metrics.MeterProvider, Instruments] = WeakKeyDictionary()
        self._of_global: Instruments | None = None

    def of(self, provider: metrics.MeterProvider | None) -> Instruments:
        """Return the instruments of a provider, or of the global one."""
        current = metrics.get_meter_provider()
        chosen = current if provider is None else provider
        found = self._by_provider.get(chosen)
        if found is None and chosen is current:
            found = self._of_global
        if found is None:
            found = Instruments(chosen)
        self._by_provider[chosen] = found
        if chosen is current:
            self._of_global = found
        return found


instruments_of: Final = _Known().of
