"""The account's credit, watched: a thin shell that polls and waits. What to alert of, the monitor decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from unlimcall_async import (
    APIError,
    AsyncClient,
    Balance,
    ClientClosedError,
    RateLimitedError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.operations import _arguments
from unlimcall_async.operations.credit import CreditAlert, CreditMonitor
from unlimcall_async.operations.spending import Spend, SpendTally

_logger: Final = logging.getLogger("unlimcall_async")


def _now() -> datetime:
    return datetime.now(UTC)


class CreditWatch:
    """Polls the balance and what recent calls have cost, and gives the alerts.

        watch = CreditWatch(client, CreditMonitor(Decimal(25), "USD"))
        async for alert in watch:
            print(alert)

    It does not end. A poll that the client gives up on (5xx, 429, no answer, an answer that cannot be read) counts as no snapshot;
    that this goes on for long is an alert. Any other error ends it, such as a token without the scope; to iterate again goes on.

    It waits for the client's rate limits as every call does. The scope `read:balance` is enough where the monitor's `ahead` is
    `None`; otherwise it also reads call records, with `read:cdrs`, one request for each 1000 records of `spend_over` every
    `spend_every`.

    Args:
        client: The client. It is not closed.
        monitor: What decides. After an iteration it knows which alerts are active, and the next goes on from there.
        interval: From the start of a poll to that of the next.
        spend_over: The span of call records that the spend rate is taken from. Calls that still run are in none.
        spend_every: How often to read them.
        clock: Gives the time, timezone-aware.

    Attributes:
        monitor: As above.

    Raises:
        ValueError, TypeError: An argument is wrong.
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
        self._interval = _arguments.span("interval", interval).total_seconds()
        self._spend_over = _arguments.span("spend_over", spend_over)
        self._spend_every = _arguments.span("spend_every", spend_every).total_seconds()
        self._clock = clock

    def __aiter__(self) -> AsyncGenerator[CreditAlert, None]:  # noqa: PYI058 # whoever iterates by hand can close it
        return self._alerts()

    async def _alerts(self) -> AsyncGenerator[CreditAlert, None]:
        loop = asyncio.get_running_loop()
        spend_due = loop.time()
        while True:
            began, spend = loop.time(), None
            if self.monitor.ahead is not None and began >= spend_due:
                spend = await self._read_spend()
                # Not read, it is due again at the next poll.
                spend_due = began if spend is None else began + self._spend_every
            balance = await self._read_balance()
            for alert in self._judge(balance, spend):
                yield alert
            await asyncio.sleep(began + self._interval - loop.time())

    def _judge(self, balance: Balance | None, spend: Spend | None) -> list[CreditAlert]:
        now = self._clock()
        return self.monitor.missed(at=now) if balance is None else self.monitor.note(balance, at=now, spend=spend)

    async def _read_balance(self) -> Balance | None:
        try:
            return await self._client.balance()
        except UnlimCallError as error:
            _pass_over(error)
            return None

    async def _read_spend(self) -> Spend | None:
        now, tally = self._clock(), SpendTally(self._spend_over)
        try:
            async with self._client.cdrs.stream(now - self._spend_over, now) as stream:
                async for batch in stream.batches():
                    for record in batch:
                        tally.add(record)
        except UnlimCallError as error:
            _pass_over(error)
            return None
        spend = tally.spend
        if foreign := spend.totals.keys() - {self.monitor.currency}:
            _logger.warning(
                "calls cost money in %s, which the time left takes no account of", ", ".join(sorted(foreign))
            )
        return spend

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.monitor!r}>"


def _pass_over(error: UnlimCallError) -> None:
    """Log an error that may be gone by the next poll, and raise any other."""
    lasting = isinstance(error, ClientClosedError) or (isinstance(error, TransportError) and error.permanent)
    if lasting or (error.category == "application" and not isinstance(error, RateLimitedError)):
        raise error
    # Not what it says: that may be the server's own words, and hold a number.
    what = f"answer {error.status}" if isinstance(error, APIError) else type(error).__name__
    _logger.warning("a poll of the credit watch failed: %s", what)
