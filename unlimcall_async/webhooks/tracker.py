"""Calls followed to their end: the click-to-call pattern of the operations guide."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from unlimcall_async import _arguments
from unlimcall_async.webhooks.events import CallEnded
from unlimcall_async.webhooks.receiver import WebhookReceiver

# An event may come before the answer to `POST /calls`, and whoever asks for it a while later than that.
_KEEP_SECONDS: Final = 3600.0
_KEEP_EVENTS: Final = 10_000


class CallTracker:
    """Tells when a call that was placed has ended.

        call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        event = await tracker.ended(call.call_id, timeout=3600)

    It does not matter which comes first, the event or the answer that holds the call's id: events are kept for an hour, the last
    10,000 of them. They are kept in memory, and after a restart they do not come again: what must survive one belongs into a
    handler of `CallEnded` that writes it down.
    """

    def __init__(self, receiver: WebhookReceiver) -> None:
        if not isinstance(receiver, WebhookReceiver):
            raise TypeError(f"receiver must be a WebhookReceiver, not {type(receiver).__name__}")
        # In order of arrival, with the loop's time of it.
        self._ended: OrderedDict[str, tuple[float, CallEnded]] = OrderedDict()
        self._waiting: dict[str, set[asyncio.Future[CallEnded]]] = {}
        receiver.on(CallEnded)(self._note)

    async def ended(self, call_id: str, *, timeout: float | None = None) -> CallEnded:
        """Wait for the end of a call.

        Args:
            call_id: The id that `calls.create` returned.
            timeout: Seconds to wait at most; `None` for ever. A call whose hook is not subscribed to `call.ended` never ends here.

        Raises:
            TimeoutError: The call did not end within `timeout` seconds.
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
            async with asyncio.timeout(limit):
                return await waiter
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiting.get(wanted) is waiters:
                del self._waiting[wanted]

    def _note(self, event: CallEnded) -> None:
        if event.call_id is None:
            return
        self._ended.pop(event.call_id, None)  # to the end of the row
        self._ended[event.call_id] = (asyncio.get_running_loop().time(), event)
        self._forget()
        for waiter in self._waiting.pop(event.call_id, ()):
            if not waiter.done():
                waiter.set_result(event)

    def _forget(self) -> None:
        oldest_kept = asyncio.get_running_loop().time() - _KEEP_SECONDS
        while self._ended:
            arrived, _ = next(iter(self._ended.values()))
            if arrived >= oldest_kept and len(self._ended) <= _KEEP_EVENTS:
                return
            self._ended.popitem(last=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._waiting)} calls awaited, {len(self._ended)} ended>"
