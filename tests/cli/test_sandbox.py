"""`unlimcall sandbox`."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
from datetime import datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tests.selection import slow_but
from unlimcall_async import AsyncClient
from unlimcall_async.cli import sandbox as sandbox_module
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.sandbox import Sandbox, WebhookSettings
from unlimcall_async.webhooks import sign

from .support import in_this_process, line_of, run, running

SECRET = "whsec_of_a_test"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_sandbox_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async with running(None, "sandbox", "--port", "0", "--calls", "50", "--rate-limit", "cdrs=1") as process:
        exports = [shlex.split(await line_of(process.stdout), comments=True) for _ in range(3)]
        url, token = (exported[1].split("=", 1)[1] for exported in exports[:2])
        async with AsyncClient(token, base_url=url) as client:
            await client.me()
            page = await client.request("GET", "/cdrs")
        process.send_signal(number)
        out, err = await process.communicate()
    assert exports == [["export", f"UNLIMCALL_BASE_URL={url}"], ["export", f"UNLIMCALL_TOKEN={token}"], []]
    assert page.status == 200
    first, *logged = err.decode().splitlines()
    assert (process.returncode, out, first) == (0, b"", "Generating 50 calls of the last 90 days ...")
    assert [re.fullmatch(r"\d\d:\d\d:\d\d  (.*)", line)[1] for line in logged] == [  # type: ignore[index] # else red
        "GET /api/v1/me: 200",
        "GET /api/v1/cdrs: 200",
    ]


@pytest.mark.slow
async def test_a_call_is_ended_from_another_terminal() -> None:
    target = "https://example.com/hooks/unlimcall"
    async with running(None, "sandbox", "--port", "0", "--json") as process:
        place = json.loads(await line_of(process.stdout))
        environment = {"UNLIMCALL_TOKEN": place["token"], "UNLIMCALL_BASE_URL": place["url"]}
        async with AsyncClient(place["token"], base_url=place["url"]) as client:
            await client.hooks.create(event="call.ended", target_url=target)
            call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
            ended = await run(None, "sandbox", "end-call", call.call_id, "--duration", "7", "--json", **environment)
            (record,) = (await client.cdrs.list()).calls
            again = await run(None, "sandbox", "end-call", call.call_id, **environment)
            stranger = await run(
                None, "sandbox", "end-call", call.call_id, **{**environment, "UNLIMCALL_TOKEN": "unl_test_other"}
            )
            while "call.ended" not in (line := await line_of(process.stderr)):
                pass
    event = json.loads(ended[1])["eventId"]
    assert (ended[0], record.dst, record.duration) == (0, "+14155551234", 7)
    assert f"call.ended {event}, attempt 1: no route" in line
    assert (again[0], again[2].count("\n"), "404" in again[2]) == (3, 1, True)
    assert (stranger[0], "401" in stranger[2]) == (3, True)


@pytest.mark.slow
async def test_an_attempt_to_end_a_call_without_a_sandbox_names_the_path() -> None:
    own = {"UNLIMCALL_TOKEN": "unl_test_x", "UNLIMCALL_BASE_URL": "http://127.0.0.1:9/api/v1", "UNLIMCALL_LOG": "debug"}
    async with running(None, "sandbox", "end-call", "5", environment=own) as process:
        lines = [await line_of(process.stderr) for _ in range(2)]
    assert [("POST /sandbox/calls/{id}/end" in line, "(other)" in line) for line in lines] == [(True, False)] * 2, lines


@pytest.mark.parametrize("url", ["https://app.unlimcall.com/api/v1", "https://127.0.0.1.example.com/api/v1", "x"])
async def test_only_a_sandbox_on_this_machine_is_asked_to_end_a_call(url: str) -> None:
    status, _, err = await run(None, "sandbox", "end-call", "5", UNLIMCALL_TOKEN="unl_test_x", UNLIMCALL_BASE_URL=url)
    assert (status, "a sandbox on this machine" in err) == (2, True)


@pytest.mark.parametrize("call_id", ["..", "../../x", "a\\b", "a\nb"])
def test_an_id_that_no_path_can_hold_is_named(call_id: str) -> None:
    status, _, err = in_this_process(
        "sandbox", "end-call", call_id, UNLIMCALL_BASE_URL="", UNLIMCALL_TOKEN="unl_test_x"
    )
    assert (status, "Error: ID must not contain" in err) == (2, True), err


@pytest.mark.slow
@pytest.mark.parametrize("options", slow_but({"--seed 2"}, ["--days 5", "--seed 2", "--days 5 --calls 0"]))
async def test_options_of_calls_without_calls_are_told(options: str) -> None:
    async with running(None, "sandbox", "--port", "0", *options.split()) as process:
        told = await line_of(process.stderr)
    assert told == "The account has no call records. To generate some, add --calls, for example --calls 1000."


@pytest.mark.slow
async def test_a_sandbox_that_nobody_wants_calls_of_says_nothing() -> None:
    async with running(None, "sandbox", "--port", "0") as process:
        await line_of(process.stdout)
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
    assert err == b""


@pytest.mark.slow
async def test_without_the_log_nothing_is_logged() -> None:
    async with running(None, "sandbox", "--port", "0", "--json", "--no-log") as process:
        place = json.loads(await line_of(process.stdout))
        async with AsyncClient(place["token"], base_url=place["url"]) as client:
            await client.me()
        process.send_signal(signal.SIGTERM)
        assert (await process.communicate())[1] == b""


@pytest.mark.slow
async def test_years_of_calls() -> None:
    options = ["--calls", "200", "--days", "1095"]
    async with running(None, "sandbox", "--port", "0", "--json", *options) as process:
        place = json.loads(await line_of(process.stdout))
        environment = {"UNLIMCALL_TOKEN": place["token"], "UNLIMCALL_BASE_URL": place["url"]}
        status, out, _ = await run(None, "cdrs", "pull", "--from", "1096d", **environment)
    starts = [datetime.fromisoformat(json.loads(line)["start_time"]) for line in out.splitlines()]
    assert (status, len(starts)) == (0, 200)
    assert timedelta(days=1000) < starts[-1] - starts[0] < timedelta(days=1096)


@pytest.mark.slow
async def test_the_sandbox_has_made_up_calls() -> None:
    async with running(None, "sandbox", "--port", "0", "--calls", "50", "--seed", "3", "--json") as process:
        place = json.loads(await line_of(process.stdout))
        environment = {"UNLIMCALL_TOKEN": place["token"], "UNLIMCALL_BASE_URL": place["url"]}
        _, out, _ = await run(None, "cdrs", "pull", "--from", "91d", **environment)
    assert len(out.splitlines()) == 50


@pytest.mark.slow
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

    monkeypatch.setattr("unlimcall_async.sandbox.Sandbox", note)
    monkeypatch.setattr(sandbox_module, "_serve", served)
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
        (["--rate-limit", "cdr=60"], "--rate-limit: the endpoint must be one of me, balance, cdrs"),
        (["--rate-limit", "cdrs"], "'cdrs' is not ENDPOINT=N"),
        (["--rate-limit", "cdrs=0"], "'--rate-limit': 'cdrs=0' must be at least 1 request per minute"),
        (["--latency", "-1"], "--latency must be 0 or more"),
        (["--call-seconds", "-1"], "--call-seconds must be"),
        (["--deliver-to", "https://example.com/"], "is not HTTPS_URL=LOCAL_URL"),
        (["--deliver-to", "https://e.com/=http://10.0.0.1/"], "must be an http URL on this machine"),
        (["--speed", "0"], "--speed must be above 0"),
        (["--token", ""], "--token must be visible ASCII"),
        (["--token", "two words"], "--token must be visible ASCII"),
        (["--token", "k\u00e9y"], "--token must be visible ASCII"),
        (["--days", "0"], "--days"),
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
    for end in ends:
        assert end == (2, "", f"Error: cannot listen on 127.0.0.1, port {port}: address already in use\n")


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "\ud800"])
def test_a_host_that_is_none_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("UNLIMCALL_WEBHOOK_SECRET", SECRET)
    for command in (["sandbox"], ["webhooks", "listen"]):
        status, out, err = in_this_process(*command, "--port", "0", "--host", host)
        assert (status, out, err.count("\n"), "cannot listen on" in err) == (2, "", 1, True), err
