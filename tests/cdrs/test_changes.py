"""`follow.changes()` over HTTP: each record that is added, revised or removed comes once, and nothing comes that did not happen."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from tests.cdrs.changes import Changes
from tests.cdrs.raw_server import ORDERS, Order, RawRow, RawServer, row_text, served
from tests.selection import covering
from unlimcall_async import AsyncClient, CallRecord, CdrChange, CdrFollow, CdrKey, Checkpoint, ResponseError
from unlimcall_async.cdrs.legs import contents_of
from unlimcall_async.cdrs.marks import key_of

pytestmark = pytest.mark.own_rules

START = datetime(2026, 6, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PRICE, OTHER = {"sellPriceCents": "7"}, {"sellPriceCents": "8"}
OFF = timedelta(0)

T = TypeVar("T")


def now() -> datetime:
    return START + HOUR + asyncio.get_running_loop().time() * SECOND


@pytest.fixture
def _wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async._clock.utc_now", now)


virtual = pytest.mark.usefixtures("_wall_clock")


def row(call_id: str | int, after: timedelta = 50 * MINUTE, /, **texts: str) -> RawRow:
    start = START + after
    return RawRow(start, row_text(start, f"{call_id}", **texts))


def begin(client: AsyncClient, resume: Checkpoint | str | None = None, **options: Any) -> CdrFollow:
    stored = Checkpoint.from_json(resume) if isinstance(resume, str) else resume
    return client.cdrs.follow(START, **{"interval": MINUTE, "lookback": HOUR / 2, "resume": stored, **options})


async def within(changes: AsyncGenerator[T, None], span: timedelta = 90 * SECOND) -> list[T]:
    """Take what comes within a span. The iterator goes on from there."""
    came = list[T]()
    with suppress(TimeoutError):
        async with asyncio.timeout(span.total_seconds()):
            async for each in changes:
                came.append(each)  # the timeout must not lose what came
    return came


def told(changes: list[CdrChange]) -> list[str]:
    """Return each change as its kind, the id, and the price of the record."""
    return [
        f"{change.kind} {change.key.id}"
        + (f" {change.record.sell_price_cents}" if change.record and change.record.sell_price_cents is not None else "")
        for change in changes
    ]


LATER = 51 * MINUTE
# What the API holds at each step, and the changes that come behind it.
STORIES: dict[str, list[tuple[list[RawRow], list[str]]]] = {
    "a price that is filled in is no new call": [
        ([row(1), row(2, LATER)], ["added 1", "added 2"]),
        ([row(1, **PRICE), row(2, LATER)], ["revised 1 7"]),
        ([row(1, **PRICE), row(2, LATER)], []),
    ],
    "a record that is gone is named": [
        ([row(1), row(2)], ["added 1", "added 2"]),
        ([row(2)], ["removed 1"]),
        ([row(2)], []),
    ],
    "the last record is gone": [([row(1)], ["added 1"]), ([], ["removed 1"]), ([], [])],
    "changes of one poll come by start and id": [
        ([row(1), row(3), row(5, LATER), row(7, LATER)], ["added 1", "added 3", "added 5", "added 7"]),
        (
            [row(2), row(3, **PRICE), row(7, LATER, **PRICE), row(6, LATER), row(4, LATER)],
            ["removed 1", "added 2", "revised 3 7", "added 4", "removed 5", "added 6", "revised 7 7"],
        ),
    ],
    "another id is another call": [([row(1)], ["added 1"]), ([row(2)], ["removed 1", "added 2"])],
    "another start is another call": [([row(1)], ["added 1"]), ([row(1, LATER)], ["removed 1", "added 1"])],
    "a record that is revised back is revised": [
        ([row(1)], ["added 1"]),
        ([row(1, **PRICE)], ["revised 1 7"]),
        ([row(1)], ["revised 1"]),
    ],
    "a record that is gone and comes back is added again": [
        ([row(1)], ["added 1"]),
        ([], ["removed 1"]),
        ([row(1)], ["added 1"]),
        ([row(1)], []),
    ],
    "a leg beside one that is revised": [
        ([row(1, src='"a"')], ["added 1"]),
        ([row(1, src='"b"', **OTHER), row(1, src='"a"', **PRICE)], ["revised 1 7", "added 1 8"]),
        ([row(1, src='"b"', **OTHER), row(1, src='"a"', **PRICE)], []),
        ([row(1, src='"b"', **OTHER)], ["removed 1"]),
    ],
    "rows that are equal": [
        ([row(1), row(1)], ["added 1", "added 1"]),
        ([row(1), row(1), row(1)], ["added 1"]),
        ([row(1), row(1, **PRICE)], ["revised 1 7", "removed 1"]),
        ([row(1, **PRICE)], ["removed 1"]),
    ],
    "a field that the API has added": [
        ([row(1)], ["added 1"]),
        ([row(1, note="1")], ["revised 1"]),
        ([row(1, note="true")], ["revised 1"]),
        ([row(1, note='{"a": 1, "b": 100000000000000000000}')], ["revised 1"]),
        ([row(1, note='{"b": 100000000000000000000, "a": 1}')], []),
    ],
    "prices below zero": [
        ([row(1, sellPriceCents="-1")], ["added 1 -1"]),
        ([row(1, sellPriceCents="-2")], ["revised 1 -2"]),
    ],
}


@pytest.mark.rest_slow
@virtual
@pytest.mark.looptime
@pytest.mark.parametrize(("story", "restarts", "order"), covering(STORIES, [False, True], ORDERS))
async def test_each_change_comes_once(story: str, restarts: bool, order: Order) -> None:
    server = RawServer([], order, date=now)
    async with served(server) as client:
        follow, counts = begin(client), dict.fromkeys(("added", "revised", "removed"), 0)
        changes = follow.changes()
        for server.rows, expected in STORIES[story]:
            came = told(await within(changes))
            # Of legs with one start and id, either may come first.
            assert came == expected or sorted(came) == sorted(expected) != [*dict.fromkeys(expected)]
            for each in came:
                counts[each.split()[0]] += 1
            stats = follow.stats
            if restarts:
                await follow.aclose()
                follow = begin(client, follow.checkpoint.to_json())
                changes = follow.changes()
            else:
                assert {"added": stats.records, "revised": stats.revised, "removed": stats.removed} == counts
        await follow.aclose()


@virtual
@pytest.mark.looptime
@pytest.mark.parametrize("number", range(1, 9))
async def test_a_record_that_vanishes_between_two_requests_of_a_poll_is_no_page_cap(number: int) -> None:
    server = RawServer([row(1), row(2, LATER)], date=now)

    async def remove_one(_first: datetime, _last: datetime) -> None:
        if len(server.asked) == number:
            server.rows = server.rows[:1]

    server.answer = remove_one
    async with served(server) as client, begin(client) as follow:
        came = told(await within(follow.changes(), 10 * MINUTE))
    # It vanished before it was handed out, or behind that.
    assert came in (["added 1"], ["added 1", "added 2", "removed 2"])


@virtual
@pytest.mark.looptime
async def test_a_change_is_a_value() -> None:
    server = RawServer([row(1), row(2)], date=now)
    async with served(server) as client, begin(client) as follow:
        changes = follow.changes()
        added = await within(changes)
        server.rows = [row(2, **PRICE)]
        removed, revised = await within(changes)
    key = CdrKey(START + 50 * MINUTE, "1")
    assert added[0] == CdrChange("added", added[0].record)
    assert added[0].key == key == removed.key
    match removed, revised:
        case CdrChange("removed", None, CdrKey(start, "1")), CdrChange("revised", record, CdrKey(id="2")):
            assert (start, record and record.sell_price_cents) == (START + 50 * MINUTE, 7)
        case _:
            pytest.fail("no match")
    with pytest.raises(TypeError, match="needs a key"):
        CdrChange("removed", None)


@pytest.mark.rest_slow
@virtual
@pytest.mark.looptime
@pytest.mark.parametrize("taken", range(5))
@pytest.mark.parametrize("first", ["changes", "records", "batches"])
async def test_a_checkpoint_of_any_view_between_two_changes_continues_with_the_rest(taken: int, first: str) -> None:
    before = [row(1), row(2), row(3), row(4)]
    after = [row(1, **PRICE), row(3, **PRICE), row(4), row(5)]
    expected = ["revised 1 7", "removed 2", "revised 3 7", "added 5"]
    server = RawServer(before, date=now)
    async with served(server) as client, begin(client) as follow:
        if first == "changes":
            changes = follow.changes()
            await within(changes)
            server.rows = after
            for number in range(taken):
                assert told([await anext(changes)]) == [expected[number]]
            rest = expected[taken:]
        else:
            view = aiter(follow) if first == "records" else follow.batches()
            await within(view)
            server.rows = after if taken else before
            # The plain views hand out additions alone, and pass the rest over, which counts once, however many polls there are.
            await within(view, taken * 90 * SECOND)
            assert (follow.stats.records, follow.stats.revised, follow.stats.removed) == (
                (5, 2, 1) if taken else (4, 0, 0)
            )
            server.rows, rest = after, expected[:3] if taken else expected
        resumed = begin(client, follow.checkpoint.to_json())
        assert told(await within(resumed.changes())) == rest
        stats = resumed.stats
        # What the other view has counted is not counted again.
        assert stats.revised + stats.removed == (
            0 if taken and first != "changes" else len([e for e in rest if "added" not in e])
        )
        assert told(await within(resumed.changes())) == []


@virtual
@pytest.mark.looptime
async def test_what_was_passed_over_and_is_as_it_was_handed_out_does_not_come() -> None:
    server = RawServer([row(1), row(2), row(3)], date=now)
    async with served(server) as client, begin(client) as follow:
        records = aiter(follow)
        assert len(await within(records)) == 3
        for server.rows in (
            [row(1, **PRICE), row(3)],
            [row(1, **OTHER), row(2), row(3)],
            [row(1), row(2, **PRICE), row(3)],
            [row(1), row(3)],
            [row(1), row(2), row(3, **PRICE)],
        ):
            assert await within(records) == []
        # Of 1: filled in, filled in again, and back. Of 2: gone, back, filled in, gone, and back to its first form.
        assert (follow.stats.revised, follow.stats.removed) == (6, 2)
        await records.aclose()
        assert told(await within(follow.changes())) == ["revised 3 7"]


@virtual
@pytest.mark.looptime
async def test_a_row_that_a_lagging_replica_leaves_out_comes_once_to_the_plain_view() -> None:
    server = RawServer([row(1), row(2)], date=now)
    async with served(server) as client, begin(client) as follow:
        records = aiter(follow)
        assert len(await within(records)) == 2
        for server.rows in ([row(2)], [row(1), row(2)], [row(2)]) * 3:
            assert await within(records) == []
        assert (follow.stats.records, follow.stats.removed) == (2, 4)


# --- what is not removed ----------------------------------------------------------------------------------------------

FAULTS: dict[str, dict[str, str]] = {
    "a field": {"billsec": "null"},
    "half a surrogate pair": {"src": '"\\ud83d"'},
    "no start": {"startTime": "null"},
    "no id": {"id": "null"},
}


@pytest.mark.slow
@virtual
@pytest.mark.looptime
@pytest.mark.parametrize(("fault", "order", "restarts"), covering(FAULTS, ORDERS, [False, True]))
async def test_a_record_that_cannot_be_read_any_more_is_not_removed(fault: str, order: Order, restarts: bool) -> None:
    server = RawServer([row(0), row(1, LATER), row(2, LATER)], order, date=now)
    async with served(server) as client:
        follow = begin(client, unreadable="keep")
        changes = follow.changes()
        assert len(await within(changes)) == 3
        for rows, expected in [
            # What lies elsewhere is removed all the same.
            ([row(1, LATER, **FAULTS[fault]), row(2, LATER)], ["removed 0"]),
            ([row(1, LATER, **FAULTS[fault]), row(2, LATER, **PRICE)], ["revised 2 7"]),
            ([row(1, LATER), row(2, LATER, **PRICE)], []),
            ([row(1, LATER, **FAULTS[fault])], []),
            ([row(1, LATER, **PRICE)], ["revised 1 7", "removed 2"]),
        ]:
            server.rows = rows
            assert told(await within(changes, 5 * MINUTE)) == expected
            if restarts:
                await follow.aclose()
                follow = begin(client, follow.checkpoint.to_json(), unreadable="keep")
                changes = follow.changes()
        await follow.aclose()


@virtual
@pytest.mark.looptime
async def test_nothing_is_removed_while_a_server_shows_a_row_without_a_start_in_all_windows() -> None:
    server = RawServer([row(0), row(1, LATER), row(2, 55 * MINUTE)], date=now)
    everywhere = False

    async def show(first: datetime, _last: datetime) -> None:
        server.rows = [each for each in server.rows if b"null" not in each.text]
        if everywhere:
            server.rows.append(RawRow(first, row(1, LATER, startTime="null").text))

    server.answer = show
    async with served(server) as client, begin(client, unreadable="keep") as follow:
        changes = follow.changes()
        assert len(await within(changes)) == 3
        server.rows, everywhere = [row(0, **PRICE), row(2, 55 * MINUTE)], True
        assert told(await within(changes, 5 * MINUTE)) == ["revised 0 7"]
        server.rows = [row(2, 55 * MINUTE)]
        assert told(await within(changes, 5 * MINUTE)) == []
        everywhere = False
        assert told(await within(changes)) == ["removed 0", "removed 1"]


@virtual
@pytest.mark.looptime
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_row_that_cannot_be_read_raises_behind_the_changes_before_it(fault: str) -> None:
    server = RawServer([row(0), row(1, LATER), row(2, 52 * MINUTE)], date=now)
    async with served(server) as client, begin(client) as follow:
        changes = follow.changes()
        assert len(await within(changes)) == 3
        server.rows = [row(1, LATER, **FAULTS[fault]), row(2, 52 * MINUTE, **PRICE)]
        assert told([await anext(changes)]) == ["removed 0"]
        with pytest.raises(ResponseError) as caught:
            await anext(changes)
        assert caught.value.resume_after is not None
        behind = begin(client, caught.value.resume_after.to_json())
        changes = behind.changes()
        assert told(await within(changes)) == ["revised 2 7"]
        server.rows = [row(1, LATER), row(2, 52 * MINUTE, **PRICE)]
        assert told(await within(changes)) == []
        await behind.aclose()


@pytest.mark.slow
@virtual
@pytest.mark.looptime
async def test_a_record_that_is_not_asked_for_any_more_is_not_removed() -> None:
    server = RawServer([row(1), row(2, LATER)], date=now)
    async with served(server) as client, begin(client) as follow:
        changes = follow.changes()
        assert len(await within(changes)) == 2
        # Until the lookback is over, changes come.
        assert await within(changes, 19 * MINUTE) == []
        server.rows = [row(1, **PRICE), row(2, LATER)]
        assert told(await within(changes)) == ["revised 1 7"]
        await within(changes, 20 * MINUTE)
        server.rows = []
        assert await within(changes, HOUR) == []
        assert follow.stats.held == 0


@virtual
@pytest.mark.looptime
async def test_clocks_that_jump_remove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    server = RawServer([row(1), row(2, LATER)], date=now)
    async with served(server) as client, begin(client, lookback=2 * HOUR) as follow:
        changes = follow.changes()
        assert len(await within(changes)) == 2
        for off in (-15 * MINUTE, 40 * MINUTE, -400 * 24 * HOUR, 24 * HOUR, OFF):
            monkeypatch.setattr("unlimcall_async._clock.utc_now", lambda off=off: now() + off)
            assert await within(changes, 5 * MINUTE) == []
        server.rows = []
        assert told(await within(changes)) == ["removed 1", "removed 2"]


# --- checkpoints of earlier releases ----------------------------------------------------------------------------------


def of_earlier_release(version: int, checkpoint: str, records: list[CallRecord]) -> str:
    """Return the checkpoint that a release without named marks would have written behind some records."""
    content = json.loads(checkpoint)
    cells = list[list[Any]]()
    for first, end, asked, *_ in content["cells"]:
        here = [each for each in records if first <= each.start_time.timestamp() * 1000 < end]
        if version == 3:
            marks = b"".join(key_of(each) + contents_of(each)[:10] for each in here)
            cells.append([first, end, asked, base64.b64encode(marks).decode()])
        else:
            marks = b"".join(key_of(each) + contents_of(each)[8:10] + b"xx" for each in here)
            cells.append([first // (end - first), asked, base64.b64encode(marks).decode()])
    return json.dumps(content | {"version": version, "width": 75_000, "cells": cells})


@virtual
@pytest.mark.looptime
@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("plain", [False, True])
async def test_the_checkpoint_of_an_earlier_release_is_continued(version: int, plain: bool) -> None:
    texts = ({"src": '"a"'}, {"src": '"b"'})
    legs = [row(1, **texts[0]), row(1, **texts[1])]
    server = RawServer([*legs, row(2), row(3), row(4)], date=now)
    async with served(server) as client, begin(client) as follow:
        records = await within(aiter(follow))
        stored = of_earlier_release(version, follow.checkpoint.to_json(), records)
        # While nobody follows, one is filled in, one is gone, and one comes.
        server.rows = [*legs, row(2, **PRICE), row(4), row(5)]
        resumed = begin(client, stored)
        if plain:
            assert [each.id for each in await within(aiter(resumed))] == ["5"]
            assert (resumed.stats.revised, resumed.stats.removed) == (1, 0)
            resumed = begin(client, resumed.checkpoint.to_json())
        # Only its name could tell that 3 is gone.
        changes = resumed.changes()
        assert told(await within(changes)) == (["revised 2 7"] if plain else ["revised 2 7", "added 5"])
        # What was there since then has a name.
        server.rows = [row(1, **texts[1]), row(2, **OTHER)]
        assert told(await within(changes)) == ["removed 1", "revised 2 8", "removed 4", "removed 5"]
        await resumed.aclose()


# --- leaving ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@virtual
@pytest.mark.looptime
async def test_a_cancellation_at_any_step_loses_nothing_and_repeats_nothing() -> None:
    server = RawServer([], date=now)
    async with served(server) as client, begin(client, lookback=3 * HOUR) as follow:
        changes, came = follow.changes(), list[str]()
        for steps in range(60):
            server.rows = [row(1, sellPriceCents=f"{steps + 1}"), row(f"new {steps}", LATER)]
            task = asyncio.ensure_future(anext(changes))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                came += told([await task])
            came += told(await within(changes))
            if steps:
                expected = [f"revised 1 {steps + 1}", f"removed new {steps - 1}", f"added new {steps}"]
                assert sorted(came[-3:]) == sorted(expected)
        assert len(came) == 2 + 59 * 3


@virtual
@pytest.mark.looptime
async def test_one_view_at_a_time() -> None:
    server = RawServer([row(1), row(2)], date=now)
    async with served(server) as client, begin(client) as follow, aclosing(follow.changes()) as changes:
        await anext(changes)
        with pytest.raises(RuntimeError, match="one iteration at a time"):
            await anext(aiter(follow))
        asyncio.get_running_loop().call_later(300, lambda: asyncio.ensure_future(follow.aclose()))
        # `aclose` from elsewhere ends the wait for changes.
        assert told([change async for change in changes]) == ["added 2"]


# --- at length --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("count", "seed"), [(150, 1), (1_000, 2)], ids=["some", "a thousand"])
async def test_no_change_is_missed_or_repeated_over_crashes(count: int, seed: int) -> None:
    changes = Changes(count, seed)
    await changes.run()
    assert min(changes.counts.values()) > count / 8
    assert changes.killed > count / 150
