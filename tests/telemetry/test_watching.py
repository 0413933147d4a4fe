"""What is watched is counted once and to its end, is not kept alive, and may be exported from any thread."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.backend import Backend
from tests.webhooks.oracle import NOW, OTHER_SECRET, SECRET, event_body, headers
from unlimcall_async import AsyncClient, CdrStream, StreamStats, _clock
from unlimcall_async.sandbox import Sandbox, SandboxCall, Stall, Status, generate_traffic
from unlimcall_async.webhooks import CallEnded, WebhookReceiver

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 24, tzinfo=UTC)
RECORDS, REQUESTS = "unlimcall.cdrs.records", "unlimcall.cdrs.requests"
DELIVERIES = "unlimcall.webhook.deliveries"

T = TypeVar("T")


def elsewhere(read: Callable[[], T]) -> T:
    """Return what a function returns in another thread, while this one waits."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(read()))
    thread.start()
    thread.join()
    return found[0]


async def until_collected() -> None:
    """Close the generators that were left, and collect what nobody holds."""
    for _ in range(10):
        gc.collect()
        await asyncio.sleep(0)


async def test_a_stream_is_counted_as_its_stats_are(sandbox: Sandbox, client: AsyncClient, backend: Backend) -> None:
    sandbox.add_calls(generate_traffic(3000, start=START, end=END))
    sandbox.inject(Status(503), times=2)
    stream = backend.observer().watch(client.cdrs.stream(START, END))
    await stream.to_list()
    stats = stream.stats
    assert {name: backend.values(name) for name in backend.points() if name.startswith("unlimcall.cdrs")} == {
        RECORDS: {("stream",): 3000},
        REQUESTS: {("stream",): stats.requests},
        "unlimcall.cdrs.retries": {("stream",): 2},
        "unlimcall.cdrs.unreadable": {("stream",): 0},
        "unlimcall.cdrs.wait.time": {("stream",): stats.waited_s},
    }


@pytest.mark.rest_slow
@pytest.mark.parametrize("thread", [False, True], ids=["in the loop", "in another thread"])
async def test_counts_are_right_while_a_stream_runs(
    sandbox: Sandbox, client: AsyncClient, backend: Backend, thread: bool
) -> None:
    sandbox.add_calls(generate_traffic(3000, start=START, end=END))
    stream = backend.observer().watch(client.cdrs.stream(START, END))
    seen = 0
    async for batch in stream.batches():
        known = backend.values(RECORDS) if not thread else elsewhere(lambda: backend.values(RECORDS))
        seen += len(batch)
        # Another thread gets what was read before this batch was handed out.
        assert known == {("stream",): seen} or (thread and known == {("stream",): seen - len(batch)})
    assert elsewhere(lambda: backend.values(RECORDS)) == {("stream",): 3000}


