"""A server order that agrees with the time everywhere but once: by ids whose prefix changes, over real HTTP."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from tests.cdrs.matrix import as_record
from tests.selection import covering
from unlimcall_async import AsyncClient
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.sandbox import Sandbox, SandboxCall, generate_traffic

pytestmark = pytest.mark.own_rules

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


@cache
def traffic() -> list[SandboxCall]:
    """Return the calls of the range, the oldest first, which are made up once."""
    made = generate_traffic(6_000, start=START, end=END, kind="call_centre", seed=5)
    return sorted(made, key=lambda call: call.start_time)


async def check(
    sandbox: Sandbox,
    client: AsyncClient,
    pieces: Sequence[Sequence[SandboxCall]],
    *,
    newest_first: bool,
    concurrency: int,
    page_size: int = 1000,
) -> int:
    """Pull from a server that gives the pieces one after the other, compare, and return the number of requests."""
    sandbox.settings.order = "insertion"
    for piece in pieces:
        sandbox.add_calls(piece)
    stream = client.cdrs.stream(START, END, newest_first=newest_first, concurrency=concurrency, page_size=page_size)
    got = [record async for record in stream]
    within = [as_record(call) for piece in pieces for call in piece]
    assert got == in_output_order(within, newest_first=newest_first)
    return stream.stats.requests


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "descending", "newest_first", "concurrency"),
    covering([0.1, 0.6], [False, True], [False, True], [1, 4], together=1),
)
async def test_a_prefix_that_changes_once_loses_nothing(
    sandbox: Sandbox, client: AsyncClient, share: float, descending: bool, newest_first: bool, concurrency: int
) -> None:
    """The calls from a time on are sorted before all calls until then, as if their ids had another prefix."""
    cut = int(share * len(traffic()))
    old, new = traffic()[:cut], traffic()[cut:]
    pieces = [old[::-1], new[::-1]] if descending else [new, old]
    await check(sandbox, client, pieces, newest_first=newest_first, concurrency=concurrency, page_size=200)


@pytest.mark.rest_slow
@pytest.mark.parametrize(("descending", "newest_first"), covering([False, True], [False, True], together=1))
async def test_the_calls_of_a_temporary_exchange_are_not_lost(
    sandbox: Sandbox, client: AsyncClient, descending: bool, newest_first: bool
) -> None:
    """For two weeks ids had a prefix that is sorted behind all others: pages on either side arrive sorted, with a hole."""
    since, until = START + timedelta(days=20), START + timedelta(days=34)
    during = [call for call in traffic() if since <= call.start_time < until]
    others = [call for call in traffic() if not since <= call.start_time < until]
    pieces = [others[::-1], during[::-1]] if descending else [others, during]
    await check(sandbox, client, pieces, newest_first=newest_first, concurrency=1, page_size=500)


def in_campaigns(count: int, first_day: int) -> list[SandboxCall]:
    """Calls of two campaigns of five days, a month apart."""
    chance, campaigns = random.Random(3), [START + timedelta(days=days) for days in (first_day, first_day + 30)]
    starts = sorted(chance.choice(campaigns) + timedelta(seconds=chance.randrange(5 * 86_400)) for _ in range(count))
    return [SandboxCall(id=f"{number}", start_time=start) for number, start in enumerate(starts)]


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    # From the first days, the campaigns lie in the middle of the range, or at its end.
    ("share", "first_day", "newest_first"),
    covering([0.8, 0.95, 0.99], [19, 24], [False, True], together=1),
)
async def test_a_quiet_month_excuses_no_shorter_hole(
    sandbox: Sandbox, client: AsyncClient, share: float, first_day: int, newest_first: bool
) -> None:
    """The prefix changes within a campaign, and the rest of it is missing at the edge of the range."""
    calls = in_campaigns(6000, first_day)
    cut = int(share * len(calls))
    await check(sandbox, client, [calls[:cut][::-1], calls[cut:][::-1]], newest_first=newest_first, concurrency=4)
