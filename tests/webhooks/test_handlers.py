"""A handler that fails, in whatever way, or takes too long, is a 5xx for its delivery alone."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.oracle import event_body, headers
from unlimcall_async.webhooks import CallEnded, Claim, Event, MemoryStore, SQLiteStore, WebhookReceiver, when_handled

MakeReceiver = Callable[..., WebhookReceiver]
BODY = event_body()
HANDLED, SEEN, FAILED = (200, b"handled"), (200, b"seen before"), (500, b"failed, try again")


def deliver(receiver: WebhookReceiver) -> asyncio.Task[tuple[int, bytes]]:
    return asyncio.create_task(receiver.handle(BODY, headers(BODY)))


def now() -> float:
    return asyncio.get_running_loop().time()


class Handler:
    """A handler that does one thing at its first call, and nothing at later ones."""

    def __init__(self, receiver: WebhookReceiver, first: Callable[[], Awaitable[object]]) -> None:
        self._first = first
        self.calls = 0
        receiver.on(CallEnded)(self.handle)

    async def handle(self, _event: CallEnded) -> None:
        self.calls += 1
        if self.calls == 1:
            await self._first()


async def hang() -> None:
    await asyncio.Event().wait()


def stubborn(end: asyncio.Event) -> Callable[[], Awaitable[None]]:
    """Return a handler that takes no notice of its cancellation."""

    async def wait() -> None:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    return wait


@pytest.mark.looptime
@pytest.mark.parametrize(("options", "seconds"), [({}, 60), ({"handler_timeout": 0.5}, 0.5)])
async def test_a_handler_that_hangs_is_cancelled_and_its_event_is_free(
    make_receiver: MakeReceiver, caplog: pytest.LogCaptureFixture, options: dict[str, Any], seconds: float
) -> None:
    receiver = make_receiver(**options)
    handler = Handler(receiver, hang)
    assert await deliver(receiver) == FAILED
    assert now() == pytest.approx(seconds)
    assert [await deliver(receiver), await deliver(receiver)] == [HANDLED, SEEN]
    assert handler.calls == 2
    assert "Handler.handle took longer than" in caplog.text
    assert "was cancelled and ended" in caplog.text


@pytest.mark.looptime
async def test_a_twin_gets_its_turn_when_the_first_has_taken_too_long(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    Handler(receiver, hang)
    first = deliver(receiver)
    await asyncio.sleep(45)
    assert await deliver(receiver) == HANDLED
    assert await first == FAILED
    assert now() == pytest.approx(60)


@pytest.mark.looptime
async def test_each_handler_has_the_time_and_all_of_them_run(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(handler_timeout=10)
    hanging, other = Handler(receiver, hang), Handler(receiver, lambda: asyncio.sleep(9))
    assert await deliver(receiver) == FAILED
    assert now() == pytest.approx(19)
    assert (hanging.calls, other.calls) == (1, 1)


@pytest.mark.looptime
async def test_without_a_limit_a_handler_takes_its_time(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(handler_timeout=None)
    Handler(receiver, lambda: asyncio.sleep(3_600))
    assert await deliver(receiver) == HANDLED


@pytest.mark.looptime
async def test_a_handler_may_clean_up_before_its_event_is_free(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()

    async def clean_up() -> None:
        try:
            await hang()
        finally:
            await asyncio.sleep(0.9)

    Handler(receiver, clean_up)
    assert await deliver(receiver) == FAILED
    assert now() == pytest.approx(60.9)


@pytest.mark.looptime
async def test_a_handler_that_takes_no_notice_of_its_cancellation_is_left_to_itself(
    make_receiver: MakeReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver, end = make_receiver(), asyncio.Event()
    Handler(receiver, stubborn(end))
    assert await deliver(receiver) == FAILED
    assert now() == pytest.approx(61)
    assert await deliver(receiver) == HANDLED
    assert "was cancelled and does not end" in caplog.text
    end.set()
    await asyncio.sleep(0)


@pytest.mark.looptime
async def test_an_effect_of_a_handler_that_was_left_is_not_written(make_receiver: MakeReceiver, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "seen.db")) as connection:
        connection.execute("CREATE TABLE effects (turn)")
    end, late = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with SQLiteStore(tmp_path / "seen.db") as store:
        receiver = make_receiver(store=store, handler_timeout=5)
        turns = list[int]()

        @receiver.on(CallEnded)
        async def write(_event: CallEnded) -> None:
            turns.append(turn := len(turns))
            store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES (?)", (turn,)))
            if turn == 0:
                await stubborn(end)()
                try:
                    store.at_commit(lambda db: db.execute("INSERT INTO effects VALUES ('late')"))
                except RuntimeError as error:
                    late.set_result(str(error))
            else:
                end.set()  # the first goes on while the event is handled again
                await late

        assert await deliver(receiver) == FAILED
        assert await deliver(receiver) == HANDLED
    assert late.result() == "call at_commit from a running handler of a receiver that has this store"
    with closing(sqlite3.connect(tmp_path / "seen.db")) as connection:
        assert connection.execute("SELECT turn FROM effects").fetchall() == [(1,)]


async def test_what_waits_for_the_end_of_an_event_is_called_once_when_the_event_is_handled(
    make_receiver: MakeReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(MemoryStore):
        fails = False

        async def confirm(self, claim: Claim, now: float) -> None:
            if self.fails:
                raise OSError
            await super().confirm(claim, now)

    store, done = Failing(), list[str]()
    receiver = make_receiver(store=store)
    handler_fails = True

    def end() -> None:
        raise _OwnError

    @receiver.on(CallEnded)
    async def first(_event: CallEnded) -> None:
        when_handled(end)
        when_handled(lambda: done.append("handled"))

    @receiver.on(CallEnded)
    def second(_event: CallEnded) -> None:
        assert done == []
        if handler_fails:
            raise RuntimeError

    assert await deliver(receiver) == FAILED
    handler_fails, store.fails = False, True
    assert await deliver(receiver) == FAILED
    assert done == []
    store.fails = False
    assert [await deliver(receiver), await deliver(receiver)] == [HANDLED, SEEN]
    assert done == ["handled"]
    assert "a function that was given to when_handled failed on a CallEnded: _OwnError" in caplog.text


async def test_what_waits_for_an_event_is_called_if_the_request_is_cancelled_as_the_event_is_recorded(
    make_receiver: MakeReceiver, tmp_path: Path
) -> None:
    began, done = threading.Event(), list[str]()
    async with SQLiteStore(tmp_path / "seen.db") as store:
        receiver = make_receiver(store=store)

        def slowly(_db: sqlite3.Connection) -> None:
            began.set()
            time.sleep(0.1)

        @receiver.on(CallEnded)
        def handle(_event: CallEnded) -> None:
            when_handled(lambda: done.append("handled"))
            store.at_commit(slowly)

        request = deliver(receiver)
        await asyncio.to_thread(began.wait, 10)
        request.cancel()
        await asyncio.wait([request])
        assert (request.cancelled(), done) == (True, ["handled"])
        assert (await deliver(receiver), done) == (SEEN, ["handled"])


def test_what_waits_for_nothing_is_called_at_once() -> None:
    done = list[int]()
    when_handled(lambda: done.append(1))
    assert done == [1]
    with pytest.raises(TypeError, match="call must be a plain function"):
        when_handled(hang)


class _OwnError(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [
        *(KeyError(), StopIteration(), StopAsyncIteration(), RecursionError(), MemoryError(), TimeoutError()),
        *(SystemExit(1), SystemExit(), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), _OwnError()),
        *(ExceptionGroup("", [KeyError()]), BaseExceptionGroup("", [SystemExit(), asyncio.CancelledError()])),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_whatever_a_handler_raises_is_a_500_and_the_others_run(
    receiver: WebhookReceiver, error: BaseException, *, asynchronous: bool
) -> None:
    fails = [error]
    others: list[Event] = []

    def fail_once() -> None:
        if fails:
            raise fails.pop()

    @receiver.on(CallEnded)
    def plain(_event: CallEnded) -> None:
        if not asynchronous:
            fail_once()

    @receiver.on(CallEnded)
    async def coroutine(_event: CallEnded) -> None:
        await asyncio.sleep(0)
        if asynchronous:
            fail_once()

    receiver.on(Event)(others.append)
    assert [await deliver(receiver) for _ in range(3)] == [FAILED, HANDLED, SEEN]
    assert len(others) == 2


async def test_a_handler_or_an_effect_of_which_nothing_has_run_is_a_500(
    make_receiver: MakeReceiver, tmp_path: Path
) -> None:
    def generator(_event: Event) -> Generator[None, None, None]:
        yield

    async def async_generator(_event: Event) -> AsyncGenerator[None, None]:
        yield

    async with SQLiteStore(tmp_path / "seen.db") as store:

        def effect(event: Event) -> None:
            store.at_commit(lambda db: (db.execute("SELECT ?", (each,)) for each in (event.type,)))

        for made in (generator, async_generator, effect):
            receiver = make_receiver(store=store)

            @receiver.on(Event)
            def handler(event: Event, call: Callable[[Event], object] = made) -> object:
                return call(event)

            assert await deliver(receiver) == FAILED


async def test_a_handler_that_waits_for_what_was_cancelled_is_one_that_failed(receiver: WebhookReceiver) -> None:
    async def wait() -> None:
        waiting = asyncio.get_running_loop().create_future()
        waiting.cancel()
        await waiting

    Handler(receiver, wait)
    assert [await deliver(receiver), await deliver(receiver)] == [FAILED, HANDLED]


async def test_a_handler_that_cancels_itself_is_one_that_failed(receiver: WebhookReceiver) -> None:
    async def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    Handler(receiver, cancel)
    assert [await deliver(receiver), await deliver(receiver)] == [FAILED, HANDLED]


@pytest.mark.looptime
@pytest.mark.parametrize("kind", ["hangs", "in a group", "takes no notice"])
async def test_a_request_that_is_cancelled_ends_and_frees_its_event(receiver: WebhookReceiver, kind: str) -> None:
    end = asyncio.Event()

    async def in_a_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(hang())

    handler = Handler(receiver, {"hangs": hang, "in a group": in_a_group, "takes no notice": stubborn(end)}[kind])
    request = deliver(receiver)
    await asyncio.sleep(5)
    request.cancel()
    await asyncio.wait([request])
    assert request.cancelled()
    assert now() == pytest.approx(6 if kind == "takes no notice" else 5)
    assert await deliver(receiver) == HANDLED
    assert handler.calls == 2
    end.set()
    await asyncio.sleep(0)


class _RenewalError(MemoryStore):
    """Fails at every renewal."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.claims = 0

    async def claim(self, claim: Claim, now: float) -> Any:
        self.claims += 1
        if self.claims > 1:
            raise self.error
        return await super().claim(claim, now)


