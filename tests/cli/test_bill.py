"""`unlimcall bill check`."""

from __future__ import annotations

import csv
import json
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from unlimcall_async.cli import bill_report
from unlimcall_async.operations import InvoiceLine, KeptBalance, check_bill
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status

from .spoiled import spoiled
from .support import START, Ended, in_this_process, made, run

pytestmark = pytest.mark.own_rules

CALLS = [
    evolve(
        call, sell_price_cents=34 + number % 3, country=("France", "Spain")[number % 2], dst=f"+4420718387{number:02}"
    )
    for number, call in enumerate(made(48, apart=timedelta(hours=1)), 10)
]
HEAD = "Call ID,Date,Called number,Charge\n"


def row(call: SandboxCall, charge: str | None = None, *, hours: int = 0) -> str:
    """Return the line of a call, which a clock that is so many hours ahead shows."""
    shown = call.start_time + timedelta(hours=hours)
    amount = charge or f"{Decimal(call.sell_price_cents or 0) / 100}"
    return f"{call.id},{shown:%Y-%m-%d %H:%M:%S},{call.dst},{amount}\n"


def invoice(folder: Path, *rows: str, head: str = HEAD) -> None:
    (folder / "may.csv").write_text(head + "".join(rows))


async def check(sandbox: Sandbox | None, folder: Path, *more: str) -> Ended:
    return await run(sandbox, "bill", "check", "may.csv", *more, cwd=folder)


async def facts_of(sandbox: Sandbox | None, folder: Path, *more: str) -> dict[str, Any]:
    status, out, err = await check(sandbox, folder, "--json", *more)
    facts: dict[str, Any] = json.loads(out)
    assert (status, facts["ok"]) in {(0, True), (1, False)}, err
    return facts


