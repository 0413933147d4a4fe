"""Which proxy is chosen for a URL, by the environment and by the argument."""

from __future__ import annotations

import base64
import ipaddress
from urllib.parse import quote
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined] # not in its stub; what requests asks

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from unlimcall_async.http.network import DIRECT, Network, network_to
from unlimcall_async.http.proxies import Proxy, environment_proxy, proxy_at

API = URL("https://api.corp.example/api/v1")
PLAIN = URL("http://api.corp.example/api/v1")
ONE, TWO = "http://one.example:3128", "http://two.example:3128"
HERE = "http://127.0.0.1:3128"
SECRET = "s3cr3t-p@ss:w/rd#?"


def chosen(url: URL, **environ: str) -> str | None:
    proxy = environment_proxy(url, environ)
    if isinstance(proxy, Exception):
        raise proxy
    return None if proxy is None else str(proxy.url)


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        (API, {}, None),
        (API, {"HTTPS_PROXY": ONE}, ONE),
        (API, {"https_proxy": ONE}, ONE),
        (API, {"https_proxy": ONE, "HTTPS_PROXY": TWO}, ONE),
        (API, {"https_proxy": "", "HTTPS_PROXY": TWO}, None),
        (API, {"HTTPS_PROXY": " "}, None),
        (API, {"HTTP_PROXY": ONE}, None),
        (API, {"ALL_PROXY": ONE}, ONE),
        (API, {"all_proxy": ONE}, ONE),
        (API, {"HTTPS_PROXY": "", "ALL_PROXY": ONE}, ONE),
        (API, {"HTTPS_PROXY": ONE, "ALL_PROXY": TWO}, ONE),
        (API, {"HTTPS_PROXY": ONE, "ALL_PROXY": "socks5://127.0.0.1:1080"}, ONE),
        (PLAIN, {"HTTP_PROXY": ONE}, ONE),
        (PLAIN, {"HTTPS_PROXY": ONE}, None),
        (PLAIN, {"ALL_PROXY": ONE}, ONE),
        (PLAIN, {"HTTP_PROXY": ONE, "REQUEST_METHOD": "GET"}, None),
        (PLAIN, {"http_proxy": ONE, "REQUEST_METHOD": "GET"}, ONE),
        (API, {"HTTPS_PROXY": ONE, "REQUEST_METHOD": "GET"}, ONE),
        (API, {"HTTPS_PROXY": "one.example:3128"}, ONE),
        (API, {"HTTPS_PROXY": f" {ONE}/ "}, ONE),
        (API, {"HTTPS_PROXY": "https://one.example"}, "https://one.example"),
        (API, {"HTTPS_PROXY": ONE, "NO_PROXY": "corp.example"}, None),
        (API, {"HTTPS_PROXY": ONE, "no_proxy": "", "NO_PROXY": "corp.example"}, ONE),
        *(
            (URL(f"https://{host}"), {"HTTPS_PROXY": ONE, "ALL_PROXY": ONE}, None)
            for host in ("localhost", "127.8.0.1")
        ),
        (URL("http://[::1]:8080"), {"HTTP_PROXY": ONE}, None),
        # A proxy of this machine reaches this machine.
        *((URL(f"{scheme}://localhost:8080"), {"ALL_PROXY": HERE}, HERE) for scheme in ("http", "https")),
        (URL("http://localhost:8080"), {"HTTP_PROXY": HERE, "NO_PROXY": "localhost"}, None),
        (URL("http://localhost:8080"), {"HTTP_PROXY": "socks5://127.0.0.1:1080"}, None),
    ],
)
def test_the_variable_that_holds(url: URL, environ: dict[str, str], expected: str | None) -> None:
    assert chosen(url, **environ) == expected