@pytest.mark.looptime
@pytest.mark.parametrize("error", [OSError(), SystemExit(), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_whatever_a_renewal_raises_it_is_tried_again(make_receiver: MakeReceiver, error: BaseException) -> None:
    store = _RenewalError(error)
    receiver = make_receiver(store=store)
    Handler(receiver, lambda: asyncio.sleep(32))
    assert await deliver(receiver) == HANDLED
    assert store.claims == 7


@pytest.mark.parametrize("error", [KeyError(), SystemExit(), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_whatever_on_failing_raises_the_sender_gets_its_response(
    make_receiver: MakeReceiver, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    caplog.set_level(logging.CRITICAL, "unlimcall_async")

    def alarm(_length: int) -> None:
        raise error

    receiver = make_receiver(on_failing=alarm)

    @receiver.on(CallEnded)
    def fail(_event: CallEnded) -> None:
        raise KeyError

    assert [await deliver(receiver) for _ in range(3)] == [FAILED] * 3


def test_a_receiver_goes_on_in_another_loop(receiver: WebhookReceiver) -> None:
    """Also if the first loop was closed amid a handler, as by a test that was broken off."""
    handler = Handler(receiver, hang)
    first = asyncio.new_event_loop()
    abandoned = first.create_task(receiver.handle(BODY, headers(BODY)))
    first.call_soon(lambda: first.call_soon(lambda: first.call_soon(first.stop)))
    first.run_forever()
    assert handler.calls == 1
    first.close()

    async def again() -> list[tuple[int, bytes]]:
        return [await deliver(receiver), await deliver(receiver)]

    assert asyncio.run(again()) == [HANDLED, SEEN]
    assert not abandoned.done()
