"""`with Sandbox()`: a sandbox that serves from a thread of its own, for plain code, any event loop and other processes."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from unlimcall_async import AsyncClient, RateLimits, RetryPolicy, TransportError
from unlimcall_async.sandbox import Close, Sandbox, SandboxCall, WebhookSettings, generate_traffic

from .receiving import TARGET, receiving

PRICED = SandboxCall(id="1.1", start_time=datetime(2026, 5, 1, tzinfo=UTC), duration=3, billsec=2)


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = threading.enumerate()
    yield
    assert threading.enumerate() == before


def ask(sandbox: Sandbox, path: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(sandbox.url + path, data, headers, method=method)  # noqa: S310 # loopback
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 # loopback
        return json.load(response)


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """A receiver of webhooks without an event loop: its URL, and the bodies that came."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()
        thread.join()


def test_plain_code_is_answered() -> None:
    with Sandbox(company_name="Plain") as sandbox:
        sandbox.add_calls([PRICED])
        assert ask(sandbox, "/me")["companyName"] == "Plain"
        window = "from=2026-05-01T00:00:00Z&till=2026-05-02T00:00:00Z"
        assert [call["id"] for call in ask(sandbox, f"/cdrs?{window}")["calls"]] == ["1.1"]
        assert [request.status for request in sandbox.requests] == [200, 200]
    with pytest.raises(urllib.error.URLError):
        ask(sandbox, "/me")


@pytest.mark.slow
def test_each_event_loop_and_another_process_are_answered() -> None:
    async def name(sandbox: Sandbox) -> str:
        async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
            return (await client.me()).company_name

    with Sandbox(company_name="Any") as sandbox:
        assert [asyncio.run(name(sandbox)) for _ in range(2)] == ["Any", "Any"]
        environment = {**os.environ, "UNLIMCALL_BASE_URL": sandbox.url, "UNLIMCALL_TOKEN": sandbox.token}
        command = [sys.executable, "-m", "unlimcall_async", "me", "--json"]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 # ours
        assert json.loads(told.stdout)["company_name"] == "Any"


async def test_a_loop_makes_an_outage_and_takes_it_back() -> None:
    with Sandbox() as sandbox:
        url = sandbox.url
        async with AsyncClient(sandbox.token, base_url=url, retry=RetryPolicy(delays=())) as client:
            await client.me()
            await sandbox.stop()
            with pytest.raises(TransportError):
                await client.me()
            await sandbox.start()
            assert sandbox.url == url
            sandbox.inject(Close(), endpoint="me", times=None)
            with pytest.raises(TransportError):
                await client.me()
            sandbox.clear_faults()
            await client.me()


def test_plain_code_ends_a_call_and_waits_for_its_event() -> None:
    # The receiver has a loop in another thread.
    with Sandbox() as sandbox, listening() as (url, bodies):
        sandbox.settings.deliver_to = {TARGET: url}
        ask(sandbox, "/hooks", "POST", {"event": "call.ended", "target_url": TARGET})
        call_id = ask(sandbox, "/calls", "POST", {"aiAgentId": "27", "toNumber": "+14155551234"})["callId"]
        event = sandbox.end_call(call_id)
        sandbox.wait_delivered()
        other = sandbox.deliver("dnc.added")
        sandbox.wait_delivered()
        assert [json.loads(body)["eventId"] for body in bodies] == [event.id]
        assert [call.dst for call in sandbox.calls] == ["+14155551234"]
        assert other.id != event.id


def test_a_wait_for_deliveries_has_an_end() -> None:
    with Sandbox(webhooks=WebhookSettings(call_seconds=3600)) as sandbox:
        ask(sandbox, "/calls", "POST", {"aiAgentId": "27", "toNumber": "+14155551234"})
        with pytest.raises(TimeoutError):
            sandbox.wait_delivered(timeout=0.01)


async def test_any_loop_waits_for_deliveries() -> None:
    async with receiving() as receiver:
        with Sandbox(deliver_to={TARGET: receiver.url}) as sandbox:
            async with AsyncClient(sandbox.token, base_url=sandbox.url) as client:
                await client.hooks.create(event="call.ended", target_url=TARGET)
            sandbox.deliver("call.ended")
            await sandbox.delivered()
            assert [attempt.status for attempt in sandbox.deliveries] == [200]


async def test_in_an_event_loop_deliveries_are_awaited(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match=r"await delivered\(\)"):
        sandbox.wait_delivered()


def test_arguments_are_refused_as_ever() -> None:
    with Sandbox() as sandbox:
        with pytest.raises(ValueError, match="call_id"):
            sandbox.end_call("no-such-call")
        with pytest.raises(ValueError, match="scope"):
            sandbox.add_token(["read:minds"])


async def test_a_sandbox_runs_once_at_a_time() -> None:
    with Sandbox() as sandbox:
        with pytest.raises(RuntimeError, match="running already"), sandbox:
            pass
        with pytest.raises(RuntimeError, match="running already"):
            await sandbox.start()
        ask(sandbox, "/me")
    async with sandbox:
        with pytest.raises(RuntimeError, match="running already"), sandbox:
            pass


def test_a_port_that_is_taken_is_an_error_and_leaves_no_thread() -> None:
    with Sandbox() as first, pytest.raises(OSError, match="address"), Sandbox(port=int(first.url.split(":")[2][:5])):
        pass


def test_a_stopped_sandbox_starts_again_on_its_port_with_its_data() -> None:
    sandbox = Sandbox()
    with sandbox:
        sandbox.add_calls([PRICED])
        url = sandbox.url
    with sandbox:
        assert (sandbox.url, len(sandbox.calls)) == (url, 1)
        ask(sandbox, "/me")
    with pytest.raises(RuntimeError, match="stopped"):
        sandbox.deliver("call.ended")


def test_an_error_in_the_block_ends_the_thread() -> None:
    with pytest.raises(ZeroDivisionError), Sandbox():
        _ = 1 / 0


@pytest.mark.slow
def test_calls_come_from_many_threads_while_the_sandbox_answers() -> None:
    start, end = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 20, tzinfo=UTC)

    async def pull(sandbox: Sandbox) -> int:
        async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client:
            return len([record async for record in client.cdrs.stream(start, end, page_size=50)])

    def add(seed: int) -> None:
        for _ in range(20):
            sandbox.add_calls(generate_traffic(5, start=start, end=end, seed=seed))

    with Sandbox() as sandbox:
        with ThreadPoolExecutor() as pool:
            adding = [pool.submit(add, seed) for seed in range(4)]
            pulled = asyncio.run(pull(sandbox))
            for each in adding:
                each.result()
        assert pulled <= len(sandbox.calls) == 400
        assert asyncio.run(pull(sandbox)) == 400
