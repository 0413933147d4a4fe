"""Credit alerts from the live API: polls the balance and the call records, and lets a `CreditMonitor` decide."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from unlimcall_async import (
    APIError,
    AsyncClient,
    ClientClosedError,
    RateLimitedError,
    TransportError,
    UnlimCallError,
    _arguments,
)
from unlimcall_async.operations import _checks
from unlimcall_async.operations.credit import CreditAlert, CreditMonitor
from unlimcall_async.operations.spending import Spend, SpendTally

_logger: Final = logging.getLogger("unlimcall_async")

# A longer span says nothing about the present spend rate, and may reach back beyond the year 1.
_LONGEST_SPEND: Final = timedelta(days=366)


def _now() -> datetime:
    return datetime.now(UTC)


class CreditWatch:
    """Polls the balance and the cost of recent calls, and yields credit alerts.

        watch = CreditWatch(client, CreditMonitor(Decimal(25), "USD"))
        async for alert in watch:
            print(alert.kind, alert.state)

    The iteration does not end. A poll that fails by a 5xx, a 429, no response, or a response that cannot be read counts as no
    snapshot. If such polls go on, the monitor gives an alert `"stale"`. Any other error ends the iteration, for example a token
    without the scope. A new iteration goes on from there.

    Polls wait for the client's rate limits as every call does. If the monitor's `ahead` is `None`, the token needs only the scope
    `read:balance`. Otherwise it also needs `read:cdrs`: every `spend_every`, one request is sent for each 1000 call records of
    `spend_over`.

    Args:
        client: The client. The watch does not close it.
        monitor: Decides on the alerts. It keeps the active alerts after an iteration has ended.
        interval: The time from the start of a poll to the start of the next.
        spend_over: The span of call records from which the spend rate comes. A call that still runs has no record yet.
        spend_every: The time between two readings of these records.
        clock: Returns the time, timezone-aware.

    Attributes:
        monitor: The monitor.

    Raises:
        ValueError: A timedelta is not above zero, or `spend_over` is above 366 days.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        client: AsyncClient,
        monitor: CreditMonitor,
        *,
        interval: timedelta = timedelta(minutes=1),
        spend_over: timedelta = timedelta(hours=1),
        spend_every: timedelta = timedelta(minutes=10),
        clock: Callable[[], datetime] = _now,
    ) -> None:
        if not isinstance(client, AsyncClient):
            raise TypeError(f"client must be an AsyncClient, not {type(client).__name__}")
        if not isinstance(monitor, CreditMonitor):
            raise TypeError(f"monitor must be a CreditMonitor, not {type(monitor).__name__}")
        self.monitor: CreditMonitor = monitor
        self._client = client
        self._interval = _checks.span("interval", interval).total_seconds()
        self._spend_over = _checks.span("spend_over", spend_over)
        if self._spend_over > _LONGEST_SPEND:
            raise ValueError(f"spend_over must be {_LONGEST_SPEND} or less, not {self._spend_over}")
        self._spend_every = _checks.span("spend_every", spend_every).total_seconds()
        self._clock = clock

    async def __aiter__(self) -> AsyncGenerator[CreditAlert, None]:  # a generator, so that users can close it
        # The loop's clock for intervals, because the wall clock may be set back; the wall clock for what users see.
        loop = asyncio.get_running_loop()
        spend_due = loop.time()
        while True:
            began, spend = loop.time(), None
            if self.monitor.ahead is not None and began >= spend_due:
                try:
                    spend = await self._read_spend()
                    spend_due = began + self._spend_every
                except UnlimCallError as error:
                    # Not moved on: the records are due again at the next poll.
                    spend_due = began
                    _pass_over(error)
            try:
                balance = await self._client.balance()
            except UnlimCallError as error:
                _pass_over(error)
                alerts = self.monitor.missed(at=self._now(), monotonic=loop.time())
            else:
                alerts = self.monitor.note(balance, at=self._now(), spend=spend, monotonic=loop.time())
            for alert in alerts:
                yield alert
            await asyncio.sleep(began + self._interval - loop.time())

    def _now(self) -> datetime:
        # The error for a time without a timezone names the clock, because the user has passed no `at`.
        return _arguments.utc("clock", self._clock())

    async def _read_spend(self) -> Spend:
        now, tally = self._now(), SpendTally(self._spend_over)
        async with self._client.cdrs.stream(now - self._spend_over, now) as stream:
            async for batch in stream.batches():
                for record in batch:
                    tally.add(record)
        spend = tally.spend
        if foreign := spend.totals.keys() - {self.monitor.currency}:
            _logger.warning("calls cost money in %s, which the time left does not count", ", ".join(sorted(foreign)))
        return spend

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.monitor!r}>"


def _pass_over(error: UnlimCallError) -> None:
    """Log an error that the next poll may not meet, and raise any other error."""
    lasting = isinstance(error, ClientClosedError) or (isinstance(error, TransportError) and error.permanent)
    if lasting or (error.category == "application" and not isinstance(error, RateLimitedError)):
        raise error
    # The log does not hold the text of the error, which may be the server's own and hold a phone number.
    what = f"answer {error.status}" if isinstance(error, APIError) else type(error).__name__
    _logger.warning("a poll of the credit watch failed: %s", what)
