"""The carrier's failure rate, watched (operations guide, "Error Handling in Production").

The guide: failed calls are data, in the records; a rate above 1 % that lasts is a routing problem of the carrier.

Pure: no I/O of its own, and no clock: time is that of the records, so a year of history gives the alerts that it would have
given then.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from attrs import frozen

from unlimcall_async import CallRecord
from unlimcall_async.operations import _arguments
from unlimcall_async.operations.failures import STEPS, FailureWindow
from unlimcall_async.operations.reading import each
from unlimcall_async.operations.shares import Share

AlertState: TypeAlias = Literal["started", "ended"]

# An assumption: the guide says that carrier failures (SIP 503, destination unreachable, codec negotiation) are in CDRs as failed
# calls "with specific SIP response codes", and neither it nor the reference lists a disposition but ANSWERED. So: the words of
# Asterisk for it, and the codes of SIP, as a number or behind "SIP ": 488 (no common codec) and all 5xx. Busy and no answer are
# the called party's doing, not the carrier's.
FAILED_DISPOSITIONS: Final[frozenset[str]] = frozenset(
    {"FAILED", "CONGESTION", "CHANUNAVAIL"}
    | {f"{prefix}{code}" for prefix in ("", "SIP ") for code in (488, *range(500, 600))}
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class CarrierAlert:
    """The failure rate has crossed a bound.

    Attributes:
        state: `"started"` above the upper bound, `"ended"` below the lower one.
        country: The country, as the records name it; `None` for all calls together.
        failures: The failed attempts out of all, over the span.
        at: When the call started whose record brought it.
    """

    state: AlertState
    country: str | None
    failures: Share
    at: datetime


class CarrierMonitor:
    """Watches the share of failed attempts over a sliding span, of all calls and of each country.

        monitor = CarrierMonitor()
        async for alert in monitor.watch(client.cdrs.follow(start)):
            print(alert)

    Every record is an attempt. The span ends with the latest `start_time` that was seen, and moves in 60 steps. A record that comes
    late, as those of long calls do in a follow, counts where its start belongs, and one from before the span only in `late`. So
    feed it oldest first. In a follow, failed calls are in before the answered ones that began with them: a span that is not much
    longer than the calls shows too high a rate.

    An alert that has started ends only by calls that succeed: where no more come, it stays.

    Args:
        span: The span, a minute or more.
        start_above: An alert starts above this share.
        end_below: It ends below this one.
        minimum: Below so many attempts in the span nothing starts or ends. With 200, it takes three failures to be above 1 %.
        failed: The dispositions that count as failed, in whatever case, or a function that tells it of a record. The default is
            an assumption: `FAILED`, `CONGESTION`, `CHANUNAVAIL`, and the SIP codes 488 and 500 to 599.

    Attributes:
        late: Records that came too late to count.

    Raises:
        ValueError, TypeError: An argument is wrong.
    """

    def __init__(
        self,
        *,
        span: timedelta = timedelta(hours=1),
        start_above: float = 0.01,
        end_below: float = 0.007,
        minimum: int = 200,
        failed: Collection[str] | Callable[[CallRecord], bool] = FAILED_DISPOSITIONS,
    ) -> None:
        self.late: int = 0
        self._step = _arguments.span("span", span, at_least=timedelta(minutes=1)) / STEPS
        self._start_above = _arguments.share("start_above", start_above)
        self._end_below = _arguments.share("end_below", end_below)
        if self._end_below > self._start_above:
            raise ValueError("end_below must not be above start_above")
        self._minimum = _arguments.whole("minimum", minimum)
        self._failed = _judge(failed)
        self._newest: int | None = None
        self._windows: dict[str | None, FailureWindow] = {}
        self._active: dict[str | None, datetime] = {}

    @property
    def overall(self) -> Share:
        """The failed attempts out of all, over the span."""
        window = self._windows.get(None)
        return Share(0, 0) if window is None else window.failures

    @property
    def countries(self) -> dict[str, Share]:
        """The same for each country that was called in the span, as the records name it."""
        return {name: window.failures for name, window in self._windows.items() if name is not None}

    @property
    def active(self) -> dict[str | None, datetime]:
        """Which alerts have started and not ended, by country, `None` for all calls, with the time of their start."""
        return dict(self._active)

    def add(self, record: CallRecord) -> list[CarrierAlert]:
        """Count a record, and give the alerts that it brings: at most one for all calls and for each country."""
        step = (_arguments.record("record", record).start_time - _EPOCH) // self._step
        moved = self._newest is None or step > self._newest
        if moved:
            self._move(step)
        elif self._newest is not None and step <= self._newest - STEPS:
            self.late += 1
            return []
        failed = self._failed(record)
        touched: list[str | None] = [None] if record.country is None else [None, record.country]
        for scope in touched:
            self._window(scope).add(step, failed=failed)
        # By a move, old calls leave every window.
        return self._decide(list(self._windows) if moved else touched, record.start_time)

    async def watch(self, records: AsyncIterable[CallRecord]) -> AsyncGenerator[CarrierAlert, None]:
        """Count the records of a stream or a follow, and give the alerts as they come."""
        async with aclosing(each(records)) as following:
            async for record in following:
                for alert in self.add(record):
                    yield alert

    def _move(self, newest: int) -> None:
        self._newest = newest
        for scope, window in list(self._windows.items()):
            window.move(newest)
            if scope is not None and not window.failures.of:
                del self._windows[scope]

    def _window(self, scope: str | None) -> FailureWindow:
        window = self._windows.get(scope)
        if window is None:
            window = self._windows[scope] = FailureWindow(self._newest or 0)
        return window

    def _decide(self, scopes: list[str | None], at: datetime) -> list[CarrierAlert]:
        alerts = []
        for scope in scopes:
            failures = self._windows[scope].failures
            state = self._change(scope in self._active, failures)
            if state is None:
                continue
            if state == "started":
                self._active[scope] = at
            else:
                del self._active[scope]
            alerts.append(CarrierAlert(state, scope, failures, at))
        return alerts

    def _change(self, active: bool, failures: Share) -> AlertState | None:
        rate = failures.rate
        if rate is None or failures.of < self._minimum:
            return None
        if active:
            return "ended" if rate < self._end_below else None
        return "started" if rate > self._start_above else None

    def __repr__(self) -> str:
        failures = self.overall
        return f"<{type(self).__name__} {failures.count} of {failures.of} failed, {len(self._active)} alerts active>"


def _judge(failed: object) -> Callable[[CallRecord], bool]:
    if inspect.iscoroutinefunction(failed):
        raise TypeError("failed must be a plain function, not a coroutine function")
    if callable(failed):
        return lambda record: bool(failed(record))
    if isinstance(failed, str) or not isinstance(failed, Collection):
        raise TypeError(f"failed must be a collection of dispositions or a function, not {type(failed).__name__}")
    known = frozenset(_arguments.text("failed", disposition).upper() for disposition in failed)
    return lambda record: record.disposition is not None and record.disposition.upper() in known
