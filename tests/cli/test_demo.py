"""`unlimcall demo`: run as a process, and the pure parts by themselves."""

from __future__ import annotations

import asyncio
import csv
import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click
import pytest
from attrs import evolve
from click.testing import CliRunner

from unlimcall_async import CallRecord, StreamStats
from unlimcall_async.cli import report
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.cli.comparison import Check, Comparison
from unlimcall_async.cli.progress import plain_lines, shown_progress
from unlimcall_async.cli.writers import UnwritableError, csv_lines, ndjson, writing
from unlimcall_async.sandbox import SandboxCall, generate_traffic

SOURCE = str(Path(__file__).parents[2])
CALLS = 3000
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


async def start(
    folder: Path,
    *arguments: str,
    stderr: int = asyncio.subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "unlimcall_async", "demo", *arguments),
        cwd=folder,
        # A terminal that is claimed is no terminal: what is piped stays plain.
        env={**os.environ, "PYTHONPATH": SOURCE, "FORCE_COLOR": "1", "TERM": "xterm", **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )


async def demo(folder: Path, *arguments: str, **environment: str) -> tuple[int | None, str, str]:
    process = await start(folder, *arguments, environment=environment)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def of_the_store(seed: int) -> list[tuple[str, str]]:
    calls = generate_traffic(CALLS, start=START, end=END, seed=seed)
    return sorted((stamp(call.start_time), call.id) for call in calls)


# --- the process ----------------------------------------------------------------------------------------------------------


async def test_it_pulls_everything_and_says_so(tmp_path: Path) -> None:
    status, out, err = await demo(tmp_path, "--calls", str(CALLS))

    assert status == 0, err
    assert is_plain(out)
    assert is_plain(err)
    assert err.startswith("Generating 3,000 calls")
    assert "every record in the store is there once, in order, unaltered (3,000)" in out
    assert "survived" in out
    assert names_in(tmp_path) == ["unlimcall-demo.ndjson"]
    rows = [json.loads(line) for line in (tmp_path / "unlimcall-demo.ndjson").read_text().splitlines()]
    assert [(row["start_time"], row["id"]) for row in rows] == of_the_store(0)


