"""The public API, used as users use it, for the type checkers: this file is checked, not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.message import Message
from pathlib import Path
from ssl import create_default_context
from typing import Any, Literal, assert_type

import aiohttp
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from starlette.datastructures import Headers

from unlimcall_async import (
    Agent,
    APIError,
    AsyncClient,
    Balance,
    CallRecord,
    CdrChange,
    CdrFollow,
    CdrKey,
    CdrPage,
    CdrStream,
    Checkpoint,
    CheckpointFile,
    CheckpointJournal,
    FollowStats,
    Hook,
    Identity,
    LimitState,
    Observation,
    Observer,
    Progress,
    QueuedCall,
    RateLimit,
    RateLimits,
    Raw,
    RawResponse,
    ResponseError,
    RetryPolicy,
    StreamStats,
    UnlimCallError,
    UnreadableRow,
    WindowSaturatedError,
    from_dict,
    to_dict,
    to_json,
    track,
)
from unlimcall_async.accounts import AccountError, AccountErrorGroup, Accounts, AccountsProgress
from unlimcall_async.columns import SCHEMA, write_parquet
from unlimcall_async.proof import DayDigest, Manifest, Verification
from unlimcall_async.shared import LimiterUnavailableError, SharedRateLimits
from unlimcall_async.sync import (
    Destination,
    SyncProgress,
    SyncResult,
    SyncSchemaError,
    read_manifest,
    read_records,
    repair_cdrs,
    sync_cdrs,
)
from unlimcall_async.telemetry import OpenTelemetryObserver
from unlimcall_async.webhooks import (
    CallEnded,
    CallTracker,
    Event,
    ReceiverStats,
    SQLiteStore,
    WebhookReceiver,
    parse_event,
    receive,
    sign,
    verify,
    when_handled,
)


def alert(error: UnlimCallError) -> None:
    assert_type(error.outcome_unknown, bool)


class Failures(Observer):
    """An observer that watches calls alone."""

    def call(self, info: Observation, /) -> None:
        assert_type((info.endpoint, info.method, info.path, info.number), tuple[str, str, str, int])
        assert_type((info.status, info.error, info.request_id), tuple[int | None, str | None, str | None])
        assert_type((info.waited_s, info.elapsed_s), tuple[float, float])


async def wholes(client: AsyncClient, start: datetime) -> None:
    raw = client.raw
    whole = await raw.me(timeout=1, headers={"X": "y"})
    assert_type(whole, Raw[Identity])
    assert_type(whole.value, Identity)
    assert_type((whole.status, whole.attempts, whole.elapsed_s), tuple[int, int, float])
    assert_type((whole.headers, whole.request_id), tuple[Mapping[str, str], str | None])
    assert_type(await raw.balance(), Raw[Balance])
    assert_type(await raw.agents(), Raw[list[Agent]])
    assert_type(await raw.cdrs.list(start, None, 5), Raw[CdrPage])
    assert_type(await raw.calls.create(ai_agent_id="1", to_number="+12"), Raw[QueuedCall])
    assert_type(await raw.hooks.create(event="call.ended", target_url="https://example.com"), Raw[Hook])
    assert_type(await raw.hooks.delete("id"), Raw[None])
    assert_type(await raw.request("GET", "/numbers"), Raw[RawResponse])
    await client.cdrs.list(start, timeout=1, headers={"X": "y"})
    await client.hooks.delete("id", timeout=1, headers={"X": "y"})


def manifests(stream: CdrStream) -> None:
    assert_type(stream.manifest + stream.take_manifest(), Manifest)


async def endpoints(start: datetime, session: aiohttp.ClientSession) -> None:
    async with AsyncClient(
        "token",
        base_url="https://example.com",
        timeout=3,
        retry=RetryPolicy(delays=(1, 2.5), jitter=0, max_retry_after=5, on_give_up=alert, rate_limited_for=60),
        rate_limits=RateLimits(cdrs=RateLimit(60, per_day=None, burst=3), me=None),
        max_connections=3,
        session=session,
        allow_plain_http=True,
        observer=Failures(),
        proxy="http://proxy.example:3128",
        ssl=create_default_context(),
    ) as client:
        assert_type(client, AsyncClient)
        assert_type(client.with_options(timeout=1, max_wait=0.5, observer=Observer()), AsyncClient)
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
        assert_type(list(page), list[CallRecord])
        assert_type(to_dict(page), dict[str, Any])
        assert_type(to_json(page), bytes)
        assert_type(from_dict(CdrPage, to_dict(page)), CdrPage)
        assert_type(dict(balance), dict[str, Any])
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
        assert_type(stream.progress.eta, datetime | None)
        assert_type(client.limits(), Mapping[str, LimitState])
        assert_type(stream.unreadable, list[UnreadableRow])
        for row in stream.unreadable:
            assert_type(
                (row.window, row.where, row.reason, row.body), tuple[tuple[datetime, datetime], str, str, bytes]
            )
        assert_type(stream.stats, StreamStats)
        assert_type(stream.checkpoint, Checkpoint)
        assert_type(Checkpoint.from_json(stream.checkpoint.to_json()), Checkpoint)
        client.cdrs.stream(start, settle=timedelta(hours=2), resume=stream.checkpoint)
        follow = client.cdrs.follow(
            start, interval=timedelta(seconds=5), lookback=timedelta(hours=1), unreadable="keep"
        )
        assert_type(follow, CdrFollow)
        async with follow:
            async for record in follow:
                assert_type(record, CallRecord)
            async for batch in follow.batches():
                assert_type(batch, list[CallRecord])
        assert_type(follow.checkpoint, Checkpoint)
        assert_type(follow.stats, FollowStats)
        assert_type(follow.unreadable, list[UnreadableRow])
        assert_type(follow.stats.clock_skew_s, float | None)
        assert_type(follow.stats.lag_s, float)
        assert_type(
            (follow.stats.late, follow.stats.latest_s, follow.stats.late_p99_s), tuple[int, float | None, float | None]
        )
        raw = await client.request("GET", "/numbers", params={"n": 1}, headers={"X": "y"})
        assert_type(raw, RawResponse)
        assert_type(raw.json(), Any)


async def changed(follow: CdrFollow) -> None:
    async for change in follow.changes():
        assert_type(change, CdrChange)
        assert_type(change.kind, Literal["added", "revised", "removed"])
        assert_type((change.record, change.key), tuple[CallRecord | None, CdrKey])
    assert_type((follow.stats.revised, follow.stats.removed), tuple[int, int])


async def tracked(client: AsyncClient, start: datetime) -> None:
    assert_type((client.base_url, client.proxy), tuple[str, str | None])
    async for record in track(client.cdrs.stream(start)):
        assert_type(record, CallRecord)
    async for batch in track(client.cdrs.follow(start)).batches():
        assert_type(batch, list[CallRecord])


def journals(checkpoint: Checkpoint) -> None:
    journal = CheckpointJournal(["text", b"text"])
    assert_type(journal.checkpoint, Checkpoint | None)
    with journal.storing(checkpoint, note={"length": 1}) as entry:
        assert_type((entry.text, entry.is_base), tuple[str, bool])
    assert_type(CheckpointJournal.from_lines(b"lines"), tuple[CheckpointJournal, int])
    with CheckpointFile("name") as file:
        assert_type(file, CheckpointFile)
        file.store(checkpoint, note=1)
        assert_type(file.checkpoint, Checkpoint | None)
        assert_type(file.note, Any)


def errors(error: UnlimCallError) -> None:
    if isinstance(error, APIError):
        assert_type(error.code, str | None)
        assert_type((error.retry_after, error.request_id), tuple[float | None, str | None])
        assert_type(error.body, bytes)
    if isinstance(error, ResponseError):
        assert_type((error.resume_after, error.request_id), tuple[Checkpoint | None, str | None])
    if isinstance(error, WindowSaturatedError):
        assert_type(error.seen, Sequence[CallRecord])


async def columns(client: AsyncClient, start: datetime) -> None:
    stream = client.cdrs.stream(start)
    assert_type(await stream.to_list(), list[CallRecord])
    # pyarrow has no types: its names are `Any`.
    assert_type([batch async for batch in stream.arrow(rows=1000)], list[Any])
    assert_type([batch async for batch in track(stream).arrow()], list[Any])
    (await stream.to_arrow()).num_rows  # noqa: B018 # for the checkers
    assert_type(await write_parquet(stream, "calls.parquet"), int)
    assert_type(await write_parquet(track(stream), Path("calls.parquet")), int)
    SCHEMA.names  # noqa: B018 # for the checkers


async def webhooks(body: bytes, header: str | None) -> None:
    assert_type(verify(body, header, ["whsec_a", "whsec_b"], tolerance=300, now=1.0), None)
    assert_type(sign(body, "whsec_a", 1), str)
    assert_type(parse_event(body), Event)
    assert_type(receive(body, header, "whsec_a"), Event)
    async with SQLiteStore("seen.db") as store:
        receiver = WebhookReceiver("whsec_a", store=store, handler_timeout=None, body_timeout=2.5)

        @receiver.on(CallEnded)
        async def ended(event: CallEnded) -> None:
            assert_type(event.call_id, str | None)
            assert_type(event.duration_sec, float | None)

        @receiver.on(Event)
        def anything(event: Event) -> None:
            assert_type(event.occurred_at, datetime | None)
            assert_type(event.id, str | int | None)
            assert_type(when_handled(lambda: event.id), None)

        assert_type(await receiver.handle(body, {"X-Unlimcall-Signature": "t=1"}), tuple[int, bytes])
        await receiver.handle(body, [(b"x-unlimcall-signature", b"t=1")])
        await receiver.handle(body, Message())
        await receiver.handle(body, Headers({"X-Unlimcall-Signature": "t=1"}))
        assert_type(receiver.stats, ReceiverStats)
        assert_type(receiver.stats.refused, Mapping[str, int])
        tracker = CallTracker(receiver)
        assert_type(await tracker.ended("id", timeout=3), CallEnded)


async def observe(start: datetime, tracers: TracerProvider, meters: MeterProvider) -> None:
    observer = OpenTelemetryObserver(tracer_provider=tracers, meter_provider=meters, name="acme")
    async with AsyncClient(observer=observer) as client:
        assert_type(observer.watch(client.cdrs.stream(start)), CdrStream)
        assert_type(observer.watch(client.cdrs.follow(start)), CdrFollow)
        assert_type(observer.watch(WebhookReceiver("whsec_a")), WebhookReceiver)


async def prove(client: AsyncClient, start: datetime, end: datetime) -> None:
    stream = client.cdrs.stream(start, end, manifest=True)
    records = await stream.to_list()
    manifest = Manifest.from_json(stream.manifest.to_json()) + stream.manifest
    assert_type(manifest, Manifest)
    assert_type(manifest.days, Mapping[date, DayDigest])
    assert_type(manifest.windows[0].reason, Literal["short", "sought"])
    assert_type(DayDigest.of(records) + manifest.total, DayDigest)
    verification = await client.cdrs.verify(manifest, counts_only=True)
    assert_type(verification, Verification)
    verification = await client.cdrs.verify(iter(records), start, end)
    assert_type(verification.differences[0].revised, tuple[tuple[CallRecord, CallRecord], ...])


async def share_limits(url: str) -> None:
    shared = SharedRateLimits(url, RateLimits(cdrs=RateLimit(120)), on_outage="raise")
    assert_type(shared.limits, RateLimits)
    async with AsyncClient(rate_limits=shared) as client, client.with_options(rate_limits=shared) as view:
        try:
            await view.me()
        except LimiterUnavailableError as error:
            assert_type((error.server, error.reason), tuple[str, str])


async def sync_into_tables(client: AsyncClient, start: datetime, mine: Destination) -> None:
    def show(progress: SyncProgress) -> None:
        assert_type(progress.fraction, float)
        assert_type(progress.inserted, int)

    try:
        result = await sync_cdrs(client, "sqlite:///calls.db", start, lookback=timedelta(days=7), on_progress=show)
    except SyncSchemaError as error:
        assert_type(error.differences, Sequence[str])
    else:
        assert_type(result, SyncResult)
        assert_type(result.watermark, datetime)
        assert_type(result.unreadable, list[UnreadableRow])
    await sync_cdrs(client, mine, None, account="acme", table="calls")
    assert_type(await read_manifest("sqlite:///calls.db", "acme"), Manifest)
    async for records in read_records("sqlite:///calls.db", start=start):
        assert_type(records, list[CallRecord])
    assert_type(await repair_cdrs(client, mine, [start.date(), (start, start)]), SyncResult)


async def many_accounts(start: datetime, session: aiohttp.ClientSession) -> None:
    async with Accounts({"acme": "unl_live_1"}, timeout=5, session=session, rate_limits=RateLimits()) as accounts:
        assert_type(accounts.names, tuple[str, ...])
        assert_type(accounts.client("acme"), AsyncClient)
        pull = accounts.pull(start, at_once=8, unreadable="keep")
        try:
            async for account, batch in pull:
                assert_type(account, str)
                assert_type(batch, list[CallRecord])
        except AccountErrorGroup as group:
            assert_type(group.errors, tuple[AccountError, ...])
            assert_type(group.errors[0].checkpoint, Checkpoint | None)
        assert_type(pull.checkpoints, dict[str, Checkpoint])
        assert_type(pull.unreadable, dict[str, list[UnreadableRow]])
        assert_type(pull.progress, AccountsProgress)
        assert_type(pull.progress.under_way, Mapping[str, Progress])
        assert_type(await accounts.each(lambda _, client: client.balance()), dict[str, Balance])
        assert_type(await accounts.sync("sqlite:///calls.db", start), dict[str, SyncResult])
    assert_type(Accounts.from_file(Path("accounts.toml"), proxy="http://proxy.example"), Accounts)