def kinds(facts: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for finding in facts["findings"]:
        found.setdefault(finding["kind"], []).append(finding["id"] or finding["group"])
    return found


@pytest.fixture
async def sandbox() -> Any:
    async with Sandbox() as sandbox:
        sandbox.add_calls(CALLS)
        yield sandbox


async def test_an_invoice_that_agrees(sandbox: Sandbox, tmp_path: Path) -> None:
    invoice(tmp_path, *map(row, CALLS), "Total,,,16.80\n")
    status, out, err = await check(sandbox, tmp_path)
    assert status == 0, err
    assert [line.split() for line in out.splitlines()] == [
        ["currency", "billed", "recorded", "difference"],
        ["USD", "16.80", "16.80", "0.00"],
        [],
        ["kind", "currency", "count", "billed", "recorded", "difference"],
        ["matched", "USD", "48", "16.80", "16.80", "0.00"],
    ]
    columns, total, last = err.splitlines()
    assert columns == (
        "may.csv: 48 lines; id is 'Call ID' (guessed), start is 'Date' (guessed), destination is 'Called number' (guessed), "
        "amount is 'Charge' (guessed)."
    )
    assert total == "line 50: Total 16.80, as its lines."
    assert (
        last
        == "No difference: 48 lines, 48 records of the API, 2026-05-01T00:00:00.000Z till 2026-05-03T00:00:00.000Z."
    )


async def test_what_differs_is_shown_by_kind(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [*map(row, CALLS)]
    rows[3] = row(CALLS[3], "$0.99")
    rows[4] = row(CALLS[4], "€0.35")
    rows[5] = row(CALLS[5], hours=2)
    rows[6:7] = []
    rows += [rows[0], "17.999,2026-05-01 12:00:00,+15550100,1.00\n", "17.1,soon,+1,1.00\n"]
    invoice(tmp_path, *rows)
    status, out, err = await check(sandbox, tmp_path, "--currency", "usd")
    assert status == 1
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[-6:] == [
        "5 other amount 17.3 2026-05-01 03:00:00 0.99 USD 0.35 USD +0.64",
        "6 other currency 17.4 2026-05-01 04:00:00 0.35 EUR 0.36 USD -",
        "7 other time (+2:00) 17.5 2026-05-01 07:00:00 0.34 USD 0.34 USD 0.00",
        "50 only billed 17.999 2026-05-01 12:00:00 1.00 USD - +1.00",
        "49 billed twice 17.0 2026-05-01 00:00:00 0.35 USD - +0.35",
        "- only recorded 17.6 2026-05-01 06:00:00 - 0.35 USD -0.35",
    ]
    assert "EUR 0.35 0.00 +0.35" in lines
    assert "line 51, column 'Date': 'soon' is not a valid time" in err
    assert "+4420718" not in out + err
    _, out, _ = await check(sandbox, tmp_path, "--numbers")
    assert "+442071838713" in out


def test_a_narrow_terminal_shows_the_start_of_calls_without_an_id() -> None:
    lines = [
        InvoiceLine(number=2, amount=1, currency="USD", start=START, destination="+1"),
        InvoiceLine(number=3, amount=1, id="17.1"),
    ]
    check = check_bill(lines, [])
    rows = bill_report.finding_rows(check, bill_report.Shown(UTC, None, numbers=False, width=60))
    assert rows == [
        ["2", "only billed", "2026-05-01 00:00:00", "1.00 USD", "-"],
        ["3", "only billed", "17.1", "1.00", "-"],
    ]


async def test_only_the_first_of_a_kind_are_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    invoice(tmp_path, *(row(call, "0.01") for call in CALLS), *("17.1,soon,+1,1.00\n" for _ in range(12)))
    _, out, err = await check(sandbox, tmp_path)
    assert out.count("other amount  ") == 11  # ten, and the sum of the kind
    assert "Not shown: 38 other amount; --all shows them.\n" in err
    assert "and 2 more lines that cannot be read: --all names them\n" in err
    _, out, err = await check(sandbox, tmp_path, "--all")
    assert (out.count("other amount  "), err.count("is not a valid time"), "Not shown" in err) == (49, 12, False)


async def test_the_days_are_those_of_the_zone(sandbox: Sandbox, tmp_path: Path) -> None:
    # In Berlin the first call is at two, and the last ones are on the third day.
    invoice(tmp_path, *(row(call, hours=2) for call in CALLS))
    facts = await facts_of(sandbox, tmp_path, "--tz", "Europe/Berlin")
    assert (facts["ok"], facts["start"], facts["end"]) == (True, "2026-04-30T22:00:00.000Z", "2026-05-03T22:00:00.000Z")
    facts = await facts_of(sandbox, tmp_path)
    assert {*kinds(facts)} == {"other time"}
    _, _, err = await check(sandbox, tmp_path)
    assert "All lines of another time are +2:00 from their records: is --tz that of the invoice?" in err


async def test_starts_that_are_those_of_answers(sandbox: Sandbox, tmp_path: Path) -> None:
    answered = [
        evolve(call, start_time=call.start_time + timedelta(seconds=5 + number % 3))
        for number, call in enumerate(CALLS)
    ]
    invoice(tmp_path, *map(row, answered))
    _, _, err = await check(sandbox, tmp_path)
    assert "are they those of answers? See --start-tolerance." in err
    assert (await facts_of(sandbox, tmp_path, "--start-tolerance", "10s"))["ok"] is True
    invoice(
        tmp_path, *(row(evolve(call, dst="020 7183")).partition(",")[2] for call in CALLS), head=HEAD.partition(",")[2]
    )
    _, _, err = await check(sandbox, tmp_path)
    assert "No line of the invoice is of a record: are the columns, --tz and the spelling of numbers right?" in err


async def test_a_range_leaves_out_the_rest(sandbox: Sandbox, tmp_path: Path) -> None:
    invoice(tmp_path, *map(row, CALLS))
    facts = await facts_of(sandbox, tmp_path, "--from", "2026-05-01T06:00", "--till", "2026-05-01T12:00")
    assert (facts["ok"], facts["records"], len(kinds(facts)["outside"])) == (True, 6, 42)


@pytest.mark.parametrize("by", ["day", "country", "day,country"])
async def test_sums(sandbox: Sandbox, tmp_path: Path, by: str) -> None:
    sums: dict[tuple[str, str], int] = {}
    for call in CALLS:
        group = (
            call.start_time.date().isoformat() if "day" in by else "",
            (call.country or "") if "country" in by else "",
        )
        sums[group] = sums.get(group, 0) + (call.sell_price_cents or 0)
    rows = [f"{day},{country},{Decimal(cents) / 100}\n" for (day, country), cents in sums.items()]
    invoice(tmp_path, *rows, head="Day,Country,Amount (USD)\n")
    more = ["--from", "2026-05-01", "--till", "2026-05-03", "--by", by]
    assert (await facts_of(sandbox, tmp_path, *more))["ok"] is True
    first = next(iter(sums))
    invoice(tmp_path, rows[0].replace("\n", "1\n"), *rows[1:], head="Day,Country,Amount (USD)\n")
    facts = await facts_of(sandbox, tmp_path, *more)
    assert kinds(facts) == {"other amount": [[part for part in first if part]]}
    assert Decimal(facts["findings"][0]["difference"]) == Decimal("0.01")
    assert (await facts_of(sandbox, tmp_path, *more, "--tolerance", "1"))["ok"] is True
    # A country that is spelled in another way is no country of the records.
    if by == "country":
        invoice(tmp_path, "FR,1\n", head="Country,Amount (USD)\n")
        _, out, err = await check(sandbox, tmp_path, *more)
        assert ("only billed" in out, "No country of the invoice is one of the records" in err) == (True, True)


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_a_file_of_records_is_an_invoice_too(sandbox: Sandbox, tmp_path: Path, form: str) -> None:
    span = ["--from", "2026-05-01", "--till", "2026-05-03"]
    for name in ("may.csv", f"records.{form}"):
        status, _, err = await run(sandbox, "cdrs", "pull", *span, "--out", name, cwd=tmp_path)
        assert status == 0, err
    facts = await facts_of(None, tmp_path, "--records", f"records.{form}")
    assert (facts["ok"], facts["records"], facts["columns"]["cents"]) == (True, 48, "sell_price_cents")


async def test_the_records_of_a_table(sandbox: Sandbox, tmp_path: Path) -> None:
    span = ["--from", "2026-05-01", "--till", "2026-05-02"]
    await run(sandbox, "cdrs", "sync", "--to", "sqlite:///calls.db", *span, cwd=tmp_path)
    invoice(tmp_path, *map(row, CALLS[:24]))
    assert (await facts_of(None, tmp_path, "--records", "sqlite:///calls.db"))["records"] == 24
    # A table that ends before the invoice is no reason to doubt the invoice.
    invoice(tmp_path, *map(row, CALLS))
    status, _, err = await check(None, tmp_path, "--records", "sqlite:///calls.db")
    assert status == 1
    assert "sqlite:///calls.db end at 2026-05-02T00:00:00.000Z, before the range of the invoice ends." in err


async def test_a_file_that_does_not_cover_the_invoice(sandbox: Sandbox, tmp_path: Path) -> None:
    span = ["--from", "2026-05-01T06:00", "--till", "2026-05-03"]
    await run(sandbox, "cdrs", "pull", *span, "--out", "records.csv", cwd=tmp_path)
    invoice(tmp_path, *map(row, CALLS))
    status, _, err = await check(None, tmp_path, "--records", "records.csv")
    assert (status, "records.csv begin at 2026-05-01T06:00:00.000Z, after the range" in err) == (1, True)


async def test_differences_go_to_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    invoice(tmp_path, *map(row, CALLS[1:]), "=cmd(),2026-05-01 12:00:00,+15550100,-1.00\n")
    status, _, err = await check(sandbox, tmp_path, "--out", "found.csv", "--numbers")
    assert status == 1, err
    with (tmp_path / "found.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(each["kind"], each["id"], each["difference"], each["number"]) for each in found] == [
        ("only billed", "'=cmd()", "-1.00", "+15550100"),
        ("only recorded", "17.0", "-0.35", "+442071838710"),
    ]
    assert (tmp_path / "found.csv").stat().st_mode & 0o777 == 0o600
    status, _, err = await check(sandbox, tmp_path, "--out", "found.csv")
    assert (status, "found.csv exists: replace it with --force" in err) == (2, True)
    status, _, err = await check(sandbox, tmp_path, "--out", "found.csv", "--force")
    assert (status, "number" in (tmp_path / "found.csv").read_text()) == (1, False)
    before = (tmp_path / "may.csv").read_text()
    status, _, err = await check(sandbox, tmp_path, "--out", "may.csv", "--force")
    assert (status, "--out would replace may.csv" in err) == (2, True)
    assert (tmp_path / "may.csv").read_text() == before


async def test_an_invoice_does_not_agree_with_records_that_cannot_be_read(sandbox: Sandbox, tmp_path: Path) -> None:
    # The record that is left out is free of charge, so that no line misses it.
    sandbox.add_calls([evolve(CALLS[0], id="17.99", sell_price_cents=0)])
    invoice(tmp_path, *map(row, CALLS))
    async with spoiled(sandbox, {b'"17.99"': b"17.99"}) as url:
        status, out, err = await run(
            sandbox, "bill", "check", "may.csv", "--json", cwd=tmp_path, UNLIMCALL_BASE_URL=url
        )
    assert (status, json.loads(out)["ok"], "1 row of the API could not be read" in err) == (1, False, True)


async def test_another_count_is_in_the_file(sandbox: Sandbox, tmp_path: Path) -> None:
    head = "Day,Calls,Amount (USD)\n"
    invoice(tmp_path, "2026-05-01,25,8.40\n", "2026-05-02,24,8.40\n", head=head)
    status, _, err = await check(sandbox, tmp_path, "--out", "found.csv")
    assert status == 1, err
    with (tmp_path / "found.csv").open(newline="") as file:
        assert [(each["kind"], each["counts"]) for each in csv.DictReader(file)] == [("other count", "calls 25/24")]


async def test_the_fall_of_the_balance_stands_beside_the_sums(sandbox: Sandbox, tmp_path: Path) -> None:
    invoice(tmp_path, *map(row, CALLS))
    balances = ["50", "40.25", "90.25", "83.20"]
    (tmp_path / "b.ndjson").write_text(
        "".join(
            KeptBalance(START + timedelta(hours=16 * number), Decimal(balance), "USD").to_json() + "\n"
            for number, balance in enumerate(balances)
        )
    )
    status, out, err = await check(sandbox, tmp_path, "--balances", "b.ndjson")
    assert status == 0, err
    assert [" ".join(line.split()) for line in out.splitlines()[-2:]] == [
        "balance from till fell rose billed recorded",
        "USD 2026-05-01T00:00:00.000Z 2026-05-03T00:00:00.000Z 16.80 50.00 16.80 16.80",
    ]
    (fall,) = (await facts_of(sandbox, tmp_path, "--balances", "b.ndjson"))["balances"]
    assert fall["rises"] == [{"at": "2026-05-02T08:00:00.000Z", "amount": "50.00"}]
    (tmp_path / "b.ndjson").write_text("")
    _, _, err = await check(sandbox, tmp_path, "--balances", "b.ndjson")
    assert "b.ndjson has no two balances of the range." in err


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (None, [], "cannot read may.csv: No such file or directory"),
        ("a,b\n1,2\n", [], "may.csv: the columns of the invoice are unknown: its headers are 'a', 'b'."),
        (
            "id,amount\n1,2\n",
            ["--columns", "amount=Price"],
            "does not have the header 'Price'; its headers are 'id', 'amount'",
        ),
        (
            "id,amount\n1,2\n",
            ["--columns", "price=amount"],
            "'price' is not a column of an invoice; the columns are id, start",
        ),
        (
            'id,amount\n1,"1,234"\n',
            [],
            "no other amount of the column shows which: pass --decimal '.' or --decimal ','",
        ),
        ("date,amount\n05/06/2026,1\n", [], "pass --dates 'dmy' or --dates 'mdy'"),
        ("id,amount\n1,2\n", [], "give the start of the records with --from"),
        ("country,amount\nUK,2\n", ["--by", "day"], "line 2 has no day"),
        (
            "country,amount\nUK,2\n",
            ["--by", "record"],
            "line 2 has no id, no start and no day: compare sums, with --by",
        ),
        ("id,amount\n1,2\n", ["--by", "week"], "'week' is neither record nor some of day, country, line"),
        ("id,amount\n1,2\n", ["--tolerance", "-1"], "'-1' is not a number of cents; write 0.5 or 2"),
        ("id,amount\n1,2\n", ["--start-tolerance", "1h"], "'1h' is more than 10m"),
        ("id,amount\n1,2\n", ["--currency", "dollars"], "'dollars' is not a currency's code of three letters"),
        ("id,amount\n1,2\n", ["--force"], "--force needs --out"),
        (
            "date,amount\n2999-01-01 12:00,2\n",
            [],
            "the range of the invoice is in the future: 2998-12-30T22:00:00+00:00",
        ),
        ("date,amount\n2026-05-01,2\n", ["--from", "2026-06-01"], "the range of the invoice ends before it begins"),
        ("id,amount\n1,2\n", ["--records", "none.csv", "--balances", "b"], "cannot read none.csv"),
        ("id,amount\n1,2\n", ["--records", "may.csv"], "may.csv is not NDJSON, CSV or Parquet"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "may.csv").write_text(text)
    status, out, err = in_this_process("bill", "check", "may.csv", *arguments)
    assert (status, out, message in err) == (2, "", True), err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read b.ndjson: No such file"), ("id,amount\n", "b.ndjson: line 1 is not a balance that was kept")],
)
async def test_a_file_that_holds_no_balances(
    sandbox: Sandbox, tmp_path: Path, content: str | None, message: str
) -> None:
    invoice(tmp_path, *map(row, CALLS))
    if content is not None:
        (tmp_path / "b.ndjson").write_text(content)
    status, out, err = await check(sandbox, tmp_path, "--balances", "b.ndjson")
    assert (status, out, message in err) == (2, "", True), err


async def test_an_invoice_without_a_currency_and_records_in_two(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.add_calls([SandboxCall(id="18.1", start_time=START, sell_price_cents=1, currency="EUR")])
    invoice(tmp_path, *map(row, CALLS))
    status, _, err = await check(sandbox, tmp_path)
    assert (status, "the records are in EUR and USD: pass --currency" in err) == (2, True)


async def test_a_refusal_by_the_api_has_its_own_status(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.inject(Status(403), endpoint="cdrs")
    invoice(tmp_path, *map(row, CALLS))
    assert (await check(sandbox, tmp_path))[0] == 3


async def test_names_on_the_invoice_command_no_terminal(sandbox: Sandbox, tmp_path: Path) -> None:
    invoice(tmp_path, "\x1b[31m,2026-05-01 12:00:00,+1,1.00\n", "\x1b[31m,bad\x1b[31m,+1,1.00\n")
    status, out, err = await check(sandbox, tmp_path)
    assert (status, "\x1b" in out + err) == (1, False)
