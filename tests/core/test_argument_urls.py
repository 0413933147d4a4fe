"""The URLs, paths and methods that callers pass in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from tests.core.refusals import refused
from unlimcall_async import _arguments as arguments


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com",
        "https://example.com:8443/hooks?account=1&x=%20#top",
        "https://[2001:db8::1]/",
        "https://b\u00fccher.example/",
        "https://example.com/".ljust(512, "x"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_target_urls_are_https(value: str) -> None:
    assert arguments.target_url(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", "https://", "https:///hooks", "https://?x", "https://:443/", "http://example.com", "ftp://example.com",
        "//example.com", "example.com", "https:example.com", "https:/example.com", "javascript:alert(1)",
        "https://example.com:99999/", "https://[::1", "https://a[b]@", "https://example.com/a b", "https://exam\tple.com/",
        "https://example.com/".ljust(513, "x"),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_other_target_urls_are_refused(value: str) -> None:
    refused("target_url", lambda: arguments.target_url(value))


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("https://app.unlimcall.com/api/v1", "https://app.unlimcall.com/api/v1"),
        ("https://app.unlimcall.com/api/v1/", "https://app.unlimcall.com/api/v1"),
        ("https://app.unlimcall.com/api/v1//", "https://app.unlimcall.com/api/v1"),
        ("https://app.unlimcall.com", "https://app.unlimcall.com"),
        ("https://app.unlimcall.com/", "https://app.unlimcall.com"),
        ("HTTPS://APP.unlimcall.com/API", "https://app.unlimcall.com/API"),
        ("https://proxy.example/a%2Fb/c%20d", "https://proxy.example/a%2Fb/c%20d"),
        ("https://proxy.example:8443/v1", "https://proxy.example:8443/v1"),
        (URL("https://app.unlimcall.com/api/v1/"), "https://app.unlimcall.com/api/v1"),
    ],
    ids=str,
)
def test_a_base_url_keeps_its_path(value: str | URL, taken: str) -> None:
    assert str(arguments.base_url(value, allow_plain_http=False)) == taken


LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1:8080",
    "127.1.2.3",
    "127.255.255.254",
    "[::1]",
    "[::1]:8080",
    "localhost",
    "LocalHost:80",
]
REMOTE = [
    "app.unlimcall.com", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example/localhost", "2130706433",
    "0x7f000001", "0177.0.0.1", "127.1", "126.0.0.1", "128.0.0.1", "0.0.0.0", "10.0.0.1", "192.168.0.1", "[::]", "[::2]",  # noqa: S104 # hosts to refuse
    "[fe80::1]", "notlocalhost", "localhost-evil.example",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_plain_http_may_go_to_this_machine(host: str) -> None:
    assert arguments.base_url(f"http://{host}/v1", allow_plain_http=False).scheme == "http"


@pytest.mark.parametrize("host", REMOTE)
def test_plain_http_to_another_machine_must_be_allowed(host: str) -> None:
    assert "allow_plain_http" in refused(
        "base_url", lambda: arguments.base_url(f"http://{host}", allow_plain_http=False)
    )
    assert arguments.base_url(f"http://{host}", allow_plain_http=True).scheme == "http"
    assert arguments.base_url(f"https://{host}", allow_plain_http=False).scheme == "https"


@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        "", "/api/v1", "app.unlimcall.com", "app.unlimcall.com:443", "//app.unlimcall.com", "https://", "https:///api",
        "ftp://app.unlimcall.com", "file:///etc/passwd", "ws://localhost", "https://app.unlimcall.com?x=1",
        "https://app.unlimcall.com/#top", "https://user@app.unlimcall.com", "https://user:pw@app.unlimcall.com",
        "https://:pw@app.unlimcall.com", "http://127.0.0.1@evil.example", "http://localhost:80@evil.example",
        "https://app.unlimcall.com:99999", "https://app.unlimcall.com:port", "https://[::1", "https://a[b]@",
        "https://app.unlimcall.com/api/v1 ", " https://app.unlimcall.com", "https://app.unlimcall.com/api/v1\n",
        "https://app.unlimcall.com/a b", "https://app.unlimcall.com /api/v1", "https://app.\tunlimcall.com",
    ],
)  # fmt: skip
def test_other_base_urls_are_refused(value: str, allow: bool) -> None:
    refused("base_url", lambda: arguments.base_url(value, allow_plain_http=allow))


@pytest.mark.parametrize("value", [None, 1, b"https://app.unlimcall.com", ["https://app.unlimcall.com"]])
def test_a_base_url_is_a_text_or_a_url(value: object) -> None:
    refused("base_url", lambda: arguments.base_url(value, allow_plain_http=True), TypeError)


@pytest.mark.parametrize(
    "value",
    [
        "/", "/numbers", "/numbers/", "/hooks/27", "/a.b/..c/d../...", "/a b", "/a%20b", "/a%2Bb", "/a%3Fb", "/a:b@c;d,e=f",
        "/caf\u00e9", "/%", "/%zz", "/%252e%252e/x",
    ],
    ids=ascii,
)  # fmt: skip
def test_paths_below_the_base_are_taken(value: str) -> None:
    assert arguments.path(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", "numbers", "https://evil.example/", "HTTPS://evil.example", "//evil.example", "/x/https://evil.example", "?x",
        "/numbers?limit=1", "/numbers?", "/numbers#top", "/..", "/../admin", "/hooks/../../admin", "/hooks/..", "/.", "/./x",
        "/x/.", "/%2e%2e/admin", "/%2E%2e/admin", "/.%2e/admin", "/hooks%2f..%2f..%2fadmin", "/hooks/%2e%2e%2fadmin",
        "/%2e", "/..\\admin", "/x\\..\\y", "/%5c%5cevil.example", "/..%5cadmin", "/x\r\nX-Evil: 1", "/x%0d%0aX-Evil:%201",
        "/x%00", "/\x7f", "/\u0085",
    ],
    ids=ascii,
)  # fmt: skip
def test_paths_that_leave_the_base_are_refused(value: str) -> None:
    refused("path", lambda: arguments.path(value))


segments = st.sampled_from(
    ["..", ".", "%2e", "%2E", "%2f", "/", "\\", "%5c", "a", "%61", "%", "25", ";", "\u2024", "\uff0e", " "]
)


@given(st.lists(segments, max_size=8).map(lambda parts: "/" + "".join(parts)))
def test_no_path_that_is_taken_leads_out_of_the_base(path: str) -> None:
    try:
        taken = arguments.path(path)
    except ValueError:
        return
    url = URL(f"https://api.example/api/v1{taken}")
    assert url.host == "api.example"
    assert url.raw_path.startswith("/api/v1/")


@pytest.mark.parametrize("value", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_methods_are_in_capitals(value: str) -> None:
    assert arguments.method(value) == value
    refused("method", lambda: arguments.method(value.lower()))


@pytest.mark.parametrize("value", ["", "CONNECT", "TRACE", "GET /", "G\u0395T", "*"], ids=ascii)
def test_other_methods_are_refused(value: str) -> None:
    refused("method", lambda: arguments.method(value))
