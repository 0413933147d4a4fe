"""One event, handled once: claimed in the store, given to its handlers, confirmed."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from unlimcall_async.webhooks.events import Event
from unlimcall_async.webhooks.responses import FAILED, HANDLED, NOT_NOW, SEEN, Response
from unlimcall_async.webhooks.steady import SteadyClock
from unlimcall_async.webhooks.stores import LEASE_SECONDS, Claim, SeenStore, Standing, current_claim

T = TypeVar("T")

_logger = logging.getLogger("unlimcall_async")

# A delivery waits so long for another delivery of its event that is being handled, and gets its response when that one ends. To
# turn it away at once would be a failure in the sender's count. The wait is longer than the claim of a dead process lasts.
_WAIT_SECONDS: Final = LEASE_SECONDS + 5
# How often to ask the store whether a delivery that another process handles has ended.
_POLL_SECONDS: Final = 0.25
# What a handler gets for its cleanup after it was cancelled. Then the response is sent, and the handler is left to itself.
_STOP_SECONDS: Final = 1.0


class Handling:
    """The handlers and the store of a receiver, and the events that are being handled in this process."""

    def __init__(self, store: SeenStore, clock: Callable[[], float], timeout: float | None) -> None:
        self.store = store
        self.handlers: list[tuple[type[Event], Callable[[Any], object]]] = []
        self._clock = clock
        self._steady = SteadyClock()
        # Seconds for each handler.
        self._timeout = timeout
        # The turns of this process: each event that is being claimed or handled, by key. The `Event` is set when a turn ends. With
        # the loop of the turn, because a receiver may be used in one loop after another, or before and after a fork.
        self._turns: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    async def settle(self, key: str, event: Event, signed_at: float | None) -> Response:
        """Handle an event unless it was handled before, and return the response to its delivery.

        `signed_at` is when the delivery was signed, or `None` for an event that was not delivered.
        """
        steady = self._steady.read(asyncio.get_running_loop().time(), self._clock(), signed_at)
        delivery = _Delivery(Claim(key, self.store, steady=steady), event, self._timeout)
        try:
            async with self._turn(key) as deadline:
                standing = "busy" if deadline is None else await self._claim(delivery, deadline)
                if standing == "claimed":
                    return await self._handle(delivery)
        except _FailedError as failed:
            return failed.response
        return SEEN if standing == "seen" else NOT_NOW

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[float | None]:
        """Wait until no other delivery of the event has its turn, and take the turn for the block.

        Not left to the store: a claim runs out by the clock, and after a step of the clock two deliveries could have the event.

        Returns:
            The loop's time until which the delivery may wait for other processes, or `None` if its turn has not come by then.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _WAIT_SECONDS
        limit = asyncio.timeout_at(deadline)
        with suppress(TimeoutError):
            async with limit:
                while (other := self._turns.get(key)) is not None and other[0] is loop:
                    await other[1].wait()
        if limit.expired():
            yield None
            return
        turn = self._turns[key] = (loop, asyncio.Event())
        try:
            yield deadline
        finally:
            if self._turns.get(key) is turn:
                del self._turns[key]
            turn[1].set()

    async def _claim(self, delivery: _Delivery, deadline: float) -> Standing:
        """Claim the event. While another process handles the event, wait for the end of that, until the deadline."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                standing = await delivery.ask(lambda: self.store.claim(delivery.claim, self._clock()), NOT_NOW)
            except BaseException:
                # The store may have made the claim although the request was cancelled or failed.
                await self._release(delivery)
                raise
            left = deadline - loop.time()
            if standing != "busy" or left <= 0:
                return standing
            await asyncio.sleep(min(left, _POLL_SECONDS))

    async def _handle(self, delivery: _Delivery) -> Response:
        """Call the handlers of a claimed event and confirm the claim. If anything fails, release the claim."""
        claim = delivery.claim
        try:
            async with self._renewed(claim):
                await delivery.call([handler for kind, handler in self.handlers if isinstance(delivery.event, kind)])
            await self._confirm(delivery)
        except BaseException:
            # Without effect if the claim was confirmed.
            await self._release(delivery)
            raise
        return HANDLED

    async def _confirm(self, delivery: _Delivery) -> None:
        """Confirm the claim, and call what waits for that.

        A store cannot take back a commit that is under way. So if something waits for the event to be handled, a request that is
        cancelled waits for the store's answer. Else the repeat would find the event handled, and nobody would call what waits.
        """

        async def confirm() -> None:
            await self.store.confirm(delivery.claim, self._clock())

        if not delivery.claim.followers:
            await delivery.ask(confirm, FAILED)
            return

        async def answer() -> None:
            if (raised := await asyncio.shield(confirming)) is not None:
                raise raised

        confirming = _begun(confirm())
        try:
            await delivery.ask(answer, FAILED)
        finally:
            if not confirming.done():
                # By then the claim may have run out.
                await asyncio.wait([confirming], timeout=LEASE_SECONDS)
                confirming.cancel()
            if confirming.done() and not confirming.cancelled() and confirming.result() is None:
                delivery.follow()

    @asynccontextmanager
    async def _renewed(self, claim: Claim) -> AsyncIterator[None]:
        """Renew the claim until the block ends, so that the claim does not run out."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_SECONDS / 3)
                try:
                    await self.store.claim(claim, self._clock())
                except BaseException as error:
                    if _is_our_end(error, 0):
                        raise
                    # The next renewal may succeed, and `confirm` finds a claim that was lost.
                    _logger.warning("the claim to a webhook was not renewed: %s", type(error).__name__)

        renewal = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)

    async def _release(self, delivery: _Delivery) -> None:
        with suppress(_FailedError):
            await delivery.ask(lambda: self.store.release(delivery.claim), NOT_NOW)


