"""`unlimcall cdrs verify`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from unlimcall_async.sandbox import Sandbox, Status

from .support import START, Ended, in_this_process, made, run

pytestmark = pytest.mark.own_rules

RANGE = ["--from", "2026-05-01", "--till", "2026-05-04"]
CALLS = made(60, apart=timedelta(hours=1))
DAY = "2026-05-02"


async def pulled(sandbox: Sandbox, folder: Path, name: str, *more: str) -> None:
    sandbox.add_calls(CALLS)
    status, _, err = await run(sandbox, "cdrs", "pull", *RANGE, "--out", name, *more, cwd=folder)
    assert status == 0, err


async def verify(sandbox: Sandbox, folder: Path, *arguments: str) -> Ended:
    return await run(sandbox, "cdrs", "verify", *arguments, cwd=folder)


def edited(path: Path, edit: Callable[[list[str]], None]) -> None:
    """Edit the lines of a file of text, beginning with its first record."""
    lines = path.read_text().splitlines(keepends=True)
    head = lines[:1] if path.suffix == ".csv" else []
    records = lines[len(head) :]
    edit(records)
    path.write_text("".join([*head, *records]))


@pytest.mark.rest_slow
@pytest.mark.parametrize("name", ["c.ndjson", "c.csv", "c.parquet", "c.ndjson.manifest.json"])
async def test_nothing_differs(tmp_path: Path, name: str) -> None:
    async with Sandbox() as sandbox:
        await pulled(sandbox, tmp_path, name.removesuffix(".manifest.json"))
        status, out, err = await verify(sandbox, tmp_path, name)
        assert (status, out) == (0, ""), err
        assert (
            "No difference: 2026-05-01T00:00:00.000Z till 2026-05-04T00:00:00.000Z, 3 days with records, 1 request.\n"
            in err
        )
        status, out, err = await verify(sandbox, tmp_path, name, "--json", "--quiet", "--counts-only")
    assert (status, err, json.loads(out)["ok"], json.loads(out)["differences"]) == (0, "", True, [])


def _delete(lines: list[str]) -> None:
    del lines[30]


def _double(lines: list[str]) -> None:
    lines.append(lines[30])


def _alter(lines: list[str]) -> None:
    lines[30] = lines[30].replace("17.30", "17.99")


def _move(lines: list[str]) -> None:
    lines[30] = lines[30].replace("2026-05-02", "2026-05-01")


EDITS: dict[str, tuple[Callable[[list[str]], None], list[str]]] = {
    "delete": (_delete, [f"{DAY}  added    17.30  2026-05-02T06:00:00.000Z"]),
    "double": (_double, [f"{DAY}  missing  17.30  2026-05-02T06:00:00.000Z"]),
    "alter": (
        _alter,
        [f"{DAY}  missing  17.99  2026-05-02T06:00:00.000Z", f"{DAY}  added    17.30  2026-05-02T06:00:00.000Z"],
    ),
    "move": (
        _move,
        ["2026-05-01  missing  17.30  2026-05-01T06:00:00.000Z", f"{DAY}  added    17.30  2026-05-02T06:00:00.000Z"],
    ),
}


@pytest.mark.rest_slow
@pytest.mark.parametrize("name", ["c.ndjson", "c.csv"])
@pytest.mark.parametrize("kind", EDITS)
async def test_a_row_that_was_edited_is_named(tmp_path: Path, name: str, kind: str) -> None:
    edit, lines = EDITS[kind]
    async with Sandbox() as sandbox:
        await pulled(sandbox, tmp_path, name)
        edited(tmp_path / name, edit)
        status, out, err = await verify(sandbox, tmp_path, name)
    assert (
        status,
        f"{name} is not as its manifest says: it was changed after the pull, or is another file." in err,
    ) == (1, True)
    assert out.splitlines()[-len(lines) :] == lines
    # The first table is that of the manifest: it needs no API.
    head, row = out.splitlines()[:2]
    assert (head.split(), row.split()[0]) == (["day", "in", "the", "manifest", "in", "the", "file"], lines[0][:10])
    assert "+1" not in out + err


async def test_what_has_changed_at_the_api_is_named(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        await pulled(sandbox, tmp_path, "c.ndjson")
    async with changed_api() as sandbox:
        status, out, err = await verify(sandbox, tmp_path, "c.ndjson")
        assert (status, "is not as its manifest" in err, "2 days differ: " in err) == (1, False, True)
        rows = [line.split() for line in out.splitlines()]
        assert rows[:3] == [
            ["day", "expected", "found", "missing", "added", "revised"],
            ["2026-05-01", "24", "25", "0", "1", "0"],
            ["2026-05-02", "24", "24", "0", "0", "1"],
        ]
        assert out.splitlines()[-1] == f"{DAY}  revised  17.30  2026-05-02T06:00:00.000Z  disposition"
        status, out, err = await verify(sandbox, tmp_path, "c.ndjson", "--records")
        assert "disposition ANSWERED -> BUSY" in out
        # By days alone, nobody knows which records they are.
        status, out, _ = await verify(sandbox, tmp_path, "c.ndjson.manifest.json")
        assert (status, out.splitlines()[1].split()) == (1, ["2026-05-01", "24", "25", "-", "-", "-"])
        # Counts show the day with one more only.
        status, out, _ = await verify(sandbox, tmp_path, "c.ndjson", "--counts-only", "--json")
    facts = json.loads(out)
    assert (status, facts["ok"], [each["day"] for each in facts["differences"]]) == (1, False, ["2026-05-01"])
    assert facts["differences"][0]["added"] == [{"id": "new", "start_time": "2026-05-01T06:30:00.000Z"}]


@asynccontextmanager
async def changed_api() -> AsyncIterator[Sandbox]:
    """The API later: it holds one record more, and one that is revised."""
    async with Sandbox(count="matches") as sandbox:
        (more,) = made(1, start=START + timedelta(hours=6, minutes=30))
        revised = evolve(CALLS[30], disposition="BUSY")
        sandbox.add_calls([*CALLS[:30], revised, *CALLS[31:], evolve(more, id="new")])
        yield sandbox


async def test_a_range_within_a_file(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        await pulled(sandbox, tmp_path, "c.ndjson")
    async with changed_api() as sandbox:
        status, _, err = await verify(sandbox, tmp_path, "c.ndjson", "--from", "2026-05-03")
        assert (status, "48 records outside of the range: not compared with the API." in err) == (0, True), err
        status, _, err = await verify(sandbox, tmp_path, "c.ndjson", "--till", "2026-05-05")
        assert (status, "--from and --till must lie within the range of c.ndjson: 2026-05-01" in err) == (2, True)


async def test_a_file_without_a_manifest_needs_a_range(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        await pulled(sandbox, tmp_path, "c.csv", "--no-manifest")
        status, _, err = await verify(sandbox, tmp_path, "c.csv")
        assert (
            status,
            "c.csv.manifest.json is not beside c.csv: give the range of the file with --from and --till" in err,
        ) == (2, True)
        status, _, err = await verify(sandbox, tmp_path, "c.csv", *RANGE)
    assert status == 0, err


async def test_the_manifest_of_another_file_is_found(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        await pulled(sandbox, tmp_path, "c.ndjson")
        await run(sandbox, "cdrs", "pull", *RANGE[:3], "2026-05-02", "--out", "d.ndjson", cwd=tmp_path)
        (tmp_path / "d.ndjson").rename(tmp_path / "c.ndjson")
        status, out, err = await verify(sandbox, tmp_path, "c.ndjson")
    assert (status, "c.ndjson is not as its manifest says" in err) == (1, True)
    assert [line.split() for line in out.splitlines()[1:3]] == [["2026-05-02", "24", "0"], ["2026-05-03", "12", "0"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "cannot read none.csv: No such file or directory"),
        (["bad.ndjson"], "bad.ndjson, line 1: "),
        (["m.json"], "cannot read m.json: "),
        (["m.json", "--from", "1d"], "--from and --till are for records; m.json is a manifest"),
        (["bad.ndjson", "--repair"], "--repair mends the table of a sync; pull a file again with --force"),
        (
            ["bad.ndjson", "--account", "a"],
            "--account and --table are for the table of a sync, and bad.ndjson is a file",
        ),
        (["bad.ndjson", "--table", "t"], "--account and --table are for the table of a sync, and bad.ndjson is a file"),
        (["bad.ndjson", "--from", "now", "--till", "1d"], "--from is after --till"),
        (["sqlite:///none.db"], "sqlite:///none.db: there is no such file"),
        (["mysql://u:secret@h/x", "--account", "a"], "URL must be a URL like"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.ndjson").write_text('{"id": 1}\n')
    (tmp_path / "m.json").write_text('{"kind": "cdrs.manifest", "version": 9}')
    ranged = RANGE if arguments == ["bad.ndjson"] else []
    status, out, err = in_this_process("cdrs", "verify", *arguments, *ranged)
    assert (status, out, message in err, "secret" in err) == (2, "", True, False), err


async def test_a_refusal_by_the_api_has_its_own_status(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        await pulled(sandbox, tmp_path, "c.ndjson")
        status, _, err = await run(
            sandbox, "cdrs", "verify", "c.ndjson", cwd=tmp_path, UNLIMCALL_TOKEN="unl_test_other"
        )
    assert (status, "unl_test_other" in err) == (3, False)


# --- tables -----------------------------------------------------------------------------------------------------------

SYNC = ["cdrs", "sync", "--to", "sqlite:///calls.db", *RANGE]


def changed(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "calls.db")) as connection, connection:
        connection.execute(statement)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("statement", "what", "repaired"),
    [
        ("DELETE FROM cdrs WHERE id = '17.30'", "added", {"inserted": 1, "revised": 0, "removed": 0}),
        (
            "UPDATE cdrs SET billsec = billsec + 1 WHERE id = '17.30'",
            "revised",
            {"inserted": 0, "revised": 1, "removed": 0},
        ),
        (
            "INSERT INTO cdrs SELECT * FROM cdrs WHERE id = '17.30'",
            "missing",
            {"inserted": 0, "revised": 0, "removed": 1},
        ),
    ],
)
async def test_a_table_is_verified_and_mended(
    tmp_path: Path, statement: str, what: str, repaired: dict[str, int]
) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        await run(sandbox, *SYNC, cwd=tmp_path)
        status, _, err = await verify(sandbox, tmp_path, "sqlite:///calls.db")
        assert (status, "No difference" in err) == (0, True), err
        changed(tmp_path, statement)
        status, out, err = await verify(sandbox, tmp_path, "sqlite:///calls.db", "--json")
        (difference,) = json.loads(out)["differences"]
        assert (status, difference["day"], [each["id"] for each in difference[what]]) == (1, DAY, ["17.30"]), err
        status, out, err = await verify(sandbox, tmp_path, "sqlite:///calls.db", "--repair", "--json")
        facts: dict[str, Any] = json.loads(out)
        assert (status, facts["ok"], facts["repaired"]) == (0, False, repaired), err
        assert "not become as the API" not in err
        status, _, err = await verify(sandbox, tmp_path, "sqlite:///calls.db", "--from", "2026-05-02")
    assert (status, "No difference" in err) == (0, True), err


@pytest.mark.slow
@pytest.mark.parametrize("url", ["duckdb:///calls.duckdb", "parquet:///calls"])
async def test_other_tables_are_verified_too(tmp_path: Path, url: str) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        status, _, err = await run(sandbox, "cdrs", "sync", "--to", url, *RANGE, cwd=tmp_path)
        assert status == 0, err
        status, _, err = await verify(sandbox, tmp_path, url)
        assert (status, "3 days with records" in err) == (0, True), err
    async with changed_api() as sandbox:
        status, out, err = await verify(sandbox, tmp_path, url, "--repair")
        assert (status, "Repaired: 1 inserted, 1 revised, 0 removed." in err) == (0, True), err
        assert [line.split()[0] for line in out.splitlines()[1:3]] == ["2026-05-01", DAY]
        assert (await verify(sandbox, tmp_path, url))[0] == 0


async def test_a_table_that_a_row_keeps_from_being_mended_is_told(tmp_path: Path) -> None:
    day = [*SYNC[:-1], "2026-05-02"]
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        await run(sandbox, *day, cwd=tmp_path)
        changed(tmp_path, "INSERT INTO cdrs SELECT * FROM cdrs WHERE id = '17.5'")
        # One row lacks what a record must have: so nobody knows that the double is not that row.
        rows = [{"id": "17.5", "startTime": "2026-05-01T05:00:00Z", "duration": 1, "billsec": None}]
        sandbox.inject(Status(200, body=json.dumps({"count": 1, "calls": rows})), endpoint="cdrs", times=9)
        status, _, err = await verify(sandbox, tmp_path, "sqlite:///calls.db", "--repair")
    assert (status, "0 removed" in err, "Not all was mended: 2026-05-01." in err) == (1, True, True), err


async def test_a_table_of_no_sync_is_told(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        await run(sandbox, *SYNC, cwd=tmp_path)
        status, _, err = await verify(sandbox, tmp_path, "sqlite:///calls.db", "--account", "other")
        assert (status, "no sync has written --account 'other' there" in err) == (2, True), err
        for account in ([], ["--account", "1042"]):
            _, _, err = await run(
                sandbox, "cdrs", "summary", "sqlite:///calls.db", "--table", "x", *account, cwd=tmp_path
            )
            assert "Error: no sync has written --table 'x' there\n" in err
        status, _, err = await verify(sandbox, tmp_path, "sqlite:///calls.db", "--till", "2026-06-01")
    assert (status, "--from and --till must lie within the time that was synced" in err) == (2, True), err
