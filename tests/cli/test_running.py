"""How a command ends: signals and exit statuses."""

from __future__ import annotations

import asyncio
import functools
import signal
from typing import Any

import pytest
from click.testing import CliRunner

from unlimcall_async import AsyncClient, RetryPolicy
from unlimcall_async.cli import access
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.sandbox import Sandbox, Stall, Status

from .support import refuse, run, until
from .support import running as started


class NoRetries(AsyncClient):
    def __init__(self, token: str | None, **options: Any) -> None:
        super().__init__(token, retry=RetryPolicy(delays=()), **{**options, "base_url": "http://127.0.0.1:9"})


async def test_a_refusal_is_told_in_a_line() -> None:
    async with Sandbox(suspended=True) as sandbox:
        code, out, err = await run(sandbox, "balance")
    assert (code, out) == (3, "")
    assert err.startswith("Error: GET /balance answered 403 suspended")
    assert err.count("\n") == 1


async def test_an_answer_that_is_none_is_the_providers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "AsyncClient", functools.partial(AsyncClient, retry=RetryPolicy(delays=())))
    async with Sandbox() as sandbox:
        sandbox.inject(Status(200, body='{"balance": "much"}'))
        code, _, err = await run(sandbox, "balance")
    assert (code, "missing" in err) == (4, True)


def test_no_server_is_the_networks_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    # In this process, where the client can be told not to try again: that takes seven seconds.
    monkeypatch.setattr(access, "AsyncClient", NoRetries)
    result = CliRunner().invoke(unlimcall, ["me"], env={"UNLIMCALL_TOKEN": "unl_test_token"})
    assert (result.exit_code, "no connection" in result.output) == (5, True)


def test_it_works_where_the_event_loop_takes_no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    monkeypatch.setattr(access, "AsyncClient", NoRetries)
    result = CliRunner().invoke(unlimcall, ["me"], env={"UNLIMCALL_TOKEN": "unl_test_token"})
    assert (result.exit_code, "no connection" in result.output) == (5, True)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")]
)
async def test_a_signal_ends_it_in_order(number: signal.Signals, status: int, word: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Stall())
        async with started(sandbox, "me") as process:
            await until(lambda: bool(sandbox.requests))
            process.send_signal(number)
            out, err = await process.communicate()
    assert (process.returncode, out, err) == (status, b"", f"{word}\n".encode())
