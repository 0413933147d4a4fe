"""Which proxy the requests of a client go through.

Pure: no I/O. The environment comes in as a mapping, and a decision goes out. Problems are returned and not raised, because a
traceback may show the variables of its frames, and here they hold the credentials of the proxy, or the whole environment.

The rules are those of curl, requests and httpx, as far as these agree:

| question                  | answer                                                                                             |
|---------------------------|----------------------------------------------------------------------------------------------------|
| which variable?           | `HTTPS_PROXY` for an https URL, `HTTP_PROXY` for a plain http one; without it, `ALL_PROXY`         |
| lower case?               | `https_proxy` wins over `HTTPS_PROXY`, also if it is empty. An empty variable means no proxy.      |
| `HTTP_PROXY` in CGI?      | Ignored if `REQUEST_METHOD` is set: there, a request with a header `Proxy` can set the variable.   |
| no scheme?                | `proxy.example:3128` means `http://proxy.example:3128`                                             |
| `NO_PROXY`?               | See `_is_exempt`.                                                                                  |
| this machine?             | `localhost` and loopback addresses are reached straight if the proxy of the environment is         |
|                           | elsewhere, or cannot be used: no proxy elsewhere can reach them. curl and the others would try.    |

Theory of the token. Through a proxy, an https request is a tunnel: the proxy learns the host and the port, and nothing else. A
plain http request is handed to the proxy as it is, with the token. That is allowed in the two cases in which plain http is allowed
at all: the other end, here the proxy, is this machine, or the client was made with `allow_plain_http` (`is_exposed`).
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen
from yarl import URL

from unlimcall_async import _arguments
from unlimcall_async._urls import url_of
from unlimcall_async.http.messages import masked_header

# What users and other tools write. Only these are quoted in a message: any other text before `://` may be part of a password.
_SOCKS: Final = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h"})
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PORT: Final = re.compile(r"[0-9]{1,5}")
# The usual reason why such a URL is not valid.
_ESCAPES: Final = "in a user name or a password, write %23 for #, %2F for /, %3A for :, %3F for ? and %40 for @"


class ProxyCredentials:
    """The user name and the password for a proxy, as the `Proxy-Authorization` header.

    Not a text, for the reason that `Authorization` gives.
    """

    __slots__ = ("_coded",)

    def __init__(self, user: str, password: str) -> None:
        self._coded = base64.b64encode(f"{user}:{password}".encode()).decode()

    def header(self) -> str:
        """Return the value of the header."""
        return masked_header("Basic", self._coded)

    def __repr__(self) -> str:
        return "<Basic ***>"


@frozen
class Proxy:
    """A proxy.

    Attributes:
        url: Its URL, without credentials.
        source: Where it was named: the argument `proxy`, or a variable of the environment.
        credentials: What it is told, or `None`.
    """

    url: URL
    source: str
    credentials: ProxyCredentials | None = None

    @property
    def place(self) -> str:
        """The host and the port, for messages."""
        return f"{self.url.host_subcomponent}:{self.url.port}"


def proxy_at(value: object, source: str = "proxy") -> Proxy | Exception:
    """Return the proxy that a text names, or the error if it names no usable proxy. The error does not quote the text."""
    try:
        return _proxy(value, source)
    except (TypeError, ValueError) as error:
        # Made anew, without the frames that hold the text.
        return type(error)(str(error))


def _proxy(value: object, source: str) -> Proxy:
    text = str(value) if isinstance(value, URL) else _arguments.text(source, value)
    scheme = _SCHEME.match(text)
    kind = "http" if scheme is None else scheme[1].lower()
    if kind in _SOCKS:
        raise ValueError(f"{source}: {kind} proxies are not supported; name a proxy with http:// or https://")
    if kind not in {"http", "https"}:
        raise ValueError(f"{source} must be the URL of a proxy, which starts with http:// or https://")
    try:
        url = url_of(text if scheme else f"http://{text}")
        user, password, host, port = url.user, url.password, url.host, url.port
        (host or "").encode("idna")
    except ValueError:
        # The parser's own message may quote the URL.
        raise ValueError(f"{source} is not a valid URL; {_ESCAPES}") from None
    if not host or not port or not text.isprintable() or " " in text:
        raise ValueError(f"{source} must name a host, for example http://proxy.example:3128")
    if url.path not in {"", "/"} or url.raw_query_string or url.raw_fragment:
        # For example behind a password with a `#` that is not escaped: the text before it would be taken for the host.
        raise ValueError(f"{source} must have no path, query or fragment; {_ESCAPES}")
    if ":" in (user or ""):
        raise ValueError(f"{source}: the user name must not contain a colon, which would be taken for its end")
    credentials = None if user is None and password is None else ProxyCredentials(user or "", password or "")
    return Proxy(URL.build(scheme=kind, host=host, port=port), source, credentials)


def environment_proxy(url: URL, environ: Mapping[str, str]) -> Proxy | Exception | None:
    """Return the proxy that the environment names for a URL, or the error for one that cannot be used; `None` for no proxy."""
    host = url.host or ""
    if _is_exempt(url, _variable("NO_PROXY", environ)[1]):
        return None
    own = f"{url.scheme.upper()}_PROXY"
    for name in (own, "ALL_PROXY"):
        used, value = _variable(name, environ)
        if used == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            continue
        if value:
            proxy = proxy_at(value, used)
            if _arguments.is_loopback(host) and not (isinstance(proxy, Proxy) and _is_here(proxy.url)):
                return None
            return ValueError(f"{proxy}, or list {host} in NO_PROXY") if isinstance(proxy, Exception) else proxy
    return None


def is_exposed(url: URL, proxy: URL, *, allow_plain_http: bool) -> bool:
    """Return whether a request to a URL would show the token to a proxy on another machine although nobody has allowed that."""
    return url.scheme == "http" and not allow_plain_http and not _is_here(proxy)


def _is_here(proxy: URL) -> bool:
    return _arguments.is_loopback(proxy.host or "")


def _variable(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the name that holds for a variable, in lower case if there is one, and the value; an empty text if it is missing."""
    used = name.lower() if name.lower() in environ else name
    return used, environ.get(used, "").strip()


