"""What every store of seen events promises, whoever wrote it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.oracle import NOW
from unlimcall_async.webhooks import Claim, ClaimLostError, MemoryStore, SeenStore

HOURS = 3600.0


async def test_the_first_claim_gets_the_event_and_a_twin_finds_it_busy(store: SeenStore) -> None:
    first, twin = Claim("a", store), Claim("a", store)
    assert await store.claim(first, NOW) == "claimed"
    assert await store.claim(twin, NOW) == "busy"
    assert await store.claim(Claim("b", store), NOW) == "claimed"


async def test_a_claim_is_renewed_by_its_own_token(store: SeenStore) -> None:
    claim = Claim("a", store)
    for later in range(0, 100, 10):
        assert await store.claim(claim, NOW + later) == "claimed"
        assert await store.claim(Claim("a", store), NOW + later) == "busy"


async def test_a_confirmed_event_is_seen(store: SeenStore) -> None:
    claim = Claim("a", store)
    await store.claim(claim, NOW)
    await store.confirm(claim, NOW)
    assert await store.claim(Claim("a", store), NOW) == "seen"
    assert await store.claim(claim, NOW) == "seen"


async def test_a_released_event_is_free(store: SeenStore) -> None:
    claim = Claim("a", store)
    await store.claim(claim, NOW)
    await store.release(claim)
    assert await store.claim(Claim("a", store), NOW) == "claimed"


async def test_only_the_holder_releases(store: SeenStore) -> None:
    holder, other = Claim("a", store), Claim("a", store)
    await store.release(other)
    await store.claim(holder, NOW)
    await store.release(other)
    assert await store.claim(other, NOW) == "busy"
    await store.confirm(holder, NOW)
    await store.release(holder)
    assert await store.claim(other, NOW) == "seen"


async def test_only_the_holder_confirms(store: SeenStore) -> None:
    holder, other = Claim("a", store), Claim("a", store)
    await store.claim(holder, NOW)
    with pytest.raises(ClaimLostError):
        await store.confirm(other, NOW)
    assert await store.claim(Claim("a", store), NOW) == "busy"
    await store.confirm(holder, NOW)
    with pytest.raises(ClaimLostError):
        await store.confirm(other, NOW)


async def test_an_id_is_kept_for_26_hours_after_it_was_last_seen(store: SeenStore) -> None:
    claim = Claim("a", store)
    await store.claim(claim, NOW)
    await store.confirm(claim, NOW + 5)
    assert await store.claim(Claim("a", store), NOW + 5 + 26 * HOURS) == "seen"
    assert await store.claim(Claim("a", store), NOW + 5 + 52 * HOURS) == "seen"
    assert await store.claim(Claim("a", store), NOW + 5 + 78 * HOURS + 1) == "claimed"


async def test_of_many_twins_at_once_one_gets_it(store: SeenStore) -> None:
    claims = [Claim("a", store) for _ in range(20)]
    standings = await asyncio.gather(*(store.claim(claim, NOW) for claim in claims))
    assert sorted(standings) == ["busy"] * 19 + ["claimed"]


def test_tokens_differ() -> None:
    store = MemoryStore()
    assert len({Claim("a", store).token for _ in range(100)}) == 100


async def test_memory_does_not_grow_with_time() -> None:
    store = MemoryStore()
    for hour in range(1000):
        claim = Claim(f"{hour}", store)
        await store.claim(claim, NOW + hour * HOURS)
        await store.confirm(claim, NOW + hour * HOURS)
        assert await store.claim(Claim("0", store), NOW + hour * HOURS) == "seen"  # one that is sent again and again
    assert repr(store) == "<MemoryStore 28 seen, 0 claimed>"


# (what is done, by which claim)
_steps = st.lists(st.tuples(st.sampled_from(["claim", "confirm", "release", "wait"]), st.integers(0, 3)), max_size=30)


@given(steps=_steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_at_any_time_one_claim_holds_an_event_and_none_a_seen_one(
    store: SeenStore, steps: list[tuple[str, int]]
) -> None:
    """A model of one event, without claims that run out, against the store."""
    # A fresh key for each example: the store is the same for all.
    key = Claim("", store).token
    claims = [Claim(key, store) for _ in range(4)]
    holder: int | None = None
    seen = False
    now = float(NOW)
    for step, index in steps:
        if step == "claim":
            expected = "seen" if seen else "claimed" if holder in {None, index} else "busy"
            assert await store.claim(claims[index], now) == expected
            holder = index if expected == "claimed" else holder
        elif step == "release":
            await store.release(claims[index])
            holder = None if holder == index else holder
        elif step == "confirm" and holder == index:
            await store.confirm(claims[index], now)
            holder, seen = None, True
        elif step == "wait":
            now += 0.4  # in all less than a claim lasts
