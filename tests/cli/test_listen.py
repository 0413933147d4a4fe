"""`unlimcall webhooks listen`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from unlimcall_async.cli import listen
from unlimcall_async.cli.listen import WAITING
from unlimcall_async.webhooks import WebhookReceiver, sign

from .support import in_this_process, line_of, run, running

SECRET = "whsec_of_a_test"


def event(number: int, **fields: object) -> bytes:
    common = {"event": "call.ended", "eventId": f"e{number}", "timestamp": "2026-05-24T12:00:00Z"}
    return json.dumps({**common, "callId": "c1", "durationSec": 81, **fields}).encode()


@asynccontextmanager
async def listening(*options: str, **environment: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    arguments = ["webhooks", "listen", "--port", "0", *options]
    async with running(None, *arguments, environment=environment) as process:
        line = await line_of(process.stderr)
        assert line.startswith("Listening on http://127.0.0.1:")
        yield process, line.removeprefix("Listening on ")


async def deliver(url: str, body: bytes, secret: str = SECRET) -> int:
    headers = {"X-Unlimcall-Signature": sign(body, secret, time.time())}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}any/path", data=body, headers=headers) as response,
    ):
        return response.status


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_verified_events_are_shown_once(number: signal.Signals) -> None:
    async with listening(UNLIMCALL_WEBHOOK_SECRET=SECRET) as (process, url):
        first = event(1, note="\x1b[2J", **{"na\x9bme": "x"})
        statuses = [
            await deliver(url, first),
            await deliver(url, event(1)),
            await deliver(url, event(2), "whsec_other"),
            await deliver(url, b"[]"),
        ]
        process.send_signal(number)
        out, err = await process.communicate()
    assert statuses[:2] == [200, 200]
    assert all(400 <= status < 500 for status in statuses[2:])
    assert out.decode() == (
        "2026-05-24T12:00:00.000Z  call.ended  e1  call_id=c1  duration_sec=81  note=\ufffd[2J  na\ufffdme=x\n"
    )
    assert [line[:16] for line in err.decode().splitlines()] == [
        "a CallEnded that",
        "webhook refused:",
        "webhook refused:",
    ]
    assert process.returncode == 0


@pytest.mark.slow
async def test_half_a_request_does_not_keep_it_from_ending() -> None:
    async with listening(UNLIMCALL_WEBHOOK_SECRET=SECRET) as (process, url):
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rstrip("/").rsplit(":", 1)[1]))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        # Taken in: the answer to what comes later is there.
        assert await deliver(url, event(1)) == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(45):  # before aiohttp would give up by itself, after a minute
            await process.communicate()
        writer.close()
    assert process.returncode == 0


async def test_events_that_nobody_reads_are_not_taken_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    read = asyncio.Event()

    async def write_when_ready(_text: str) -> None:
        await read.wait()

    async def handled(number: int) -> int:
        body = event(number)
        return (await receiver.handle(body, {"X-Unlimcall-Signature": sign(body, SECRET, time.time())}))[0]

    monkeypatch.setattr(listen, "write_when_ready", write_when_ready)
    receiver = WebhookReceiver(SECRET)
    serving = asyncio.create_task(listen._serve("127.0.0.1", 0, receiver, as_json=True))
    await asyncio.sleep(0)
    assert [await handled(number) for number in range(WAITING)] == [200] * WAITING
    # One may be on its way to the reader, and its place taken; two have no room.
    late = [asyncio.create_task(handled(WAITING + number)) for number in range(2)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert not all(task.done() for task in late)
    read.set()
    assert await asyncio.gather(*late) == [200, 200]
    serving.cancel()
    await asyncio.wait([serving])


@pytest.mark.slow
async def test_events_are_shown_as_json(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("old", "new")]
    for path in paths:
        path.touch(0o600)
        path.write_text(f"whsec_{path.name}\n")
    files = [option for path in paths for option in ("--secret-file", str(path))]
    async with listening("--json", *files) as (process, url):
        for number, path in enumerate(paths):
            assert await deliver(url, event(number), f"whsec_{path.name}") == 200
        shown = [json.loads(await line_of(process.stdout)) for _ in paths]
    assert [(one["id"], one["type"], one["call_id"], one["duration_sec"]) for one in shown] == [
        *(("e0", "call.ended", "c1", 81), ("e1", "call.ended", "c1", 81))
    ]


@pytest.mark.slow
async def test_a_reader_that_leaves_ends_it() -> None:
    ours, theirs = os.pipe()
    arguments = ["webhooks", "listen", "--port", "0"]
    async with running(None, *arguments, stdout=theirs, environment={"UNLIMCALL_WEBHOOK_SECRET": SECRET}) as process:
        os.close(theirs)
        url = (await line_of(process.stderr)).removeprefix("Listening on ")
        os.close(ours)
        assert await deliver(url, event(1)) == 200
        _, err = await process.communicate()
    assert (process.returncode, err) == (141, b"")


def test_a_secret_that_is_none_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLIMCALL_WEBHOOK_SECRET", "whsec_\udcff")
    status, _, err = in_this_process("webhooks", "listen", "--port", "0")
    assert (status, "UNLIMCALL_WEBHOOK_SECRET must be visible ASCII" in err, "whsec_" in err) == (
        2,
        True,
        False,
    )


async def test_a_secret_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(" \n")
    none, _, missing = await run(None, "webhooks", "listen", UNLIMCALL_WEBHOOK_SECRET="")
    empty, _, unusable = await run(None, "webhooks", "listen", "--secret-file", str(path))
    assert (none, "the secret is missing" in missing) == (2, True)
    assert (empty, "does not hold a token or a secret" in unusable) == (2, True)
