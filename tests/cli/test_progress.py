"""How far a pull is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unlimcall_async import StreamStats
from unlimcall_async.cli.progress import plain_lines, shown_progress
from unlimcall_async.sandbox import Sandbox

from .support import made
from .test_terminal import PULL, at_terminal

STATS = StreamStats(
    requests=15, records=3, duplicates=1, full_pages=2, retries=3, min_requests=12, waited_s=1234.56, strategy="divide"
)


class _Stream:
    stats = STATS

    class progress:  # noqa: N801 # as the stream has it
        fraction = 0.4567


def test_a_plain_line_comes_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    times: Iterator[float] = iter([0.0, 1.0, 4.9, 5.0, 5.0, 6.0])
    show = plain_lines(lambda: next(times))
    for _ in range(4):
        show(_Stream())  # type: ignore[arg-type] # the two attributes that are read
    assert capsys.readouterr().err == "46%, 3 records, 15 requests, 68.59 s wait each\n"


def test_where_standard_error_is_closed_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with shown_progress() as show:
        show(_Stream())  # type: ignore[arg-type] # the two attributes that are read


async def test_records_and_the_bar_share_no_line(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(50))
        # Whatever reads the pipe may write to the same terminal.
        reader, writer = os.pipe()
        status, _, piped = await at_terminal(sandbox, *PULL, stdout=writer)
        os.close(writer)
        os.close(reader)
        assert (status, "\x1b" in piped, "50 records" in piped) == (0, False, True)
        status, records, said = await at_terminal(sandbox, *PULL)
        assert (status, records.count("\n"), "\x1b" in records + said) == (0, 50, False)
        status, _, bar = await at_terminal(sandbox, *PULL, "--out", str(tmp_path / "c.csv"))
    assert (status, "\u2501" in bar) == (0, True)
    # The summary stands below the bar.
    assert bar.splitlines()[-1].removeprefix("\x1b[?25h").startswith("50 records in ")
