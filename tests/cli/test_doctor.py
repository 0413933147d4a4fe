"""`unlimcall doctor`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from unlimcall_async.sandbox import SCOPES, Sandbox, Status

from .support import in_this_process, made, run

RECENT = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
NOBODY = "https://nobody.invalid/api/v1"


async def doctor(sandbox: Sandbox | None, **environment: str) -> tuple[int | None, dict[str, dict[str, Any]]]:
    """The status, and the rows by their names."""
    code, out, err = await run(sandbox, "doctor", "--json", cwd=None, given=None, **environment)
    assert (err, out.count("\n")) == ("", 1)
    return code, {row["check"]: row for row in json.loads(out)["checks"]}


def failed(rows: dict[str, dict[str, Any]]) -> list[str]:
    assert all(row["hint"] for row in rows.values() if row["result"] == "failed")
    return [name for name, row in rows.items() if row["result"] == "failed"]


async def test_it_shows_what_the_server_is_like() -> None:
    async with Sandbox(order="oldest_first", till_inclusive=True, resolution="s", count="matches") as sandbox:
        sandbox.add_calls(made(20, start=RECENT))
        code, out, err = await run(sandbox, "doctor", "--json")
        assert len(sandbox.requests) <= 12
        assert {request.method for request in sandbox.requests} == {"GET"}
        asked, url = len(sandbox.requests), sandbox.url
    shown = json.loads(out)
    assert (code, err) == (0, "")
    assert shown.pop("latency_ms") > 0
    assert {row["result"] for row in shown.pop("checks")} == {"ok", "unknown"}
    assert shown == {
        "base_url": url,
        "token_source": "UNLIMCALL_TOKEN",
        "customer_id": "1042",
        "company_name": "Acme Calling Co.",
        "clock_skew_s": 0.0,
        "requests": asked,
        "scopes": {"read:balance": True, "read:agents": True, "read:cdrs": True}
        | dict.fromkeys(["read:numbers", "read:invoices", "write:calls", "write:hooks"]),
        "problems": {},
        "server": {
            "rows": 20,
            "order": "oldest first",
            "from_included": True,
            "till_included": True,
            "resolution": "s",
            "count": "matches",
            "cap": None,
        },
    }
    assert set(shown["scopes"]) == set(SCOPES)


async def test_it_shows_it_to_people() -> None:
    async with Sandbox() as sandbox:
        code, out, _ = await run(sandbox, "doctor")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0
    assert lines["token"].split(maxsplit=1) == ["ok", "from UNLIMCALL_TOKEN: Acme Calling Co., customer 1042"]
    assert lines["order"].split(maxsplit=1) == ["unknown", "0 calls in 31 days do not show it"]


async def test_a_token_that_is_refused_leaves_the_way_to_the_api_good() -> None:
    async with Sandbox() as sandbox:
        code, rows = await doctor(sandbox, UNLIMCALL_TOKEN="unl_test_other")
        assert len(sandbox.requests) == 1
    assert (code, failed(rows)) == (3, ["token"])
    assert {rows[name]["result"] for name in ("name", "connection", "URL", "clock")} == {"ok"}
    assert {rows[name]["result"] for name in ("read:cdrs", "latency", "limits", "order")} == {"not checked"}


async def test_the_source_of_the_token_is_named(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("unl_test_other")
    file.chmod(0o600)
    async with Sandbox() as sandbox:
        _, out, _ = await run(sandbox, "doctor", "--token-file", str(file))
        _, given, _ = await run(sandbox, "doctor", "--token-stdin", given="unl_test_other")
    assert f"from --token-file {file}: GET /me answered 401" in out
    assert "from --token-stdin: GET /me answered 401" in given
    assert "unl_test_other" not in out + given


@pytest.mark.parametrize(
    ("environment", "arguments", "text"),
    [
        ({"UNLIMCALL_TOKEN": ""}, [], "the token is missing"),
        ({"UNLIMCALL_TOKEN": "two words"}, [], "must be visible ASCII"),
        ({}, ["--token-file", "/nowhere/token"], "cannot read /nowhere/token"),
    ],
)
async def test_without_a_token_the_way_to_the_api_is_checked(
    environment: dict[str, str], arguments: list[str], text: str
) -> None:
    async with Sandbox() as sandbox:
        code, out, err = await run(sandbox, "doctor", "--json", *arguments, cwd=None, given=None, **environment)
    rows = {row["check"]: row for row in json.loads(out)["checks"]}
    assert (code, err, [name for name, row in rows.items() if row["result"] == "failed"]) == (2, "", ["token"])
    assert text in rows["token"]["text"]
    assert "unlimcall login" in rows["token"]["hint"]
    assert "unlimcall login" not in rows["token"]["text"]
    assert {rows[name]["result"] for name in ("name", "connection", "URL", "clock")} == {"ok"}


async def test_a_url_without_its_path_is_not_the_api() -> None:
    async with Sandbox() as sandbox:
        code, rows = await doctor(sandbox, UNLIMCALL_BASE_URL=sandbox.url.removesuffix("/api/v1"))
    assert (code, failed(rows)) == (3, ["URL"])
    assert "/api/v1" in rows["URL"]["hint"]
    assert rows["token"]["result"] == "not checked"


@pytest.mark.parametrize(
    ("body", "code"), [("<html>Sign in</html>", 200), ("<html>Moved</html>", 302), ("<html>Forbidden</html>", 403)]
)
async def test_the_page_of_something_else_is_not_the_api(body: str, code: int) -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(code, body=body), endpoint="me")
        status, rows = await doctor(sandbox)
    assert (status, failed(rows)) == (3 if code == 403 else 4, ["URL"])


@pytest.mark.parametrize(
    ("url", "status", "row"),
    [
        (NOBODY, 5, "name"),
        ("http://127.0.0.1:9/api/v1", 5, "connection"),
        ("ftp://127.0.0.1", 2, "URL"),
        ("http://api.example/api/v1", 2, "URL"),
    ],
)
async def test_without_an_api_the_first_failure_is_shown(url: str, status: int, row: str) -> None:
    code, rows = await doctor(None, UNLIMCALL_BASE_URL=url, UNLIMCALL_TOKEN="unl_test_token")
    assert (code, failed(rows)) == (status, [row])
    assert {rows[name]["result"] for name in ("token", "read:cdrs", "clock", "limits", "order")} == {"not checked"}
    assert "True" not in rows[row]["text"]  # the words of the command, and not those of Python


def test_neither_a_token_nor_a_url_are_two_failures() -> None:
    code, out, _ = in_this_process("doctor", "--json", UNLIMCALL_TOKEN="", UNLIMCALL_BASE_URL="api.example")
    assert (code, list(json.loads(out)["problems"])) == (2, ["URL", "token"])


async def test_settings_that_cannot_be_read_are_one_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async.cli.access.config_file", lambda: tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text("[")
    code, rows = await doctor(None)
    assert (code, failed(rows), rows["URL"]["hint"]) == (2, ["URL"], "correct the file")


async def test_a_failure_is_not_waited_out() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(503), endpoint="me", times=5)
        code, rows = await doctor(sandbox)
        assert len(sandbox.requests) == 1
    assert (code, failed(rows)) == (4, ["URL"])


async def test_a_refusal_by_the_rate_limit_is_the_limits_row() -> None:
    async with Sandbox() as sandbox:
        sandbox.inject(Status(429, "rate_limited", headers={"Retry-After": "30"}), endpoint="balance")
        code, rows = await doctor(sandbox)
    assert (code, failed(rows)) == (3, ["limits"])
    assert "in 30 s" in rows["limits"]["text"]
    assert (rows["read:balance"]["result"], rows["read:cdrs"]["result"]) == ("unknown", "ok")


@pytest.mark.parametrize(
    ("settings", "scope", "expected"),
    [({"provisioned": False}, "read:cdrs", 3), ({"balance_fails": True}, "read:balance", 4)],
)
async def test_a_problem_does_not_hide_the_rest(settings: dict[str, bool], scope: str, expected: int) -> None:
    async with Sandbox(**settings) as sandbox:  # type: ignore[arg-type] # flags
        code, rows = await doctor(sandbox)
    assert (code, failed(rows)) == (expected, [scope])
    assert rows["read:agents"]["result"] == "ok"


async def test_a_scope_that_is_missing_is_no_failure() -> None:
    async with Sandbox() as sandbox:
        code, rows = await doctor(sandbox, UNLIMCALL_TOKEN=sandbox.add_token(["read:balance"]))
    assert (code, failed(rows)) == (0, [])
    assert [rows[name]["result"] for name in ("read:balance", "read:agents", "read:cdrs", "order")] == [
        *("ok", "missing", "missing", "not checked"),
    ]
