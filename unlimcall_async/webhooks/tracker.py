"""Calls followed to their end: the click-to-call pattern of the operations guide."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from unlimcall_async import _arguments
from unlimcall_async.webhooks.events import CallEnded
from unlimcall_async.webhooks.receiver import WebhookReceiver

# An event may come before the response to `POST /calls`, and the user may ask for it some time after that.
_KEEP_SECONDS: Final = 3600.0
# Bounds the memory if very many calls end within the hour.
_KEEP_EVENTS: Final = 10_000


class CallTracker:
    """Waits for the end of calls that were placed, by their `call.ended` events.

        tracker = CallTracker(receiver)
        call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        event = await tracker.ended(call.call_id, timeout=3600)

    The event may come before or after the response to `POST /calls`: the tracker keeps events for an hour, and the last 10,000 at
    most. It keeps them in memory only. If your work must survive a restart, do it in a handler of `CallEnded` that writes to a
    database.

    Args:
        receiver: The receiver of a hook for `call.ended`. The tracker registers a handler of `CallEnded` with it.

    Raises:
        TypeError: `receiver` is not a `WebhookReceiver`.
    """

    def __init__(self, receiver: WebhookReceiver) -> None:
        if not isinstance(receiver, WebhookReceiver):
            raise TypeError(f"receiver must be a WebhookReceiver, not {type(receiver).__name__}")
        # By call id, in order of arrival, with the event loop's time of arrival.
        self._ended: OrderedDict[str, tuple[float, CallEnded]] = OrderedDict()
        self._waiting: dict[str, set[asyncio.Future[CallEnded]]] = {}
        receiver.on(CallEnded)(self._note)

    async def ended(self, call_id: str, *, timeout: float | None = None) -> CallEnded:
        """Wait for the end of a call, and return its event.

        Args:
            call_id: The id that `calls.create` returned.
            timeout: The most seconds to wait; `None` to wait for ever. Without a hook for `call.ended` the event never comes.

        Raises:
            TimeoutError: The event did not come within `timeout` seconds.
            TypeError: `call_id` is not a `str`, or `timeout` is not a number.
            ValueError: `timeout` is not a finite number above 0.
        """
        wanted = _arguments.text("call_id", call_id)
        limit = None if timeout is None else _arguments.seconds("timeout", timeout)
        self._forget()
        if wanted in self._ended:
            return self._ended[wanted][1]
        waiter: asyncio.Future[CallEnded] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(wanted, set())
        waiters.add(waiter)
        try:
            # Not `asyncio.timeout`: if the event comes in the same turn of the loop, that raises all the same.
            await asyncio.wait([waiter], timeout=limit)
            if not waiter.done():
                raise TimeoutError(f"no call.ended of this call came within {limit:g} s")
            return waiter.result()
        finally:
            waiters.discard(waiter)
            # A new set may stand there since `_note` took this one.
            if not waiters and self._waiting.get(wanted) is waiters:
                del self._waiting[wanted]

    def _note(self, event: CallEnded) -> None:
        if event.call_id is None:
            return
        self._ended.pop(event.call_id, None)  # a key that is set anew moves to the end
        self._ended[event.call_id] = (asyncio.get_running_loop().time(), event)
        self._forget()
        for waiter in self._waiting.pop(event.call_id, ()):
            if not waiter.done():
                waiter.set_result(event)

    def _forget(self) -> None:
        """Drop events that came more than an hour ago, and the oldest beyond the 10,000."""
        oldest_kept = asyncio.get_running_loop().time() - _KEEP_SECONDS
        while self._ended:
            arrived, _ = next(iter(self._ended.values()))
            if arrived >= oldest_kept and len(self._ended) <= _KEEP_EVENTS:
                return
            self._ended.popitem(last=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._waiting)} calls awaited, {len(self._ended)} ended>"
