"""What a terminal gets: no character that it could take for a command, whatever the server, a caller or a file name holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import sys
import termios
import unicodedata
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cli.running import _log_lines
from unlimcall_async.cli.wording import visible, visible_in_colour
from unlimcall_async.sandbox import Sandbox, SandboxAgent, SandboxCall, Status

from .forked import run_forked
from .support import START, Ended, in_this_process, variables

UNSAFE: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# A title, a cleared screen, the same in one byte, a text that runs backwards, an invisible tag, a line over the last one.
EVIL: Final = "a\x1b]0;title\x07\x1b[2J\x9b2J\u202eb\u2066\u2028\u2029\u200b\U000e0041\x7f\x00\rz"


def unsafe(text: str) -> set[str]:
    """Return the characters that are not for a terminal."""
    return {character for character in text.replace("\r\n", "") if unicodedata.category(character) in UNSAFE} - {
        "\n",
        "\t",
    }


async def at_terminal(sandbox: Sandbox, *arguments: str, stdout: int | None = None) -> Ended:
    """Run the command with both streams on terminals that change nothing; or with another standard output."""
    ends: list[tuple[int, int]] = []
    for _ in range(2):
        ours, theirs = os.openpty()
        mode = termios.tcgetattr(theirs)
        mode[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, mode)
        ends.append((ours, theirs))
    (out, out_theirs), (err, err_theirs) = ends
    redirected = out_theirs if stdout is None else stdout
    command = asyncio.create_task(
        run_forked(arguments, environment=variables(sandbox), stdout=redirected, stderr=err_theirs)
    )
    await asyncio.sleep(0)  # the request holds both ends by now
    os.close(out_theirs)
    os.close(err_theirs)
    written, said = await asyncio.gather(*(asyncio.to_thread(read_all, end) for end in (out, err)))
    status, _, _ = await command
    os.close(out)
    os.close(err)
    return status, written, said


def read_all(terminal: int) -> str:
    read = b""
    with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
        while piece := os.read(terminal, 4096):
            read += piece
    return read.decode()


CALL: Final = SandboxCall(id=EVIL, start_time=START, src=EVIL, country=EVIL, extra={EVIL: {EVIL: [EVIL]}})
PULL: Final = ["cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02"]


async def test_json_at_a_terminal_is_visible_and_exact() -> None:
    async with Sandbox(company_name=EVIL) as sandbox:
        sandbox.add_calls([CALL])
        _, records, said = await at_terminal(sandbox, *PULL)
        _, account, _ = await at_terminal(sandbox, "me", "--json")
    assert unsafe(records + account + said) == set()
    assert json.loads(account)["company_name"] == EVIL
    read = json.loads(records)
    assert (read["id"], read["src"], read["extra"]) == (EVIL, EVIL, {EVIL: {EVIL: [EVIL]}})


@pytest.mark.parametrize(
    "command", [[*PULL, "--format", "csv"], ["agents"], ["me"], ["health", "--from", "2026-05-01"]]
)
async def test_tables_at_a_terminal_are_visible(command: list[str]) -> None:
    agent = SandboxAgent(id=EVIL, sip_username=EVIL, label=EVIL)
    async with Sandbox(company_name=EVIL, agents=[agent]) as sandbox:
        sandbox.add_calls([CALL])
        status, out, _ = await at_terminal(sandbox, *command)
    # A table has colours of its own.
    assert (status, unsafe(re.sub(r"\x1b\[[0-9;]*m", "", out))) == (0, set())
    assert "title" in out


async def test_a_pipe_gets_the_bytes_as_they_are(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls([CALL])
        for form in ("csv", "ndjson"):
            with (tmp_path / form).open("wb") as file:
                await at_terminal(sandbox, *PULL, "--format", form, stdout=file.fileno())
    assert EVIL in (tmp_path / "csv").read_bytes().decode()
    assert "\x9b2J\u202e" in (tmp_path / "ndjson").read_text()


async def test_the_servers_words_in_an_error_are_visible() -> None:
    async with Sandbox() as sandbox:
        body = json.dumps({"error": EVIL, "detail": EVIL})
        sandbox.inject(Status(409, body=body), endpoint="me")
        status, _, err = await at_terminal(sandbox, "me")
    assert (status, unsafe(err), "title" in err) == (3, set(), True)


@pytest.mark.parametrize(
    "command",
    [
        ["calls", "create", "--agent", "27", "--to", "+14155551234"],
        ["hooks", "create", "--event", "call.ended", "--url", "https://example.com/"],
    ],
)
async def test_ids_are_visible_if_standard_output_fails(command: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    hostile = {
        "callId": EVIL,
        "status": "queued",
        "id": EVIL,
        "secret": "s",
        "event": "call.ended",
        "targetUrl": "https:",
    }
    async with Sandbox() as sandbox:
        sandbox.inject(Status(201, body=json.dumps(hostile)))
        status, _, err = await at_terminal(sandbox, *command, stdout=full)
    os.close(full)
    assert (status, unsafe(err)) == (2, set())
    assert "title" in err


HOSTILE_NAME: Final = "evil\x1b[2J\x9b2J\u202e"


@pytest.mark.parametrize(
    "command",
    [
        [f"--{HOSTILE_NAME}"],
        [HOSTILE_NAME],
        ["me", f"--token-file={HOSTILE_NAME}"],
        ["cdrs", "pull", f"--from={HOSTILE_NAME}"],
        ["cdrs", "pull", "--from=1d", f"--out={HOSTILE_NAME}/c.csv"],
        ["cdrs", "follow", f"--checkpoint={HOSTILE_NAME}/c"],
        ["cdrs", "follow", f"--tz={HOSTILE_NAME}"],
        ["sandbox", f"--rate-limit={HOSTILE_NAME}"],
        ["sandbox", f"--order={HOSTILE_NAME}"],
        ["sandbox", "--port=0", f"--host={HOSTILE_NAME}"],
    ],
)
def test_what_the_user_wrote_is_visible_in_an_error(command: list[str]) -> None:
    status, out, err = in_this_process(*command)
    assert (status, unsafe(out + err), "evil" in err) == (2, set(), True)


def test_log_records_are_visible(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("some.library")
    with _log_lines():
        logger.warning("one %s", f"{EVIL}\ntwo")
        logger.error("three", exc_info=ValueError(EVIL))
        logger.info("too quiet")
    logger.handlers.append(logging.NullHandler())  # else Python's own handler writes
    logger.warning("after the command")
    logger.handlers.clear()
    err = capsys.readouterr().err
    assert unsafe(err) == set()
    assert err.startswith("one a")
    assert [line for line in err.splitlines() if "ValueError" in line or "three" in line]
    assert "\ntwo" not in err
    assert "too quiet" not in err
    assert "after the command" not in err


# --- the door itself ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_character_that_cannot_be_seen_becomes_an_escape() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if code not in {9, 10}]
    every = [character for character in characters if unicodedata.category(character) in UNSAFE]
    shown = [visible(character) for character in every]
    assert unsafe("".join(shown)) == set()
    assert [json.loads(f'"{escape}"') for escape in shown] == every


@given(st.text())
def test_json_means_the_same(text: str) -> None:
    line = json.dumps({text: [text]}, ensure_ascii=False)
    shown = visible(line)
    assert unsafe(shown) == set()
    assert json.loads(shown) == {text: [text]}


def test_what_people_read_stays_as_it_is() -> None:
    text = 'Zürich\tÖster, "naïve" 東京 🎉 ±\r\nnext\n'
    assert visible(text) == text


def test_colours_are_kept_and_nothing_else() -> None:
    assert visible_in_colour("\x1b[31mred\x1b[0m\x1b[2J") == "\x1b[31mred\x1b[0m\\u001b[2J"
