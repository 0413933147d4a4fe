"""What every store of seen events promises, whoever wrote it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.oracle import NOW
from unlimcall_async.webhooks import Claim, ClaimLostError, MemoryStore, SeenStore, SQLiteStore
from unlimcall_async.webhooks.stores import LEASE_SECONDS

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


def in_a_loop_that_is_left(work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run `work` in an event loop of its own, and close that loop."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work())
    loop.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_store_may_be_used_in_one_loop_after_another(tmp_path: Path, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "seen.db")
    claims = [Claim(f"{n}", store) for n in range(3)]

    async def work() -> None:
        for claim in claims:
            assert await store.claim(claim, NOW) == "claimed"
        await store.confirm(claims[0], NOW)
        await store.release(claims[1])

    async def later() -> None:
        standings = [await store.claim(Claim(f"{n}", store), NOW + LEASE_SECONDS + 1) for n in range(3)]
        assert standings == ["seen", "claimed", "claimed"]
        if isinstance(store, SQLiteStore):
            await store.aclose()

    in_a_loop_that_is_left(work)
    in_a_loop_that_is_left(later)


@pytest.mark.slow
def test_a_child_does_not_wait_for_the_claims_of_its_parent() -> None:
    """They are under way in the parent alone. What was seen before the fork is known to both."""
    script = """
import asyncio, os, sys
from unlimcall_async.webhooks import Claim, MemoryStore
store = MemoryStore()
async def standings(*keys):
    found = []
    for key in keys:
        claim = Claim(key, store)
        found.append(await store.claim(claim, 0.0))
        if key == "seen" and found[-1] == "claimed":
            await store.confirm(claim, 0.0)
    return found
async def main():
    assert await standings("seen", "claimed") == ["claimed", "claimed"]
    child = os.fork()
    if child == 0:
        found = asyncio.run(standings("seen", "claimed"))
        os._exit(found != ["seen", "claimed"])
    assert await standings("seen", "claimed") == ["seen", "busy"]
    assert os.waitpid(child, 0)[1] == 0
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)  # noqa: S603 # ours
    assert (done.returncode, done.stderr) == (0, b"")


def interrupted(work: Coroutine[Any, Any, object], line: int) -> bool:
    """Run a coroutine that does not wait, and break it off before one of its lines; return whether it had so many."""
    lines = 0

    def trace(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        if event == "line" and lines == line:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(lambda frame, *_what: trace if "stores.py" in frame.f_code.co_filename else None)
    try:
        with suppress(StopIteration):
            work.send(None)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        work.close()
    return False


@pytest.mark.parametrize("step", ["claim", "confirm"])
async def test_an_exception_amid_a_step_loses_no_event(step: str) -> None:
    for line in range(1, 100):
        store = MemoryStore()
        claim, repeat = Claim("a", store), Claim("a", store)
        await store.claim(claim, NOW)
        if step == "claim":
            await store.confirm(claim, NOW)
        broken = interrupted(store.claim(repeat, NOW) if step == "claim" else store.confirm(claim, NOW), line)
        standing = await store.claim(repeat, NOW)
        assert standing == "seen" or (step == "confirm" and standing == "busy")
        if not broken:
            return
    raise AssertionError


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