def test_stats_are_read_in_the_thread_of_the_loop_alone(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[int] = []
    read = vars(CdrStream)["stats"].fget

    def stats(stream: CdrStream) -> StreamStats:
        readers.append(threading.get_ident())
        found: StreamStats = read(stream)
        return found

    monkeypatch.setattr(CdrStream, "stats", property(stats))
    asked, exported = threading.Event(), threading.Event()
    # A server that never responds.
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = AsyncClient("unl_live_1", base_url=f"http://127.0.0.1:{server.getsockname()[1]}/api/v1")
        stream = backend.observer().watch(client.cdrs.stream(START, END))

        async def pull() -> None:
            async with client:
                reading = asyncio.create_task(anext(aiter(stream)))
                await asyncio.sleep(0)
                asked.set()
                await asyncio.to_thread(exported.wait, 30)
                reading.cancel()
                await asyncio.wait([reading])

        thread = threading.Thread(target=lambda: asyncio.run(pull()))
        assert backend.values(RECORDS) == {("stream",): 0}
        readers.clear()
        thread.start()
        assert asked.wait(30)
        assert backend.values(RECORDS) == {("stream",): 0}
        exported.set()
        thread.join()
    assert set(readers) == {thread.ident}


@pytest.mark.rest_slow
@pytest.mark.parametrize("way", ["break", "aclose", "error", "cancel"])
async def test_a_stream_that_is_gone_leaves_its_last_counts(
    sandbox: Sandbox, client: AsyncClient, backend: Backend, way: str
) -> None:
    sandbox.add_calls(generate_traffic(2500, start=START, end=END))

    async def pull() -> Callable[[], CdrStream | None]:
        stream = backend.observer().watch(client.cdrs.stream(START, END))
        count = 0
        async for _ in stream:
            count += 1
            if count == 1234:
                if way == "break":
                    break
                if way == "error":
                    raise RuntimeError(weakref.ref(stream))
                if way == "aclose":
                    await stream.aclose()
                if way == "cancel":
                    raise asyncio.CancelledError(weakref.ref(stream))
        return weakref.ref(stream)

    try:
        ref = await pull()
    except (RuntimeError, asyncio.CancelledError) as error:
        ref = error.args[0]
    await until_collected()
    assert ref() is None
    for _ in range(2):
        assert elsewhere(lambda: backend.values(RECORDS)) == {("stream",): 1234}
    assert backend.values(REQUESTS)["stream",] >= 2


async def test_many_streams_add_up_and_none_is_counted_twice(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    sandbox.add_calls(generate_traffic(50, start=START, end=END))
    observer, other = backend.observer(), backend.observer()
    for watcher in (observer, other, observer):
        stream = watcher.watch(client.cdrs.stream(START, END))
        assert other.watch(observer.watch(stream)) is stream
        assert len(await stream.to_list()) == 50
        assert await stream.to_list() == []
    named = backend.observer(name="acme").watch(client.cdrs.stream(START, END))
    await named.to_list()
    assert backend.values(RECORDS) == {("stream",): 150, ("stream", "acme"): 50}


@pytest.mark.slow
async def test_records_that_go_back_into_their_stream_are_not_counted(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    sandbox.add_calls(generate_traffic(8000, start=START, end=END))
    stream = backend.observer().watch(client.cdrs.stream(START, END, newest_first=True, concurrency=1))
    sandbox.inject(Stall(), endpoint="cdrs", skip=6)
    listing = asyncio.create_task(stream.to_list())
    while stream.progress.records < 2000:  # noqa: ASYNC110 # what is waited for sets no event
        await asyncio.sleep(0)
    # Records that were taken for a list are handed out with the whole list.
    assert stream.stats.records == 0
    assert backend.values(RECORDS) == {("stream",): 0}
    listing.cancel()
    await asyncio.wait([listing])
    assert backend.values(RECORDS) == {("stream",): 0}
    sandbox.clear_faults()
    await stream.to_list()
    assert backend.values(RECORDS) == {("stream",): 8000}


@pytest.mark.looptime
async def test_a_follow_has_a_lag_as_long_as_it_is_there(
    sandbox: Sandbox, client: AsyncClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    sandbox.add_calls([SandboxCall(id="1.1", start_time=now - timedelta(minutes=9))])
    follow = backend.observer(name="acme").watch(client.cdrs.follow(now - timedelta(minutes=10)))
    assert backend.values("unlimcall.cdrs.lag")["acme",] == pytest.approx(600, abs=5)
    async with follow:
        async for _ in follow:
            break
    assert backend.values("unlimcall.cdrs.lag")["acme",] == pytest.approx(follow.stats.lag_s, abs=1)
    assert elsewhere(lambda: backend.values("unlimcall.cdrs.lag"))["acme",] == pytest.approx(follow.stats.lag_s, abs=1)
    assert backend.values(RECORDS) == {("follow", "acme"): 1}
    # A follow that stands still tells nothing, and its lag grows all the same.
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 100)
    monkeypatch.setattr("unlimcall_async.telemetry.watching.time", later)
    lag = elsewhere(lambda: backend.values("unlimcall.cdrs.lag"))["acme",]
    assert lag == pytest.approx(follow.stats.lag_s + 100, abs=1)
    del follow
    await until_collected()
    assert backend.values("unlimcall.cdrs.lag") == {}
    assert backend.values(RECORDS) == {("follow", "acme"): 1}


@pytest.mark.slow
@pytest.mark.looptime
async def test_an_exporter_sees_that_a_follow_without_records_keeps_up_and_when_it_no_longer_does(
    sandbox: Sandbox, client: AsyncClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = asyncio.get_running_loop().time
    monkeypatch.setattr(_clock, "utc_now", lambda: END + timedelta(seconds=clock()))
    monkeypatch.setattr("unlimcall_async.telemetry.watching.time", SimpleNamespace(monotonic=clock))
    follow = backend.observer().watch(client.cdrs.follow(END, interval=timedelta(seconds=2)))
    reading = asyncio.create_task(anext(aiter(follow), None))
    lags = []
    for minute in range(10):
        if minute == 5:
            sandbox.inject(Stall(), times=None)
        await asyncio.sleep(60)
        lags.append(elsewhere(lambda: backend.values("unlimcall.cdrs.lag"))[()])
    assert max(lags[:5]) < 5
    assert lags[5:] == pytest.approx([60, 120, 180, 240, 300], abs=5)
    reading.cancel()
    await asyncio.wait([reading])
    await follow.aclose()


@pytest.mark.slow
async def test_the_streams_of_a_follow_are_no_streams_of_their_own(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    sandbox.add_calls(generate_traffic(2500, start=START, end=END))
    follow = backend.observer().watch(client.cdrs.follow(START))
    count = 0
    async with follow:
        async for batch in follow.batches():
            count += len(batch)
            # Another thread reads what the follow told before this batch, and never more.
            assert elsewhere(lambda: backend.values(RECORDS))["follow",] <= count
            if count == 2500:
                break
    assert backend.values(RECORDS) == {("follow",): 2500}
    assert backend.values(REQUESTS) == {("follow",): follow.stats.requests}


# --- receivers --------------------------------------------------------------------------------------------------------


async def test_deliveries_are_counted_by_what_became_of_them(backend: Backend) -> None:
    receiver = backend.observer(name="hook").watch(WebhookReceiver(SECRET, clock=lambda: NOW))
    fails = True

    @receiver.on(CallEnded)
    def handle(event: CallEnded) -> None:
        if fails:
            raise RuntimeError(event)

    body = event_body(callId="f3c1e8a2")
    await receiver.handle(body, headers(body))
    fails = False
    for _ in range(3):
        await receiver.handle(body, headers(body))
    await receiver.handle(body, {})
    await receiver.handle(body, headers(body, OTHER_SECRET))
    assert backend.values(DELIVERIES) == {
        ("hook", "handled"): 1,
        ("hook", "seen"): 2,
        ("hook", "failed"): 1,
        ("missing", "hook", "refused"): 1,
        ("mismatch", "hook", "refused"): 1,
    }


@given(st.lists(st.sampled_from(["new", "deliver", "forge", "drop", "export", "export elsewhere"]), max_size=40))
def test_no_delivery_is_lost_or_counted_twice_whatever_comes_when(steps: list[str]) -> None:
    backend, body = Backend(), event_body(callId="f3c1e8a2")
    receivers: list[WebhookReceiver] = []
    handled, forged = 0, 0

    async def deliver() -> None:
        nonlocal handled, forged
        for number, step in enumerate([*steps, "drop", "export", "drop", "export elsewhere"]):
            if step == "new":
                receivers.append(backend.observer().watch(WebhookReceiver(SECRET, clock=lambda: NOW)))
            elif step == "drop":
                del receivers[:1]
            elif step in {"deliver", "forge"} and receivers:
                signed = headers(body, SECRET if step == "deliver" else OTHER_SECRET)
                await receivers[number % len(receivers)].handle(body, signed)
                handled, forged = handled + (step == "deliver"), forged + (step == "forge")
            elif step.startswith("export"):
                values = (
                    backend.values(DELIVERIES) if step == "export" else elsewhere(lambda: backend.values(DELIVERIES))
                )
                assert values.get(("handled",), 0) + values.get(("seen",), 0) == handled
                assert values.get(("mismatch", "refused"), 0) == forged

    asyncio.run(deliver())
    backend.close()


def test_only_what_has_counts_can_be_watched(backend: Backend) -> None:
    wrong: Any = [1, 2]
    with pytest.raises(TypeError, match="not list"):
        backend.observer().watch(wrong)
