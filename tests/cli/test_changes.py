"""`unlimcall calls` and `unlimcall hooks`."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import pytest

from unlimcall_async.sandbox import ResetAfter, Sandbox, Stall, Status

from .support import in_this_process, names_in, run, running, until

CALL = ["calls", "create", "--agent", "27", "--to", "+14155551234"]
HOOK = ["hooks", "create", "--event", "call.ended", "--url", "https://example.com/hooks"]
MAY_BE_PLACED = "The call may have been placed all the same."


async def test_a_call_is_placed() -> None:
    async with Sandbox() as sandbox:
        status, out, err = await run(
            sandbox, *CALL, "--from", "+14155550100", "--metadata", '{"campaign": "may"}', "--json"
        )
        (placed,) = sandbox.originated
    assert (status, err, json.loads(out)) == (0, "", {"call_id": placed.call_id, "status": "queued"})
    assert (placed.ai_agent_id, placed.to_number, placed.from_number) == ("27", "+14155551234", "+14155550100")
    assert placed.metadata == {"campaign": "may"}


async def test_a_call_that_may_have_been_placed_is_not_placed_again() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(ResetAfter(), endpoint="calls")
        status, out, err = await run(sandbox, *CALL)
        assert len(sandbox.originated) == 1
    assert (status, out) == (6, "")
    assert err.startswith("Error: POST /calls: ")
    assert err.endswith(f"{MAY_BE_PLACED} Look before you place it again.\n")


async def test_a_call_that_was_not_placed_is_not_said_to_be() -> None:
    async with Sandbox(dialer=False) as sandbox:
        status, _, err = await run(sandbox, *CALL)
    assert (status, "dialer_required" in err, MAY_BE_PLACED in err) == (3, True, False)


async def test_that_it_is_unknown_is_told_by_the_status_alone_if_need_be() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(ResetAfter(), endpoint="calls")
        status, _, _ = await run(sandbox, *CALL, redirected="2>/dev/full")
        assert len(sandbox.originated) == 1
    assert status == 6


@pytest.mark.parametrize("redirected", [">/dev/full", ">&-"])
async def test_a_call_that_cannot_be_shown_was_placed_all_the_same(redirected: str) -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, *CALL, redirected=redirected)
        (placed,) = sandbox.originated
    assert (status, f"The call {placed.call_id} was placed.\n" in err) == (2, True), err


async def test_ctrl_c_leaves_open_whether_a_call_was_placed() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Stall(after_headers=True), endpoint="calls")
        async with running(sandbox, *CALL) as process:
            await until(lambda: bool(sandbox.originated))
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    assert (process.returncode, err.decode()) == (
        130,
        f"{MAY_BE_PLACED} Look before you place it again.\nInterrupted.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--agent", "x", "--to", "+14155551234"], "ai_agent_id must be ASCII digits"),
        (["--agent", "27", "--to", "4155551234"], "to_number must be in E.164 form"),
        (["--agent", "27", "--to", "+14155551234", "--metadata", "[]"], "it must be a JSON object"),
        (["--agent", "27", "--to", "+14155551234", "--metadata", "{"], "it must be a JSON object"),
        (["--agent", "27"], "Missing option '--to'"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], complaint: str) -> None:
    status, _, err = in_this_process("calls", "create", *arguments)
    assert (status, complaint in err) == (2, True), err


# --- hooks ----------------------------------------------------------------------------------------------------------------


async def test_a_hook_is_printed_with_its_secret_and_deleted() -> None:
    async with Sandbox() as sandbox:
        _, out, err = await run(sandbox, *HOOK)
        (hook,) = sandbox.hooks.values()
        assert out.split() == [
            *("id", hook.id, "secret", hook.secret, "event", "call.ended", "target_url", "https://example.com/hooks")
        ]
        status, gone, _ = await run(sandbox, "hooks", "delete", hook.id, "--json")
        assert not sandbox.hooks[hook.id].enabled
        again, _, twice = await run(sandbox, "hooks", "delete", hook.id)
    assert (err, status, json.loads(gone)) == ("", 0, {"id": hook.id, "deleted": True})
    assert (again, "not_found" in twice) == (3, True)


async def test_a_secret_goes_to_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    async with Sandbox() as sandbox:
        status, out, _ = await run(sandbox, *HOOK, "--secret-file", str(path), "--json")
        (hook,) = sandbox.hooks.values()
    assert (status, json.loads(out)["secret"]) == (0, f"in {path}")
    assert path.read_text() == f"{hook.secret}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_file_that_exists_keeps_its_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of another hook")
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, *HOOK, "--secret-file", str(path))
        assert sandbox.requests == []
    assert (status, "File exists" in err, path.read_text()) == (2, True, "of another hook")


async def test_no_file_is_left_where_there_is_no_secret(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(400), endpoint="hooks")
        refused, _, _ = await run(sandbox, *HOOK, "--secret-file", str(tmp_path / "secret"))
        sandbox.inject(ResetAfter(), endpoint="hooks")
        unknown, _, err = await run(sandbox, *HOOK, "--secret-file", str(tmp_path / "secret"))
    assert (refused, unknown, names_in(tmp_path)) == (3, 6, [])
    assert "A hook may have been created all the same" in err


@pytest.mark.parametrize("redirected", [">/dev/full", ">&-"])
async def test_a_secret_that_cannot_be_written_is_not_lost_in_silence(redirected: str) -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, *HOOK, redirected=redirected)
        (hook,) = sandbox.hooks.values()
    assert status == 2
    assert f"its secret is lost: unlimcall hooks delete {hook.id}" in err
    assert hook.secret not in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["create", "--event", "call.began", "--url", "https://example.com/"], "'call.began' is not one of"),
        (["create", "--event", "call.ended", "--url", "http://example.com/"], "target_url must start with https://"),
        (["delete", "8c6e"], "hook_id must be a UUID"),
    ],
)
def test_a_wrong_hook_is_told(arguments: list[str], complaint: str) -> None:
    status, _, err = in_this_process("hooks", *arguments)
    assert (status, complaint in err) == (2, True), err
