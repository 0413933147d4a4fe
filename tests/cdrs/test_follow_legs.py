"""Legs that share start and id, over HTTP: each comes once, although it is rated again and the follow is started anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cdrs.raw_server import ORDERS, Order, RawRow, RawServer, row_text, served
from unlimcall_async import AsyncClient, Checkpoint

pytestmark = pytest.mark.own_rules

NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(minutes=30)


def leg(src: str, **rated: str) -> RawRow:
    return RawRow(START, row_text(START, "1", src=f'"{src}"', **rated))


def sentinel(number: int) -> RawRow:
    """Return a row whose arrival shows that a poll has come to its end."""
    start = START + timedelta(minutes=number + 1)
    return RawRow(start, row_text(start, f"sentinel {number}", src=f'"sentinel {number}"'))


async def new(client: AsyncClient, stored: str | None, last: str) -> tuple[list[str], str]:
    """Follow until a record comes. Return what came, and a checkpoint."""
    resume = None if stored is None else Checkpoint.from_json(stored)
    came = list[str]()
    async with client.cdrs.follow(START, interval=timedelta(milliseconds=1), resume=resume) as follow:
        async for record in follow:
            came.append(record.src or "")
            if record.src == last:
                break
        return came, follow.checkpoint.to_json()


@pytest.mark.parametrize("order", ORDERS)
async def test_legs_that_are_rated_again_come_once_over_restarts(order: Order) -> None:
    rated = {"sellPriceCents": "7", "currency": '"EUR"', "country": '"DE"', "disposition": '"ANSWERED"'}
    steps: list[tuple[list[RawRow], list[str]]] = [
        ([leg("a")], ["a"]),
        ([leg("a", **rated), leg("b")], ["b"]),
        ([leg("a"), leg("b", **rated), leg("c", sellPriceCents="7"), leg("c")], ["c", "c"]),
        ([leg(src, **rated) for src in ("d", "c", "c", "b", "a")], ["d"]),
        ([leg(src, **rated) for src in ("d", "c", "c", "b", "a")], []),
    ]
    server, stored = RawServer([], order), None
    async with served(server) as client:
        for number, (legs, expected) in enumerate(steps):
            server.rows = [*legs, *map(sentinel, range(number + 1))]
            came, stored = await new(client, stored, f"sentinel {number}")
            assert came == [*expected, f"sentinel {number}"]
