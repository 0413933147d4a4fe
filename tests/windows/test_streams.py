"""What the command writes on a console of Windows, and into its pipes."""

from __future__ import annotations

import errno
import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unlimcall_async import CallRecord, to_json
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.cli.output import write_when_ready
from unlimcall_async.cli.wording import in_encoding

pytestmark = [pytest.mark.own_rules, pytest.mark.usefixtures("windows")]

NAMES = ("Österreich", "客服 → sales…", "plain")


class Console(io.TextIOWrapper):
    """A text stream of a console, or of a pipe, which takes what its encoding has, and nothing else."""

    def __init__(self, encoding: str, *, is_terminal: bool = True) -> None:
        self.content = io.BytesIO()
        super().__init__(self.content, encoding=encoding, errors="strict", newline="\n")
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def fileno(self) -> int:
        return 1  # which nothing may ask whether it has room

    def shown(self) -> str:
        return self.content.getvalue().decode(self.encoding)


@pytest.fixture(name="records")
def _records(tmp_path: Path) -> Path:
    path, start = tmp_path / "calls.ndjson", datetime(2026, 5, 1, tzinfo=UTC)
    records = [
        CallRecord(str(number), start + timedelta(minutes=number), duration=60, billsec=30, country=NAMES[number % 3])
        for number in range(7)
    ]
    path.write_bytes(b"".join(to_json(record) + b"\n" for record in records))
    return path


def command(monkeypatch: pytest.MonkeyPatch, out: Console, err: Console, *arguments: str) -> int:
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with pytest.raises(SystemExit) as ended:
        unlimcall.main([*arguments], "unlimcall")
    monkeypatch.undo()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("encoding", "bar", "names"),
    [
        ("cp437", "#", {"Österreich", "?? ? sales?", "plain"}),
        ("cp1252", "#", {"Österreich", "?? ? sales…", "plain"}),
        ("ascii", "#", {"?sterreich", "?? ? sales?", "plain"}),
        ("utf-8", "█", set(NAMES)),
    ],
)
def test_a_console_gets_what_it_can_show(
    records: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, bar: str, names: set[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")
    out, err = Console(encoding), Console(encoding)
    assert command(monkeypatch, out, err, "cdrs", "summary", str(records), "--by", "country") == 0
    rows = [line for line in out.shown().splitlines() if bar in line]
    assert {name for name in names if any(row.startswith(name) for row in rows)} == names
    assert len(rows) == 3


@pytest.mark.parametrize("encoding", ["cp437", "ascii"])
def test_an_error_about_such_a_name_is_shown(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out, err = Console(encoding), Console(encoding)
    assert command(monkeypatch, out, err, "cdrs", "summary", "客服.csv") == 2
    assert "cannot read ??.csv" in err.shown()


def test_a_pipe_gets_utf_8_whatever_its_encoding(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Console("cp1252", is_terminal=False), Console("cp1252", is_terminal=False)
    assert command(monkeypatch, out, err, "cdrs", "summary", str(records), "--by", "country", "--json") == 0
    text = out.content.getvalue().decode("utf-8")
    assert all(name in text for name in NAMES)


@pytest.mark.parametrize(("is_terminal", "found"), [(False, b"\xe2\x86\x92 1"), (True, b"? 1")])
async def test_lines_of_a_stream_arrive_whole(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, found: bytes) -> None:
    out = Console("cp437", is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stdout", out)
    await write_when_ready("→ 1\n" * 1000)
    monkeypatch.undo()
    assert out.content.getvalue().splitlines() == [found] * 1000


@pytest.mark.parametrize("parts", range(9))
def test_each_part_of_a_bar_has_a_character_in_ascii(parts: int) -> None:
    block = " ▏▎▍▌▋▊▉█"[parts]
    assert in_encoding(f"a{block}é", "ascii") == f"a{' ---#####'[parts]}?"
    assert in_encoding(f"a{block}é", "utf-8") == f"a{block}é"


class Left(io.BytesIO):
    """A pipe whose reader has left."""

    def write(self, _: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_reader_that_has_left_is_no_error(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Console("cp1252", is_terminal=False), Console("cp1252", is_terminal=False)
    out.content = Left()
    monkeypatch.setattr(Console, "buffer", property(lambda self: self.content))
    status = command(monkeypatch, out, err, "cdrs", "summary", str(records), "--json")
    assert (status, err.shown()) == (141, "")
