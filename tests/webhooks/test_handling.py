"""Deliveries of one event at the same time: one is handled, the others wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.webhooks.oracle import NOW, event_body, headers
from unlimcall_async.webhooks import CallEnded, Claim, MemoryStore, SeenStore, Standing, WebhookReceiver

MakeReceiver = Callable[..., WebhookReceiver]
BODY = event_body()


class Work:
    """A handler that the test lets go on, and that it tells how to end."""

    def __init__(self, receiver: WebhookReceiver) -> None:
        self.begun: list[asyncio.Future[None]] = []
        self._new = asyncio.Condition()
        receiver.on(CallEnded)(self.handler)

    async def handler(self, _event: CallEnded) -> None:
        end = asyncio.get_running_loop().create_future()
        async with self._new:
            self.begun.append(end)
            self._new.notify_all()
        await end

    async def has_begun(self, times: int) -> None:
        async with self._new:
            await self._new.wait_for(lambda: len(self.begun) == times)


def deliver(receiver: WebhookReceiver) -> asyncio.Task[tuple[int, bytes]]:
    return asyncio.create_task(receiver.handle(BODY, headers(BODY)))


async def settle(times: int = 50) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_a_twin_waits_and_answers_as_the_first_ends(make_receiver: MakeReceiver, store: SeenStore) -> None:
    receiver = make_receiver(store=store)
    work = Work(receiver)
    twins = [deliver(receiver) for _ in range(5)]
    await work.has_begun(1)
    await settle()
    assert not any(twin.done() for twin in twins)
    work.begun[0].set_result(None)
    answers = sorted(await asyncio.gather(*twins))
    assert answers == [(200, b"handled"), *[(200, b"seen before")] * 4]
    assert len(work.begun) == 1


async def test_if_the_first_fails_a_twin_gets_its_turn(make_receiver: MakeReceiver, store: SeenStore) -> None:
    receiver = make_receiver(store=store)
    work = Work(receiver)
    twins = [deliver(receiver) for _ in range(4)]
    for turn in range(2):
        await work.has_begun(turn + 1)
        work.begun[turn].set_exception(KeyError())
    await work.has_begun(3)
    work.begun[2].set_result(None)
    answers = await asyncio.gather(*twins)
    assert sorted(status for status, _ in answers) == [200, 200, 500, 500]
    assert len(work.begun) == 3


async def test_if_the_first_is_cancelled_a_twin_gets_its_turn(make_receiver: MakeReceiver, store: SeenStore) -> None:
    receiver = make_receiver(store=store)
    work = Work(receiver)
    first = deliver(receiver)
    await work.has_begun(1)
    twin = deliver(receiver)
    await settle()
    first.cancel()
    await work.has_begun(2)
    work.begun[1].set_result(None)
    assert await twin == (200, b"handled")
    assert first.cancelled()


@pytest.mark.looptime
@pytest.mark.parametrize("step", [16.0, 3600.0, 24 * 3600.0])
async def test_a_step_of_the_clock_gives_no_twin_the_event(
    make_receiver: MakeReceiver, store: SeenStore, step: float
) -> None:
    now = float(NOW)
    receiver = make_receiver(store=store, clock=lambda: now)
    work = Work(receiver)
    first = deliver(receiver)
    await work.has_begun(1)
    now += step
    twins = [deliver(receiver) for _ in range(2)]
    # Another event, whose claim the store makes after those of the twins, if they ask for any.
    other = asyncio.create_task(receiver.handle(event_body("other"), headers(event_body("other"))))
    await work.has_begun(2)
    work.begun[1].set_result(None)
    assert await other == (200, b"handled")
    work.begun[0].set_result(None)
    assert await first == (200, b"handled")
    assert await asyncio.gather(*twins) == [(200, b"seen before")] * 2
    assert len(work.begun) == 2


@pytest.mark.looptime
async def test_a_twin_does_not_wait_for_ever(receiver: WebhookReceiver) -> None:
    work = Work(receiver)
    first = deliver(receiver)
    await work.has_begun(1)
    assert await deliver(receiver) == (503, b"not now, try again")
    work.begun[0].set_result(None)
    assert await first == (200, b"handled")
    assert await deliver(receiver) == (200, b"seen before")


@pytest.mark.looptime
async def test_a_twin_at_another_receiver_of_the_store_waits_too(make_receiver: MakeReceiver) -> None:
    shared = MemoryStore()
    one, two = make_receiver(store=shared), make_receiver(store=shared)
    work = Work(one)
    first = deliver(one)
    await work.has_begun(1)
    twin = deliver(two)
    await asyncio.sleep(10)
    assert not twin.done()
    work.begun[0].set_result(None)
    assert [await first, await twin] == [(200, b"handled"), (200, b"seen before")]


async def test_events_do_not_wait_for_each_other(make_receiver: MakeReceiver, store: SeenStore) -> None:
    receiver = make_receiver(store=store)
    work = Work(receiver)
    bodies = [event_body(f"evt_{n}") for n in range(5)]
    deliveries = [asyncio.create_task(receiver.handle(body, headers(body))) for body in bodies]
    await work.has_begun(5)
    for end in work.begun:
        end.set_result(None)
    assert await asyncio.gather(*deliveries) == [(200, b"handled")] * 5


class LeasingStore(MemoryStore):
    """Notes when a claim was made or renewed; every second renewal fails."""

    def __init__(self) -> None:
        super().__init__()
        self.claimed_at: list[float] = []

    async def claim(self, claim: Claim, now: float) -> Standing:
        self.claimed_at.append(asyncio.get_running_loop().time())
        if len(self.claimed_at) % 2 == 0:
            raise OSError
        return await super().claim(claim, now)


@pytest.mark.looptime
async def test_a_claim_is_renewed_as_long_as_it_is_worked_on(make_receiver: MakeReceiver) -> None:
    store = LeasingStore()
    receiver = make_receiver(store=store)

    @receiver.on(CallEnded)
    async def slow(_event: CallEnded) -> None:
        await asyncio.sleep(32)

    assert await deliver(receiver) == (200, b"handled")
    assert store.claimed_at == [0, 5, 10, 15, 20, 25, 30]
    await asyncio.sleep(60)
    assert len(store.claimed_at) == 7


class HangingStore(MemoryStore):
    """Never comes back from a release."""

    def __init__(self) -> None:
        super().__init__()
        self.releasing: list[Claim] = []

    async def release(self, claim: Claim) -> None:
        self.releasing.append(claim)
        await asyncio.Event().wait()


@pytest.mark.looptime
async def test_a_twin_learns_of_the_end_even_if_the_release_is_cut_off(make_receiver: MakeReceiver) -> None:
    store = HangingStore()
    receiver = make_receiver(store=store)
    work = Work(receiver)
    first = deliver(receiver)
    await work.has_begun(1)
    twin = deliver(receiver)
    for _ in range(2):
        await settle()
        first.cancel()
    await asyncio.wait([first])
    await MemoryStore.release(store, store.releasing[0])  # as if it had run out
    await asyncio.wait([twin], timeout=1)
    assert len(work.begun) == 2
    work.begun[1].set_result(None)
    assert await twin == (200, b"handled")
