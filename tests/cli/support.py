"""The command, run as users run it, as a process, or faster in a thread."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner

from unlimcall_async import Checkpoint
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.sandbox import Sandbox, SandboxCall

from .forked import SOURCE, run_forked

START = datetime(2026, 5, 1, tzinfo=UTC)

# A terminal that is claimed is no terminal: what is piped stays plain. And what is buffered must be written all the same.
PLAIN = {"PYTHONPATH": SOURCE, "FORCE_COLOR": "1", "TERM": "xterm", "PYTHONUNBUFFERED": ""}

# Status, standard output, standard error.
Ended: TypeAlias = tuple[int | None, str, str]


def made(count: int, *, apart: timedelta = timedelta(minutes=1), start: datetime = START) -> list[SandboxCall]:
    return [SandboxCall(id=f"17.{number}", start_time=start + number * apart) for number in range(count)]


def variables(sandbox: Sandbox | None, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command that is to ask this sandbox."""
    own = {} if sandbox is None else {"UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
    return {**os.environ, **PLAIN, **own, **(environment or {})}


@asynccontextmanager
async def running(
    sandbox: Sandbox | None,
    *arguments: str,
    cwd: Path | None = None,
    stdin: int | None = None,
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
    redirected: str | None = None,
    environment: dict[str, str] | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    shell = () if redirected is None else ("sh", "-c", f'exec "$@" {redirected}', "sh")
    process = await asyncio.create_subprocess_exec(
        *(*shell, sys.executable, "-W", "error", "-m", "unlimcall_async", *arguments),
        cwd=cwd,
        env=variables(sandbox, environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run_process(
    sandbox: Sandbox | None,
    *arguments: str,
    cwd: Path | None = None,
    stdout: int = asyncio.subprocess.PIPE,
    redirected: str | None = None,
    **environment: str,
) -> Ended:
    """Run the command as a process of its own, for what only a process has, such as standard streams."""
    status: int | None
    # What Python reads at its start needs a start.
    if redirected is None and not any(name.startswith("PYTHON") for name in environment):
        status, out, err = await run_forked(
            arguments, cwd=cwd, environment=variables(sandbox, environment), stdout=stdout
        )
    else:
        async with running(
            sandbox, *arguments, cwd=cwd, stdout=stdout, redirected=redirected, environment=environment
        ) as process:
            out, err = await process.communicate()
        status = process.returncode
    assert b"Traceback" not in err, err.decode()
    return status, (out or b"").decode(), err.decode()


async def run(
    sandbox: Sandbox | None,
    *arguments: str,
    cwd: Path | None = None,
    given: str | None = None,
    **environment: str,
) -> Ended:
    """Run the command in a thread, beside the sandbox: the start of a process takes ten times as long."""
    own = {} if sandbox is None else {"UNLIMCALL_TOKEN": sandbox.token, "UNLIMCALL_BASE_URL": sandbox.url}
    with pytest.MonkeyPatch.context() as patch:
        # Only the main thread may handle signals, as on Windows.
        patch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
        # Else each request behind the first ten of a minute would take a second.
        patch.setattr("unlimcall_async.http.rate_limits._BURST_SHARE", 1)
        if cwd is not None:
            patch.chdir(cwd)
        return await asyncio.to_thread(in_this_process, *arguments, given=given, **own | environment)


def refuse(*_: object) -> None:
    """Refuse a signal handler in the way of an event loop on Windows."""
    raise NotImplementedError  # what an event loop on Windows raises


def in_this_process(*arguments: str, given: str | None = None, **environment: str) -> tuple[int, str, str]:
    """Run a command in this thread. Without an environment, there is no server to ask."""
    elsewhere = {"UNLIMCALL_TOKEN": "unl_test_token", "UNLIMCALL_BASE_URL": "http://127.0.0.1:9"}
    result = CliRunner().invoke(unlimcall, arguments, input=given, env=elsewhere | environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that sets no event, in another process or in the sandbox. Fail if it does not come."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 # see above
            await asyncio.sleep(0.002)  # leaves the processor to the command that is waited for


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    async with asyncio.timeout(60):  # else a line that never comes would stop the tests
        return (await stream.readline()).decode().rstrip("\n")


def place_at(moment: datetime) -> Checkpoint:
    """The checkpoint of a stream over a day that has handed out everything before a moment."""
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    end = moment + timedelta(days=1)
    place = {"newest_first": False, "place": [micros, None, "", 0]}
    return Checkpoint.from_json(
        json.dumps(
            {"version": 1, "kind": "cdrs.stream", "start": f"{moment.isoformat()}", "end": end.isoformat()} | place
        )
    )
