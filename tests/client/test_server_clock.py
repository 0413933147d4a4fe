"""The server's clock over HTTP: the warning, and what a call tells its caller."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async import AsyncClient
from unlimcall_async._codec import decode
from unlimcall_async.http.caller import Wanted
from unlimcall_async.http.endpoints import ME
from unlimcall_async.http.pull import CallCost, Pull
from unlimcall_async.http.retry import Patience
from unlimcall_async.models import Identity
from unlimcall_async.sandbox import Sandbox, Status

SetClock = Callable[[timedelta], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Set the clock of this machine, as the client sees it, so much ahead."""

    def ahead(by: timedelta) -> None:
        monkeypatch.setattr("unlimcall_async._clock.utc_now", lambda: datetime.now(UTC) + by)

    return ahead


async def identity(body: bytes) -> Identity:
    return decode(body, Identity)


async def cost_of(client: AsyncClient) -> CallCost:
    pull = Pull(limiter=client._caller.limiters.of("me"), patience=Patience(0))
    wanted = Wanted({}, identity)
    await client._caller.pull(ME, pull, lambda: wanted)
    return pull.cost


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("skew", "side"), [(timedelta(days=1), "ahead of"), (timedelta(days=-1), "behind")], ids=["ahead", "behind"]
)
async def test_a_clock_that_is_wrong_by_a_day_is_said_once_for_a_client_and_its_views(
    client: AsyncClient, set_clock: SetClock, caplog: pytest.LogCaptureFixture, skew: timedelta, side: str
) -> None:
    set_clock(skew)
    for each in (client, client.with_options(timeout=5), client):
        assert (await cost_of(each)).skew_s == pytest.approx(skew.total_seconds(), abs=2)
    (words,) = warnings(caplog)
    assert f"s {side} the server's clock" in words


async def test_a_clock_that_is_right_is_not_worth_a_word(client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    cost = await cost_of(client)
    assert cost.skew_s == pytest.approx(0, abs=2)
    assert cost.server_time is not None
    assert abs(cost.server_time - datetime.now(UTC)) < timedelta(seconds=5)
    assert (cost.server_time.microsecond, cost.server_time.tzinfo) == (0, UTC)
    assert warnings(caplog) == []


async def test_the_time_of_the_last_response_counts_also_after_a_retry(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(500, headers={"Date": "Sun, 24 May 2026 12:00:00 GMT"}))
    cost = await cost_of(client)
    assert cost.server_time is not None
    assert (cost.retries, cost.server_time.year) == (1, datetime.now(UTC).year)
    assert cost.server_time > datetime(2026, 5, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_response_without_a_usable_date_leaves_what_is_known(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture, date: str
) -> None:
    known = await cost_of(client)
    body = '{"customerId": "1042", "companyName": "Acme", "primaryContactEmail": "ops@acme.example"}'
    sandbox.inject(Status(200, body=body, headers={"Date": date}))
    cost = await cost_of(client)
    assert (cost.server_time, cost.skew_s) == (None, known.skew_s)
    assert warnings(caplog) == []
