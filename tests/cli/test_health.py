"""`unlimcall health`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

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


# --- events ---------------------------------------------------------------------------------------------------------


def ends_of(given: list[SandboxCall], line: str = "unl_001") -> str:
    """The events of calls, as `webhooks listen --json` shows them."""
    return "".join(
        json.dumps(
            {
                "id": call.id,
                "type": "call.ended",
                "call_id": call.id,
                "phone": call.dst,
                "occurred_at": (call.start_time + timedelta(seconds=call.duration)).isoformat(),
                "duration_sec": call.duration,
            }
        )
        + "\n"
        for call in given
        if call.sip_username == line
    )


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("attempts", "lost", "status"), [(60, 0, 0), (60, 60, 1), (60, 6, 1), (60, 1, 0), (4, 4, 0), (5, 5, 1)]
)
async def test_missed_events_are_an_alarm(tmp_path: Path, attempts: int, lost: int, status: int) -> None:
    made = calls("Germany", attempts, 0)
    events = tmp_path / "events.ndjson"
    events.write_text(ends_of(made[lost:]))
    async with Sandbox() as sandbox:
        sandbox.add_calls(made)
        ended, out, _ = await run(sandbox, "health", "--events", str(events))
        _, lines, _ = await run(sandbox, "health", "--events", str(events), "--json")
    assert ended == status
    told = f"Calls whose call.ended did not come: {lost} of {attempts} ("
    assert out.splitlines()[-1].startswith(told)
    assert out.endswith("is the hook disabled?\n") == (status == 1)
    assert json.loads(lines.splitlines()[-1]) == {
        "event": "call.ended",
        "calls": attempts,
        "missed": lost,
        "share": lost / attempts,
        "high": status == 1,
    }


async def test_lines_are_those_of_the_events(tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.touch()
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls("Germany", 60, 0))
        status, out, _ = await run(sandbox, "health", "--events", str(events), "--line", "unl_009")
        assert (status, out.splitlines()[-1]) == (0, "Calls whose call.ended did not come: 0 of 0 (-)")
        status, _, err = await run(sandbox, "health", "--line", "unl_009")
    assert (status, "--line is for --events" in err) == (2, True)
