"""Carries events to the receivers on this machine: it sends, waits and asks `deliveries` what to do next."""

import asyncio
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

import aiohttp
from attrs import frozen

from unlimcall_async.sandbox.deliveries import Delivery, DeliveryAttempt, counted, may_be_retried, retry_delay
from unlimcall_async.sandbox.events import SandboxEvent
from unlimcall_async.sandbox.state import State, Subscription
from unlimcall_async.sandbox.webhook_settings import WebhookSettings

__all__ = ["Courier"]

# Attempts under way at once.  The rest waits here, not in the pool of connections, where it would time out.
_AT_ONCE = 64


@frozen
class _Lot:
    """What chance makes of a delivery."""

    wait: float
    twin: bool
    repeat: bool

    @classmethod
    def draw(cls, settings: WebhookSettings, number: int) -> "_Lot":
        """Draw by the number of the delivery, so that the lots do not depend on how fast the others are."""
        random = Random(f"{settings.seed}.{number}").random  # noqa: S311  # not a secret
        return cls(random() * settings.disorder, random() < settings.twins, random() < settings.repeats)


class Courier:
    """The deliveries under way; after `stop()` it can be used again.

    Attributes:
        attempts: Every attempt, in the order in which they were sent.
    """

    def __init__(self, state: State) -> None:
        self.attempts: list[DeliveryAttempt] = []
        self._state = state
        self._accepted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    def send(self, event: SandboxEvent) -> None:
        """Begin to deliver the event to every enabled subscription for it."""
        for hook in self._state.hooks.values():
            if hook.event == event.type:  # a disabled one drops out at its first attempt
                self._accept(Delivery(hook.id, event))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run some work that ends when the courier stops, and for which `idle()` waits."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, seconds: float) -> float:
        """Wait on the accelerated clock; return how many of the seconds did not really pass."""
        real = seconds / self._settings.speed
        await asyncio.sleep(real)
        return seconds - real

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Give up all that is under way."""
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

    def _accept(self, delivery: Delivery) -> None:
        lot = _Lot.draw(self._settings, self._accepted)
        self._accepted += 1
        self.spawn(self._carry(delivery, lot.wait, repeat=lot.repeat))
        if lot.twin:
            self.spawn(self._carry(Delivery(delivery.hook_id, delivery.event), lot.wait, repeat=False))

    async def _carry(self, delivery: Delivery, wait: float, *, repeat: bool) -> None:
        await self.wait(wait)
        if await self._deliver(delivery) and repeat:
            await self._deliver(delivery.repeated())

    async def _deliver(self, delivery: Delivery) -> bool:
        """Try until the event is delivered or will never be; return whether it was."""
        while True:
            attempt = await self._try(delivery)
            if attempt is None or attempt.delivered:
                return attempt is not None
            delay = retry_delay(delivery, self._settings.first_delay) if may_be_retried(attempt) else None
            if delay is None:
                return False
            delivery.waited(delay, left_out=await self.wait(delay))

    async def _try(self, delivery: Delivery) -> DeliveryAttempt | None:
        """Make one attempt; `None` if the subscription has been disabled, which then gets nothing more."""
        async with self._slots:
            hook = self._hook(delivery)
            if not hook.enabled:
                return None
            attempt = delivery.attempt(hook, self._settings, now=time.time())
            self.attempts.append(attempt)
            await self._post(attempt)
            # Looked up again: it may have been deleted, or have failed elsewhere, while the answer was awaited.
            self._state.hooks[hook.id] = counted(self._hook(delivery), attempt)
            return attempt

    def _hook(self, delivery: Delivery) -> Subscription:
        return self._state.hooks[delivery.hook_id]

    async def _post(self, attempt: DeliveryAttempt) -> None:
        url = self._state.settings.deliver_to.get(attempt.target_url)
        if url is None:
            attempt.error = "no route"
            return
        headers = {"Content-Type": "application/json", "X-Unlimcall-Signature": attempt.signature}
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
        try:
            async with self._open_session().post(
                url, data=attempt.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                attempt.status = response.status
        except TimeoutError:
            attempt.error = "timeout"
        except (aiohttp.ClientError, OSError):
            attempt.error = "connection"

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A connection for each attempt: one that was kept could be closed by the receiver just as it is used again,
            # which would be a failure that the receiver did not have.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "unlimcall-sandbox"},
            )
        return self._session
