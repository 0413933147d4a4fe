"""`unlimcall calls create`."""

from __future__ import annotations

import json
import signal

import pytest

from unlimcall_async.sandbox import ResetAfter, Sandbox, Stall

from .support import in_this_process, run, run_process, running, until

CALL = ["calls", "create", "--agent", "27", "--to", "+14155551234"]


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


@pytest.mark.slow
async def test_that_it_is_unknown_is_told_by_the_status_alone_if_need_be() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(ResetAfter(), endpoint="calls")
        status, _, _ = await run_process(sandbox, *CALL, redirected="2>/dev/full")
        assert len(sandbox.originated) == 1
    assert status == 6


@pytest.mark.slow
@pytest.mark.parametrize("redirected", [">/dev/full", ">&-"])
async def test_a_call_that_cannot_be_shown_was_placed_all_the_same(redirected: str) -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run_process(sandbox, *CALL, redirected=redirected)
        (placed,) = sandbox.originated
    assert (status, f"The call {placed.call_id} was placed.\n" in err) == (2, True), err


@pytest.mark.slow
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
        (["--agent", "x", "--to", "+14155551234"], "--agent must be ASCII digits"),
        (["--agent", "27", "--to", "4155551234"], "--to must be in E.164 form"),
        (["--agent", "27", "--to", "+14155551234", "--metadata", "[]"], "the text is not a JSON object"),
        (["--agent", "27", "--to", "+14155551234", "--metadata", "{"], "the text is not a JSON object"),
        (["--agent", "27"], "Missing option '--to'"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], complaint: str) -> None:
    status, _, err = in_this_process("calls", "create", *arguments)
    assert (status, complaint in err) == (2, True), err
