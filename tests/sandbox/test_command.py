"""`python -m unlimcall_async.sandbox`."""

import asyncio
import io
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

import unlimcall_async.sandbox
from unlimcall_async.sandbox import WebhookSettings
from unlimcall_async.sandbox.__main__ import configured, main

from .receiving import TARGET, Arrival, receiving
from .support import A_CALL

# The directory that holds the package, for interpreters that are started elsewhere.
SOURCE = str(Path(unlimcall_async.sandbox.__file__).parents[2])


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "unlimcall_async.sandbox", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE, "PYTHONUNBUFFERED": ""},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process, label: str) -> str:
    assert process.stdout is not None
    text = (await process.stdout.readline()).decode()
    assert text.startswith(f"{label}:"), text
    return text.removeprefix(f"{label}:").strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async with running("--port", "0", "--rate-limit", "cdrs=1", "--token", "unl_test_cli") as process:
        url, token, curl = [await line(process, label) for label in ("url", "token", "try")]
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            statuses = []
            for path in ("/me", "/cdrs", "/cdrs"):
                async with session.get(url + path) as response:
                    statuses.append(response.status)
            process.send_signal(number)
            out, errors = await process.communicate()

    assert token == "unl_test_cli"
    assert shlex.split(curl) == ["curl", "-H", "Authorization: Bearer unl_test_cli", f"{url}/me"]
    assert statuses == [200, 200, 429]
    assert (process.returncode, out, errors) == (0, b"", b"")


async def test_it_delivers_what_becomes_of_a_call() -> None:
    told = asyncio.Event()

    async def note(_: Arrival) -> None:
        told.set()

    async with receiving() as receiver:
        receiver.before = note
        options = ["--deliver-to", f"{TARGET}={receiver.url}", "--call-seconds", "3600", "--speed", "1e9"]
        async with running("--port", "0", *options) as process:
            url, token = [await line(process, label) for label in ("url", "token")]
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
                hook = {"event": "call.ended", "target_url": TARGET}
                async with session.post(f"{url}/hooks", json=hook) as response:
                    secret = (await response.json())["secret"]
                async with session.post(f"{url}/calls", json=A_CALL) as response:
                    call_id = (await response.json())["callId"]
            await asyncio.wait_for(told.wait(), 30)

    (arrival,) = receiver.arrivals
    assert arrival.is_signed_with(secret)
    assert (arrival.json()["callId"], arrival.json()["durationSec"]) == (call_id, 3600)


async def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    async with running("--port", "0") as first:
        port = (await line(first, "url")).split(":")[2].split("/")[0]
        async with running("--port", port) as second:
            _, errors = await second.communicate()

    assert second.returncode == 1
    assert b"in use" in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--order", "random"], "invalid choice: 'random'"),
        (["--rate-limit", "cdr=60"], "endpoint must be one of me, balance, cdrs, agents, calls, hooks, not 'cdr'"),
        (["--rate-limit", "cdrs"], "invalid literal"),
        (["--rate-limit", "cdrs=0"], "must be at least 1 request per minute"),
        (["--latency", "-1"], "'latency' must be >= 0"),
        (["--deliver-to", "https://example.com/"], "'https://example.com/' is not HTTPS_URL=LOCAL_URL"),
        (["--deliver-to", "https://e.com/=http://10.0.0.1/"], "must be an http URL on this machine"),
        (["--call-seconds", "-1"], "'call_seconds' must be >= 0"),
        (["--speed", "0"], "'speed' must be > 0"),
    ],
)
def test_a_wrong_argument_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        configured(arguments)

    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_every_option_arrives() -> None:
    options = "--host ::1 --port 81 --token unl_test_x --order oldest_first --latency 0.5"
    limits = "--rate-limit cdrs=60 --rate-limit me=7"

    routes = "--deliver-to https://a.com/?x=1=http://127.0.0.1:1/?y=http: --deliver-to https://b.com=http://[::1]:1/"

    sandbox = configured(f"{options} {limits} {routes} --call-seconds 3 --speed 60".split())

    assert sandbox.url == "http://[::1]:81/api/v1"
    assert sandbox.token == "unl_test_x"
    assert (sandbox.settings.order, sandbox.settings.latency) == ("oldest_first", 0.5)
    assert sandbox.settings.rate_limits == {"cdrs": 60, "me": 7}
    assert sandbox.settings.deliver_to == {
        "https://a.com/?x=1": "http://127.0.0.1:1/?y=http:",
        "https://b.com": "http://[::1]:1/",
    }
    assert (sandbox.settings.webhooks.call_seconds, sandbox.settings.webhooks.speed) == (3, 60)
    assert configured([]).settings.webhooks == WebhookSettings()
    assert configured([]).url == "http://127.0.0.1:8080/api/v1"


def test_it_serves_until_ctrl_c_where_the_event_loop_takes_no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(io.StringIO):
        def flush(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def refuse(*_: object) -> None:
        raise NotImplementedError  # as on Windows

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    monkeypatch.setattr(sys, "stdout", Interrupting())

    assert main(["--port", "0"]) == 0


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    text = capsys.readouterr().out
    options = ("host", "port", "token", "order", "rate-limit", "latency", "deliver-to", "call-seconds", "speed")
    assert all(f"--{option} " in text for option in options)
