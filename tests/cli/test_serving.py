"""`unlimcall sandbox` and `unlimcall webhooks listen`."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from unlimcall_async import AsyncClient
from unlimcall_async.cli import listening as listening_module
from unlimcall_async.cli import sandboxing
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.cli.listening import WAITING
from unlimcall_async.sandbox import Sandbox, WebhookSettings
from unlimcall_async.webhooks import WebhookReceiver, sign

from .support import in_this_process, line_of, run, running

SECRET = "whsec_of_a_test"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_sandbox_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async with running(None, "sandbox", "--port", "0", "--calls", "50", "--rate-limit", "cdrs=1") as process:
        url, token, curl = [(await line_of(process.stdout)).split(":", 1)[1].strip() for _ in range(3)]
        async with AsyncClient(token, base_url=url) as client:
            await client.me()
            page = await client.request("GET", "/cdrs")
        process.send_signal(number)
        out, err = await process.communicate()
    assert shlex.split(curl) == ["curl", "-H", f"Authorization: Bearer {token}", f"{url}/me"]
    assert page.status == 200
    assert (process.returncode, out, err) == (0, b"", b"Generating 50 calls of the last 90 days ...\n")


async def test_the_sandbox_has_made_up_calls() -> None:
    async with running(None, "sandbox", "--port", "0", "--calls", "50", "--seed", "3", "--json") as process:
        place = json.loads(await line_of(process.stdout))
        environment = {"UNLIMCALL_TOKEN": place["token"], "UNLIMCALL_BASE_URL": place["url"]}
        _, out, _ = await run(None, "cdrs", "pull", "--from", "91d", **environment)
    assert len(out.splitlines()) == 50


async def test_the_sandbox_delivers_the_end_of_a_call() -> None:
    target = "https://example.com/hooks/unlimcall"
    received: asyncio.Future[tuple[bytes, str]] = asyncio.get_running_loop().create_future()

    async def receive(request: web.BaseRequest) -> web.Response:
        received.set_result((await request.read(), request.headers["X-Unlimcall-Signature"]))
        return web.Response()

    async with RawTestServer(receive) as receiver:
        options = ["--deliver-to", f"{target}={receiver.make_url('/')}", "--call-seconds", "3600", "--speed", "1e9"]
        async with running(None, "sandbox", "--port", "0", "--json", *options) as process:
            place = json.loads(await line_of(process.stdout))
            async with AsyncClient(place["token"], base_url=place["url"]) as client:
                hook = await client.hooks.create(event="call.ended", target_url=target)
                call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
            body, signature = await asyncio.wait_for(received, 30)

    assert signature == sign(body, hook.secret, int(signature.removeprefix("t=").partition(",")[0]))
    ended = json.loads(body)
    assert (ended["callId"], ended["durationSec"]) == (call.call_id, 3600)


def test_every_option_of_the_sandbox_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sandbox] = []

    def note(**settings: object) -> Sandbox:
        made.append(Sandbox(**settings))  # type: ignore[arg-type] # as they come
        return made[-1]

    async def served(_sandbox: Sandbox, *, as_json: bool) -> None:
        assert not as_json

    monkeypatch.setattr(sandboxing, "Sandbox", note)
    monkeypatch.setattr(sandboxing, "_served", served)
    options = "--host ::1 --port 81 --token unl_test_x --order oldest_first --latency 0.5 --rate-limit cdrs=60 --rate-limit me=7"
    routes = "--deliver-to https://a.com/?x=1=http://127.0.0.1:1/?y=http: --deliver-to https://b.com=http://[::1]:1/"
    ends = "--call-seconds 3 --speed 60"
    unlimcall(["sandbox", *options.split(), *routes.split(), *ends.split()], standalone_mode=False)
    unlimcall(["sandbox"], standalone_mode=False)
    first, second = made
    assert (first.url, first.token) == ("http://[::1]:81/api/v1", "unl_test_x")
    assert (first.settings.order, first.settings.latency) == ("oldest_first", 0.5)
    assert first.settings.rate_limits == {"cdrs": 60, "me": 7}
    assert first.settings.deliver_to == {
        "https://a.com/?x=1": "http://127.0.0.1:1/?y=http:",
        "https://b.com": "http://[::1]:1/",
    }
    assert (first.settings.webhooks.call_seconds, first.settings.webhooks.speed) == (3, 60)
    assert (second.url, second.settings.webhooks) == ("http://127.0.0.1:8080/api/v1", WebhookSettings())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--order", "random"], "'random' is not one of"),
        (["--rate-limit", "cdr=60"], "endpoint must be one of me, balance, cdrs"),
        (["--rate-limit", "cdrs"], "'cdrs' is not ENDPOINT=N"),
        (["--rate-limit", "cdrs=0"], "must be at least 1 request per minute"),
        (["--latency", "-1"], "'latency' must be >= 0"),
        (["--deliver-to", "https://example.com/"], "is not HTTPS_URL=LOCAL_URL"),
        (["--deliver-to", "https://e.com/=http://10.0.0.1/"], "must be an http URL on this machine"),
        (["--call-seconds", "-1"], "'call_seconds' must be >= 0"),
        (["--speed", "0"], "'speed' must be > 0"),
    ],
)
def test_a_wrong_option_of_the_sandbox_is_told(options: list[str], complaint: str) -> None:
    status, _, err = in_this_process("sandbox", *options)
    assert (status, complaint in err) == (2, True), err


async def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    async with Sandbox() as sandbox:
        port = sandbox.url.split(":")[2].split("/")[0]
        ends = [
            await run(None, "sandbox", "--port", port),
            await run(None, "webhooks", "listen", "--port", port, UNLIMCALL_WEBHOOK_SECRET=SECRET),
        ]
    for status, out, err in ends:
        assert (status, out, err.count("\n"), "cannot listen" in err) == (2, "", 1, True)


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "\ud800"])
def test_a_host_that_is_none_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("UNLIMCALL_WEBHOOK_SECRET", SECRET)
    for command in (["sandbox"], ["webhooks", "listen"]):
        status, out, err = in_this_process(*command, "--port", "0", "--host", host)
        assert (status, out, err.count("\n"), "cannot listen on" in err) == (2, "", 1, True), err


# --- webhooks listen ------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_verified_events_are_shown_once(number: signal.Signals) -> None:
    async with listening(UNLIMCALL_WEBHOOK_SECRET=SECRET) as (process, url):
        statuses = [
            await deliver(url, event(1, note="\x1b[2J")),
            await deliver(url, event(1)),
            await deliver(url, event(2), "whsec_other"),
            await deliver(url, b"[]"),
        ]
        process.send_signal(number)
        out, err = await process.communicate()
    assert statuses[:2] == [200, 200]
    assert all(400 <= status < 500 for status in statuses[2:])
    assert out.decode() == ("2026-05-24T12:00:00.000Z  call.ended  e1  call_id=c1  duration_sec=81  note=\ufffd[2J\n")
    assert [line[:16] for line in err.decode().splitlines()] == ["webhook refused:", "webhook refused:"]
    assert process.returncode == 0


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

    async def pour(_text: str) -> None:
        await read.wait()

    async def handled(number: int) -> int:
        body = event(number)
        return (await receiver.handle(body, {"X-Unlimcall-Signature": sign(body, SECRET, time.time())}))[0]

    monkeypatch.setattr(listening_module, "pour", pour)
    receiver = WebhookReceiver(SECRET)
    serving = asyncio.create_task(listening_module._served("127.0.0.1", 0, receiver, as_json=True))
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
    assert (status, "secrets must be text that UTF-8 can hold" in err, "whsec_" in err) == (2, True, False)


async def test_a_secret_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o644)
    none, _, missing = await run(None, "webhooks", "listen", UNLIMCALL_WEBHOOK_SECRET="")
    public, _, shared = await run(None, "webhooks", "listen", "--secret-file", str(path))
    assert (none, "the secret is missing" in missing) == (2, True)
    assert (public, "is open to others" in shared) == (2, True)