@pytest.mark.parametrize(
    ("host", "entries", "exempt"),
    [
        ("api.corp.example", "*", True),
        ("api.corp.example", "other.example, *", True),
        ("api.corp.example", "api.corp.example", True),
        ("api.corp.example", "API.Corp.Example.", True),
        ("api.corp.example", "corp.example", True),
        ("api.corp.example", ".corp.example", True),
        ("corp.example", ".corp.example", True),
        ("api.corp.example", "*.corp.example", True),
        ("corp.example", "*.corp.example", False),
        ("mycorp.example", "corp.example", False),
        ("mycorp.example", ".corp.example", False),
        ("api.corp.example", "api.corp", False),
        ("api.corp.example", "a.example,b.example  corp.example", True),
        ("api.corp.example:8443", "corp.example:8443", True),
        ("api.corp.example:8443", "corp.example:443", False),
        ("api.corp.example", "corp.example:443", True),
        ("api.corp.example", "https://corp.example", True),
        ("api.corp.example", "http://corp.example", False),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("bücher.example", "BÜCHER.example", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.4/31", False),
        ("10.1.2.3", "2.3", False),
        ("10.1.2.3", ".3", False),
        ("10.1.2.3:8443", "10.1.2.3:443", False),
        ("[fd00::1]", "fd00:0:0::1", True),
        ("[fd00::1]", "[fd00::1]:443", True),
        ("[fd00::1]", "[fd00::1]:444", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[::ffff:10.1.2.3]", "10.0.0.0/8", True),
        ("api.corp.example", "10.0.0.0/8", False),
        ("10.1.2.3", "10.0.0.0/99,fd00::/8,/,:,[", False),
        ("api.corp.example", "<local>,.,:443,%", False),
    ],
)
def test_the_hosts_that_no_proxy_lists(host: str, entries: str, exempt: bool) -> None:
    assert (chosen(URL(f"https://{host}"), HTTPS_PROXY=ONE, NO_PROXY=entries) is None) == exempt


names = st.lists(st.sampled_from(["a", "b", "corp", "example"]), min_size=1, max_size=4).map(".".join)


@given(names, st.lists(st.tuples(st.sampled_from(["", "."]), names).map("".join), max_size=3))
@example("corp", [".corp"])
def test_plain_names_are_listed_as_for_users_of_requests(host: str, entries: list[str]) -> None:
    listed = ",".join(entries)
    ours = chosen(URL(f"https://{host}"), HTTPS_PROXY=ONE, NO_PROXY=listed) is None
    assert ours == bool(proxy_bypass_environment(host, {"no": listed}))


@pytest.mark.slow
@given(st.ip_addresses(), st.integers(0, 32))
def test_blocks_are_those_of_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int
) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    block = ipaddress.ip_network((address, length), strict=False)
    assert chosen(URL(f"https://{host}"), HTTPS_PROXY=ONE, NO_PROXY=str(block)) is None or address.is_loopback


@given(st.text(), st.text(), names)
def test_no_text_of_the_environment_is_more_than_a_problem(proxy: str, no_proxy: str, host: str) -> None:
    # What is raised would show the environment by way of its frames.
    for url in (URL(f"https://{host}"), URL("https://[fd00::1]:8443")):
        chosen = environment_proxy(url, {"HTTPS_PROXY": proxy, "NO_PROXY": no_proxy})
        assert chosen is None or isinstance(chosen, (Proxy, ValueError))


def told(proxy: object) -> str:
    assert isinstance(proxy, Proxy)
    assert proxy.credentials is not None
    return str(proxy.credentials.header())


@given(st.text(min_size=1).filter(lambda text: ":" not in text), st.text())
def test_escaped_credentials_are_told_as_they_are(user: str, password: str) -> None:
    if not (user + password).isprintable():
        return
    proxy = proxy_at(f"http://{quote(user, safe='')}:{quote(password, safe='')}@one.example:3128")
    expected = base64.b64encode(f"{user}:{password}".encode()).decode()
    assert told(proxy) == f"Basic {expected}"
    assert expected not in f"{proxy!r} {proxy.credentials!r}"  # type: ignore[union-attr] # `told` has looked


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            f"socks5://u:{quote(SECRET, safe='')}@h:1",
            "socks5 proxies are not supported; name a proxy with http:// or https://",
        ),
        (f"ftp://u:{quote(SECRET, safe='')}@h", "must be the URL of a proxy"),
        (f"http://u:{SECRET}@h:1", "%23 for #"),
        (f"u:12#{SECRET}@h:1", "%23 for #"),
        ("http://u%3Av:x@h:1", "must not contain a colon"),
        ("http://h:1/path", "must have no path"),
        ("http://h:99999", "is not a valid URL"),
        ("http://u:[s3cr3t]@", "is not a valid URL"),
        ("", "must name a host"),
        ("http://", "must name a host"),
        ("http://a b:1", "must name a host"),
        ("http://" + "a" * 70, "is not a valid URL"),
        (3128, "must be a str, not int"),
    ],
)
def test_what_is_not_a_usable_proxy_is_named_and_not_quoted(value: object, message: str) -> None:
    problem = proxy_at(value, "HTTPS_PROXY")
    assert isinstance(problem, (TypeError, ValueError))
    assert str(problem).startswith("HTTPS_PROXY")
    assert message in str(problem)
    assert "s3cr3t" not in str(problem)
    assert (problem.__traceback__, problem.__context__, problem.__cause__) == (None, None, None)


def test_a_proxy_of_the_environment_that_cannot_be_used_says_how_to_go_without_it() -> None:
    problem = environment_proxy(API, {"ALL_PROXY": "socks5h://127.0.0.1:1080"})
    assert str(problem).startswith("ALL_PROXY: socks5h proxies are not supported")
    assert str(problem).endswith("or list api.corp.example in NO_PROXY")


def route(url: URL, proxy: str | None = None, *, allowed: bool = True, **environ: str) -> Network | Exception:
    given = None if proxy is None else proxy_at(proxy)
    assert not isinstance(given, Exception)
    return network_to(url, proxy=given, tls=None, environ=environ, allow_plain_http=allowed)


@pytest.mark.parametrize("named", ["argument", "HTTP_PROXY"])
@pytest.mark.parametrize(
    ("url", "proxy", "allowed"),
    [(PLAIN, ONE, True), (URL("http://127.0.0.1:8080"), HERE, False), (URL("http://127.0.0.1:8080"), HERE, True)],
)
def test_plain_http_goes_through_a_proxy_if_it_is_allowed_or_the_proxy_is_here(
    named: str, url: URL, proxy: str, allowed: bool
) -> None:
    network = (
        route(url, proxy, allowed=allowed) if named == "argument" else route(url, allowed=allowed, HTTP_PROXY=proxy)
    )
    assert isinstance(network, Network)
    assert network.proxy is not None
    assert str(network.proxy.url) == proxy


def test_plain_http_through_a_proxy_elsewhere_must_be_allowed() -> None:
    problem = route(URL("http://127.0.0.1:8080"), f"http://u:{quote(SECRET, safe='')}@one.example:3128", allowed=False)
    assert str(problem) == (
        "proxy: plain http would show the token to the proxy one.example:3128; use https, or allow_plain_http=True"
    )


def test_the_argument_wins_over_the_environment_and_its_exemptions() -> None:
    network = route(API, ONE, HTTPS_PROXY=TWO, NO_PROXY="*")
    assert isinstance(network, Network)
    assert network.proxy is not None
    assert (str(network.proxy.url), network.proxy.source) == (ONE, "proxy")
    assert network_to(API, proxy=None, tls=None, environ=None, allow_plain_http=False) == DIRECT
