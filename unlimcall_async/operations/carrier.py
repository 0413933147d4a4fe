"""Carrier alerts: the rate of failed calls, watched (operations guide, "Error Handling in Production").

By the guide, failed calls are data in the call records. A failure rate that stays above 1 % is a routing problem of the
carrier.

Pure: no I/O of its own, and no clock. Time is the time of the records, so a year of history gives the alerts that it would have
given then. The span is cut into steps with two counts each, so memory does not grow with the number of calls.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async import CallRecord, _arguments
from unlimcall_async.operations import _checks
from unlimcall_async.operations.iteration import iterating
from unlimcall_async.operations.shares import Share

AlertState: TypeAlias = Literal["started", "ended"]

# An assumption: the guide says that carrier failures (SIP 503, destination unreachable, codec negotiation) are in CDRs as failed
# calls "with specific SIP response codes". Neither the guide nor the reference lists a disposition other than ANSWERED. So these
# are Asterisk's words for a failed call, and the codes of SIP, as a number or behind "SIP ": 488 (no common codec) and all 5xx.
# Busy and no answer are left out, because the called party causes them, not the carrier.
FAILED_DISPOSITIONS: Final[frozenset[str]] = frozenset(
    {"FAILED", "CONGESTION", "CHANUNAVAIL"}
    | {f"{prefix}{code}" for prefix in ("", "SIP ") for code in (488, *range(500, 600))}
)

# A window has the newest step, which is not over yet, and the 59 steps before it: between 59/60 of the span and all of it.
_STEPS: Final = 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class CarrierAlert:
    """The failure rate of all calls, or of the calls to one country, crossed a bound.

    Attributes:
        state: `"started"` if the rate rose above `start_above`, `"ended"` if it fell below `end_below`.
        country: The country, as the records name it; `None` for all calls together.
        failures: The failed attempts out of all attempts in the span.
        at: The start of the call whose record brought the alert, in UTC.
    """

    state: AlertState
    country: str | None
    failures: Share
    at: datetime


class CarrierMonitor:
    """Watches the share of failed attempts over a sliding span, for all calls and for each country.

        monitor = CarrierMonitor()
        async for alert in monitor.watch(client.cdrs.follow(start)):
            print(alert)

    Every record is an attempt. The span ends with the latest `start_time` seen, and moves in 60 steps. The record of a long call
    comes late in a follow, and is counted at its start time. A record from before the span is only counted in `late`. So give the
    monitor the oldest records first. In a follow, failed calls come before the answered calls that began with them: a span that is
    not much longer than the calls shows too high a rate.

    Only calls that succeed end an alert: if no more calls come, the alert stays.

    Args:
        span: The span, a minute or more.
        start_above: An alert starts if the share of failed attempts is above this one. 0.01 is 1 %.
        end_below: An alert ends if the share is below this one.
        minimum: With fewer attempts in the span, no alert starts or ends. With 200, three failures are above 1 %.
        failed: The dispositions of failed attempts, in upper or lower case, or a function that returns whether a record is a failed
            attempt. The default is an assumption, as the reference lists no disposition of failed calls: `FAILED`, `CONGESTION`,
            `CHANUNAVAIL`, and the SIP codes 488 and 500 to 599.

    Attributes:
        late: The number of records that came too late to count.

    Raises:
        ValueError: `span` is below a minute, `minimum` is below 1, a share does not lie between 0 and 1, or `end_below` is above
            `start_above`.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        *,
        span: timedelta = timedelta(hours=1),
        # The guide's 1 %. The end lies below the start, so that a rate near the bound does not start and end alerts all the time.
        start_above: float = 0.01,
        end_below: float = 0.007,
        minimum: int = 200,
        failed: Collection[str] | Callable[[CallRecord], bool] = FAILED_DISPOSITIONS,
    ) -> None:
        self.late: int = 0
        self._step = _checks.span("span", span, at_least=timedelta(minutes=1)) / _STEPS
        self._start_above = _checks.share("start_above", start_above)
        self._end_below = _checks.share("end_below", end_below)
        if self._end_below > self._start_above:
            raise ValueError("end_below must not be above start_above")
        self._minimum = _arguments.whole("minimum", minimum)
        self._failed = _predicate(failed)
        self._newest: int | None = None
        # By country, as the records name it; `None` for all calls.
        self._windows: dict[str | None, _Window] = {}
        self._active: dict[str | None, datetime] = {}

    @property
    def overall(self) -> Share:
        """The failed attempts out of all attempts in the span."""
        window = self._windows.get(None)
        return Share(0, 0) if window is None else window.failures

    @property
    def countries(self) -> dict[str, Share]:
        """The failed attempts out of all attempts in the span, for each country that was called, as the records name it."""
        return {name: window.failures for name, window in self._windows.items() if name is not None}

    @property
    def active(self) -> dict[str | None, datetime]:
        """The alerts that have started and not ended: the time of the start, by country; `None` for all calls."""
        return dict(self._active)

    def add(self, record: CallRecord) -> list[CarrierAlert]:
        """Count a record, and return the alerts that it brings: at most one for all calls and one for each country.

        Raises:
            TypeError: `record` is not a `CallRecord`.
        """
        step = (_checks.record("record", record).start_time - _EPOCH) // self._step
        newest = step if self._newest is None else max(self._newest, step)
        if step <= newest - _STEPS:
            self.late += 1
            return []
        touched: list[str | None] = [None] if record.country is None else [None, record.country]
        moved = newest != self._newest
        if moved:
            self._newest = newest
            for country, window in list(self._windows.items()):
                window.move(newest)
                if country is not None and not window.failures.of:
                    del self._windows[country]
        failed = self._failed(record)
        for country in touched:
            if country not in self._windows:
                self._windows[country] = _Window(newest)
            self._windows[country].add(step, failed=failed)
        # A move takes old calls out of every window, so any rate may have changed.
        return self._alerts(list(self._windows) if moved else touched, record.start_time)

    async def watch(self, records: AsyncIterable[CallRecord]) -> AsyncGenerator[CarrierAlert, None]:
        """Count the records of a stream or a follow, and return the alerts as they come.

        The iterator of the records is closed at the end.
        """
        async with iterating(records) as iterator:
            async for record in iterator:
                for alert in self.add(record):
                    yield alert

    def _alerts(self, countries: list[str | None], at: datetime) -> list[CarrierAlert]:
        alerts = []
        for country in countries:
            failures = self._windows[country].failures
            if failures.rate is None or failures.of < self._minimum:
                continue
            if country not in self._active and failures.rate > self._start_above:
                self._active[country] = at
                alerts.append(CarrierAlert("started", country, failures, at))
            elif country in self._active and failures.rate < self._end_below:
                del self._active[country]
                alerts.append(CarrierAlert("ended", country, failures, at))
        return alerts

    def __repr__(self) -> str:
        failures = self.overall
        return f"<{type(self).__name__} {failures.count} of {failures.of} failed, {len(self._active)} alerts active>"


