"""`unlimcall cdrs report`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unlimcall_async.sandbox import Sandbox, generate_traffic

from .spoiled import spoiled
from .support import in_this_process, names_in, run

START = datetime(2026, 5, 1, tzinfo=UTC)
RANGE = ["--from", "2026-05-01", "--till", "2026-05-03"]


def filled() -> Sandbox:
    sandbox = Sandbox()
    sandbox.add_calls(generate_traffic(300, start=START, end=START + timedelta(days=2), seed=3))
    return sandbox


@pytest.mark.slow
async def test_the_page_is_written_with_the_manifest_of_the_pull(tmp_path: Path) -> None:
    async with filled() as sandbox:
        status, out, err = await run(
            sandbox, "cdrs", "report", *RANGE, "--out", "r.html", "--title", "May & June", cwd=tmp_path
        )
    assert (status, out) == (0, "")
    assert err.endswith("r.html is written: 300 calls.\n")
    page = (tmp_path / "r.html").read_text()
    assert "<title>May &amp; June</title>" in page
    assert "nothing of the range is left out: 1 short, 0 sought." in page
    assert (tmp_path / "r.html").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.parametrize("what", ["c.ndjson", "c.parquet", "sqlite:///c.db"])
async def test_a_file_and_a_table_have_their_own_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with filled() as sandbox:
        if "://" in what:
            await run(sandbox, "cdrs", "sync", *RANGE, "--to", what)
        else:
            await run(sandbox, "cdrs", "pull", *RANGE, "--out", what)
    assert (await run(None, "cdrs", "report", what, "--out", "r.html"))[0] == 0
    page = (tmp_path / "r.html").read_text()
    assert "nothing of the range is left out" in page
    assert "2026-05-01 00:00 till 2026-05-03 00:00 (UTC)" in page
    assert (await run(None, "cdrs", "report", what, "--out", "r.html", "--no-manifest", "--force"))[0] == 0
    assert "cannot say that none is missing" in (tmp_path / "r.html").read_text()


@pytest.mark.slow
async def test_a_damaged_manifest_stops_only_who_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with filled() as sandbox:
        await run(sandbox, "cdrs", "pull", *RANGE, "--out", "c.ndjson")
    (tmp_path / "c.ndjson.manifest.json").write_text('{"kind":"cdrs.man')
    assert (await run(None, "cdrs", "summary", "c.ndjson"))[0] == 0
    assert (await run(None, "cdrs", "report", "c.ndjson", "--out", "r.html", "--no-manifest"))[0] == 0
    status, _, err = await run(None, "cdrs", "report", "c.ndjson", "--out", "s.html")
    assert (status, "cannot read c.ndjson.manifest.json" in err) == (2, True)


@pytest.mark.slow
async def test_the_range_is_not_wider_than_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with filled() as sandbox:
        await run(sandbox, "cdrs", "pull", *RANGE, "--out", "c.ndjson")
    wide = ["--from", "2026-04-01", "--till", "2026-05-02"]
    assert (await run(None, "cdrs", "report", "c.ndjson", "--out", "r.html", *wide))[0] == 0
    assert "2026-05-01 00:00 till 2026-05-02 00:00 (UTC)" in (tmp_path / "r.html").read_text()


@pytest.mark.slow
async def test_no_phone_number_of_a_pull_is_in_the_page(tmp_path: Path) -> None:
    async with filled() as sandbox:
        await run(sandbox, "cdrs", "report", *RANGE, "--out", "r.html", cwd=tmp_path)
        numbers = {number for call in sandbox.calls for number in (call.src, call.dst, call.did) if number}
    page = (tmp_path / "r.html").read_text()
    assert len(numbers) > 100
    assert not any(number.lstrip("+") in page for number in numbers)


@pytest.mark.slow
async def test_rows_that_cannot_be_read_are_told_and_make_the_status_1(tmp_path: Path) -> None:
    async with filled() as sandbox:
        number = f'"{sandbox.calls[5].id}"'.encode()
        async with spoiled(sandbox, {number: number.strip(b'"')}) as url:
            arguments = ["cdrs", "report", *RANGE, "--out", "r.html"]
            status, _, err = await run(sandbox, *arguments, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    assert status == 1
    assert "could not be read" in err
    assert "could not be read, and are not counted: " in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["c.ndjson"], "--out"),
        (["c.ndjson", "--out", "old.html"], "old.html exists; --force replaces it"),
        (["c.ndjson", "--out", "c.ndjson", "--force"], "--out would replace the records"),
        (
            ["c.ndjson", "--out", "c.ndjson.manifest.json", "--force"],
            "--out would replace the records or their manifest",
        ),
        (["sqlite:///c.db", "--out", "c.db", "--force"], "--out would replace the records"),
        (["c.ndjson", "--out", "missing/r.html"], "cannot write"),
        (["missing.ndjson", "--out", "r.html"], "missing.ndjson"),
        (["c.ndjson", "--out", "r.html", "--title", "\udcff"], "--title must not hold half of a surrogate pair"),
    ],
)
def test_a_wrong_option_is_named_and_no_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("c.ndjson", "c.db"):
        Path(name).touch()
    Path("old.html").write_text("old")
    before = names_in(tmp_path)
    status, _, err = in_this_process("cdrs", "report", *arguments)
    assert status == 2
    assert words in err
    assert names_in(tmp_path) == before
    assert Path("old.html").read_text() == "old"


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.ndjson").touch()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    from unlimcall_async.report import load_engine  # noqa: PLC0415 # its memory of the engine is emptied here

    load_engine.cache_clear()
    status, _, err = in_this_process("cdrs", "report", "c.ndjson", "--out", "r.html")
    assert status == 2
    assert "needs the extra `report`: pip install 'unlimcall-async[report]'" in err
