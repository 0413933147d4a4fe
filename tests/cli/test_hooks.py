"""`unlimcall hooks`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from unlimcall_async.sandbox import ResetAfter, Sandbox, Status

from .support import in_this_process, names_in, run, run_process

pytestmark = pytest.mark.own_rules

HOOK = ["hooks", "create", "--event", "call.ended", "--url", "https://example.com/hooks"]


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


async def test_the_id_is_told_if_standard_output_fails(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with Sandbox() as sandbox:
        status, _, err = await run_process(sandbox, *HOOK, "--secret-file", str(tmp_path / "secret"), stdout=full)
        (hook,) = sandbox.hooks.values()
    os.close(full)
    assert (status, (tmp_path / "secret").read_text()) == (2, f"{hook.secret}\n")
    assert f"The hook {hook.id} was created, and its secret is in {tmp_path / 'secret'}." in err


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


@pytest.mark.slow
@pytest.mark.parametrize("redirected", [">/dev/full", ">&-"])
async def test_a_secret_that_cannot_be_written_is_not_lost_in_silence(redirected: str) -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run_process(sandbox, *HOOK, redirected=redirected)
        (hook,) = sandbox.hooks.values()
    assert status == 2
    assert f"its secret is lost. Delete the hook and create another: unlimcall hooks delete {hook.id}" in err
    assert hook.secret not in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["create", "--event", "call.began", "--url", "https://example.com/"], "'call.began' is not one of"),
        (["create", "--event", "call.ended", "--url", "http://example.com/"], "--url must start with https://"),
        (["delete", "8c6e"], "ID must be a UUID"),
    ],
)
def test_a_wrong_hook_is_told(arguments: list[str], complaint: str) -> None:
    status, _, err = in_this_process("hooks", *arguments)
    assert (status, complaint in err) == (2, True), err
