"""`FILE.manifest.json` beside the file of a pull."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from unlimcall_async import AsyncClient, RateLimits
from unlimcall_async.proof import DayDigest, Manifest
from unlimcall_async.sandbox import Sandbox, Status

from .spoiled import spoiled
from .support import START, made, names_in, run
from .test_rejects import SPOILT, with_bad

pytestmark = pytest.mark.own_rules

RANGE = ["--from", "2026-05-01", "--till", "2026-05-04"]
PULL = ["cdrs", "pull", "--out", "c.ndjson"]


def manifest_of(folder: Path, name: str = "c.ndjson") -> Manifest:
    return Manifest.from_json((folder / f"{name}.manifest.json").read_bytes())


async def stopped_often(sandbox: Sandbox, folder: Path, *arguments: str) -> None:
    """Pull, stopped by the API again and again."""
    status: int | None = 3
    while status == 3:
        sandbox.clear_faults()
        sandbox.inject(Status(409), endpoint="cdrs", skip=5)
        status, _, err = await run(sandbox, *arguments, "--resume", cwd=folder)
        assert status in {0, 3}, err


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["ndjson", "csv", "parquet", "xlsx"])
async def test_a_pull_that_was_stopped_often_has_the_days_of_one_that_was_not(tmp_path: Path, ending: str) -> None:
    async with Sandbox(cap=20, count="matches") as sandbox:
        sandbox.add_calls(made(80, apart=timedelta(minutes=50)))
        whole = ["cdrs", "pull", *RANGE, "--out", f"whole.{ending}"]
        assert (await run(sandbox, *whole, cwd=tmp_path))[0] == 0
        await stopped_often(sandbox, tmp_path, "cdrs", "pull", *RANGE, "--out", f"c.{ending}", "--rate", "6000")
        records = await sandbox_records(sandbox)
    one, other = manifest_of(tmp_path, f"whole.{ending}"), manifest_of(tmp_path, f"c.{ending}")
    assert (one.start, one.end, one.days) == (other.start, other.end, other.days)
    assert one.total == records
    for manifest in (one, other):
        assert (manifest.gaps(), manifest.unreadable, manifest.held_at_end) == ([], (), None)
        # The answers, and not the pieces that they were stored in.
        assert len(manifest.windows) < 60
    assert not [name for name in names_in(tmp_path) if name.endswith(".part")]


async def sandbox_records(sandbox: Sandbox) -> DayDigest:
    sandbox.clear_faults()
    limits = RateLimits.unlimited()
    async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=limits) as client:
        return DayDigest.of(await client.cdrs.stream(START, START + timedelta(days=3)).to_list())


async def test_a_file_that_grows_has_one_manifest(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(100, apart=timedelta(minutes=40)))
        for till in ("2026-05-02", "2026-05-03T12:00", "2026-05-04"):
            status, _, err = await run(
                sandbox, *PULL, "--from", "2026-05-01", "--till", till, "--since-last", cwd=tmp_path
            )
            assert (status, "gets no manifest" in err) == (0, False), err
        total = await sandbox_records(sandbox)
    manifest = manifest_of(tmp_path)
    assert (manifest.start, manifest.end, manifest.total) == (START, START + timedelta(days=3), total)


@pytest.mark.parametrize("spoiling", ["gone", "another", "damaged"])
async def test_a_file_that_grows_without_its_manifest_gets_none(tmp_path: Path, spoiling: str) -> None:
    path = tmp_path / "c.ndjson.manifest.json"
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(100, apart=timedelta(minutes=40)))
        await run(sandbox, *PULL, "--from", "2026-05-01", "--till", "2026-05-02", "--since-last", cwd=tmp_path)
        match spoiling:
            case "gone":
                path.unlink()
            case "another":
                path.write_text(path.read_text().replace('"records": 36', '"records": 35'))
            case "damaged":
                path.write_text("{")
        status, _, err = await run(sandbox, *PULL, "--till", "2026-05-03", "--since-last", cwd=tmp_path)
    if spoiling == "damaged":
        # It may be the user's own.
        assert (status, "is not a manifest that this release can read; move it away" in err) == (2, True)
        assert path.read_text() == "{"
    else:
        assert (status, "c.ndjson gets no manifest: c.ndjson.manifest.json is not that of" in err) == (0, True), err
        assert not path.exists()


async def test_a_pull_without_a_manifest_leaves_none(tmp_path: Path) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(30))
        await run(sandbox, *PULL, *RANGE, cwd=tmp_path)
        sandbox.add_calls(made(3, start=START + timedelta(days=1)))
        status, _, _ = await run(sandbox, *PULL, *RANGE, "--force", "--no-manifest", cwd=tmp_path)
    # That of the file which was replaced is gone.
    assert (status, names_in(tmp_path)) == (0, ["c.ndjson", "c.ndjson.checkpoint"])


@pytest.mark.rest_slow
@pytest.mark.parametrize("spoiling", ["gone", "changed", "shorter"])
async def test_a_part_that_was_changed_is_not_continued(tmp_path: Path, spoiling: str) -> None:
    part = tmp_path / "c.ndjson.manifest.json.part"
    async with Sandbox(cap=10, count="matches") as sandbox:
        sandbox.add_calls(made(100))
        sandbox.inject(Status(409), endpoint="cdrs", skip=12)
        await run(sandbox, *PULL, "--from", "2026-05-01", "--till", "2026-05-02", cwd=tmp_path)
        match spoiling:
            case "gone":
                part.unlink()
            case "changed":
                part.write_bytes(part.read_bytes().replace(b'"rows"', b'"Rows"', 1))
            case "shorter":
                part.write_bytes(part.read_bytes()[:-5])
        sandbox.clear_faults()
        status, _, err = await run(sandbox, *PULL, "--resume", cwd=tmp_path)
    assert (status, "c.ndjson gets no manifest: c.ndjson.manifest.json.part is not as" in err) == (0, True), err
    assert names_in(tmp_path) == ["c.ndjson", "c.ndjson.checkpoint"]


async def test_a_saturated_instant_has_no_proof(tmp_path: Path) -> None:
    async with Sandbox(cap=20, count="matches") as sandbox:
        sandbox.add_calls([*made(30), *made(25, apart=timedelta(0), start=START + timedelta(hours=5))])
        status, _, err = await run(sandbox, *PULL, *RANGE, "--skip-saturated", "--rate", "6000", cwd=tmp_path)
    assert (status, "c.ndjson gets no manifest: nothing proves" in err) == (1, True), err
    assert names_in(tmp_path) == ["c.ndjson", "c.ndjson.checkpoint"]


async def test_a_manifest_names_the_rows_that_cannot_be_read_without_their_text(tmp_path: Path) -> None:
    async with Sandbox(cap=20, count="matches") as sandbox, spoiled(sandbox, SPOILT) as url:
        sandbox.add_calls(with_bad(40, 7, 39))
        # Without --rejects, the first of these rows ends the pull: the next one names it again.
        await run(sandbox, *PULL, *RANGE, cwd=tmp_path, UNLIMCALL_BASE_URL=url)
        await run(sandbox, *PULL, "--rejects", "bad", "--resume", cwd=tmp_path, UNLIMCALL_BASE_URL=url)
    manifest = manifest_of(tmp_path)
    assert (manifest.total.records, len(manifest.unreadable)) == (38, 2)
