"""The files by which `cdrs pull` and `cdrs follow` continue, changed in every field and cut off at every byte.

A command that continues from such a file gives the exact rest, or an error in a line. It never gives a record twice, and never
calls a file whole that is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest

from unlimcall_async.sandbox import Sandbox, Status

from .support import made, names_in, run

pytestmark = pytest.mark.own_rules

PULL = ["cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02"]
CALLS = made(40, apart=timedelta(minutes=30))
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**70, 1.5, 1e400, "", "x", "ndjson", "csv", [], {}),
    *("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "2026-05-01T12:00:00+00:00", "2026-05-01"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each value in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield (*path, name)
        yield from places(member, (*path, name))


def mutations(text: str) -> Iterator[str]:
    """Yield the text with each of its values changed: to odd values, to those of other fields, and left out."""
    content = json.loads(text)
    others = [value for value in content.values() if not isinstance(value, dict)]
    for place in places(content):
        for value in (*ODD, *others, ...):
            changed = json.loads(text)
            parent = changed
            for name in place[:-1]:
                parent = parent[name]
            if value is ...:
                del parent[place[-1]]
            elif value == parent[place[-1]] and type(value) is type(parent[place[-1]]):
                continue
            else:
                parent[place[-1]] = value
            yield json.dumps(changed)
    for name, value in content.items():
        if type(value) is int:
            yield from (json.dumps({**content, name: near}) for near in (value - 1, value + 1))


def cut_off(text: str) -> Iterator[str]:
    """Yield each start of the text, but for the one that lacks nothing except the end of its line."""
    return (text[:length] for length in range(len(text) - 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "done", "first"),
    [("csv", "begun", 0), ("ndjson", "half", 1), ("csv", "part complete", 2), ("ndjson", "complete", 3)],
)
async def test_a_pull_continues_exactly_or_not_at_all(tmp_path: Path, form: str, done: str, first: int) -> None:
    resume = ["cdrs", "pull", "--out", f"c.{form}", "--resume"]
    whole, stored = tmp_path / "whole", tmp_path / "stored"
    whole.mkdir()
    stored.mkdir()
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(CALLS)
        await run(sandbox, *PULL, "--out", f"c.{form}", cwd=whole)
        exact = (whole / f"c.{form}").read_bytes()
        if done in {"begun", "half"}:
            sandbox.inject(Status(409), endpoint="cdrs", skip=0 if done == "begun" else 12, times=None)
        await run(sandbox, *PULL, "--out", f"c.{form}", "--rejects", "bad", cwd=stored)
        if done == "part complete":
            (stored / f"c.{form}").rename(stored / f"c.{form}.part")
    journal = (stored / f"c.{form}.checkpoint").read_text()
    held = json.loads(journal)
    assert (0 < held["length"] < len(exact)) == (done == "half")
    assert held["complete"] == ("complete" in done)
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        # Every third, and others in one state than in the next.
        for text in islice(chain(mutations(journal), cut_off(journal)), first, None, 3):
            (stored / f"c.{form}.checkpoint").write_text(text)
            status, _, err = await run(sandbox, *resume, cwd=stored)
            assert (status, err.count("Error: ")) == (2, 1), text
        (stored / f"c.{form}.checkpoint").write_text(journal)
        assert (await run(sandbox, *resume, cwd=stored))[0] == 0
    assert (stored / f"c.{form}").read_bytes() == exact


@pytest.mark.parametrize("done", ["half", "complete"])
async def test_a_part_that_was_changed_is_not_continued(tmp_path: Path, done: str) -> None:
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(CALLS)
        if done == "half":
            sandbox.inject(Status(409), endpoint="cdrs", skip=12, times=None)
        await run(sandbox, *PULL, "--out", "c.csv", cwd=tmp_path)
        sandbox.clear_faults()
        path = tmp_path / ("c.csv.part" if done == "half" else "c.csv")
        sound = path.read_bytes()
        for damaged in (sound[:-1], b"", sound[: len(sound) // 2], b"x" + sound[1:], sound[:-1] + b"\r", sound[::-1]):
            path.write_bytes(damaged)
            status, _, err = await run(sandbox, "cdrs", "pull", "--out", "c.csv", "--resume", cwd=tmp_path)
            assert (status, "--force" in err) == (2, True)
            assert (path.read_bytes() if path.exists() else b"") == damaged
        path.write_bytes(sound)
        assert (await run(sandbox, "cdrs", "pull", "--out", "c.csv", "--resume", cwd=tmp_path))[0] == 0
    assert names_in(tmp_path) == ["c.csv", "c.csv.checkpoint", "c.csv.manifest.json"]


async def test_the_checkpoint_of_another_command_or_file_is_not_continued(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        await run(sandbox, *PULL, "--out", "a.csv", cwd=tmp_path)
        await run(sandbox, *PULL[:-1], "2026-05-01T12:00", "--out", "b.csv", cwd=tmp_path)
        (tmp_path / "b.csv.checkpoint").replace(tmp_path / "a.csv.checkpoint")
        other, _, _ = await run(sandbox, "cdrs", "pull", "--out", "a.csv", "--resume", cwd=tmp_path)
        follow, _, wrong = await run(sandbox, "cdrs", "follow", "--checkpoint", "a.csv.checkpoint", cwd=tmp_path)
    assert (other, follow, "is not a checkpoint of a follow" in wrong) == (2, 2, True)


@pytest.mark.slow
async def test_a_follow_continues_exactly_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "follow.checkpoint"
    follow = ["cdrs", "follow", "--interval", "1s", "--checkpoint", str(path)]
    async with Sandbox() as sandbox:
        sandbox.inject(Status(409), endpoint="cdrs", times=None)
        assert (await run(sandbox, *follow, "--from", "2026-05-01"))[0] == 3
        sound = path.read_text()
        base, entry = sound.splitlines(keepends=True)
        for text in chain((f"{changed}\n{entry}" for changed in mutations(base)), cut_off(base), [base + entry[1:]]):
            path.write_text(text)
            status, out, err = await run(sandbox, *follow)
            assert (status, out, err.count("Error: ")) == (2, "", 1), text
            assert path.read_text() == text
        path.write_text(sound)
        assert (await run(sandbox, *follow))[0] == 3  # the refusal by the API
