"""What must hold at any time of a run, watched from outside: each method is called as it is, and looked at before and behind."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from attrs import define, field

from tests.simulation.ledger import Ledger
from tests.simulation.world import World
from unlimcall_async.http import exchange
from unlimcall_async.http.limiter import Limiter, LocalLimiter
from unlimcall_async.http.outcome import Sent
from unlimcall_async.shared.limiter import SharedLimiter

_SPAN: Final = 60.0


@define(eq=False)
class _Bucket:
    """What one limiter has sent, and until when it is paused. The limiter is kept, so that no other has its place in memory."""

    limiter: Limiter
    sends: list[float] = field(factory=list)
    paused_until: float = 0.0


@contextmanager
def watched(world: World) -> Iterator[None]:
    """Insist on the rate limits meanwhile: no span above the limit, and nothing sent during a pause."""
    with ExitStack() as stack:
        _watch_local(world, stack)
        _watch_shared(world, stack)
        yield


def _watch_local(world: World, stack: ExitStack) -> None:
    buckets = dict[int, _Bucket]()

    def bucket_of(limiter: Limiter) -> _Bucket:
        whole = getattr(limiter, "_whole", limiter)
        return buckets.setdefault(id(whole), _Bucket(whole))

    send, pause = exchange.Call._send, LocalLimiter.pause

    async def watched_send(call: Any, request: Any, attempt: Any, *rest: Any) -> Any:
        if isinstance(call.limiter, SharedLimiter):
            return await send(call, request, attempt, *rest)
        bucket, now = bucket_of(call.limiter), world.loop.time()
        if now < bucket.paused_until - 0.001:
            world.complaints.append(f"{call.name} was sent {bucket.paused_until - now:.1f} s before the end of a pause")
        bisect.insort(bucket.sends, now)
        recent = len(bucket.sends) - bisect.bisect_right(bucket.sends, now - _SPAN)
        limit = bucket.limiter.limit
        if limit is not None and recent > limit.per_minute:
            world.complaints.append(
                f"{recent} requests of {call.name} in a minute, and the limit is {limit.per_minute}"
            )
        try:
            return await send(call, request, attempt, *rest)
        finally:
            if attempt.sent is Sent.NOT_SENT:
                bucket.sends.remove(now)

    async def watched_pause(limiter: LocalLimiter, seconds: float) -> None:
        bucket = bucket_of(limiter)
        bucket.paused_until = max(bucket.paused_until, world.loop.time() + seconds)
        await pause(limiter, seconds)

    stack.enter_context(patch.object(exchange.Call, "_send", watched_send))
    stack.enter_context(patch.object(LocalLimiter, "pause", watched_pause))


def _watch_shared(world: World, stack: ExitStack) -> None:
    """Insist on the same over all processes that share a limit."""
    send, pause = exchange.Call._send, SharedLimiter.pause

    def ledger() -> Ledger:
        assert world.limits is not None, "a limit is shared by a server"
        return world.limits.ledger

    async def watched_send(call: Any, request: Any, attempt: Any, token_at: float, *rest: Any) -> Any:
        limiter = call.limiter
        if not isinstance(limiter, SharedLimiter):
            return await send(call, request, attempt, token_at, *rest)
        name, per_minute = limiter._name(token_at), None if limiter.limit is None else limiter.limit.per_minute
        if wrong := ledger().sends(limiter._bucket, name, world.loop.time(), per_minute):
            world.complaints.append(f"{call.name} {wrong}")
        try:
            return await send(call, request, attempt, token_at, *rest)
        finally:
            if attempt.sent is Sent.NOT_SENT:
                ledger().was_not_sent(limiter._bucket, name)

    async def watched_pause(limiter: SharedLimiter, seconds: float) -> None:
        now = world.loop.time()
        await pause(limiter, seconds)
        # A server that does not answer learns of the pause later, before it grants this process anything.
        if not limiter._reports:
            ledger().pauses(limiter._bucket, now, world.loop.time(), seconds)

    stack.enter_context(patch.object(exchange.Call, "_send", watched_send))
    stack.enter_context(patch.object(SharedLimiter, "pause", watched_pause))
