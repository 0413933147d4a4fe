"""`unlimcall webhooks reconcile`, with events of a receiver's database and of `webhooks listen`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.spoiled import spoiled
from unlimcall_async import CallRecord, from_dict
from unlimcall_async.cli.wording import fields_of, json_line
from unlimcall_async.operations import EventLog
from unlimcall_async.sandbox import Sandbox, SandboxCall
from unlimcall_async.webhooks import CallEnded, SQLiteStore, WebhookReceiver, recovered_event

from .support import run

NOW = datetime.now(UTC).replace(microsecond=0)
COUNT = 40


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set NOW anew for each test: minutes may have passed since this file was imported."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC).replace(microsecond=0))


def call(index: int, **fields: Any) -> SandboxCall:
    known = {"start_time": NOW - timedelta(minutes=10 * index + 20), "duration": 81, "billsec": 70, **fields}
    return SandboxCall(id=f"17.{index}", dst=f"+4420{index:08d}", sip_username="unl_001", **known)


def line_of(index: int, **fields: Any) -> str:
    """A line of `webhooks listen --json`, of the event of a call."""
    event = CallEnded(
        id=f"e{index}",
        type="call.ended",
        occurred_at=NOW - timedelta(minutes=10 * index + 20) + timedelta(seconds=82),
        call_id=f"c{index}",
        phone=f"+4420{index:08d}",
        duration_sec=81,
        extra={"new": 1.5} if index % 2 else {},
    )
    return json_line({**json.loads(json_line(fields_of(event))), **fields})


def sandbox_of(*more: SandboxCall) -> Sandbox:
    sandbox = Sandbox()
    sandbox.add_calls([*(call(index) for index in range(COUNT)), *more])
    return sandbox


def file_of(path: Path, lines: Iterable[str]) -> str:
    path.write_text("".join(lines))
    return str(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


async def test_each_missed_call_is_named_and_no_number_is(path: Path) -> None:
    events = file_of(path, (line_of(index) for index in range(COUNT) if index not in {3, 7}))
    async with sandbox_of() as sandbox:
        status, out, err = await run(sandbox, "webhooks", "reconcile", events)
        strict, lines, _ = await run(sandbox, "webhooks", "reconcile", events, "--json", "--above", "5%")
    assert (status, strict) == (1, 0)
    table = [line.split() for line in out.splitlines()]
    assert table[0] == ["calls", "certain", "likely", "possible", "share"]
    assert table[1] == ["matched", "38", "38", "0", "0", "95.0%"]
    assert table[2] == ["missed", "2", "2", "0", "0", "5.0%", "too", "many"]
    assert [row[0] for row in table[-2:]] == ["17.7", "17.3"]
    told = [json.loads(line) for line in lines.splitlines()]
    assert [each["id"] for each in told[:-1]] == ["17.7", "17.3"]
    assert told[0]["grade"] == "certain"
    assert (told[-1]["matched"], told[-1]["missed"], told[-1]["share"], told[-1]["high"]) == (38, 2, 0.05, False)
    assert "+44" not in out + lines + err


async def test_the_database_of_a_receiver_holds_the_events(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    async with SQLiteStore(path) as store:
        receiver = WebhookReceiver("whsec_of_a_test", store=store)
        receiver.on(CallEnded)(EventLog(store).note)
        for index in range(1, 5):
            fields = json.loads(line_of(index))
            assert await receiver.handle_event(from_dict(CallEnded, fields)) == "handled"
        made = call(0)
        lost = CallRecord(id=made.id, start_time=made.start_time, duration=81, billsec=70, dst=made.dst)
        assert await receiver.handle_event(recovered_event(lost)) == "handled"
    async with sandbox_of() as sandbox:
        status, out, _ = await run(sandbox, "webhooks", "reconcile", str(path), "--from", "65m", "--json")
    assert (status, json.loads(out)["matched"], json.loads(out)["recovered"]) == (0, 4, 1)


async def test_the_records_may_come_from_a_file_or_a_table(path: Path, tmp_path: Path) -> None:
    events = file_of(path, (line_of(index) for index in range(COUNT) if index != 3))
    told = []
    async with sandbox_of() as sandbox:
        for name, command in (("c.ndjson", ["pull", "--out"]), ("sqlite:///c.db", ["sync", "--to"])):
            assert (await run(sandbox, "cdrs", command[0], "--from", "24h", command[1], name, cwd=tmp_path))[0] == 0
            told.append(await run(None, "webhooks", "reconcile", events, "--records", name, "--json", cwd=tmp_path))
        told.append(await run(sandbox, "webhooks", "reconcile", events, "--json"))
    assert told[0][:2] == told[1][:2] == told[2][:2]
    assert told[0][0] == 1


async def test_without_grace_a_young_call_is_missed(path: Path) -> None:
    events = file_of(path, (line_of(index) for index in range(COUNT)))
    async with sandbox_of(call(COUNT, start_time=NOW - timedelta(minutes=2))) as sandbox:
        status, out, _ = await run(sandbox, "webhooks", "reconcile", events, "--grace", "0s", "--json")
    assert (status, json.loads(out.splitlines()[-1])["missed"]) == (1, 1)


async def test_events_of_calls_out_of_the_range_wait_for_nothing(path: Path) -> None:
    events = file_of(path, [line_of(index) for index in range(COUNT)])
    async with sandbox_of() as sandbox:
        status, out, _ = await run(sandbox, "webhooks", "reconcile", events, "--from", "2h", "--till", "1h", "--json")
    sums = json.loads(out)
    assert (status, sums["matched"], sums["missed"], sums["waiting"]) == (0, 6, 0, 0)


async def test_an_event_without_a_record_waits(path: Path) -> None:
    events = file_of(path, [*(line_of(index) for index in range(COUNT)), line_of(1, call_id="new", phone="+12")])
    async with sandbox_of() as sandbox:
        status, out, _ = await run(sandbox, "webhooks", "reconcile", events, "--json")
    waiting, sums = (json.loads(line) for line in out.splitlines())
    assert (status, waiting["kind"], waiting["call_id"], sums["waiting"]) == (0, "waiting", "new", 1)


async def test_reasons_other_than_a_disabled_hook_are_told(path: Path) -> None:
    people = [
        SandboxCall(id=f"seat.{index}", start_time=NOW - timedelta(hours=1), dst="+49301234567", sip_username="unl_007")
        for index in range(3)
    ]
    events = file_of(path, (line_of(index) for index in range(COUNT - 5)))
    async with sandbox_of(*people) as sandbox:
        status, _, err = await run(sandbox, "webhooks", "reconcile", events)
        _, out, other = await run(sandbox, "webhooks", "reconcile", events, "--line", "unl_001", "--quiet", "--json")
    assert status == 1
    assert "No event came for any call of unl_007 (3)." in err
    assert "5 missed calls ended before the first event, at " in err
    assert other == ""
    assert json.loads(out.splitlines()[-1])["missed"] == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"+442079460811\n", "line 1: this is not an event in JSON"),
        (b'{"type": "call.ended", "occurred_at": 5, "phone": "+442079460811"}\n', "line 1: this is not an event"),
        (b'\n{"event": 5}\n', "line 2: this is not an event"),
        (b"SQLite format 3\0+442079460811", "holds no log of events"),
        (None, "no such file"),
    ],
)
async def test_a_file_that_holds_no_events_is_told_without_its_contents(
    path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        file_of(path, [content.decode()])
    status, out, err = await run(None, "webhooks", "reconcile", str(path), "--records", "c.ndjson")
    assert (status, out) == (2, "")
    assert words in err.lower() if content is None else words in err
    assert "4420" not in err


async def test_lines_that_are_no_ends_or_cannot_be_used_are_left_out(path: Path) -> None:
    body = {"event": "call.ended", "eventId": "x", "timestamp": NOW.isoformat(), "phone": "+12", "durationSec": 1.5}
    lines = [
        *(line_of(index) for index in range(COUNT)),
        line_of(50, type="dnc.added"),
        line_of(51, occurred_at=None),
        line_of(2, duration_sec=80.5),
        # As the API sends it, from a log of the user's own.
        json.dumps({**body, "timestamp": (NOW - timedelta(hours=1)).isoformat()}) + "\n",
        "\n",
        line_of(3)[:40],
    ]
    async with sandbox_of() as sandbox:
        status, out, err = await run(sandbox, "webhooks", "reconcile", file_of(path, lines), "--json")
    sums = json.loads(out.splitlines()[-1])
    assert (status, sums["matched"], sums["waiting"]) == (0, COUNT, 1)
    assert "1 event has no time, and is left out" in err
    assert "line 46: the line is not complete, and is left out" in err


async def test_rows_that_cannot_be_read_are_told(path: Path) -> None:
    events = file_of(path, [line_of(index) for index in range(COUNT)])
    async with sandbox_of() as sandbox, spoiled(sandbox, {b'"duration":81': b'"duration":"x"'}) as url:
        status, _, err = await run(sandbox, "webhooks", "reconcile", events, UNLIMCALL_BASE_URL=url)
    assert status == 1
    assert "40 rows of the API could not be read" in err


@pytest.mark.parametrize("percent", ["", "x", "100", "-1", "nan"])
async def test_a_share_is_a_percentage(path: Path, percent: str) -> None:
    status, _, err = await run(None, "webhooks", "reconcile", file_of(path, []), "--above", percent)
    assert status == 2
    assert "is not a percentage" in err
