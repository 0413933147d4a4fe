"""Credit alerts from the live API: polls the balance and the call records, and lets a `CreditMonitor` decide."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from unlimcall_async import (
    APIError,
    AsyncClient,
    Balance,
    ClientClosedError,
    TransportError,
    UnlimCallError,
    _arguments,
    _clock,
)
from unlimcall_async._argument_kinds import file_path
from unlimcall_async.operations import _checks
from unlimcall_async.operations.balance_file import append
from unlimcall_async.operations.balances import KeptBalance
from unlimcall_async.operations.credit import CreditAlert, CreditMonitor
from unlimcall_async.operations.spending import Spend, SpendTally

_logger: Final = logging.getLogger("unlimcall_async")

# A longer span says nothing about the present spend rate, and may reach back beyond the year 1.
_LONGEST_SPEND: Final = timedelta(days=366)


# Seconds. All attempts of a call end within it, unless they wait for a rate limit or the client has a long time limit.
_LONGEST_READING: Final = 300.0
# Seconds. A balance that comes with the spend rate of the same moment needs no second poll for an alert `soon`.
_SPEND_PATIENCE: Final = 10.0
# Statuses of a 4xx that say nothing against the request: see `docs/errors.md`.
_PASSING: Final = frozenset({408, 425, 429, 499})

T = TypeVar("T")


def _now() -> datetime:
    return _clock.utc_now()


class _Reading(Generic[T]):
    """Something that the watch reads again and again, each time in a task, so that no wait of one reading holds up the others.

    Attributes:
        longest: Seconds after which a reading is given up, and the next `start` begins a new one.
    """

    def __init__(self, read: Callable[[], Coroutine[Any, Any, T]], every: float) -> None:
        self.longest: float = max(every, _LONGEST_READING)
        self._read = read
        self._task: asyncio.Task[T] | None = None
        self._began = 0.0

    async def start(self) -> bool:
        """Begin a reading, unless one is under way. Return whether a new one has begun."""
        now = asyncio.get_running_loop().time()
        if self._task is not None and now - self._began >= self.longest:
            _logger.warning("a reading of the credit watch was given up after %.0f s", now - self._began)
            await self.stop()
        if self._task is not None:
            return False
        self._task, self._began = asyncio.create_task(self._read()), now
        return True

    async def wait(self, seconds: float) -> None:
        """Wait until the reading has ended, but at most so long."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=max(0.0, seconds))

    def take(self) -> T | None:
        """Return what was read, or raise its error; `None` if the reading is still under way."""
        if self._task is None or not self._task.done():
            return None
        task, self._task = self._task, None
        return task.result()

    async def stop(self) -> None:
        """End the reading that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            # Asked for, because an error that nobody asks for is logged by the event loop.
            _ = self._task.cancelled() or self._task.exception()
            self._task = None


class CreditWatch:
    """Polls the balance and the cost of recent calls, and yields credit alerts.

        watch = CreditWatch(client, CreditMonitor(Decimal(25), "USD"))
        async for alert in watch:
            print(alert.kind, alert.state)

    The iteration does not end. A poll that fails by a 5xx, a 408, a 429, no response, or a response that cannot be read counts as
    no snapshot. If such polls go on, the monitor gives an alert `"stale"`. Any other error ends the iteration, for example a token
    without the scope. A new iteration goes on from there.

    Requests wait for the client's rate limits as every call does, but the watch does not. A poll without a balance at the end of
    the interval counts as no snapshot, and its request goes on. A request that takes five minutes, or the interval if that is
    longer, is made anew. The call records are read beside the polls, and hold up none of them.

    If the monitor's `ahead` is `None`, the token needs only the scope `read:balance`. Otherwise it also needs `read:cdrs`: every
    `spend_every`, one request is sent for each 1000 call records of `spend_over`.

    With `keep`, each fresh balance is also a line of a file, which `unlimcall bill check --balances` and `read_balances` read. A
    balance that cannot be kept is a line in the log, and alerts go on.

    Args:
        client: The client. The watch does not close it.
        monitor: Decides on the alerts. It keeps the active alerts after an iteration has ended.
        interval: The time from the start of a poll to the start of the next.
        spend_over: The span of call records from which the spend rate comes. A call that still runs has no record yet.
        spend_every: The time between two readings of these records.
        keep: The name of a file to which balances are appended; `None` to keep none. A line has some 80 bytes.
        clock: Returns the time, timezone-aware. The default is this machine's clock. Its difference from the server's clock is then
            allowed for when the call records are read.

    Attributes:
        monitor: The monitor.

    Raises:
        ValueError: A timedelta is not above zero, `spend_over` is above 366 days, or `keep` is empty.
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
        keep: str | os.PathLike[str] | None = None,
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
        self._keep = None if keep is None else file_path("keep", keep)
        if not _arguments.is_plain_function(clock):
            raise TypeError("clock must be a plain function without arguments")
        self._clock = clock
        # How far the clock of this machine is ahead of the server's, by which the call records are dated.
        self._ahead = timedelta(0)

    async def __aiter__(self) -> AsyncGenerator[CreditAlert, None]:  # a generator, so that users can close it
        # The loop's clock for intervals, because the wall clock may be set back; the wall clock for what users see.
        loop = asyncio.get_running_loop()
        balances, spends = _Reading(self._client.balance, self._interval), _Reading(self._read_spend, self._spend_every)
        spend_due, spend = loop.time(), None
        try:
            while True:
                began = loop.time()
                await balances.start()
                spend_is_new = self.monitor.ahead is not None and began >= spend_due and await spends.start()
                # The poll ends in time, whatever its requests wait for. A request that goes on is looked at again in the next poll.
                await balances.wait(self._interval)
                if spend_is_new:
                    spend_due = began + self._spend_every
                    await spends.wait(min(_SPEND_PATIENCE, began + self._interval - loop.time()))
                try:
                    spend = spends.take() or spend
                except UnlimCallError as error:
                    # Not moved on: the records are due again at the next poll.
                    spend_due = began
                    _pass_over(error)
                try:
                    balance = balances.take()
                except UnlimCallError as error:
                    _pass_over(error)
                    balance = None
                if balance is None:
                    alerts = self.monitor.missed(at=self._now(), monotonic=loop.time())
                else:
                    at = self._now()
                    alerts = self.monitor.note(balance, at=at, spend=spend, monotonic=loop.time())
                    spend = None
                    await self._keep_balance(balance, at)
                for alert in alerts:
                    yield alert
                await asyncio.sleep(began + self._interval - loop.time())
        finally:
            await balances.stop()
            await spends.stop()

    async def _keep_balance(self, balance: Balance, at: datetime) -> None:
        """Append a balance to the file. A stale balance may be older than the last, and would show as a rise."""
        if self._keep is None or balance.stale:
            return
        try:
            # The disk may be slow, and the event loop has more to do.
            await asyncio.to_thread(append, self._keep, KeptBalance.of(balance, at))
        except OSError as error:
            _logger.warning("a balance could not be kept: %s", error.strerror or type(error).__name__)

    def _now(self) -> datetime:
        # The error for a time without a timezone names the clock, because the user has passed no `at`.
        return _arguments.utc("clock", self._clock())

    async def _read_spend(self) -> Spend:
        ahead = self._ahead
        spend = await self._spend_until(self._now() - ahead)
        if abs(self._ahead - ahead) > self._spend_over / 10:
            # Only the responses have shown how far the clocks differ: that was the spend of another time.
            spend = await self._spend_until(self._now() - self._ahead)
        if foreign := spend.totals.keys() - {self.monitor.currency}:
            _logger.warning("calls cost money in %s, which the time left does not count", ", ".join(sorted(foreign)))
        return spend

    async def _spend_until(self, end: datetime) -> Spend:
        """Return the spend of the `spend_over` before `end`, and learn how far this machine's clock is ahead of the server's."""
        tally = SpendTally(self._spend_over)
        async with self._client.cdrs.stream(end - self._spend_over, end) as stream:
            async for batch in stream.batches():
                for record in batch:
                    tally.add(record)
            skew = stream.stats.clock_skew_s
        # A clock that the user has passed may be right where this machine's is wrong.
        if skew is not None and self._clock is _now:
            self._ahead = timedelta(seconds=skew)
        return tally.spend

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.monitor!r}>"


def _pass_over(error: UnlimCallError) -> None:
    """Log an error that the next poll may not meet, and raise any other error."""
    lasting = isinstance(error, ClientClosedError) or (isinstance(error, TransportError) and error.permanent)
    passing = isinstance(error, APIError) and error.status in _PASSING
    if lasting or (error.category == "application" and not passing):
        raise error
    # The log does not hold the text of the error, which may be the server's own and hold a phone number.
    what = f"answer {error.status}" if isinstance(error, APIError) else type(error).__name__
    _logger.warning("a poll of the credit watch failed: %s", what)
