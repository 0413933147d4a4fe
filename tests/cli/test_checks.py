"""The rows of `doctor`, in words."""

from __future__ import annotations

from typing import Any

import pytest

from unlimcall_async import (
    APIError,
    AuthenticationError,
    Identity,
    NotFoundError,
    RateLimitedError,
    ResponseError,
    ServerError,
    SuspendedError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.cli.checks import Check, Findings, Lookup, checks, facts
from unlimcall_async.cli.diagnosis import Server

WELL: dict[str, Any] = {
    "token_source": "UNLIMCALL_TOKEN",
    "base_url": "https://api.example/api/v1",
    "lookup": Lookup(("192.0.2.1",)),
    "identity": Identity("1042", "Acme", "ops@acme.example"),
    "skew": 0.0,
    "latencies": [0.1],
    "requests": 1,
}


def rows_of(**changed: Any) -> dict[str, Check]:
    return {row.name: row for row in checks(Findings(**{**WELL, **changed}))}


def refused(error: UnlimCallError, **changed: Any) -> dict[str, Check]:
    return rows_of(identity=None, latencies=[], refusal=error, **changed)


def failed(rows: dict[str, Check]) -> list[str]:
    return [name for name, row in rows.items() if row.result == "failed"]


NAMES = [
    *("name", "connection", "URL", "token", "read:balance", "read:agents", "read:cdrs", "other scopes"),
    *("clock", "latency", "limits", "order", "from", "till", "resolution", "count", "cap"),
]


@pytest.mark.parametrize(
    ("error", "row", "blame"),
    [
        (TransportError("no connection"), "connection", "network"),
        (TransportError("not trusted", hint="name its file, or pass ssl="), "connection", "network"),
        (ResponseError(200, "body", "expected JSON"), "URL", "provider"),
        (ResponseError(302, "status", "redirects are not followed"), "URL", "provider"),
        (NotFoundError(404, "not_found"), "URL", "application"),
        (APIError(407), "URL", "application"),
        (SuspendedError(403), "URL", "application"),
        (ServerError(503), "URL", "provider"),
        (AuthenticationError(401, "unauthorized"), "token", "application"),
        (AuthenticationError(401), "token", "application"),
        (SuspendedError(403, "suspended"), "token", "application"),
        (RateLimitedError(429, "rate_limited", retry_after=7), "limits", "application"),
        (RateLimitedError(429), "limits", "application"),
    ],
    ids=str,
)
def test_one_row_fails_with_a_hint_and_what_rests_on_it_is_not_checked(
    error: UnlimCallError, row: str, blame: str
) -> None:
    rows = refused(error)
    assert list(rows) == NAMES
    assert failed(rows) == [row]
    assert rows[row].blame == blame
    assert rows[row].hint
    before = NAMES[: NAMES.index(row)]
    assert {rows[name].result for name in before if name in NAMES[:3]} <= {"ok", "unknown"}
    for name in ("read:cdrs", "latency", "order", "cap"):
        assert rows[name].result == "not checked"
        assert rows[name].text


def test_a_name_that_is_not_known() -> None:
    rows = refused(TransportError("no connection"), lookup=Lookup(problem="there is no such name"))
    assert failed(rows) == ["name"]
    assert rows["name"].text == "api.example: there is no such name"
    assert rows["connection"].text == "the host's name is not known"


def test_a_proxy_may_know_a_name_that_this_machine_does_not() -> None:
    nobody, proxy = Lookup(problem="there is no such name"), "proxy.example:3128"
    rows = rows_of(lookup=nobody, proxy=proxy)
    assert failed(rows) == []
    assert rows["name"].text == "this machine cannot resolve api.example; the proxy does"
    assert (
        rows["connection"].text
        == "https to api.example through the proxy proxy.example:3128; the certificate is trusted"
    )
    rows = refused(TransportError("the proxy refused to connect"), lookup=nobody, proxy=proxy)
    assert failed(rows) == ["connection"]
    assert (rows["name"].result, rows["name"].text) == (
        "not checked",
        "the proxy proxy.example:3128 resolves api.example",
    )


def test_a_url_and_a_token_that_cannot_be_used() -> None:
    rows = rows_of(base_url="", lookup=None, identity=None, url_problem="UNLIMCALL_BASE_URL must be a URL")
    assert failed(rows) == ["URL"]
    assert {rows[name].result for name in ("name", "connection", "token", "clock", "limits")} == {"not checked"}
    rows = refused(AuthenticationError(401, "unauthorized"), token_source="", token_problem="the token is missing")
    assert failed(rows) == ["token"]
    assert (rows["URL"].result, rows["clock"].result, rows["token"].blame) == ("ok", "ok", "usage")
    assert "UNLIMCALL_TOKEN" in rows["token"].hint


def test_an_error_says_its_hint_once() -> None:
    rows = refused(TransportError("not trusted", hint="name its file in SSL_CERT_FILE, or pass ssl="))
    assert (rows["connection"].text, rows["connection"].hint) == ("not trusted", "name its file in SSL_CERT_FILE")
    rows = refused(ResponseError(200, "body", "expected JSON", hint="is the base URL right?"))
    assert (rows["URL"].text.count("right?"), rows["URL"].hint) == (0, "is the base URL right?")


def test_a_scope_that_is_missing_fails_nothing() -> None:
    rows = rows_of(scopes={"read:balance": True, "read:agents": True, "read:cdrs": False})
    assert failed(rows) == []
    assert rows["read:cdrs"].result == "missing"
    assert rows["order"].text == "the token lacks read:cdrs"


@pytest.mark.parametrize(
    ("error", "result"),
    [(ServerError(503), "failed"), (RateLimitedError(429), "unknown"), (TransportError("no connection"), "failed")],
)
def test_a_scope_that_could_not_be_tried(error: UnlimCallError, result: str) -> None:
    rows = rows_of(problems={"read:cdrs": error})
    assert rows["read:cdrs"].result == result
    assert rows["order"].text == "GET /cdrs failed"
    assert ("limits" in failed(rows)) is isinstance(error, RateLimitedError)


@pytest.mark.parametrize(
    ("off", "result", "text"),
    [
        (None, "unknown", "the server does not send its time"),
        (0.0, "ok", "agrees with the server's, to the second"),
        (3.0, "ok", "3.0 s or more behind the server's"),
        (-400.0, "failed", "400.0 s or more ahead of the server's"),
    ],
)
def test_a_clock_that_is_off(off: float | None, result: str, text: str) -> None:
    row = rows_of(skew=off)["clock"]
    assert (row.result, row.text, bool(row.hint)) == (result, text, result == "failed")


def test_all_that_a_server_does_has_words() -> None:
    server = Server(5, "not sorted", from_included=False, till_included=True, resolution="ms", count="matches", cap=7)
    rows = rows_of(server=server, scopes={"read:balance": True, "read:agents": True, "read:cdrs": True})
    assert {name: rows[name].text for name in NAMES[-6:]} == {
        "order": "not sorted",
        "from": "not included in a window",
        "till": "included in a window",
        "resolution": "times are compared in milliseconds",
        "count": "counts all rows that match",
        "cap": "pages hold at most 7 rows",
    }


def test_a_program_gets_the_same_rows() -> None:
    refusal = AuthenticationError(401, "unauthorized", method="GET", path="/me")
    found = facts(Findings(**{**WELL, "identity": None, "latencies": [], "refusal": refusal}))
    assert [row["check"] for row in found["checks"]] == NAMES
    assert list(found["problems"]) == ["token"]
    assert (found["customer_id"], found["latency_ms"]) == (None, None)
