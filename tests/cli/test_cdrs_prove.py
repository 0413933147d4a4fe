"""`unlimcall cdrs prove`."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from attrs import evolve

from unlimcall_async.cli import output
from unlimcall_async.sandbox import Sandbox, SandboxCall

from .support import in_this_process, made, names_in, run
from .test_cdrs_verify import EDITS, edited

pytestmark = pytest.mark.own_rules

RANGE = ["--from", "2026-05-01", "--till", "2026-05-04"]
TAGS = {*("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "div", "ul", "li")}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
CURRENCIES = ["USD", "EUR", None]


def priced(count: int = 60) -> list[SandboxCall]:
    return [
        evolve(call, currency=CURRENCIES[number % 3], sell_price_cents=None if number % 10 == 9 else 10**15 + number)
        for number, call in enumerate(made(count, apart=timedelta(hours=1)))
    ]


async def pulled(folder: Path, *names: str) -> None:
    async with Sandbox(cap=40, count="matches") as sandbox:
        sandbox.add_calls(priced())
        for name in names:
            arguments = ["cdrs", "pull", *RANGE, "--out", name, "--rate", "6000"]
            status, _, err = await run(sandbox, *arguments, cwd=folder)
            assert status == 0, err


@pytest.mark.parametrize("name", ["c.ndjson", "c.csv", "c.parquet"])
async def test_a_proof_has_exact_sums_of_each_currency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await pulled(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    status, out, err = in_this_process("cdrs", "prove", name)
    assert (status, err) == (0, "")
    assert out.startswith("The file is as its manifest says: the records of each day have its digest.\n")
    rows = [line.split() for line in out.splitlines()]
    calls = priced()
    for currency in ("USD", "EUR", None):
        prices = [
            call.sell_price_cents for call in calls if call.currency == currency and call.sell_price_cents is not None
        ]
        whole, cents = divmod(sum(prices), 100)
        shown = [currency] if currency else ["(no", "currency)"]
        assert [*shown, f"{whole:,}.{cents:02}", str(len(prices))] in rows
    assert ["(no", "price)", "-", "6"] in rows
    manifest = json.loads((tmp_path / f"{name}.manifest.json").read_text())
    assert all(each["digest"] in out for each in manifest["days"].values())
    assert all(f"-   {sentence}" in out for sentence in manifest["assumptions"])
    # In JSON too, with the windows only if they are wanted.
    status, out, _ = in_this_process("cdrs", "prove", name, "--json", "--windows")
    facts = json.loads(out)
    assert (status, facts["ok"], facts["records"], facts["sums"]["unpriced"]) == (0, True, 60, 6)
    assert facts["windows"] == manifest["windows"]


@pytest.mark.parametrize("kind", EDITS)
async def test_a_file_that_was_edited_is_the_first_thing_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    await pulled(tmp_path, "c.ndjson")
    edit, lines = EDITS[kind]
    edited(tmp_path / "c.ndjson", edit)
    monkeypatch.chdir(tmp_path)
    status, out, _ = in_this_process("cdrs", "prove", "c.ndjson")
    assert (status, out.startswith("THE FILE IS NOT AS ITS MANIFEST SAYS, on ")) == (1, True)
    assert out.splitlines()[3].startswith(lines[0][:10])
    status, _, err = in_this_process("cdrs", "prove", "c.ndjson", "--html", "p.html")
    assert (status, "THE FILE IS NOT AS ITS MANIFEST SAYS" in err) == (1, True)
    page = (tmp_path / "p.html").read_text()
    assert page.index("THE FILE IS NOT AS ITS MANIFEST SAYS") < page.index("<table>")


async def test_the_page_needs_nothing_else_and_escapes_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "<script>alert(1)</script>&.ndjson".replace("/", "_")
    async with Sandbox() as sandbox:
        calls = [evolve(call, currency="<b>X</b>", sell_price_cents=1) for call in made(3)]
        sandbox.add_calls(calls)
        await run(sandbox, "cdrs", "pull", *RANGE, "--out", name, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--windows"]):
        status, _, _ = in_this_process("cdrs", "prove", name, "--html", "p.html", "--force", *more)
        assert status == 0
        page = (tmp_path / "p.html").read_text()
        tags = Tags()
        tags.feed(page)
        assert tags.found <= TAGS
        assert tags.depth == 0
        assert "&lt;b&gt;X&lt;/b&gt;" in page
        assert not re.search(r"https?:|//|url\(|@import", page)
        assert "@media print" in page
        assert "prefers-color-scheme: dark" in page


class Tags(HTMLParser):
    """The names of the tags of a page, and how many are open."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in attrs)
        self.found.add(tag)
        self.depth += tag != "meta"

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag != "meta"


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("more", [[], ["--windows"]])
async def test_the_text_fits_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, more: list[str]
) -> None:
    await pulled(tmp_path, "c.ndjson")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "output_width", lambda: width)
    status, out, _ = in_this_process("cdrs", "prove", "c.ndjson", *more)
    assert status == 0
    headings = {line for line in out.splitlines() if line.isupper()}
    assert max(len(line) for line in out.splitlines() if line not in headings) <= width


async def test_a_manifest_alone_has_no_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await pulled(tmp_path, "c.xlsx")
    monkeypatch.chdir(tmp_path)
    status, out, _ = in_this_process("cdrs", "prove", "c.xlsx.manifest.json")
    assert (status, out.splitlines()[0], "SUMS" in out) == (
        0,
        "The records were not read: this is the manifest alone.",
        False,
    )
    status, _, err = in_this_process("cdrs", "prove", "c.xlsx")
    assert (status, "name c.xlsx.manifest.json, or pull NDJSON" in err) == (2, True)


async def test_no_file_is_replaced_without_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await pulled(tmp_path, "c.ndjson")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.html").write_text("mine")
    status, _, err = in_this_process("cdrs", "prove", "c.ndjson", "--html", "p.html")
    assert (status, "p.html exists: --force replaces it" in err, (tmp_path / "p.html").read_text()) == (2, True, "mine")
    assert in_this_process("cdrs", "prove", "c.ndjson", "--html", "p.html", "--force")[0] == 0
    (tmp_path / "c.ndjson.manifest.json").unlink()
    status, _, err = in_this_process("cdrs", "prove", "c.ndjson")
    assert (status, "there is no c.ndjson.manifest.json: nothing says why c.ndjson is complete" in err) == (2, True)
    assert "p.html" in names_in(tmp_path)


@pytest.mark.parametrize("name", ["c.csv", "c.csv.manifest.json"])
async def test_a_page_does_not_replace_what_it_proves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await pulled(tmp_path, "c.csv")
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / name).read_bytes()
    for html in (name, f"../{tmp_path.name}/{name}"):
        status, _, err = in_this_process("cdrs", "prove", "c.csv", "--html", html, "--force")
        assert (status, "--html would replace what is to be proven" in err) == (2, True), err
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("what", "reason"), [("sqlite:///calls.db", "`unlimcall cdrs verify` reads the table"), (".", "name a file in it")]
)
def test_what_is_not_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = in_this_process("cdrs", "prove", what)
    assert (status, reason in err) == (2, True), err