class _Window:
    """The attempts and failures of the newest step and the 59 steps before it, as a ring of counts."""

    def __init__(self, newest: int) -> None:
        self._newest = newest
        self._attempts = [0] * _STEPS
        self._failed = [0] * _STEPS
        self._all_attempts = self._all_failed = 0

    @property
    def failures(self) -> Share:
        """The failed attempts out of all attempts in the window."""
        return Share(self._all_failed, self._all_attempts)

    def move(self, newest: int) -> None:
        """Move the end of the window to a later step, and drop the counts of the steps that it leaves."""
        for step in range(max(self._newest + 1, newest - _STEPS + 1), newest + 1):
            place = step % _STEPS
            self._all_attempts -= self._attempts[place]
            self._all_failed -= self._failed[place]
            self._attempts[place] = self._failed[place] = 0
        self._newest = newest

    def add(self, step: int, *, failed: bool) -> None:
        """Count an attempt, at a step that is in the window."""
        self._attempts[step % _STEPS] += 1
        self._all_attempts += 1
        if failed:
            self._failed[step % _STEPS] += 1
            self._all_failed += 1


def _predicate(failed: object) -> Callable[[CallRecord], bool]:
    if inspect.iscoroutinefunction(failed):
        raise TypeError("failed must be a plain function, not a coroutine function")
    if callable(failed):
        return lambda record: bool(failed(record))
    if isinstance(failed, str) or not isinstance(failed, Collection):
        raise TypeError(f"failed must be a collection of dispositions or a function, not {type(failed).__name__}")
    known = frozenset(_arguments.text("failed", disposition).upper() for disposition in failed)
    return lambda record: record.disposition is not None and record.disposition.upper() in known
