"""The sender of webhooks: makes the attempts of each delivery, waits between them, and asks `deliveries` for the next step."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import aiohttp

from unlimcall_async.sandbox.deliveries import Delivery, DeliveryAttempt, counted, may_be_retried, retry_delay
from unlimcall_async.sandbox.events import EventType, SandboxEvent, new_event
from unlimcall_async.sandbox.history import History
from unlimcall_async.sandbox.settings import WebhookSettings
from unlimcall_async.sandbox.state import State

_logger: Final = logging.getLogger("unlimcall_sandbox")

# Attempts under way at once. The others wait here, not in aiohttp's connection pool, where their timeout would run.
_AT_ONCE: Final = 64


class WebhookSender:
    """The deliveries under way. After `stop()` the sender can be used again.

    Attributes:
        attempts: The attempts, in the order in which they were sent.
    """

    def __init__(self, state: State) -> None:
        self.attempts: History[DeliveryAttempt] = History(state.settings, lambda attempt: len(attempt.body))
        self._state = state
        self._accepted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    def event(
        self,
        event: EventType,
        payload: Mapping[str, Any] | None,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
    ) -> SandboxEvent:
        """Return an event in the envelope of the settings, by default with a new id and the present time."""
        return new_event(
            event,
            payload,
            event_id=event_id,
            occurred_at=occurred_at or datetime.fromtimestamp(time.time(), UTC),
            envelope=self._settings.envelope,
        )

    def send(self, event: SandboxEvent) -> None:
        """Begin to deliver the event to every enabled subscription for its type."""
        settings = self._settings
        for hook in self._state.hooks.values():
            if hook.event != event.type:
                continue
            # A delivery to a disabled subscription ends at its first attempt.
            # The chances depend on the number of the delivery, and so not on the speed of other deliveries.
            chance = Random(f"{settings.seed}.{self._accepted}").random  # noqa: S311 # guards no secret
            self._accepted += 1
            wait, twin, repeat = chance() * settings.disorder, chance() < settings.twins, chance() < settings.repeats
            self.spawn(self._carry(Delivery(hook.id, event), wait, repeat=repeat))
            if twin:
                self.spawn(self._carry(Delivery(hook.id, event), wait, repeat=False))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that ends when the sender stops, and for which `idle()` waits."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, seconds: float) -> float:
        """Wait on the accelerated clock, and return how many of the seconds did not really pass."""
        real = seconds / self._settings.speed
        await asyncio.sleep(real)
        return seconds - real

    async def idle(self) -> None:
        """Wait until no delivery and no other coroutine is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancel everything that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            session, self._session = self._session, None
            self._slots = asyncio.Semaphore(_AT_ONCE)  # the next start may be in another event loop
            if session is not None:
                await session.close()

    @property
    def _settings(self) -> WebhookSettings:
        return self._state.settings.webhooks

    async def _carry(self, delivery: Delivery, wait: float, *, repeat: bool) -> None:
        await self.wait(wait)
        if await self._deliver(delivery) and repeat:
            await self._deliver(delivery.repeated())

    async def _deliver(self, delivery: Delivery) -> bool:
        """Make attempts until the event is delivered or given up; return whether it was delivered."""
        while True:
            async with self._slots:
                hook = self._state.hooks[delivery.hook_id]
                if not hook.enabled:
                    return False  # a disabled subscription receives nothing more
                attempt = delivery.attempt(hook, self._settings, now=time.time())
                self.attempts.add(attempt)
                await self._post(attempt)
                # Not the target, because a URL may hold credentials.
                outcome = attempt.error or attempt.status
                _logger.info("%s %s, attempt %d: %s", attempt.event, attempt.event_id, attempt.number, outcome)
                # The subscription is looked up again. While the response was awaited, it may have been deleted, or another
                # delivery to it may have failed.
                self._state.hooks[hook.id] = counted(self._state.hooks[hook.id], attempt)
            if attempt.delivered:
                return True
            delay = retry_delay(delivery, self._settings.first_delay) if may_be_retried(attempt) else None
            if delay is None:
                return False
            delivery.waited(delay, left_out=await self.wait(delay))

    async def _post(self, attempt: DeliveryAttempt) -> None:
        url = self._state.settings.deliver_to.get(attempt.target_url)
        if url is None:
            attempt.error = "no route"
            return
        if self._session is None:
            # A connection for each attempt. A receiver could close a kept connection just when it is used again, and the attempt
            # would then fail without the receiver's fault.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "unlimcall-sandbox"},
            )
        headers = {"Content-Type": "application/json", "X-Unlimcall-Signature": attempt.signature}
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
        try:
            async with self._session.post(
                url, data=attempt.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                attempt.status = response.status
        except TimeoutError:
            attempt.error = "timeout"
        except (aiohttp.ClientError, OSError):
            attempt.error = "connection"
