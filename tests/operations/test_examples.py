"""The examples do what they say where there is something to do; `tests/test_docs.py` runs them as they stand."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.examples import load
from tests.webhooks.servers import aiohttp_server
from unlimcall_async.operations import PoolStateError
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(balance="20") as sandbox:
        monkeypatch.setenv("UNLIMCALL_TOKEN", sandbox.token)
        monkeypatch.setenv("UNLIMCALL_BASE_URL", sandbox.url)
        yield sandbox


def call(minutes_ago: int, disposition: str, **fields: Any) -> SandboxCall:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes_ago)
    return SandboxCall(id=f"{minutes_ago}", start_time=start, disposition=disposition, **fields)


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp_server(load("service").make_app()) as url, aiohttp.ClientSession(url) as session:
        assert sandbox.requests == []
        yield session


async def answer(session: aiohttp.ClientSession, body: Any) -> tuple[int, Any]:
    async with session.post("/calls", data=body if isinstance(body, bytes) else json.dumps(body)) as got:
        return got.status, await got.json()


async def test_the_service_places_calls_from_the_destinations_country(
    sandbox: Sandbox, service: aiohttp.ClientSession
) -> None:
    for number in ("+442079460812", "+442079460813", "+442079460812"):
        status, content = await answer(service, {"to": "+442071838750"})
        assert (status, content["from"]) == (202, number)
    assert [placed.from_number for placed in sandbox.originated] == ["+442079460812", "+442079460813", "+442079460812"]
    async with service.get("/balance") as got:
        assert await got.json() == {"balance": "20", "currency": "USD"}


async def test_the_service_says_what_went_wrong_and_whether_a_call_may_have_been_placed(
    sandbox: Sandbox, service: aiohttp.ClientSession
) -> None:
    for body in (b"[", b"[]", {}, {"to": 44}, {"to": "0044"}):
        assert (await answer(service, body))[0] == 400
    assert sandbox.requests == []
    sandbox.inject(Status(500), endpoint="calls")
    status, content = await answer(service, {"to": "+442071838750"})
    assert (status, content["category"], content["outcome_unknown"]) == (502, "provider", True)
    assert len(sandbox.requests) == 1


async def test_numbers_that_go_bad_are_burned_and_stay_so(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = "+442079460801", "+442079460802"
    sandbox.add_calls(
        call(index, "NO ANSWER" if index % 2 or index % 10 == 0 else "ANSWERED", src=bad if index % 2 else good)
        for index in range(400)
    )
    caller_ids, path = load("caller_ids"), tmp_path / "caller_ids.json"
    await caller_ids.main(path)
    assert f"{bad} suspect: 0 of 200 answered, 160 of 200 by the others" in capsys.readouterr().out
    pool = caller_ids.stored(path)
    now = datetime.now(UTC)
    assert list(pool.burned(now=now)) == [bad]
    assert {pool.select("+442071838750", campaign="spring", now=now).number for _ in range(9)} == {
        good,
        "+442079460803",
    }


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"mine\n", b"[" * 100_000])
async def test_a_file_that_holds_no_pool_is_told_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(PoolStateError, match="not a valid state of a pool"):
        await load("caller_ids").main(path)
    assert path.read_bytes() == content


async def test_alerts_are_told(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.add_calls(call(index // 10, "FAILED" if index % 50 == 0 else "ANSWERED") for index in range(300))
    arguments = argparse.Namespace(follow=False, threshold=Decimal(25), currency="USD")
    await load("alerts").main(arguments)
    printed = capsys.readouterr().out
    assert printed.count("ALERT started") == 2
    assert "United Kingdom, " in printed
    assert "ALERT low: 20 USD" in printed


async def test_calls_whose_hook_was_disabled_are_recovered_once(capsys: pytest.CaptureFixture[str]) -> None:
    await load("recover").main()
    printed = capsys.readouterr().out
    assert "hooks enabled: [False]" in printed
    assert printed.count("has no event (certain): handled") == 3
    assert [line for line in printed.splitlines() if line.startswith("recovered")] == [
        "recovered 3 calls",
        "recovered 0 calls",
    ]
    assert printed.endswith("the CRM knows the end of {'delivered': 2, 'recovered': 3}\n")
