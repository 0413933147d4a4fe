"""The command in the network of a company: a proxy that wants a password, and a certificate authority of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.certificates import server_context
from tests.proxy import HOST, Proxy, behind_tls
from unlimcall_async.sandbox import Sandbox

from .support import made, run

CREDENTIALS = "user:s3cr3t"
PULL = ["cdrs", "pull", "--from", "2026-05-01", "--till", "2026-05-02"]


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[tuple[Sandbox, Proxy, dict[str, Any]]]:
    """A server, the proxy that reaches it, and the environment of everybody in the company."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    async with Sandbox() as sandbox:
        sandbox.add_calls(made(1200))
        port = int(sandbox.url.removesuffix("/api/v1").rpartition(":")[2])
        async with behind_tls(port, server_context(authority, HOST)) as there, Proxy(there, CREDENTIALS) as proxy:
            environment = {
                "UNLIMCALL_BASE_URL": f"https://{HOST}:{there}/api/v1",
                "SSL_CERT_FILE": str(tmp_path / "company.pem"),
                "HTTPS_PROXY": proxy.url(CREDENTIALS),
                "NO_PROXY": "localhost,127.0.0.1,.other.test",
            }
            yield sandbox, proxy, environment


async def test_a_pull_goes_through_the_proxy_and_the_token_through_its_tunnel_alone(
    company: tuple[Sandbox, Proxy, dict[str, Any]],
) -> None:
    sandbox, proxy, environment = company
    code, out, err = await run(sandbox, *PULL, **environment)
    assert (code, "Traceback" in err) == (0, False)
    assert [json.loads(line)["id"] for line in out.splitlines()] == [f"17.{number}" for number in range(1200)]
    assert {head.split(b" ")[0] for head in proxy.heads} == {b"CONNECT"}
    assert len(proxy.seen) > len(b"".join(proxy.heads))
    assert sandbox.token.encode() not in proxy.seen


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"HTTPS_PROXY": "http://user:wr0ng@127.0.0.1:{port}"}, ["407", "the password in HTTPS_PROXY is wrong"]),
        ({"HTTPS_PROXY": "http://127.0.0.1:{port}"}, ["407", "put them into HTTPS_PROXY, as http://USER:PASSWORD@"]),
        ({"SSL_CERT_FILE": None}, ["the certificate is not trusted", "name its file in SSL_CERT_FILE)"]),
    ],
)
async def test_what_cannot_work_is_told_at_once(
    company: tuple[Sandbox, Proxy, dict[str, Any]], changes: dict[str, Any], words: list[str]
) -> None:
    sandbox, proxy, environment = company
    changes = {name: value and value.format(port=proxy.port) for name, value in changes.items()}
    code, out, err = await run(sandbox, "me", **environment | changes)
    assert (code, out, err.count("\n"), len(proxy.heads)) == (5, "", 1, 1)
    for word in (f"{HOST}:", *words):
        assert word in err
    for secret in ("wr0ng", "s3cr3t", sandbox.token, "ssl="):
        assert secret not in err


async def test_a_proxy_that_cannot_be_used_is_wrong_usage(company: tuple[Sandbox, Proxy, dict[str, Any]]) -> None:
    sandbox, _, environment = company
    code, _, err = await run(sandbox, "me", **environment | {"HTTPS_PROXY": "socks5://user:s3cr3t@127.0.0.1:1080"})
    assert (code, "HTTPS_PROXY: socks5 proxies are not supported" in err, "s3cr3t" in err) == (2, True, False)


@pytest.mark.slow  # the client waits for 1, 2 and 4 seconds
async def test_a_command_that_waits_for_the_network_says_so() -> None:
    code, _, err = await run(None, "me")
    lines = err.splitlines()
    assert code == 5
    assert [line.split(", after ")[1] for line in lines[:3]] == [
        f"attempt {number} of 4: no connection to 127.0.0.1:9: it was refused" for number in (1, 2, 3)
    ]
    advice = "(is a server running there? check the base URL)"
    assert lines[3:] == [f"Error: GET /me: no connection to 127.0.0.1:9: it was refused, attempt 4 of 4 {advice}"]


@pytest.mark.parametrize(
    ("changes", "row", "words"),
    [
        ({}, None, ["through the proxy 127.0.0.1", "the certificate is trusted"]),
        ({"HTTPS_PROXY": "http://user:wr0ng@127.0.0.1:{port}"}, "connection", ["HTTPS_PROXY is wrong"]),
        ({"SSL_CERT_FILE": None}, "connection", ["the certificate is not trusted", "SSL_CERT_FILE"]),
        ({"HTTPS_PROXY": "socks5://127.0.0.1:1"}, "connection", ["socks5 proxies are not supported"]),
    ],
)
async def test_the_doctor_shows_the_proxy_and_the_certificate(
    company: tuple[Sandbox, Proxy, dict[str, Any]], changes: dict[str, Any], row: str | None, words: list[str]
) -> None:
    sandbox, proxy, environment = company
    changes = {name: value and value.format(port=proxy.port) for name, value in changes.items()}
    _, out, err = await run(sandbox, "doctor", "--json", **environment | changes)
    rows = {each["check"]: each for each in json.loads(out)["checks"]}
    assert (err, [name for name, each in rows.items() if each["result"] == "failed"]) == ("", [row] if row else [])
    for word in words:
        assert word in f"{rows['connection']['text']} {rows['connection']['hint']}"
    for secret in ("wr0ng", "s3cr3t", sandbox.token, "ssl="):
        assert secret not in out
    # Only the proxy knows the name.
    assert rows["name"]["result"] == ("ok" if row is None else "not checked")
