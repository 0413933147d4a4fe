"""The public API, used as users use it, for the type checkers: this file is checked, not run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, assert_type

import aiohttp

from unlimcall_async import (
    Agent,
    APIError,
    AsyncClient,
    Balance,
    CallRecord,
    CdrFollow,
    CdrPage,
    Checkpoint,
    FollowStats,
    Hook,
    Identity,
    Progress,
    QueuedCall,
    RateLimit,
    RateLimits,
    RawResponse,
    ResponseError,
    RetryPolicy,
    StreamStats,
    UnlimCallError,
    WindowSaturatedError,
)


def alert(error: UnlimCallError) -> None:
    assert_type(error.outcome_unknown, bool)


async def endpoints(start: datetime, session: aiohttp.ClientSession) -> None:
    async with AsyncClient(
        "token",
        base_url="https://example.com",
        timeout=3,
        retry=RetryPolicy(delays=(1, 2.5), jitter=0, max_retry_after=5, on_give_up=alert),
        rate_limits=RateLimits(cdrs=RateLimit(60, per_day=None, burst=3), me=None),
        max_connections=3,
        session=session,
        allow_plain_http=True,
    ) as client:
        assert_type(client, AsyncClient)
        assert_type(client.with_options(timeout=1), AsyncClient)
        assert_type(await client.me(), Identity)
        balance = await client.balance()
        assert_type(balance, Balance)
        assert_type(balance.balance, Decimal)
        assert_type(balance.credit_limit, Decimal | None)
        assert_type(await client.agents(), list[Agent])
        page = await client.cdrs.list(start, None, 5)
        assert_type(page, CdrPage)
        assert_type(page.calls, tuple[CallRecord, ...])
        assert_type(page.calls[0].src, str | None)
        assert_type(page.calls[0].start_time, datetime)
        assert_type(await client.calls.create(ai_agent_id="1", to_number="+12", metadata={"a": [1]}), QueuedCall)
        hook = await client.hooks.create(event="call.ended", target_url="https://example.com")
        assert_type(hook, Hook)
        assert_type(await client.hooks.delete(hook.id), None)
        stream = client.cdrs.stream(start, None, newest_first=True, concurrency=2, page_size=10, strategy="divide")
        async with stream:
            async for record in stream:
                assert_type(record, CallRecord)
            async for batch in stream.batches():
                assert_type(batch, list[CallRecord])
        assert_type(stream.progress, Progress)
        assert_type(stream.stats, StreamStats)
        assert_type(stream.checkpoint, Checkpoint)
        assert_type(Checkpoint.from_json(stream.checkpoint.to_json()), Checkpoint)
        client.cdrs.stream(start, settle=timedelta(hours=2), resume=stream.checkpoint)
        follow = client.cdrs.follow(start, interval=timedelta(seconds=5), lookback=timedelta(hours=1), resume=None)
        assert_type(follow, CdrFollow)
        async with follow:
            async for record in follow:
                assert_type(record, CallRecord)
            async for batch in follow.batches():
                assert_type(batch, list[CallRecord])
        assert_type(follow.checkpoint, Checkpoint)
        assert_type(follow.stats, FollowStats)
        assert_type(follow.stats.lag_s, float)
        raw = await client.request("GET", "/numbers", params={"n": 1}, headers={"X": "y"})
        assert_type(raw, RawResponse)
        assert_type(raw.json(), Any)


def errors(error: UnlimCallError) -> None:
    if isinstance(error, APIError):
        assert_type(error.code, str | None)
        assert_type(error.retry_after, float | None)
        assert_type(error.body, bytes)
    if isinstance(error, ResponseError):
        assert_type(error.resume_after, Checkpoint | None)
    if isinstance(error, WindowSaturatedError):
        assert_type(error.seen, Sequence[CallRecord])