def when_handled(call: Callable[[], object]) -> None:
    """Call a function when the event that is being handled here is recorded as handled. Call it at once if no event is.

    Call `when_handled` from a handler of a receiver. If any handler or the store fails, the function is not called, and the sender
    repeats the event. The function runs in the event loop, so it must not block. What the function raises is logged. If the process
    ends before, the function is not called: use `SQLiteStore.at_commit` for what must not be lost.

    Raises:
        TypeError: `call` is not callable, or is a coroutine function.
    """
    if inspect.iscoroutinefunction(call) or not callable(call):
        raise TypeError("call must be a plain function without arguments")
    claim = current_claim.get()
    if claim is None or claim.closed:
        call()
    else:
        claim.followers.append(call)


class _FailedError(Exception):
    """A handler or the store failed, and the failure was logged; `response` is for the sender."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response


class _Delivery:
    """One delivery, in the task of its request."""

    def __init__(self, claim: Claim, event: Event, timeout: float | None) -> None:
        self.claim = claim
        self.event = event
        self._timeout = timeout
        self._cancelled_before = _cancellations()

    async def call(self, handlers: list[Callable[[Any], object]]) -> None:
        """Call all handlers, one after the other. After a failure the others run all the same; then raise `_FailedError`."""
        succeeded = True
        context = current_claim.set(self.claim)
        try:
            for handler in handlers:
                succeeded &= await self._call(handler)
        finally:
            current_claim.reset(context)
            # A handler that was left to itself can no longer add an effect.
            self.claim.closed = True
        if not succeeded:
            raise _FailedError(FAILED)

    async def _call(self, handler: Callable[[Any], object]) -> bool:
        """Call a handler, log its failure, and return whether it succeeded in time."""
        name = getattr(handler, "__qualname__", type(handler).__qualname__)
        try:
            result = handler(self.event)
        except BaseException as error:  # noqa: BLE001 # also what would end the server
            self._log_failure(name, error)
            return False
        if not inspect.isawaitable(result):
            if inspect.isgenerator(result) or inspect.isasyncgen(result):
                # Nothing of it has run, for example because a decorator hides a generator function.
                self._log_failure(name, TypeError("a handler returned a generator"))
                return False
            return True
        # In a task of its own, because a handler may refuse to be cancelled. The request can then go on without that handler.
        work = _begun(result)
        try:
            await asyncio.wait([work], timeout=self._timeout)
        except asyncio.CancelledError:
            # `wait` raises nothing of the handler's: the request was cancelled.
            await _stop(work)
            raise
        if not work.done():
            await _stop(work)
            state = "ended" if work.done() else "does not end"
            kind = type(self.event).__name__
            _logger.error("%s took longer than %s s on a %s, was cancelled and %s", name, self._timeout, kind, state)
            return False
        raised = work.result()
        if raised is not None:
            self._log_failure(name, raised)
        return raised is None

    def follow(self) -> None:
        """Call what waits for the end of the event. The event stays handled, also if a function fails."""
        for follower in self.claim.followers:
            try:
                follower()
            except BaseException as error:  # noqa: BLE001 # also what would end the server
                self._log_failure("a function that was given to when_handled", error)

    async def ask(self, step: Callable[[], Awaitable[T]], response: Response) -> T:
        """Return the store's answer. If the store fails, log that and raise `_FailedError`.

        Only a cancellation of this task passes. A `CancelledError` may also come from another task, for which the store waited.
        """
        try:
            return await step()
        except BaseException as error:
            if _is_our_end(error, self._cancelled_before):
                raise
            self._log_failure("the store of seen webhooks, or an effect given to it,", error)
            raise _FailedError(response) from None

    def _log_failure(self, what: str, error: BaseException) -> None:
        # The log says where the error was raised, and not its text, which may hold a phone number.
        place = "".join(traceback.format_tb(error.__traceback__)).rstrip()
        _logger.error("%s failed on a %s: %s\n%s", what, type(self.event).__name__, type(error).__name__, place)


# The handlers and the confirmations under way. The event loop itself keeps no task alive.
_at_work: Final[set[asyncio.Task[BaseException | None]]] = set()


def _begun(work: Awaitable[object]) -> asyncio.Task[BaseException | None]:
    """Return a task for the work, which goes on also if nobody waits for it any more. Its result is what the work raised."""
    task = asyncio.create_task(_outcome(work))
    _at_work.add(task)
    task.add_done_callback(_at_work.discard)
    return task


async def _outcome(result: Awaitable[object]) -> BaseException | None:
    """Wait for the work, and return what it raised. A task that raised `SystemExit` would end the event loop."""
    try:
        await result
    except BaseException as error:  # noqa: BLE001 # as just said
        return error
    return None


async def _stop(work: asyncio.Task[BaseException | None]) -> None:
    """Cancel a handler, and wait a moment for its end."""
    work.cancel()
    await asyncio.wait([work], timeout=_STOP_SECONDS)


def _is_our_end(error: BaseException, cancelled_before: int) -> bool:
    """Return whether an error ends this task itself, rather than being raised by the code that the task called."""
    if isinstance(error, asyncio.CancelledError):
        return _cancellations() > cancelled_before
    return isinstance(error, GeneratorExit)


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
