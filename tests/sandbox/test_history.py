"""What the sandbox keeps of the past is bounded, in entries and in bytes."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.sandbox import Sandbox, Settings
from unlimcall_async.sandbox.history import History
from unlimcall_async.sandbox.server import LARGEST_BODY

from .support import OPERATIONS, Visitor

A_CALL: dict[str, Any] = {**(OPERATIONS[4][3] or {})}
sizes = st.lists(st.integers(0, 9), max_size=40)


@given(sizes, st.integers(1, 9), st.integers(0, 40), st.none() | st.integers(0, 39))
def test_the_newest_entries_that_fit_are_kept(
    added: list[int], keep: int, keep_bytes: int, cleared: int | None
) -> None:
    history = History[int](Settings(keep=keep, keep_bytes=keep_bytes), size=lambda entry: entry)
    expected = list[int]()
    for number, size in enumerate(added):
        history.add(size)
        expected = [*expected, size][-keep:]
        while len(expected) > 1 and sum(expected) > keep_bytes:
            del expected[0]
        assert history.entries == expected
        if number == cleared:
            # As a test does between two of its steps.
            history.entries.clear()
            expected.clear()
    assert history.total == len(added)


async def test_requests_and_calls_beyond_the_newest_are_dropped(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.keep = 3
    requests, originated = sandbox.requests, sandbox.originated
    for _ in range(5):
        await visitor.call()
    await visitor.get("/me")
    assert [request.path for request in requests] == ["/api/v1/calls", "/api/v1/calls", "/api/v1/me"]
    assert sandbox.requests is requests
    assert (len(originated), len(sandbox.calls)) == (3, 0)
    assert repr(sandbox).endswith("6 requests>")


async def test_a_call_that_is_no_longer_listed_still_ends(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.keep = 1
    placed = [(await visitor.call()).json()["callId"] for _ in range(4)]
    for call_id in placed:
        sandbox.end_call(call_id)
    assert len({call.id.partition(".")[2] for call in sandbox.calls}) == 4


async def test_bodies_are_kept_up_to_their_bytes(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.keep_bytes = 1_000_000
    for _ in range(9):
        await visitor.ask("POST", "/calls", json={**A_CALL, "metadata": {"notes": "x" * 300_000}})
    assert len(sandbox.requests) == len(sandbox.originated) == 3


async def test_queries_are_kept_up_to_their_bytes(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.keep_bytes = 20_000
    for number in range(9):
        await visitor.get("/me", notes=f"{number}{'x' * 7000}")
    assert [request.query["notes"][0] for request in sandbox.requests] == ["7", "8"]


async def test_metadata_count_by_what_they_take_in_memory(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.keep_bytes = 1_000_000
    for _ in range(9):
        await visitor.ask("POST", "/calls", json={**A_CALL, "metadata": {"notes": [[]] * 8_000}})
    assert (len(sandbox.requests), len(sandbox.originated)) == (9, 1)


@pytest.mark.rest_slow
@pytest.mark.parametrize("seconds", [None, 3600])
async def test_calls_that_last_do_not_keep_their_metadata(
    visitor: Visitor, sandbox: Sandbox, seconds: float | None
) -> None:
    sandbox.settings.keep = 1
    sandbox.settings.webhooks.call_seconds = seconds
    tracemalloc.start()
    try:
        for number in range(20):
            await visitor.ask("POST", "/calls", json={**A_CALL, "metadata": {"notes": f"{number}{'x' * 500_000}"}})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5_000_000


async def test_a_body_beyond_all_bounds_is_refused(visitor: Visitor, sandbox: Sandbox) -> None:
    notes = json.dumps({**A_CALL, "metadata": {"notes": "x" * LARGEST_BODY}}).encode()
    assert (await visitor.ask("POST", "/calls", data=io.BytesIO(notes))).status == 413
    assert (sandbox.originated, [request.status for request in sandbox.requests]) == ([], [413])
    assert (await visitor.get("/me")).status == 200


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"keep": 1.5}, {"keep_bytes": -1}, {"keep_bytes": None}])
def test_a_wrong_bound_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        Sandbox(**wrong)
