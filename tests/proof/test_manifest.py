"""The manifest of a stream: what it claims is what the server was asked, and its digests are those of what was handed out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, permutations
from typing import Any

import pytest
from aiohttp import web
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs import simulated
from tests.cdrs.raw_server import ORDERS, Order, RawRow, evenly, good, served
from tests.proof.auditor import LoggedServer, complaints
from unlimcall_async import CallRecord, CdrStream, Checkpoint, ResponseError, ServerError, WindowSaturatedError
from unlimcall_async._columns import to_records
from unlimcall_async.cdrs.times import Range
from unlimcall_async.proof import DayDigest, Manifest, ledger

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC)
DAYS = timedelta(days=20)


def by_day(records: Sequence[CallRecord]) -> dict[date, DayDigest]:
    days = sorted({record.start_time.date() for record in records})
    return {day: DayDigest.of([r for r in records if r.start_time.date() == day]) for day in days}


def dense(count: int = 700) -> LoggedServer:
    return LoggedServer(evenly(count, START, DAYS))


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_manifest_is_borne_out_by_the_log_of_the_server(
    order: Order, concurrency: int, *, newest: bool
) -> None:
    server = evolve(dense(), order=order)
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, newest_first=newest, page_size=60, concurrency=concurrency)
        records = await stream.to_list()
        manifest = stream.manifest
    assert [*complaints(manifest, server.log)] == []
    assert (manifest.start, manifest.end, manifest.days) == (START, END, by_day(records))
    assert manifest.total == DayDigest.of(records)
    sought = {window.reason for window in manifest.windows}
    assert sought == ({"short"} if order == "arbitrary" else {"short", "sought"})
    assert len(manifest.assumptions) == 3 + len(sought)
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_json_of_a_manifest_is_indented_like_all_json_of_python(count: int) -> None:
    days = {START.date() + number * timedelta(days=1): DayDigest(number, f"{number:064x}") for number in range(count)}
    text = Manifest(START, END, days=dict(reversed(days.items()))).to_json()
    assert json.dumps(json.loads(text), indent=1) == text
    assert [*json.loads(text)["days"]] == [day.isoformat() for day in days]


async def test_the_auditor_finds_what_was_not_asked() -> None:
    server = dense()
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, page_size=60)
        await stream.to_list()
        manifest = stream.manifest
    first = next(window for window in manifest.windows if window.reason == "sought")
    at = manifest.windows.index(first)
    for change in (
        {"asked_till": first.asked_till + timedelta(seconds=1)},
        {"rows": first.rows - 1},
        {"reason": "short", "repeated": None},
        {"repeated": first.repeated + 50 if first.repeated else 0},
        {"end": first.end + timedelta(days=1)},
        {"start": first.start + timedelta(seconds=1)},
    ):
        windows = (*manifest.windows[:at], evolve(first, **change), *manifest.windows[at + 1 :])
        assert [*complaints(evolve(manifest, windows=windows), server.log)], change


# --- at any position --------------------------------------------------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.tuples(st.just("records"), st.integers(1, 40)),
        st.tuples(st.just("batches"), st.integers(1, 2)),
        st.tuples(st.just("arrow"), st.integers(1, 2)),
        st.tuples(st.just("all"), st.just(0)),
        st.tuples(st.just("resumed"), st.integers(20, 90)),
    ),
    max_size=6,
)


VIEWS: dict[str, Callable[[CdrStream], AsyncGenerator[Any, None]]] = {
    "records": aiter,
    "batches": lambda stream: stream.batches(),
    "arrow": lambda stream: stream.arrow(17),
}


async def take(stream: CdrStream, how: str, number: int) -> list[CallRecord]:
    """Take so many records, batches or columns from a stream, or all that is left, and leave it."""
    if how == "all":
        with suppress(ServerError):
            return await stream.to_list()
        return []
    records = list[CallRecord]()
    async with aclosing(VIEWS[how](stream)) as view:
        async for came in view:
            records += to_records(came) if how == "arrow" else came if how == "batches" else [came]
            if how == "batches":
                came.clear()  # the list is the reader's
            number -= 1
            if number <= 0:
                break
    return records


@pytest.mark.slow
@given(steps=steps, newest=st.booleans(), asked=st.booleans(), order=st.sampled_from(ORDERS), ties=st.integers(1, 5))
async def test_a_manifest_is_that_of_what_was_handed_out_at_any_position(
    steps: list[tuple[str, int]], order: Order, ties: int, *, newest: bool, asked: bool
) -> None:
    rows = [good(START + timedelta(hours=number // ties), number % (ties + 3)) for number in range(100)]
    server = LoggedServer(rows, order=order)
    failing = False

    async def fail(_first: datetime, _last: datetime) -> web.Response | None:
        return web.Response(status=500) if failing else None

    server.answer = fail
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, newest_first=newest, page_size=25, concurrency=1, manifest=asked)
        own, all_records = list[CallRecord](), list[CallRecord]()
        done: Manifest | None = None
        for how, number in [*steps, ("records", 1000)]:
            if how == "resumed":
                assert (await client.cdrs.verify(stream.manifest)).ok
                done = stream.manifest if done is None else done + stream.manifest
                resume = Checkpoint.from_json(stream.checkpoint.to_json())
                stream = client.cdrs.stream(newest_first=newest, start=START, page_size=number, resume=resume)
                own = []
                continue
            failing = how == "all"
            came = await take(stream, how, number)
            failing = False
            own += came
            all_records += came
            if asked or how == "arrow":
                manifest = stream.manifest
                assert manifest.days == by_day(own)
                assert [*complaints(manifest, server.log)] == []
        whole = stream.manifest if done is None else stream.manifest + done
        assert (await client.cdrs.verify(whole)).ok
    assert len(all_records) == 100
    assert (whole.start, whole.end, whole.held_at_start, whole.held_at_end) == (START, END, None, None)
    assert whole.days == by_day(all_records)
    assert [*complaints(whole, server.log)] == []


async def test_what_is_asked_again_rests_on_the_later_answer() -> None:
    server = dense(60)
    failing = False

    async def fail(_first: datetime, _last: datetime) -> web.Response | None:
        return web.Response(status=500) if failing else None

    server.answer = fail
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, page_size=20, concurrency=1)
        at = (await take(stream, "records", 3))[-1].start_time
        asked, failing = len(server.log), True
        assert await take(stream, "all", 0) == []
        failing = False
        await stream.to_list()
    behind = next(window for window in stream.manifest.windows if window.end > at)
    assert behind.start == at
    assert (behind.asked_from, behind.asked_till) in {(answer.start, answer.till) for answer in server.log[asked:]}


async def test_unread_rows_are_named_and_the_sum_covers_a_row_that_was_skipped() -> None:
    async with served(with_a_bad_row(50)) as client:
        kept = client.cdrs.stream(START, END, page_size=30, unreadable="keep")
        await kept.to_list()
        assert [row.where[-9:] for row in kept.manifest.unreadable] == [".duration"]
        stream = client.cdrs.stream(START, END, page_size=30)
        with pytest.raises(ResponseError) as raised:
            [record async for record in stream]
        first = stream.manifest
        rest = client.cdrs.stream(START, END, resume=raised.value.resume_after)
        await rest.to_list()
        whole = first + rest.manifest
        verification = await client.cdrs.verify(whole)
    assert whole.days == kept.manifest.days
    assert [(row.reason, row.digest) for row in whole.unreadable] == [
        (row.reason, row.digest) for row in kept.manifest.unreadable
    ]
    assert verification.ok
    assert len(verification.unreadable) == 1


def with_a_bad_row(place: int) -> LoggedServer:
    server = dense(100)
    at = server.rows[place].start
    server.rows[place] = RawRow(at, f'{{"id": "bad", "startTime": "{at.isoformat()}"}}'.encode())
    return server


@pytest.mark.parametrize("view", ["to_list", "to_arrow"])
async def test_what_failed_as_a_whole_has_a_manifest_without_the_row_that_ended_it(view: str) -> None:
    async with served(with_a_bad_row(50)) as client:
        stream = client.cdrs.stream(START, END, page_size=30, manifest=True)
        done = await take(stream, "records", 3)
        with pytest.raises(ResponseError):
            await getattr(stream, view)()
        first = stream.manifest
        rest = client.cdrs.stream(START, END, resume=stream.checkpoint, unreadable="keep")
        await rest.to_list()
    assert (first.days, first.unreadable) == (by_day(done), ())
    assert [row.where[-9:] for row in (first + rest.manifest).unreadable] == [".duration"]


async def test_a_batch_before_an_error_has_the_manifest_of_its_checkpoint() -> None:
    async with served(with_a_bad_row(50)) as client:
        stream = client.cdrs.stream(START, END, page_size=30)
        async with aclosing(stream.arrow()) as batches:
            assert len(await anext(batches)) == 50
            first = stream.manifest
            rest = client.cdrs.stream(START, END, resume=stream.checkpoint, unreadable="keep")
            await rest.to_list()
            # Only now does the row end the stream.
            with pytest.raises(ResponseError):
                await anext(batches)
    assert first.unreadable == ()
    assert [row.where[-9:] for row in (first + rest.manifest).unreadable] == [".duration"]
    assert len(stream.manifest.unreadable) == 1


@pytest.mark.slow
async def test_a_saturated_instant_that_is_skipped_leaves_a_gap() -> None:
    server = dense(100)
    server.rows[50:50] = [good(server.rows[50].start, 1000 + number) for number in range(60)]
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, page_size=30)
        with pytest.raises(WindowSaturatedError) as raised:
            [record async for record in stream]
        rest = client.cdrs.stream(START, END, page_size=30, resume=raised.value.resume_after)
        await rest.to_list()
    with pytest.raises(ValueError, match="the manifests do not touch"):
        stream.manifest + rest.manifest


async def test_a_manifest_that_is_first_read_late_is_refused_and_one_that_was_asked_for_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "MOST_KEPT", 99)
    server = dense(100)
    async with served(server) as client:
        stream, asked, seen = (client.cdrs.stream(START, END, manifest=manifest) for manifest in (False, True, False))
        assert seen.manifest.total == DayDigest()
        for each in (stream, asked, seen):
            await each.to_list()
        with pytest.raises(RuntimeError, match="manifest=True"):
            _ = stream.manifest
        assert asked.manifest.total.records == seen.manifest.total.records == 100
        assert asked.manifest == seen.manifest


def test_records_that_are_kept_no_longer_are_freed_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """To free 50,000 records at once would hold the event loop for more than 10 ms."""
    monkeypatch.setattr(ledger, "MOST_KEPT", 50)
    monkeypatch.setattr(ledger, "_FREED_AT_ONCE", 3)
    noted = ledger.Ledger(Range(0, 1000), None, newest_first=False, limit=1000, asked=False)
    runs = [[simulated.record(number, number)] * 2 for number in range(60)]
    held = [0]
    for run in runs:
        noted.enter(run)
        held.append(sum(sys.getrefcount(each[0]) > 3 for each in runs))
    assert max(held) >= 25
    assert held[-1] <= 3
    assert max(before - after for before, after in pairwise(held)) <= 2


# --- sums and JSON ----------------------------------------------------------------------------------------------------


def test_manifests_that_do_not_touch_do_not_add_up() -> None:
    first, second = Manifest(START, START + DAYS), Manifest(START + DAYS, END)
    assert (first + second) == (second + first)
    for other in (Manifest(START, END), Manifest(END, END + DAYS), evolve(second, held_at_start=())):
        with pytest.raises(ValueError, match="do not touch"):
            _ = first + other


@pytest.mark.parametrize("newest", [False, True])
async def test_manifests_within_the_first_instant_add_up_in_either_order(*, newest: bool) -> None:
    server = LoggedServer([good(START, number) for number in range(4)])
    pieces, resume = list[Manifest](), None
    async with served(server) as client:
        for number in (1, 2, 4):
            stream = client.cdrs.stream(START, START + DAYS, newest_first=newest, resume=resume)
            await take(stream, "records", number)
            pieces.append(stream.manifest)
            resume = stream.checkpoint
        # Without records, before those that begin at the start.
        pieces.append(Manifest(START, START))
        pieces.sort(key=lambda each: each.total.records == 0, reverse=not newest)
        for order in permutations(range(3)):
            left = pieces.copy()
            for place in order:
                at = min(place, len(left) - 2)
                assert left[at] + left[at + 1] == left[at + 1] + left[at]
                left[at : at + 2] = [left[at] + left[at + 1]]
            assert left[0].total.records == 4
            assert (left[0].held_at_start, left[0].held_at_end) == (None, None)
            assert (await client.cdrs.verify(left[0])).ok


def _replaced(text: str, name: str, value: object) -> str:
    """Return a manifest whose first window has another value."""
    content = json.loads(text)
    content["windows"][0][name] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-2], "not a manifest"),
        (lambda _: "[]", "not a manifest"),
        (lambda _: "null", "not a manifest"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version 2"),
        (lambda text: text.replace("cdrs.manifest", "other"), "'other'"),
        (lambda text: text.replace('"windows"', '"wind"'), "damaged"),
        (lambda text: text.replace('"records": ', '"records": "'), "not a manifest"),
        (lambda text: re.sub(r'"records": \d+', '"records": true', text), "days: Expected `int`, got `bool`"),
        (lambda text: text.replace('"records": ', '"more": 1, "records": '), "days: .* unknown field `more`"),
        (lambda text: text.replace('"digest": "', '"digest": "g'), "digest must have 64"),
        (lambda text: text.replace('"days": {', '"days": {"2026-02-30": {},'), "days: Invalid .*date"),
        # Another name of a day that is there.
        (lambda text: text.replace('"days": {', f'"days": {{"{START:%Y%m%d}": {{}},'), "days: Invalid .*date"),
        (lambda text: text.replace(START.isoformat()[:10], "2025-12-01", 1), "leave out"),
        (lambda text: text.replace('"days"', '"dates"'), "days: Expected `object`"),
        (
            lambda text: text.replace(
                '"days": {', f'"days": {{"2020-02-02": {{"records": 1, "digest": "{64 * "0"}"}},'
            ),
            "on 2020",
        ),
        # What a manifest shows of an answer bears out what it says of the window.
        (lambda text: _replaced(text, "asked_till", START.isoformat()), "beyond what was asked"),
        (lambda text: _replaced(text, "asked_from", END.isoformat()), "beyond what was asked"),
        (lambda text: _replaced(text, "rows", 1000), "is not short"),
        (lambda text: _replaced(text, "count", 1000), "is not short"),
        (lambda text: _replaced(text, "repeated", 8), "is not short"),
        (lambda text: _replaced(text, "reason", "sought"), "is not sought"),
        (lambda text: json.dumps(json.loads(text) | {"windows": 2 * json.loads(text)["windows"]}), "two windows hold"),
    ],
)
async def test_a_damaged_manifest_is_refused(change: Callable[[str], str], reason: str) -> None:
    async with served(dense(10)) as client:
        stream = client.cdrs.stream(START, END)
        await stream.to_list()
    text = stream.manifest.to_json()
    with pytest.raises(ValueError, match=reason):
        Manifest.from_json(change(text))
