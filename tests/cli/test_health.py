"""`unlimcall health`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from unlimcall_async.cli.health import facts, is_high, rows
from unlimcall_async.operations import Share
from unlimcall_async.sandbox import Sandbox, SandboxCall

from .support import run

NOW = datetime.now(UTC).replace(microsecond=0)


def calls(
    country: str | None, attempts: int, failed: int, *, spread: timedelta = timedelta(hours=23)
) -> list[SandboxCall]:
    return [
        SandboxCall(
            id=f"{country}.{number}",
            start_time=(NOW - spread + number * spread / attempts).replace(microsecond=0),
            disposition="CONGESTION" if number < failed else ("BUSY", "ANSWERED")[number % 2],
            country=country,
        )
        for number in range(attempts)
    ]


async def test_a_country_with_many_failures_is_marked() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(
            [*calls("Germany", 400, 8), *calls("Austria", 400, 4), *calls("Malta", 4, 2), *calls(None, 10, 0)]
        )
        status, out, err = await run(sandbox, "health")
        _, lines, _ = await run(sandbox, "health", "--json")
    assert status == 1
    assert [line.split() for line in out.splitlines()] == [
        ["country", "attempts", "failed", "share"],
        ["Malta", "4", "2", "50.0%", "few", "attempts"],
        ["Germany", "400", "8", "2.0%", "above", "1%"],
        ["Austria", "400", "4", "1.0%"],
        ["all", "814", "14", "1.7%", "above", "1%"],
    ]
    assert "\x1b" not in out + err
    shown = [json.loads(line) for line in lines.splitlines()]
    assert shown[1] == {"country": "Germany", "attempts": 400, "failed": 8, "share": 0.02, "high": True}
    assert shown[-1]["country"] is None


async def test_all_of_the_range_counts_and_nothing_else() -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls("Germany", 720, 0, spread=timedelta(days=30)))
        counts = []
        for times in (
            "--from 30d --till 1h",
            "--from 10d --till 5d",
            "--from 2026-01-01 --till 2026-01-02",
            "--from 1h --till 1h",
        ):
            status, out, _ = await run(sandbox, "health", "--json", *times.split())
            assert status == 0
            counts.append(json.loads(out.splitlines()[-1])["attempts"])
    starts = [call.start_time for call in calls("Germany", 720, 0, spread=timedelta(days=30))]
    assert abs(counts[0] - sum(start < NOW - timedelta(hours=1) for start in starts)) <= 1
    assert counts[1:] == [120, 0, 0]


async def test_no_calls_are_told() -> None:
    async with Sandbox() as sandbox:
        status, out, err = await run(sandbox, "health", "--from", "2026-01-01", "--till", "2026-01-02")
    assert (status, out) == (0, "")
    assert err == "No calls from 2026-01-01T00:00:00+00:00 till 2026-01-02T00:00:00+00:00.\n"


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(Share(2, 200), False), (Share(3, 200), True), (Share(199, 199), False), (Share(0, 0), False)],
)
def test_what_is_high(failures: Share, expected: bool) -> None:
    assert is_high(failures) is expected


def test_nothing_has_no_share() -> None:
    assert facts(Share(0, 0), {}) == [{"country": None, "attempts": 0, "failed": 0, "share": None, "high": False}]
    assert rows(Share(0, 0), {}) == [[(text, "") for text in ("all", "0", "0", "-", "")]]
