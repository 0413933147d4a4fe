"""`stream.take_manifest`: the pieces of a manifest add up, wherever they end."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.raw_server import RawRow, RawServer, good, row_text, served
from unlimcall_async import CallRecord, ResponseError
from unlimcall_async.proof import DayDigest, Manifest

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)


def tied(count: int, ties: int) -> RawServer:
    starts = [START + timedelta(minutes=17) * (number // ties) for number in range(count)]
    return RawServer([good(start, number) for number, start in enumerate(starts)])


@pytest.mark.parametrize("newest", [False, True])
async def test_pieces_within_one_instant_add_up(*, newest: bool) -> None:
    await check_pieces([1, 1, 5], 3, newest=newest, resumed=False)


@pytest.mark.slow
@given(
    steps=st.lists(st.integers(1, 10), max_size=6), newest=st.booleans(), ties=st.integers(1, 7), resumed=st.booleans()
)
async def test_pieces_add_up_to_the_manifest_of_the_whole(
    steps: list[int], ties: int, *, newest: bool, resumed: bool
) -> None:
    await check_pieces(steps, ties, newest=newest, resumed=resumed)


async def check_pieces(steps: list[int], ties: int, *, newest: bool, resumed: bool) -> None:
    server = tied(60, ties)
    pieces, records = list[Manifest](), list[CallRecord]()
    async with served(server) as client:
        whole = client.cdrs.stream(START, END, page_size=20, newest_first=newest, manifest=True)
        await whole.to_list()
        stream = client.cdrs.stream(START, END, page_size=20, newest_first=newest)
        for step in [*steps, 1000]:
            async with aclosing(aiter(stream)) as some:
                for _ in range(step):
                    if (record := await anext(some, None)) is None:
                        break
                    records.append(record)
            if resumed:
                pieces.append(stream.manifest)
                stream = client.cdrs.stream(START, END, page_size=20, newest_first=newest, resume=stream.checkpoint)
            else:
                pieces.append(stream.take_manifest())
            # Up to here, the sum is a manifest of its own, also between two records of one instant.
            so_far = reduce(add, pieces)
            assert so_far.total == DayDigest.of(records)
            held = so_far.held_at_start if newest else so_far.held_at_end
            edge = so_far.start if newest else so_far.end
            there = [record for record in records if record.start_time == edge]
            assert held is None or held == tuple(sorted(DayDigest.of([record]).digest for record in there))
        assert (await client.cdrs.verify(pieces[0])).ok
    so_far = reduce(add, pieces)
    assert (so_far.start, so_far.end, so_far.days) == (START, END, whole.manifest.days)
    assert (so_far.held_at_start, so_far.held_at_end, so_far.gaps()) == (None, None, [])
    assert Manifest.from_json(so_far.to_json()) == so_far


async def test_records_that_a_view_has_taken_are_not_cut_off() -> None:
    server = tied(200, 1)
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, page_size=40)
        async with aclosing(stream.arrow(150)) as batches:
            await anext(batches)
            taken = stream.take_manifest()
            assert taken.total.records == 150
            rest = [batch async for batch in batches]
        assert (sum(batch.num_rows for batch in rest), stream.take_manifest().total.records) == (50, 50)


async def test_a_row_that_has_ended_the_stream_is_in_the_next_piece_only() -> None:
    server = tied(20, 1)
    at = START + timedelta(minutes=30)
    server.rows.append(RawRow(at, row_text(at, "bad", billsec="null")))
    async with served(server) as client:
        stream = client.cdrs.stream(START, END)
        with pytest.raises(ResponseError):
            [record async for record in stream]
        first = stream.take_manifest()
        stream = client.cdrs.stream(START, END, resume=stream.checkpoint, unreadable="keep")
        [record async for record in stream]
    assert (first.unreadable, len((first + stream.take_manifest()).unreadable)) == ((), 1)
