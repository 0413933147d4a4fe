"""One event, handled once: claimed in the store, given to its handlers, confirmed."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

from unlimcall_async.webhooks.events import Event
from unlimcall_async.webhooks.responses import FAILED, HANDLED, NOT_NOW, SEEN, Response
from unlimcall_async.webhooks.stores import LEASE_SECONDS, Claim, SeenStore, Standing, current_claim

_logger = logging.getLogger("unlimcall_async")

# A delivery waits so long for another delivery of its event that is being handled, and gets its response when that one ends. To
# turn it away at once would be a failure in the sender's count. The wait is longer than the claim of a dead process lasts.
_WAIT_SECONDS: Final = LEASE_SECONDS + 5
# How often to ask the store whether a delivery that another process handles has ended.
_POLL_SECONDS: Final = 0.25


class Handling:
    """The handlers and the store of a receiver, and the events that are being handled in this process."""

    def __init__(self, store: SeenStore, clock: Callable[[], float]) -> None:
        self.store = store
        self.handlers: list[tuple[type[Event], Callable[[Any], object]]] = []
        self._clock = clock
        # By the key of each event that is being handled in this process: set when its handling ends.
        self._under_way: dict[str, asyncio.Event] = {}

    async def settle(self, key: str, event: Event) -> Response:
        """Handle an event unless it was handled before, and return the response to its delivery."""
        delivery = _Delivery(Claim(key, self.store), event)
        try:
            standing = await self._claim(delivery)
            if standing == "claimed":
                return await self._handle(delivery)
        except _FailedError as failed:
            return failed.response
        return SEEN if standing == "seen" else NOT_NOW

    async def _claim(self, delivery: _Delivery) -> Standing:
        """Claim the event. While another delivery of the event is being handled, wait for its end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _WAIT_SECONDS
        while True:
            try:
                with delivery.contain("the store of seen webhooks", NOT_NOW):
                    standing = await self.store.claim(delivery.claim, self._clock())
            except BaseException:
                # The store may have made the claim although the request was cancelled or failed.
                await self._release(delivery)
                raise
            left = deadline - loop.time()
            if standing != "busy" or left <= 0:
                return standing
            other = self._under_way.get(delivery.claim.key)
            if other is None:  # in another process, which can be seen only in the store
                await asyncio.sleep(min(left, _POLL_SECONDS))
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await other.wait()

    async def _handle(self, delivery: _Delivery) -> Response:
        """Call the handlers of a claimed event and confirm the claim. If anything fails, release the claim."""
        claim = delivery.claim
        ended = self._under_way[claim.key] = asyncio.Event()
        confirmed = False
        try:
            async with self._renewed(claim):
                await delivery.call([handler for kind, handler in self.handlers if isinstance(delivery.event, kind)])
            with delivery.contain("the store of seen webhooks, or an effect given to it,", FAILED):
                await self.store.confirm(claim, self._clock())
            confirmed = True
        finally:
            try:
                if not confirmed:
                    await self._release(delivery)
            finally:
                # Only now: a delivery that waits for `ended` finds the claim confirmed or free.
                if self._under_way.get(claim.key) is ended:
                    del self._under_way[claim.key]
                ended.set()
        return HANDLED

    @asynccontextmanager
    async def _renewed(self, claim: Claim) -> AsyncIterator[None]:
        """Renew the claim until the block ends, so that the claim does not run out."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_SECONDS / 3)
                try:
                    await self.store.claim(claim, self._clock())
                except Exception as error:  # noqa: BLE001 # the next renewal may succeed; `confirm` finds a claim that was lost
                    _logger.warning("the claim to a webhook was not renewed: %s", type(error).__name__)

        renewal = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _release(self, delivery: _Delivery) -> None:
        with suppress(_FailedError), delivery.contain("the store of seen webhooks", NOT_NOW):
            await self.store.release(delivery.claim)


class _FailedError(Exception):
    """A handler or the store failed, and the failure was logged; `response` is for the sender."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response


class _Delivery:
    """One delivery, in the task of its request."""

    def __init__(self, claim: Claim, event: Event) -> None:
        self.claim = claim
        self.event = event
        self._cancelled_before = _cancellations()

    async def call(self, handlers: list[Callable[[Any], object]]) -> None:
        """Call all handlers, one after the other. After a failure the others run all the same; then raise `_FailedError`."""
        failed: _FailedError | None = None
        context = current_claim.set(self.claim)
        try:
            for handler in handlers:
                name = getattr(handler, "__qualname__", type(handler).__qualname__)
                try:
                    with self.contain(name, FAILED):
                        result = handler(self.event)
                        if inspect.isawaitable(result):
                            await result
                except _FailedError as error:
                    failed = error
        finally:
            current_claim.reset(context)
            self.claim.closed = True
        if failed is not None:
            raise failed

    @contextmanager
    def contain(self, what: str, response: Response) -> Iterator[None]:
        """Log whatever the block raises and raise `_FailedError` instead. Let only a cancellation of this task pass.

        A `CancelledError` that a handler raises may come from another task that the handler waited for.
        """
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _cancellations() > self._cancelled_before:
                raise
            # The log says where the error was raised, and not its text, which may hold a phone number.
            place = "".join(traceback.format_tb(error.__traceback__)).rstrip()
            kind = type(self.event).__name__
            _logger.error("%s failed on a %s: %s\n%s", what, kind, type(error).__name__, place)  # noqa: TRY400 # as just said
            raise _FailedError(response) from None


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
