"""One event, handled once: claimed, handed to its handlers, confirmed. The shell around a store and the handlers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

from unlimcall_async.webhooks.answers import FAILED, HANDLED, NOT_NOW, SEEN, Answer
from unlimcall_async.webhooks.claims import LEASE_SECONDS, Claim, SeenStore, Standing, current_claim
from unlimcall_async.webhooks.events import Event

_logger = logging.getLogger("unlimcall_async")

# A repeat waits so long for the delivery that is being handled, and answers as that ends: to turn it away at once would be a
# failure in the sender's count. Longer than the claim of a dead process lasts.
_TWIN_SECONDS: Final = LEASE_SECONDS + 5
# How often to look whether a delivery that another process handles has come to its end.
_LOOK_SECONDS: Final = 0.25


class Handling:
    """The handlers, the store, and what is being handled here."""

    def __init__(self, store: SeenStore, clock: Callable[[], float]) -> None:
        self.store = store
        self.handlers: list[tuple[type[Event], Callable[[Any], object]]] = []
        self._clock = clock
        # Of each event that is being handled here, what is set when that ends.
        self._at_work: dict[str, asyncio.Event] = {}

    async def settle(self, key: str, event: Event) -> Answer:
        """Handle an event unless that was done before, and say what to answer."""
        delivery = _Delivery(Claim(key, self.store), event)
        try:
            standing = await self._standing(delivery)
            if standing == "claimed":
                return await self._work(delivery)
        except _FailedError as failed:
            return failed.answer
        return SEEN if standing == "seen" else NOT_NOW

    async def _standing(self, delivery: _Delivery) -> Standing:
        """Claim the event; while it is being handled elsewhere, wait for the end of that."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _TWIN_SECONDS
        while True:
            try:
                with delivery.contain("the store of seen webhooks", NOT_NOW):
                    standing = await self.store.claim(delivery.claim, self._clock())
            except BaseException:
                # Cancelled or failed, the claim may have been made all the same.
                await self._release(delivery)
                raise
            left = deadline - loop.time()
            if standing != "busy" or left <= 0:
                return standing
            await self._twin_ends(delivery.claim.key, left)

    async def _twin_ends(self, key: str, left: float) -> None:
        twin = self._at_work.get(key)
        if twin is None:
            await asyncio.sleep(min(left, _LOOK_SECONDS))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await twin.wait()

    async def _work(self, delivery: _Delivery) -> Answer:
        """Handle a claimed event and confirm it; whatever else happens, give the claim up."""
        key, claim = delivery.claim.key, delivery.claim
        ended = self._at_work[key] = asyncio.Event()
        confirmed = False
        try:
            async with self._renewed(claim):
                await self._call_handlers(delivery)
            with delivery.contain("the store of seen webhooks, or an effect given to it,", FAILED):
                await self.store.confirm(claim, self._clock())
            confirmed = True
        finally:
            try:
                if not confirmed:
                    await self._release(delivery)
            finally:
                # A repeat that waits for this finds the claim confirmed or free.
                if self._at_work.get(key) is ended:
                    del self._at_work[key]
                ended.set()
        return HANDLED

    async def _call_handlers(self, delivery: _Delivery) -> None:
        """Call all handlers of the event, also after one that fails: its fault is not theirs."""
        claim, event = delivery.claim, delivery.event
        failed: _FailedError | None = None
        context = current_claim.set(claim)
        try:
            for kind, handler in self.handlers:
                if isinstance(event, kind):
                    try:
                        await delivery.call(handler)
                    except _FailedError as error:
                        failed = error
        finally:
            current_claim.reset(context)
            claim.closed = True
        if failed is not None:
            raise failed

    @asynccontextmanager
    async def _renewed(self, claim: Claim) -> AsyncIterator[None]:
        """Keep the claim from running out meanwhile."""
        renewal = asyncio.create_task(self._renew(claim))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self.store.claim(claim, self._clock())
            except Exception as error:  # noqa: BLE001 # the next one may work; the confirmation finds out what counts
                _logger.warning("the claim to a webhook was not renewed: %s", type(error).__name__)

    async def _release(self, delivery: _Delivery) -> None:
        with suppress(_FailedError), delivery.contain("the store of seen webhooks", NOT_NOW):
            await self.store.release(delivery.claim)


class _FailedError(Exception):
    """Something failed and was logged; the sender gets `answer`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class _Delivery:
    """One delivery, in the task that its request runs in."""

    def __init__(self, claim: Claim, event: Event) -> None:
        self.claim = claim
        self.event = event
        self._cancelled_before = _cancellations()

    async def call(self, handler: Callable[[Any], object]) -> None:
        """Call a handler, and wait for it if it is a coroutine function."""
        with self.contain(getattr(handler, "__qualname__", type(handler).__qualname__), FAILED):
            result = handler(self.event)
            if inspect.isawaitable(result):
                await result

    @contextmanager
    def contain(self, what: str, answer: Answer) -> Iterator[None]:
        """Make a `_FailedError` of whatever goes wrong, but let the cancellation of this very task through.

        A `CancelledError` that comes out of a handler may be that of something it waited for.
        """
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cancellations() > self._cancelled_before:
                raise
            # Where it happened, but not what it says: that may hold a number.
            place = "".join(traceback.format_tb(error.__traceback__)).rstrip()
            kind = type(self.event).__name__
            _logger.error("%s failed on a %s: %s\n%s", what, kind, type(error).__name__, place)  # noqa: TRY400
            raise _FailedError(answer) from None


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
