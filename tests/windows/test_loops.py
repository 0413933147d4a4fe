"""The event loops of Windows: the default one has no readers, writers, signal handlers and Unix sockets."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import START, made, refuse
from unlimcall_async import AsyncClient, RateLimits
from unlimcall_async.cli.running import TerminatedError, run
from unlimcall_async.sandbox import Sandbox
from unlimcall_async.sync import sync_cdrs

pytestmark = pytest.mark.own_rules


class Proactor(asyncio.SelectorEventLoop):
    """A loop that lacks what the default one of Windows lacks."""

    def _refuse(self, *_: object, **__: object) -> Any:
        raise NotImplementedError  # what the default loop of Windows raises

    add_reader = remove_reader = add_writer = remove_writer = _refuse
    add_signal_handler = remove_signal_handler = _refuse
    create_unix_connection = create_unix_server = _refuse


@pytest.mark.parametrize("loop", [Proactor, asyncio.SelectorEventLoop], ids=["proactor", "selector"])
def test_the_client_the_sandbox_and_a_sync_need_no_more_than_a_loop_has(
    loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            Sandbox(rate_limits={}) as sandbox,
            AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client,
        ):
            sandbox.add_calls(made(30))
            end = START + timedelta(hours=1)
            assert len(await client.cdrs.stream(START, end).to_list()) == 30
            assert (await sync_cdrs(client, f"sqlite:///{tmp_path}/calls.db", START, end=end)).inserted == 30

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work())


@pytest.fixture(name="plain_loops")
def _plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    # Windows has a signal for Ctrl-Break, and Linux has none of that name.
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)


@pytest.mark.usefixtures("plain_loops")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=["SIGTERM", "Ctrl-Break"])
def test_a_polite_signal_lets_the_work_clean_up(number: signal.Signals) -> None:
    before, cleaned = signal.getsignal(number), list[str]()

    async def work() -> None:
        # The signal arrives while the loop waits, as in the life of a command.
        threading.Timer(0.01, signal.pthread_kill, (threading.main_thread().ident, number)).start()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("up")

    with pytest.raises(TerminatedError):
        run(work, tells_waits=False)
    assert cleaned == ["up"]
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("plain_loops")
def test_ctrl_c_still_interrupts() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        run(work, tells_waits=False)


@pytest.mark.parametrize("fixtures", [["plain_loops"], []], ids=["Windows", "elsewhere"])
def test_a_thread_works_without_handlers(fixtures: list[str], request: pytest.FixtureRequest) -> None:
    for fixture in fixtures:
        request.getfixturevalue(fixture)

    async def work() -> str:
        return "done"

    found = list[str]()
    thread = threading.Thread(target=lambda: found.append(run(work, tells_waits=False)))
    thread.start()
    thread.join()
    assert found == ["done"]
