"""The simple commands, and what all commands have in common: the token, the output, the exit status."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from unlimcall_async import AsyncClient, RetryPolicy
from unlimcall_async.cli import running
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.sandbox import Html, Sandbox, SandboxAgent, Stall, Status

from .support import SOURCE, made, run, until
from .support import running as started


class NoRetries(AsyncClient):
    def __init__(self, token: str | None) -> None:
        super().__init__(token, base_url="http://127.0.0.1:9", retry=RetryPolicy(delays=()))


async def test_me_is_shown() -> None:
    async with Sandbox() as sandbox:
        status, out, err = await run(sandbox, "me")
    assert (status, err) == (0, "")
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        ["customer_id", "1042"],
        ["company_name", "Acme Calling Co."],
        ["primary_contact_email", "ops@acme.example"],
    ]


async def test_a_balance_keeps_its_digits_in_json() -> None:
    async with Sandbox(balance="42.78310") as sandbox:
        _, out, _ = await run(sandbox, "balance", "--json")
    fields = json.loads(out)
    assert fields.pop("balance") == "42.78310"
    assert fields == {
        "currency": "USD",
        "account_type": "prepaid",
        "credit_limit": None,
        "blocked": False,
        "stale": False,
    }


async def test_agents_come_one_a_line_in_json() -> None:
    async with Sandbox() as sandbox:
        _, out, _ = await run(sandbox, "agents", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["27", "28"]


async def test_a_name_cannot_move_the_cursor() -> None:
    agent = SandboxAgent(id="7", sip_username="u", label="\x1b[2J\r\nZürich")
    async with Sandbox(agents=[agent]) as sandbox:
        _, out, _ = await run(sandbox, "agents")
        _, exact, _ = await run(sandbox, "agents", "--json")
    assert "\ufffd[2J\ufffd\ufffdZürich" in out
    assert json.loads(exact)["label"] == agent.label


async def test_names_are_utf_8_in_any_locale() -> None:
    async with Sandbox(company_name="Zürich ☎") as sandbox:
        status, out, _ = await run(sandbox, "me", PYTHONIOENCODING="ascii")
    assert (status, "Zürich ☎" in out) == (0, True)


# --- the exit status --------------------------------------------------------------------------------------------------------


async def test_a_refusal_is_told_in_a_line() -> None:
    async with Sandbox(suspended=True) as sandbox:
        code, out, err = await run(sandbox, "balance")
    assert (code, out) == (3, "")
    assert err.startswith("Error: GET /balance answered 403 suspended")
    assert err.count("\n") == 1


async def test_an_answer_that_is_none_is_the_providers_fault() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Html())
        code, _, err = await run(sandbox, "balance")
    assert (code, "expected JSON" in err) == (4, True)


def test_no_server_is_the_networks_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    # In this process, where the client can be told not to try again: that takes seven seconds.
    monkeypatch.setattr(running, "AsyncClient", NoRetries)
    result = CliRunner().invoke(unlimcall, ["me"], env={"UNLIMCALL_TOKEN": "unl_test_token"})
    assert (result.exit_code, "no connection" in result.output) == (5, True)


def test_it_works_where_the_event_loop_takes_no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError  # as on Windows

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    monkeypatch.setattr(running, "AsyncClient", NoRetries)
    result = CliRunner().invoke(unlimcall, ["me"], env={"UNLIMCALL_TOKEN": "unl_test_token"})
    assert (result.exit_code, "no connection" in result.output) == (5, True)


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


@pytest.mark.parametrize("command", ["agents", "cdrs pull --from 2026-05-01", "--help", "me --help"])
async def test_a_pipe_that_was_closed_ends_it_quietly(command: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(1))
        status, _, err = await run(sandbox, *command.split(), stdout=theirs)
    os.close(theirs)
    assert (status, err) == (141, "")


@pytest.mark.parametrize("arguments", [["agents"], ["completion", "fish"], ["--help"], ["sandbox", "--port", "0"]])
async def test_a_full_disk_is_told_in_a_line(arguments: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, *arguments, stdout=full)
    os.close(full)
    assert (status, err.count("\n"), "No space left" in err) == (2, 1, True)


@pytest.mark.parametrize("command", ["me", "agents", "cdrs pull --from 2026-05-01", "completion bash"])
async def test_where_standard_output_is_closed_that_is_told(command: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(1))
        status, _, err = await run(sandbox, *command.split(), redirected=">&-")
    assert (status, err) == (2, "Error: cannot write standard output: it is closed\n")


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-"])
async def test_the_status_is_the_same_where_nothing_can_be_told(redirected: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(1))
        good, _, _ = await run(sandbox, "cdrs", "pull", "--from", "2026-05-01", redirected=redirected)
        sandbox.inject(Status(403))
        refused, _, _ = await run(sandbox, "me", redirected=redirected)
    assert (good, refused) == (0, 3)


# --- the token --------------------------------------------------------------------------------------------------------------


async def test_a_missing_token_is_wrong_usage() -> None:
    code, _, err = await run(None, "me", UNLIMCALL_TOKEN=" ")
    assert (code, "token is missing" in err) == (2, True)


async def test_a_token_comes_from_standard_input_too() -> None:
    async with Sandbox() as sandbox:
        status, out, _ = await run(sandbox, "me", "--token-stdin", given=f"{sandbox.token}\n", UNLIMCALL_TOKEN="other")
        empty, _, err = await run(sandbox, "me", "--token-stdin", given=" \n")
    assert (status, "1042" in out) == (0, True)
    assert (empty, "standard input does not hold a token" in err) == (2, True)


async def test_a_token_comes_from_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    async with Sandbox() as sandbox:
        path.write_text(f"{sandbox.token}\n")
        path.chmod(0o640)
        refused, _, complaint = await run(sandbox, "me", "--token-file", str(path))
        path.chmod(0o600)
        status, out, _ = await run(sandbox, "me", "--token-file", str(path), UNLIMCALL_TOKEN="")
    assert (refused, complaint) == (2, f"Error: {path} is open to others than its owner: chmod 600 {path}\n")
    assert (status, "1042" in out) == (0, True)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 10_001])
async def test_a_file_that_holds_no_token_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_bytes(content)
    status, _, err = await run(None, "me", "--token-file", str(path))
    assert (status, err) == (2, f"Error: {path} does not hold a token or a secret\n")


async def test_one_token_is_enough(tmp_path: Path) -> None:
    missing = await run(None, "me", "--token-file", str(tmp_path / "none"))
    both = await run(None, "me", "--token-file", "x", "--token-stdin", given="")
    assert (missing[0], "cannot read" in missing[2]) == (2, True)
    assert (both[0], "exclude each other" in both[2]) == (2, True)


async def test_no_option_takes_a_token_itself() -> None:
    status, _, err = await run(None, "me", "--token", "unl_live_0123456789")
    assert (status, "unl_live" in err) == (2, False)


# --- what it needs ----------------------------------------------------------------------------------------------------------


async def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('no click', name='click')")
    code, _, err = await run(None, "me", PYTHONPATH=str(tmp_path))
    assert (code, "unlimcall-async[cli]" in err) == (1, True)


@pytest.mark.parametrize(
    "command", ["", "cdrs pull", "cdrs follow", "webhooks listen", "health", "doctor", "sandbox", "demo"]
)
async def test_help_is_quick(command: str) -> None:
    code = (
        "import sys; from unlimcall_async.cli.commands import unlimcall;"
        f"unlimcall([*{command.split()!r}, '--help'], standalone_mode=False);"
        "sys.exit(bool({'aiohttp', 'rich', 'unlimcall_async.sandbox'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": SOURCE}
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.startswith(b"Usage:")) == (0, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_is_printed(shell: str) -> None:
    status, out, _ = await run(None, "completion", shell)
    assert (status, "_UNLIMCALL_COMPLETE" in out) == (0, True)


async def test_completion_knows_commands_and_options() -> None:
    words = {"_UNLIMCALL_COMPLETE": "bash_complete", "COMP_WORDS": "unlimcall cdrs pull --f", "COMP_CWORD": "3"}
    code = "from unlimcall_async.cli.commands import unlimcall; unlimcall(prog_name='unlimcall')"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE, **words},
    )
    out, _ = await process.communicate()
    assert out.decode().split() == ["plain,--from", "plain,--format", "plain,--force"]
