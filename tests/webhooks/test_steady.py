"""A wrong clock on this machine, or one that jumps, makes no store forget an event that may come again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.oracle import NOW, event_body, headers
from unlimcall_async.webhooks import Claim, Event, MemoryStore, SeenStore, WebhookReceiver
from unlimcall_async.webhooks.steady import SteadyClock

HOURS = 3600.0
MakeReceiver = Callable[..., WebhookReceiver]


@pytest.mark.parametrize("jump", [24 * HOURS, 27 * HOURS, 86_400 * 365 * 10, -23 * HOURS])
async def test_one_delivery_at_a_wrong_time_forgets_nothing(
    make_receiver: MakeReceiver, store: SeenStore, jump: float
) -> None:
    now = float(NOW)
    receiver = make_receiver(store=store, clock=lambda: now)
    events: list[Event] = []
    receiver.on(Event)(events.append)

    async def deliver(event_id: str, at: float) -> bytes:
        body = event_body(event_id)
        return (await receiver.handle(body, headers(body, at=int(at))))[1]

    for hours_ago in (20, 3, 0):
        now = NOW - hours_ago * HOURS
        assert await deliver(f"{hours_ago}", now) == b"handled"
    now = NOW + jump
    assert await deliver("at a wrong time", now) == b"handled"
    now = NOW
    for hours_ago in (20, 3, 0):
        assert await deliver(f"{hours_ago}", NOW - hours_ago * HOURS) == b"seen before"
    assert len(events) == 4


async def test_a_process_that_begins_with_its_clock_ahead_forgets_nothing(
    make_receiver: MakeReceiver, store: SeenStore
) -> None:
    body, other = event_body(), event_body("evt_2")
    before = NOW - 3 * int(HOURS)
    sent = headers(body, at=before)
    assert await make_receiver(store=store, clock=lambda: before).handle(body, sent) == (200, b"handled")
    ahead = make_receiver(store=store, clock=lambda: NOW + 24 * HOURS)
    assert await ahead.handle(other, headers(other)) == (200, b"handled")
    assert await make_receiver(store=store).handle(body, sent) == (200, b"seen before")


async def test_a_store_forgets_by_the_earlier_of_two_times_and_a_claim_runs_out_by_the_clock(store: SeenStore) -> None:
    seen, claimed = Claim("seen", store), Claim("claimed", store)
    await store.claim(seen, NOW)
    await store.confirm(seen, NOW)
    await store.claim(claimed, NOW)
    later = NOW + 27 * HOURS
    assert await store.claim(Claim("other", store, steady=NOW), later) == "claimed"
    assert await store.claim(Claim("seen", store, steady=NOW), NOW) == "seen"
    # A claim in memory dies with its process.
    free = "busy" if isinstance(store, MemoryStore) else "claimed"
    assert await store.claim(Claim("claimed", store, steady=NOW), later) == free
    assert await store.claim(Claim("seen", store, steady=later), later) == "claimed"


@pytest.mark.slow
@pytest.mark.looptime
async def test_memory_does_not_grow_however_the_clock_jumps() -> None:
    store, jump = MemoryStore(), 0.0
    loop = asyncio.get_running_loop()
    receiver = WebhookReceiver(
        "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01", store=store, clock=lambda: NOW + loop.time() + jump
    )
    for hour in range(500):
        # For an hour a year ahead, once, and then two steps of an hour that stay.
        jump = {50: 86_400 * 365.0}.get(hour, 2 * HOURS if hour >= 200 else HOURS if hour >= 100 else 0.0)
        body = event_body(f"{hour}")
        assert await receiver.handle(body, headers(body, at=int(NOW + loop.time() + jump))) == (200, b"handled")
        await asyncio.sleep(HOURS)
    assert int(repr(store).split()[1]) <= 28


# (what passes by the loop's clock, by how much the clock is set at the end of that, how old the signature is)
_steps = st.lists(
    st.tuples(
        st.floats(0, 10 * HOURS), st.sampled_from([0.0, 0.0, 0.0, -HOURS, HOURS, 30 * HOURS]), st.floats(0, 24 * HOURS)
    )
)


@given(steps=_steps)
def test_a_steady_clock_never_runs_ahead_of_what_has_passed(steps: list[tuple[float, float, float]]) -> None:
    wall = elapsed = 0.0
    steady = SteadyClock()
    readings: list[tuple[float, float]] = []
    for span, step, age in steps:
        elapsed += span
        wall += span + step
        readings.append((elapsed, wall))
        time = steady.read(elapsed, wall, elapsed - age)  # the sender's clock is right
        assert time <= elapsed
        # An event that was seen at `then` is kept until 26 hours later by the clock, and is not forgotten before that has passed.
        for then, clock in readings:
            if elapsed - then <= 26 * HOURS:
                assert time <= clock + (elapsed - then) + 1e-3


@pytest.mark.parametrize("step", [-20 * HOURS, 20 * HOURS])
def test_a_step_that_stays_is_believed_in_the_end(step: float) -> None:
    steady = SteadyClock()
    assert steady.read(0.0, 0.0, 0.0) == 0
    for hour in range(1, 60):
        steady.read(hour * HOURS, hour * HOURS + step, hour * HOURS + step)
    assert steady.read(60 * HOURS, 60 * HOURS + step, 60 * HOURS + step) == 60 * HOURS + step


def test_an_event_that_was_not_delivered_teaches_nothing_of_the_senders_clock() -> None:
    clock = SteadyClock()
    assert clock.read(0, NOW, None) == NOW
    assert clock.read(1, NOW + 1, NOW - 50) == NOW - 50
    assert clock.read(2, NOW + 99 * HOURS, None) == NOW - 49


def test_the_earliest_reading_of_two_spans_of_26_hours_counts() -> None:
    clock, span = SteadyClock(), 26 * HOURS
    assert clock.read(0.0, 100.0, None) == 100
    assert clock.read(span, span + 200, None) == span + 100
    # The second span begins, and the first one still counts.
    assert clock.read(span + 1, span + 301, None) == span + 101
    assert clock.read(2 * span + 1, 2 * span + 901, None) == 2 * span + 101
    # The first one counts no more.
    assert clock.read(2 * span + 2, 2 * span + 902, None) == 2 * span + 302
    assert clock.read(3 * span + 3, 3 * span + 903, None) == 3 * span + 903


def test_the_latest_signature_shows_the_senders_clock() -> None:
    clock = SteadyClock()
    assert clock.read(10.0, 1000.0, 500.0) == 500
    assert clock.read(20.0, 1010.0, 400.0) == 510
    assert clock.read(20.0, 1010.0, 600.0) == 600
    assert clock.read(30.0, 100.0, None) == 100