async def test_csv_newest_first(tmp_path: Path) -> None:
    status, _, err = await demo(tmp_path, "--calls", str(CALLS), "--seed", "7", "--out", "pulled.csv", "--newest-first")

    assert status == 0, err
    with (tmp_path / "pulled.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["start_time"], row["id"]) for row in rows] == of_the_store(7)[::-1]
    assert {row["currency"] for row in rows} == {"USD"}


async def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    outs = [("--out", f"{name}.ndjson", "--seed", seed) for name, seed in (("a", "5"), ("b", "5"), ("c", "6"))]
    await asyncio.gather(*(demo(tmp_path, "--calls", "500", *out) for out in outs))
    first, again, other = ((tmp_path / f"{name}.ndjson").read_bytes() for name in "abc")
    assert first == again != other


async def test_a_file_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    status, out, err = await demo(tmp_path, "--out", "missing/pulled.csv")
    assert (status, out) == (2, "")
    assert err == f"Error: cannot write {Path('missing/pulled.csv')}: {os.strerror(errno.ENOENT)}\n"


async def test_another_kind_of_file_is_wrong_usage(tmp_path: Path) -> None:
    status, _, err = await demo(tmp_path, "--out", "pulled.xlsx")
    assert (status, "must end in .ndjson or .csv" in err) == (2, True)


async def test_without_rich_it_says_how_to_get_it(tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "rich.py").write_text("raise ModuleNotFoundError('no rich', name='rich')")
    status, _, err = await demo(tmp_path, PYTHONPATH=os.pathsep.join([str(fake), SOURCE]))
    assert (status, "unlimcall-async[cli]" in err, "Traceback" in err) == (1, True, False)


def read_all(terminal: int) -> str:
    read = b""
    with suppress(OSError):  # how Linux tells that the other end is closed
        while piece := os.read(terminal, 4096):
            read += piece
    return read.decode()


async def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    process = await start(tmp_path, "--calls", str(CALLS), stderr=theirs, environment={"COLUMNS": "100"})
    os.close(theirs)
    shown, (out, _) = await asyncio.gather(asyncio.to_thread(read_all, ours), process.communicate())
    os.close(ours)

    assert (process.returncode, is_plain(out.decode())) == (0, True)
    assert "\x1b[" in shown
    assert "3,000 records" in click.unstyle(shown)
    assert "100%" in click.unstyle(shown)


@pytest.mark.parametrize(("complete", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_tells_whether_all_is_there(
    monkeypatch: pytest.MonkeyPatch, complete: bool, status: int
) -> None:
    monkeypatch.setattr("unlimcall_async.cli.demo.run", lambda *_, **__: complete)
    assert CliRunner().invoke(unlimcall, ["demo"]).exit_code == status


def test_a_limit_of_real_minutes() -> None:
    assert [SCALE.real_seconds(requests) for requests in (1, 60, 61, 616)] == [0, 0, 60, 600]


@pytest.mark.parametrize("phase", [b"Generating", b"Pulling"])
async def test_ctrl_c_leaves_nothing(tmp_path: Path, phase: bytes) -> None:
    process = await start(tmp_path, "--calls", "50000")
    assert process.stderr is not None
    assert process.stdout is not None
    while phase not in (line := await process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    err = (await process.stderr.read()).decode()

    assert (await process.wait(), await process.stdout.read()) == (130, b"")
    assert err.endswith("Interrupted.\n")
    assert "Traceback" not in err
    assert names_in(tmp_path) == []


async def test_its_help_imports_neither_a_server_nor_rich() -> None:
    code = (
        "import sys; from unlimcall_async.cli.commands import unlimcall; unlimcall(['demo', '--help'], standalone_mode=False);"
        "sys.exit(bool({'aiohttp', 'rich'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert (process.returncode, b"--newest-first" in out) == (0, True)


# --- the comparison -------------------------------------------------------------------------------------------------------


def stored(number: int, **fields: object) -> SandboxCall:
    call = SandboxCall(id=f"17.{number}", start_time=START + timedelta(seconds=number))
    return evolve(call, **fields)  # type: ignore[arg-type] # any field


def pulled(call: SandboxCall) -> CallRecord:
    names = ("id", "start_time", "duration", "billsec", "src", "dst", "disposition", "sip_username")
    more = ("sell_price_cents", "currency", "country", "did", "extra")
    return CallRecord(**{name: getattr(call, name) for name in names + more})


STORE = [stored(number) for number in range(6)]


def compare(records: Sequence[CallRecord], store: Iterable[SandboxCall], *, newest_first: bool) -> Comparison:
    check = Check(store, newest_first=newest_first)
    for first in range(0, len(records), 2):  # as batches
        check.add(records[first : first + 2])
    return check.result()


def counts(comparison: Comparison) -> tuple[int, ...]:
    return (
        comparison.missing,
        comparison.doubled,
        comparison.altered,
        comparison.foreign,
        comparison.misplaced,
    )


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_same_records_compare_as_the_same(newest_first: bool) -> None:
    records = [pulled(call) for call in STORE]
    comparison = compare(records[::-1] if newest_first else records, STORE[::-1], newest_first=newest_first)
    assert comparison.same
    assert (comparison.compared, comparison.first) == (6, "")


def test_what_does_not_come_is_missing() -> None:
    comparison = compare([], STORE, newest_first=False)
    assert (counts(comparison), comparison.compared) == ((6, 0, 0, 0, 0), 6)


def test_the_other_direction_is_out_of_order() -> None:
    records = [pulled(call) for call in STORE]
    assert counts(compare(records, STORE, newest_first=True)) == (0, 0, 0, 0, 5)


def altered(records: list[CallRecord]) -> list[CallRecord]:
    return [*records[:2], evolve(records[2], dst="+12125550100", billsec=1), *records[3:]]


CORRUPTIONS: dict[str, tuple[Callable[[list[CallRecord]], list[CallRecord]], tuple[int, ...], str]] = {
    "missing": (lambda records: records[:2] + records[3:], (1, 0, 0, 0, 0), "missing"),
    "doubled": (lambda records: [*records[:3], *records[2:]], (0, 1, 0, 0, 0), "doubled"),
    "swapped": (
        lambda records: [*records[:2], records[3], records[2], *records[4:]],
        (0, 0, 0, 0, 1),
        "out of order",
    ),
    "altered": (altered, (0, 0, 1, 0, 0), "altered in billsec, dst"),
    "moved": (
        lambda records: [*records[:2], evolve(records[2], id="17.2x"), *records[3:]],
        (1, 0, 0, 1, 0),
        "missing",
    ),
    "extra": (
        lambda records: [*records[:2], evolve(records[2], extra={"a": 1}), *records[3:]],
        (0, 0, 1, 0, 0),
        "altered in extra",
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_is_wrong_is_found(name: str) -> None:
    corrupt, expected, description = CORRUPTIONS[name]
    comparison = compare(corrupt([pulled(call) for call in STORE]), STORE, newest_first=False)
    assert not comparison.same
    assert counts(comparison) == expected
    assert comparison.first == f"2025-01-01T00:00:02+00:00, id 17.2: {description}"


def test_rows_with_one_start_and_id_compare_as_multisets() -> None:
    legs = [stored(1, duration=duration) for duration in (5, 5, 9)]
    records = [pulled(call) for call in legs]
    assert compare(records[::-1], legs, newest_first=False).same
    assert counts(compare(records[1:], legs, newest_first=False)) == (1, 0, 0, 0, 0)
    assert counts(compare([records[0], records[2], records[2]], legs, newest_first=False)) == (1, 1, 0, 0, 0)


# --- the files ------------------------------------------------------------------------------------------------------------

RECORD = CallRecord(id="1", start_time=START, duration=2, billsec=1, src='a,"b"', country="Österreich")


def test_json_keeps_what_a_float_would_not() -> None:
    record = evolve(RECORD, extra={"rate": Decimal("0.10"), "seen": START + timedelta(microseconds=5)})
    row = json.loads(ndjson([record]))
    assert (row["start_time"], row["src"], row["dst"]) == ("2025-01-01T00:00:00.000Z", 'a,"b"', None)
    assert (row["country"], row["rate"], row["seen"]) == ("Österreich", "0.10", "2025-01-01T00:00:00.000005Z")


def test_csv_has_an_empty_field_for_none() -> None:
    (row,) = csv.reader(csv_lines([evolve(RECORD, extra={"rate": Decimal("0.10")})]).splitlines())
    assert row[:6] == ["1", "2025-01-01T00:00:00.000Z", "2", "1", 'a,"b"', ""]
    assert json.loads(row[-1]) == {"rate": "0.10"}


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "with_name", lambda *_: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda *_: None)

    def fill() -> None:
        with writing(tmp_path / "pulled.csv") as file:
            file.write([RECORD] * 10_000)

    with pytest.raises(UnwritableError, match=os.strerror(errno.ENOSPC)):
        fill()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("suffix", ["ndjson", "csv"])
def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pulled.{suffix}"
    path.write_text("old")

    def interrupted() -> None:
        with writing(path) as file:
            file.write([RECORD])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(f"pulled.{suffix}", "old")]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "target.csv")
    with writing(tmp_path / "link.csv") as file:
        file.write([RECORD])
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "target.csv").read_text().splitlines()) == 2


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(UnwritableError, match="no ordinary file"), writing(folder):
        pass
    assert list(tmp_path.iterdir()) == [folder]


# --- the words ------------------------------------------------------------------------------------------------------------

STATS = StreamStats(
    requests=15, records=3, duplicates=1, full_pages=2, retries=3, min_requests=12, waited_s=1234.56, strategy="divide"
)
SAME = Comparison(3, 0, 0, 0, 0, 0, "")
SCALE = report.RateScale(per_minute=60, minute=2.0)


def sold(
    country: str | None, cents: int | None, currency: str | None = "USD", how: str | None = "ANSWERED"
) -> CallRecord:
    return evolve(RECORD, country=country, sell_price_cents=cents, currency=currency, disposition=how)


def totals(records: Iterable[CallRecord]) -> report.Totals:
    totals = report.Totals()
    for record in records:
        totals.add([record])
    return totals


def test_money_is_exact_and_grouped() -> None:
    assert report.money(123456789012345678, "USD") == "1,234,567,890,123,456.78 USD"
    assert (report.money(5, "EUR"), report.money(-150, "EUR"), report.money(0, "EUR")) == (
        "0.05 EUR",
        "-1.50 EUR",
        "0.00 EUR",
    )


def test_times_read_as_people_say_them() -> None:
    times = [0.4, 59, 60, 400, 3600, 100_000, 10_000_000]
    assert [report.lasting(time) for time in times] == [
        *("0 s", "59 s", "1 min", "6 min 40 s", "1 h 0 min", "27 h 46 min", "2,777 h 46 min")
    ]


def test_spend_is_by_country_and_currency() -> None:
    records = [sold("A", 100), sold("A", None), sold("B", 300), sold("A", 7, "EUR"), sold(None, 0, None)]
    assert report.spend(totals(records)) == [
        ("B", "1 call", "3.00 USD", "75.0%"),
        ("A", "2 calls", "1.00 USD", "25.0%"),
        ("A", "1 call", "0.07 EUR", "100.0%"),
        ("(no country)", "1 call", "0.00 (no currency)", "-"),
        ("total", "1 call", "0.00 (no currency)", "-"),
        ("total", "1 call", "0.07 EUR", "100.0%"),
        ("total", "3 calls", "4.00 USD", "100.0%"),
    ]


def test_spend_has_ten_countries_and_the_rest() -> None:
    rows = report.spend(totals(sold(f"C{number:02}", 100 - number) for number in range(13)))
    assert [row[0] for row in rows] == [*(f"C{number:02}" for number in range(10)), "(other)", "total"]
    assert rows[10] == ("(other)", "3 calls", "2.67 USD", report.share(267, 1222))


def test_dispositions_have_shares() -> None:
    records = [sold("A", 1, how=how) for how in ("BUSY", "ANSWERED", "ANSWERED", None)]
    assert report.dispositions(totals(records)) == [
        ("ANSWERED", "2 calls", "50.0%"),
        ("BUSY", "1 call", "25.0%"),
        ("(none)", "1 call", "25.0%"),
    ]


def test_sizes_read_as_people_say_them() -> None:
    assert [report.size(length) for length in (0, 99_999, 100_000, 51_900_000)] == [
        "0 bytes",
        "99,999 bytes",
        "0.1 MB",
        "51.9 MB",
    ]


def test_the_wait_is_that_of_a_request_and_not_their_sum() -> None:
    assert report.wait_of_each(STATS) == pytest.approx(1234.56 / 18)
    assert report.wait_of_each(evolve(STATS, requests=0, retries=0, waited_s=0.0)) == 0


def test_columns_are_aligned() -> None:
    assert report.columns([("a", "1", "x"), ("bcd", "20", "")], "<><") == ["  a      1   x", "  bcd   20"]
    assert report.columns([], "<>") == []


def test_the_summary_tells_everything() -> None:
    faults = {"503": 1, "reset": 2}
    pull = report.Pull(totals([sold("A", 100)] * 3), STATS, 1.5, attempts=18, refused=0, faults=faults)
    text = click.unstyle(report.summary(pull, SAME, scale=SCALE, file="x.csv, 1.0 MB"))
    for line in (
        "Pulled    3 records in 1.5 s, 2 a second",
        "Requests  15, which is 1.25 times the fewest possible, 12\n          strategy divide: 2 full pages, 1 row received again",
        "Waits     68.59 s each, on average, for the rate limit; the server refused none",
        "Faults    3 faults survived with 3 further attempts\n          reset x2, 503 x1",
        "Checked   every record in the store is there once, in order, unaltered (3)",
        "File      x.csv, 1.0 MB",
        "The rate limit's minute lasts 2 s here; for real, this takes about 2 s.",
    ):
        assert line in text


def test_a_failed_check_says_how_many_and_the_first() -> None:
    text = click.unstyle(report.verdict(Comparison(1000, 1, 0, 0, 0, 1200, "then, id 17: missing")))
    assert text.splitlines() == [
        "NOT the 1,000 records of the sandbox's store: 1 missing, 1,200 out of order",
        "          the first: then, id 17: missing",
    ]


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
