"""Tokens and secrets: where they come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unlimcall_async.cli.credentials import sole
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


@pytest.mark.parametrize("mode", [0o400, 0o444, 0o600, 0o644])
async def test_a_token_comes_from_a_file_as_kubernetes_and_docker_mount_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    async with Sandbox() as sandbox:
        path.write_text(f"{sandbox.token}\n")
        path.chmod(mode)
        status, out, err = await run(sandbox, "me", "--token-file", str(path), UNLIMCALL_TOKEN="")
    assert (status, "1042" in out, err) == (0, True, "")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
async def test_a_file_that_another_user_could_have_written_is_read_with_a_warning(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    async with Sandbox() as sandbox:
        path.write_text(sandbox.token)
        path.chmod(mode)
        status, _, err = await run(sandbox, "me", "--token-file", str(path), UNLIMCALL_TOKEN="")
    assert (status, err) == (0, f"Warning: other users can write {path}; run: chmod 600 {path}\n")


async def test_a_file_of_another_user_is_read_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("unl_test_x")
    # Only the superuser could give the file away.
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    monkeypatch.setattr("unlimcall_async._secrets.ROOT", path.stat().st_uid + 2)
    async with Sandbox() as sandbox:
        _, _, err = await run(sandbox, "me", "--token-file", str(path))
    assert f"Warning: {path} belongs to another user, who could have changed it.\n" in err


@pytest.mark.parametrize(
    "around",
    [
        "{}\r\n",
        "\ufeff{}\n",
        ' "{}" \r\n',
        "'{}'",
        "\n\n{}\t\n",
        "\u00a0{}",
    ],
    ids=["Windows", "mark", "quotes and blanks", "quotes", "lines", "a space that is none"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_what_editors_and_shells_leave_around_a_token_is_no_part_of_it(
    tmp_path: Path, around: str, encoding: str
) -> None:
    path = tmp_path / "token"
    async with Sandbox() as sandbox:
        path.write_bytes(around.format(sandbox.token).encode(encoding))
        by_file = await run(sandbox, "me", "--token-file", str(path), UNLIMCALL_TOKEN="")
        text = around.format(sandbox.token).removeprefix("\ufeff")
        by_variable = await run(sandbox, "me", UNLIMCALL_TOKEN=text)
    assert (by_file[0], by_variable[0]) == (0, 0)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 10_001])
async def test_a_file_that_holds_no_token_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_bytes(content)
    status, _, err = await run(None, "me", "--token-file", str(path))
    assert (status, err) == (2, f"Error: {path} does not hold a token or a secret\n")


BESIDE = [
    ("export UNLIMCALL_TOKEN={}", "it has an assignment, NAME=VALUE"),
    ('export UNLIMCALL_TOKEN="{}"\nexport UNLIMCALL_BASE_URL=http://127.0.0.1:9', "it has an assignment, NAME=VALUE"),
    ("# the sandbox\nUNLIMCALL_TOKEN='{}'", "it has an assignment, NAME=VALUE"),
    ("UNLIMCALL_TOKEN: {}", "it has an assignment, NAME=VALUE"),
    ('{{"token": "{}"}}', "it has an assignment, NAME=VALUE"),
    ("$env:UNLIMCALL_TOKEN = '{}'", "it has an assignment, NAME=VALUE"),
    ("Bearer {}", "it begins with Bearer"),
    ("authorization: bearer {}", "it begins with Authorization"),
    ("{}\n{}", "it has 2 lines"),
    ("{}\n\nthe token of Acme", "it has 3 lines"),
    ("{}" + "\n" * 9000 + "the token of Acme", "it has 9001 lines"),
    ("key={}", "it has more in front of the token"),
    ("{} {}", "it has more in front of the token"),
    ("{} # Acme", "it must be visible ASCII without spaces"),
    ("{}\u2026", "it must be visible ASCII without spaces"),
]


@pytest.mark.parametrize(("text", "fault"), BESIDE)
async def test_what_stands_beside_a_token_is_told_with_its_place_and_not_the_token(
    tmp_path: Path, text: str, fault: str
) -> None:
    path = tmp_path / "token"
    async with Sandbox() as sandbox:
        path.write_text(text.format(sandbox.token, sandbox.token))
        content = path.read_text()
        places = {
            str(path): await run(sandbox, "me", "--token-file", str(path)),
            "UNLIMCALL_TOKEN": await run(sandbox, "me", UNLIMCALL_TOKEN=content),
            "standard input": await run(sandbox, "me", "--token-stdin", given=content),
        }
        assert sandbox.requests == []
        for place, (status, out, err) in places.items():
            assert (status, out) == (2, "")
            assert err.startswith(f"Error: {place} is not a bare token or secret: {fault}"), err
            assert (sandbox.token in err, err.count("\n")) == (False, 1)


@pytest.mark.parametrize("text", ["whsec_YWJjZA==", "YWJjZA==", "tok-en.1", "ABC="])
def test_a_secret_alone_is_taken(text: str) -> None:
    assert sole(text, "a file") == text


@pytest.mark.parametrize("how", ["file", "stdin", "variable"])
async def test_a_refused_token_is_told_with_its_place(tmp_path: Path, how: str) -> None:
    path = tmp_path / "token"
    path.write_text("unl_test_wrong")
    options = {"file": ["--token-file", str(path)], "stdin": ["--token-stdin"], "variable": []}[how]
    place = {
        "file": f"--token-file {path}",
        "stdin": "--token-stdin",
        "variable": "UNLIMCALL_TOKEN, which comes before that of `unlimcall login`",
    }[how]
    async with Sandbox() as sandbox:
        for command in (["me"], ["cdrs", "pull", "--from", "2026-05-01"], ["cdrs", "follow"]):
            status, _, err = await run(
                sandbox, *command, *options, given="unl_test_wrong", UNLIMCALL_TOKEN="unl_test_wrong"
            )
            assert (status, err.rstrip().splitlines()[-1]) == (3, f"The token is from {place}."), err


async def test_one_token_is_enough(tmp_path: Path) -> None:
    missing = await run(None, "me", "--token-file", str(tmp_path / "none"))
    both = await run(None, "me", "--token-file", "x", "--token-stdin", given="")
    assert (missing[0], "cannot read" in missing[2]) == (2, True)
    assert (both[0], "exclude each other" in both[2]) == (2, True)


async def test_no_option_takes_a_token_itself() -> None:
    status, _, err = await run(None, "me", "--token", "unl_live_0123456789")
    assert (status, "unl_live" in err) == (2, False)


TYPED = "unl_live_0123456789abcdef"


@pytest.mark.parametrize(
    "command",
    [
        ["login", TYPED],
        ["login", "--profile", TYPED + "!"],
        ["logout", TYPED],
        ["me", TYPED, "more"],
        ["me", "--json", f"Bearer {TYPED}"],
        [TYPED],
        ["cdrs", TYPED],
        ["cdrs", "pull", TYPED],
        ["cdrs", "pull", "--from", TYPED],
        ["cdrs", "pull", "--rate", TYPED],
        ["cdrs", "pull", "--from", "1d", "--format", TYPED],
        ["cdrs", "follow", "--interval", TYPED],
        ["me", "--token-file", TYPED],
        ["me", f"--token={TYPED}"],
        ["me", f"--{TYPED}"],
        ["sandbox", TYPED],
        ["completion", TYPED],
    ],
    ids=" ".join,
)
async def test_a_token_that_is_typed_as_an_argument_is_not_shown(command: list[str]) -> None:
    for own in ({}, {"UNLIMCALL_TOKEN": ""}):
        status, out, err = await run(None, *command, given="", **own)  # type: ignore[arg-type] # only variables
        assert (status, "0123456789" in out + err) == (2, False), err
        if "unl_" in err:
            assert "A token is never an argument" in err
            assert "--token-stdin" in err


async def test_a_login_with_the_token_behind_it_says_what_to_do() -> None:
    status, _, err = await run(None, "login", TYPED, given="")
    assert (status, "unexpected extra argument (unl_live_***)" in err, "--token-stdin" in err) == (2, True, True), err


async def test_a_refusal_by_the_api_does_not_show_a_token_that_was_typed() -> None:
    async with Sandbox() as sandbox:
        status, _, err = await run(sandbox, "sandbox", "end-call", TYPED)
    assert (status, "0123456789" in err) == (3, False), err
