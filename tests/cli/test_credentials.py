"""Tokens and secrets: where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from unlimcall_async.sandbox import Sandbox

from .support import run


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
    assert (refused, complaint) == (2, f"Error: {path} is open to other users than its owner; run: chmod 600 {path}\n")
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