def _is_exempt(url: URL, no_proxy: str) -> bool:
    """Return whether `NO_PROXY` lists the host of a URL.

    The entries stand between commas or spaces. An entry may start with `http://` or `https://`, and end with a port: then it counts
    for this scheme or this port alone.

    | entry                   | lists                                                                                 |
    |-------------------------|---------------------------------------------------------------------------------------|
    | `*`                     | every host                                                                            |
    | `corp.example`          | this host and all below it, as `api.corp.example`; not `mycorp.example`               |
    | `.corp.example`         | the same                                                                              |
    | `*.corp.example`        | all below it, without itself                                                          |
    | `10.1.2.3`, `fd00::1`   | this address, however it is written                                                   |
    | `10.0.0.0/8`, `fd00::/8`| the addresses of this block. A name is not looked up to compare its address.          |
    """
    return any(_lists(entry, url) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _lists(entry: str, url: URL) -> bool:
    if scheme := _SCHEME.match(entry):
        if scheme[1] != url.scheme:
            return False
        entry = entry[scheme.end() :].rstrip("/")
    host = _name(url.raw_host or "")
    addresses = _addresses(host)
    if "/" in entry:
        return _is_in_block(addresses, entry)
    entry, port = _without_port(entry)
    if port is not None and port != url.port:
        return False
    if entry == "*":
        return True
    if (listed := _addresses(entry)) or addresses:
        return not listed.isdisjoint(addresses)
    below = entry.startswith("*.")
    name = _name(entry.removeprefix("*").lstrip("."))
    return bool(name) and (host.endswith(f".{name}") or (host == name and not below))


def _without_port(entry: str) -> tuple[str, int | None]:
    """Return the host of an entry of `NO_PROXY`, and its port or `None`. An IPv6 address with a port stands in brackets."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    else:
        host, port = entry, ""
    return host, int(port) if _PORT.fullmatch(port) else None


def _name(host: str) -> str:
    """Return a host's name in the form that URLs send: without a dot at its end, and in ASCII."""
    host = host.removesuffix(".").lower()
    try:
        return host if host.isascii() else (URL.build(scheme="http", host=host).raw_host or host)
    except ValueError:
        return host


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _addresses(host: str) -> set[_Address]:
    """Return the address that a host is: both, if it is an IPv4 address that is written as an IPv6 one, as ::ffff:10.1.2.3."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return set()
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return {address} if mapped is None else {address, mapped}


def _is_in_block(addresses: set[_Address], entry: str) -> bool:
    try:
        block = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    return any(address in block for address in addresses)
