"""Rows that cannot be read in a live tail: each is named once, whatever polls show it again, and no record goes with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from attrs import define

from tests.cdrs.raw_server import ORDERS, Order, RawRow, RawServer, good, ids, row_text, served
from tests.selection import covering
from unlimcall_async import AsyncClient, CdrFollow, Checkpoint, ResponseError

pytestmark = [pytest.mark.looptime, pytest.mark.own_rules]

START = datetime(2026, 6, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
FAULTS = {
    "a field": {"billsec": "null"},
    "half a surrogate pair": {"src": '"\\ud83d"'},
    "no start": {"startTime": "null"},
    "a start without its offset": {"startTime": '"2026-06-01T00:00:00"'},
}


def now() -> datetime:
    return START + HOUR + asyncio.get_running_loop().time() * SECOND


@pytest.fixture(autouse=True)
def _wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async._clock.utc_now", now)


def bad(at: datetime, number: int, fault: str) -> RawRow:
    return RawRow(at, row_text(at, f"bad {number}", **FAULTS[fault]))


def mixed(fault: str) -> tuple[list[RawRow], list[RawRow]]:
    """Return two hours of records, and rows that cannot be read; two of these share start and text."""
    records = [good(START + number * 5 * MINUTE, number) for number in range(24)]
    others = [bad(START + number * 30 * MINUTE + 90 * SECOND, number, fault) for number in range(4)]
    return records, [*others, others[2]]


def grow(server: RawServer, rows: list[RawRow]) -> None:
    """Have each row appear ten minutes after its start."""

    async def show(_first: datetime, _last: datetime) -> None:
        server.rows = [row for row in rows if row.start + 10 * MINUTE <= now()]

    server.answer = show


def begin(client: AsyncClient, unreadable: Literal["raise", "keep"], resume: Checkpoint | None = None) -> CdrFollow:
    return client.cdrs.follow(START, interval=3 * MINUTE, lookback=HOUR / 2, unreadable=unreadable, resume=resume)


@define
class Reader:
    """Reads for as long as records come, and begins anew in another process after each hour or error."""

    got: list[str]
    named: list[bytes]
    checkpoint: Checkpoint | None = None

    async def read(self, client: AsyncClient, unreadable: Literal["raise", "keep"], end: datetime) -> None:
        follow = begin(client, unreadable, self.checkpoint)
        records = aiter(follow)
        try:
            while now() < end:
                try:
                    self.got.append((await asyncio.wait_for(anext(records), 600)).id)
                except TimeoutError:
                    continue
            self.checkpoint = Checkpoint.from_json(follow.checkpoint.to_json())
        except ResponseError as error:
            self.named.append(error.where.encode())
            self.checkpoint = error.resume_after and Checkpoint.from_json(error.resume_after.to_json())
        await follow.aclose()
        self.named += [row.body for row in follow.unreadable]
        assert follow.stats.unreadable == len(follow.unreadable)


KINDS: list[tuple[str, Order]] = [
    *((fault, "newest_first") for fault in FAULTS),
    *(("no start", order) for order in ORDERS[1:]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "unreadable"), covering(KINDS, ["raise", "keep"], together=1))
async def test_each_is_named_once_over_polls_and_processes(
    kind: tuple[str, Order], unreadable: Literal["raise", "keep"]
) -> None:
    fault, order = kind
    records, others = mixed(fault)
    server = RawServer([], order)
    grow(server, records + others)
    reader = Reader([], [])
    async with served(server) as client:
        for _ in range(40):
            if now() > START + 3 * HOUR:
                break
            await reader.read(client, unreadable, now() + HOUR)
    assert reader.got == ids(records)
    assert len(reader.named) == len(others)
    if unreadable == "keep":
        assert sorted(reader.named) == sorted(row.text for row in others)


@pytest.mark.rest_slow
@pytest.mark.parametrize("fault", FAULTS)
async def test_after_an_error_a_new_iteration_meets_the_row_again(fault: str) -> None:
    records = [good(START + number * 5 * MINUTE, number) for number in range(12)]
    async with served(RawServer([*records, bad(START + 12 * MINUTE, 0, fault)])) as client:
        follow = begin(client, "raise")
        got = list[str]()

        async def read() -> None:
            async for record in follow:
                got.append(record.id)  # what came before the error counts

        for _ in range(2):
            with pytest.raises(ResponseError, match='unreadable="keep"'):
                await read()
        assert got == ["0", "1", "2"]
        # What was kept by one follow is known to the next, of either kind.
        keeping = begin(client, "keep", follow.checkpoint)
        rest = [(await anext(records_left)).id for records_left in [aiter(keeping)] for _ in range(9)]
        assert rest == ids(records)[3:]
        assert len(keeping.unreadable) == 1
        await keeping.aclose()


@pytest.mark.rest_slow
async def test_a_row_without_a_start_is_named_if_a_follow_of_dense_traffic_is_cut_off() -> None:
    # A cell of the tail, a 24th of a lookback, ends 0.2 s behind the start, and another one 1.4 s: there the follow closes what is
    # handed out.
    lookback, at = 24 * 1.2 * SECOND, START - 5 * HOUR + SECOND
    records = [good(at + SECOND / 2000 * number, number) for number in range(4000)]
    lost = [bad(at + number * SECOND / 77, number, "no start") for number in range(115)]
    got, named, resume = list[str](), list[bytes](), None
    async with served(RawServer([*records, *lost])) as client:
        for wanted in (2950, 4000):
            follow = client.cdrs.follow(at, interval=SECOND, lookback=lookback, unreadable="keep", resume=resume)
            async for record in follow:
                got.append(record.id)
                if len(got) == wanted:
                    break
            named += [row.body for row in follow.unreadable]
            resume = Checkpoint.from_json(follow.checkpoint.to_json())
            await follow.aclose()
    assert got == ids(records)
    assert sorted(named) == sorted(row.text for row in lost)
