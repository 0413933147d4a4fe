"""Many accounts whose limits other processes share."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.accounts.support import END, START, AccountsServer, accounts_of, ids, rows
from tests.cli.support import until
from unlimcall_async import RateLimit, RateLimits
from unlimcall_async.shared import SharedRateLimits


@pytest.mark.slow
async def test_accounts_have_limits_of_their_own_over_few_connections(valkey: Redis, url: str) -> None:
    names = [f"account {number}" for number in range(20)]
    server = AccountsServer({name: rows(name, 50) for name in names})
    shared = SharedRateLimits(url, RateLimits(cdrs=RateLimit(600, burst=100)))
    pulled = dict[str, list[str]]()
    async with accounts_of(server, rate_limits=shared) as accounts:
        async for name, batch in accounts.pull(START, END):
            pulled.setdefault(name, []).extend(record.id for record in batch)
        assert len(valkey.keys("*:cdrs:grants")) == 20
        assert len(valkey.client_list()) <= 1 + 8
    assert pulled == {name: ids(name, 50) for name in names}
    await until(lambda: len(valkey.client_list()) == 1)
