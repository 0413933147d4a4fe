"""Carrier alerts: the rate of failed calls, watched (operations guide, "Error Handling in Production").

By the guide, failed calls are data in the call records. A failure rate that stays above 1 % is a routing problem of the
carrier.

Pure: no I/O of its own, and no clock. Time is the time of the records, so a year of history gives the alerts that it would have
given then. The span is cut into steps with two counts each, so memory does not grow with the number of calls. `failure_counts`
has the counts, and decides which records to believe if their times are far apart.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Container, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async import CallRecord, _arguments
from unlimcall_async.operations import _checks
from unlimcall_async.operations.dispositions import FAILED_DISPOSITIONS, failure_test
from unlimcall_async.operations.failure_counts import MOST_COUNTRIES, STEPS, SpanCounts, Timelines
from unlimcall_async.operations.iteration import iterating
from unlimcall_async.operations.shares import FAILURE_BOUND, FAILURE_MINIMUM, Share

AlertState: TypeAlias = Literal["started", "ended"]

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

    A record whose time is far from that of the others, for example in the year 9999, does not move the span for longer than until
    the next record: the majority of the records decides.

    Only calls that succeed end an alert: if no more calls come, the alert stays.

    Memory is bounded, whatever countries the records name. The counts of all calls are exact. So are those of a country that is
    always among the 256 with the most attempts in the span. A text of more than 100 characters counts as no country. If more than
    512 countries are in alert, the monitor forgets the oldest alert of a country that is not called any more, without an alert
    `"ended"`.

    Args:
        span: The span, a minute or more.
        start_above: An alert starts if the share of failed attempts is above this one. 0.01 is 1 %.
        end_below: An alert ends if the share is below this one.
        minimum: With fewer attempts in the span, no alert starts or ends. With 200, three failures are above 1 %.
        failed: The dispositions of failed attempts, in upper or lower case, or a function that returns whether a record is a failed
            attempt. The default is an assumption, as the reference lists no disposition of failed calls: `FAILED`, `CONGESTION`,
            `CHANUNAVAIL`, and the SIP codes 488 and 500 to 599.

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
        start_above: float = FAILURE_BOUND,
        end_below: float = 0.007,
        minimum: int = FAILURE_MINIMUM,
        failed: Collection[str] | Callable[[CallRecord], bool] = FAILED_DISPOSITIONS,
    ) -> None:
        self._step = _checks.span("span", span, at_least=timedelta(minutes=1)) / STEPS
        self._start_above = _checks.share("start_above", start_above)
        self._end_below = _checks.share("end_below", end_below)
        if self._end_below > self._start_above:
            raise ValueError("end_below must not be above start_above")
        self._minimum = _arguments.whole("minimum", minimum)
        self._failed = failure_test(failed)
        self._timelines = Timelines(self._minimum)
        # By country, as the records name it; `None` for all calls.
        self._active: dict[str | None, datetime] = {}

    @property
    def late(self) -> int:
        """The number of records that came too late to count, or whose time was far before that of the others."""
        return self._timelines.late

    @property
    def overall(self) -> Share:
        """The failed attempts out of all attempts in the span."""
        believed = self._timelines.believed
        return Share(0, 0) if believed is None else believed.all.failures

    @property
    def countries(self) -> dict[str, Share]:
        """The failed attempts out of all attempts in the span, for each country that was called, as the records name it."""
        believed = self._timelines.believed
        return {} if believed is None else {name: counted.failures for name, counted in believed.countries.items()}

    @property
    def active(self) -> dict[str | None, datetime]:
        """The alerts that have started and not ended: the time of the start, by country; `None` for all calls."""
        return dict(self._active)

    def add(self, record: CallRecord) -> list[CarrierAlert]:
        """Count a record, and return the alerts that it brings: at most one for all calls and one for each country.

        Raises:
            TypeError: `record` is not a `CallRecord`, or its `start_time` is not a datetime.
            ValueError: The record's `start_time` has no timezone.
        """
        start = _checks.start("record", record)
        # Before the first change, because a function of the user's may raise.
        failed, country = self._failed(record), record.country
        moved = self._timelines.add((start - _EPOCH) // self._step, country, failed=failed)
        believed = self._timelines.believed
        if moved is None or believed is None:
            return []
        counts: dict[str | None, SpanCounts] = {None: believed.all}
        if moved:
            # Old calls have left every count, so any rate may have changed.
            counts.update(believed.countries)
        elif country in believed.countries:
            counts[country] = believed.countries[country]
        return [
            alert
            for name, counted in counts.items()
            for alert in self._alerts(name, counted, start, believed.countries)
        ]

    async def watch(self, records: AsyncIterable[CallRecord]) -> AsyncGenerator[CarrierAlert, None]:
        """Count the records of a stream or a follow, and return the alerts as they come.

        The iterator of the records is closed at the end.
        """
        async with iterating(records) as iterator:
            async for record in iterator:
                for alert in self.add(record):
                    yield alert

    def _alerts(
        self, country: str | None, counted: SpanCounts, at: datetime, called: Container[str]
    ) -> Iterator[CarrierAlert]:
        if counted.attempts < self._minimum:
            return
        rate = counted.failed / counted.attempts
        if country not in self._active and rate > self._start_above:
            self._active[country] = at
            if len(self._active) > MOST_COUNTRIES + 1:  # with the alert of all calls
                del self._active[next(name for name in self._active if name is not None and name not in called)]
            yield CarrierAlert("started", country, counted.failures, at)
        elif country in self._active and rate < self._end_below:
            del self._active[country]
            yield CarrierAlert("ended", country, counted.failures, at)

    def __repr__(self) -> str:
        failures = self.overall
        return f"<{type(self).__name__} {failures.count} of {failures.of} failed, {len(self._active)} alerts active>"
