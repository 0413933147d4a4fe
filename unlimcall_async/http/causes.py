"""Why no response came, in words: the host, the port, the cause, and what the caller can try.

Pure: no I/O. The transport takes aiohttp's exceptions apart, and this module gives their parts a meaning. The texts are words of
ours: those of exceptions may quote the response, or the headers that were sent. A host and a port are all that is shown of a URL.
"""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen
from yarl import URL

from unlimcall_async.errors import TransportCause
from unlimcall_async.http.proxies import Proxy


@frozen
class Place:
    """A host that an attempt had to reach: that of the API, or a proxy.

    Attributes:
        host: The host, in the form of a URL: an IPv6 address stands in brackets. Empty if a session alone knows it.
        port: The port.
        scheme: The scheme of the URL that names the host.
        is_proxy: Whether the host is a proxy.
        source: Where the proxy was named; empty for the API, and for the proxy of a session that was handed in.
        via: The proxy on the way to the API, or `None`.
    """

    host: str
    port: int | None
    scheme: str
    is_proxy: bool = False
    source: str = ""
    via: Place | None = None

    @property
    def address(self) -> str:
        """The host and the port."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        if not self.host:
            return self.setting
        way = "" if self.via is None else f" through {self.via}"
        return f"{'the proxy ' if self.is_proxy else ''}{self.address}{way}"

    @property
    def setting(self) -> str:
        """What the caller has to check."""
        if not self.is_proxy:
            return "the base URL"
        return "the argument proxy" if self.source == "proxy" else self.source or "the proxy of the session"


@frozen
class Failure:
    """Why no response came.

    Attributes:
        cause: The kind of failure.
        reason: What happened.
        hint: What the caller can do, or an empty text.
        permanent: Whether another attempt cannot help.
    """

    cause: TransportCause
    reason: str
    hint: str = ""
    permanent: bool = False


# What aiohttp says of a `Content-Encoding` that it cannot unpack.
_PACKING: Final = re.compile(r"^Can not decode content-encoding: [a-z]+ \((br|zstd)\)")

_RESET: Final = "a firewall may do so, or a server that wants a certificate of its clients: pass ssl= with one"
_ONLINE: Final = "is this machine online, and does it need a proxy (HTTPS_PROXY)?"

# (kind, words, what to try) of the errors of the system. ETIMEDOUT is the system's own time limit, of a minute or two.
_SYSTEM: Final[Mapping[int, tuple[TransportCause, str, str]]] = {
    errno.ECONNREFUSED: ("refused", "it was refused", "is a server running there? check {setting}"),
    errno.ECONNRESET: ("reset", "it was reset", _RESET),
    errno.ECONNABORTED: ("reset", "it was aborted", _RESET),
    errno.EPIPE: ("reset", "it was reset", _RESET),
    errno.ETIMEDOUT: ("timeout", "it timed out", f"a firewall may drop it; {_ONLINE}"),
    errno.EHOSTUNREACH: ("unreachable", "the host is unreachable", _ONLINE),
    errno.EHOSTDOWN: ("unreachable", "the host is unreachable", _ONLINE),
    errno.ENETUNREACH: ("unreachable", "the network is unreachable", _ONLINE),
    errno.ENETDOWN: ("unreachable", "the network is down", _ONLINE),
    errno.EADDRNOTAVAIL: ("unreachable", "the address is not available", "check {setting}"),
    errno.EACCES: (
        "unreachable",
        "this machine does not permit it",
        "a firewall or a sandbox of this machine may do so",
    ),
    errno.EPERM: (
        "unreachable",
        "this machine does not permit it",
        "a firewall or a sandbox of this machine may do so",
    ),
    errno.EMFILE: ("other", "this process has too many open files", "raise its limit, or close what it does not need"),
    errno.ENFILE: ("other", "this machine has too many open files", "close what it does not need"),
}
# The same for exceptions without a number, which asyncio raises itself.
_NUMBERS: Final[tuple[tuple[type[OSError], int], ...]] = (
    (ConnectionRefusedError, errno.ECONNREFUSED),
    (BrokenPipeError, errno.EPIPE),
    (ConnectionAbortedError, errno.ECONNABORTED),
    (ConnectionResetError, errno.ECONNRESET),
    (TimeoutError, errno.ETIMEDOUT),
)

_TRUST: Final = "if {who} has a private certificate authority, name its file in SSL_CERT_FILE, or pass ssl="
# OpenSSL's numbers (X509_V_ERR_...), and what they mean for a user.
_CERTIFICATES: Final[Mapping[int, tuple[str, str]]] = {
    9: ("that is not valid yet", "is the clock of this machine right?"),
    10: ("that has expired", "is the clock of this machine right?"),
    18: ("that is self-signed", _TRUST),
    19: ("whose authority is not known", _TRUST),
    20: ("whose authority is not known", _TRUST),
    21: ("whose authority is not known", _TRUST),
    62: ("for another host name", "check {setting}"),
    64: ("for another address", "check {setting}, which may have to name the host, and not its address"),
}
_OLD_TLS: Final = "the other side may speak an old version of TLS only"
# OpenSSL's names of what went wrong, and what they mean for a user.
_TLS: Final[Mapping[str, str]] = {
    "WRONG_VERSION_NUMBER": "does this port speak plain http? {setting} says https",
    "HTTP_REQUEST": "does this port speak plain http? {setting} says https",
    "RECORD_LAYER_FAILURE": "does this port speak plain http? {setting} says https",
    "PACKET_LENGTH_TOO_LONG": "does this port speak plain http? {setting} says https",
    "UNSUPPORTED_PROTOCOL": _OLD_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
    "UNEXPECTED_EOF_WHILE_READING": "a firewall may do so",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it may want a certificate of this client: pass ssl= with one",
}


def not_resolved(place: Place, *, exists: Literal[False] | None) -> Failure:
    """Return the failure of a lookup. `exists` is false if there is no such name, and `None` if the lookup had no answer."""
    unresolved = f"no connection to {place}: its name could not be resolved"
    if exists is None:
        return Failure("name_lookup", f"{unresolved}: the lookup failed", _ONLINE)
    hint = f"check {place.setting}"
    if not place.is_proxy:
        hint += "; the network of a company may resolve it by its VPN or its proxy (HTTPS_PROXY) alone"
    return Failure("no_such_host", f"{unresolved}: there is no such name", hint)


def not_connected(place: Place, error: OSError) -> Failure:
    """Return the failure of a connection that could not be made."""
    number = error.errno or next((number for kind, number in _NUMBERS if isinstance(error, kind)), 0)
    cause, words, hint = _SYSTEM.get(number, ("other", errno.errorcode.get(number, "the reason is not known"), ""))
    return Failure(cause, f"no connection to {place}: {words}", hint.format(setting=place.setting))


def not_trusted(place: Place, error: Exception) -> Failure:
    """Return the failure for a certificate that is not trusted. Another attempt would see the same certificate."""
    code = getattr(error, "verify_code", 0)
    # OpenSSL's own words are a fixed text for each number. A fingerprint has none.
    check = getattr(error, "verify_message", "") or "its fingerprint"
    words, hint = _CERTIFICATES.get(code, (f"that does not pass a check: {check}", _TRUST))
    who = "your network" if place.is_proxy else "the server, or a proxy that decrypts,"
    reason = f"the certificate is not trusted: {place} shows one {words}"
    return Failure("certificate", reason, hint.format(setting=place.setting, who=who), permanent=True)


def no_tls(place: Place, error: OSError) -> Failure:
    """Return the failure of TLS that could not be set up."""
    name = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    words = name.replace("_", " ").lower() or "the reason is not known"
    hint = _TLS.get(name, "").format(setting=place.setting)
    return Failure("tls", f"TLS could not be set up with {place}: {words}", hint)


def refused_by_proxy(proxy: Place, target: Place, status: int, challenge: str, *, with_credentials: bool) -> Failure:
    """Return the failure for a proxy that did not open a tunnel.

    Args:
        proxy: The proxy.
        target: The API.
        status: What the proxy answered.
        challenge: Its `Proxy-Authenticate` header.
        with_credentials: Whether it was told a user name and a password.
    """
    refused = f"{proxy} refused to connect to {target.address}: it answered {status}"
    if status == 407:
        # Only the names of the methods: the rest is the proxy's own text.
        methods = re.findall(r"(?:^|,\s*)(Basic|Digest|Negotiate|NTLM|Kerberos|Bearer)\b", challenge, re.IGNORECASE)
        if methods and "basic" not in map(str.lower, methods):
            hint = f"it takes {', '.join(methods)} alone, and this client Basic; a local proxy that translates can help"
        elif with_credentials:
            hint = f"the user name or the password in {proxy.setting} is wrong; is each special character escaped, as %40 for @?"
        else:
            hint = f"it wants a user name and a password: put them into {proxy.setting}, as {proxy.scheme}://USER:PASSWORD@{proxy.address}"
        return Failure("proxy_credentials", refused, hint, permanent=True)
    if 400 <= status < 500 and status not in {408, 425, 429}:
        hint = f"ask who runs it to allow {target.address}"
        if proxy.source not in {"", "proxy"}:  # the environment
            hint += f", or list {target.host} in NO_PROXY if it can be reached without a proxy"
        return Failure("proxy", refused, hint, permanent=True)
    reached = (
        f"it may not have reached {target.address}: can it resolve the name, and may it connect?"
        if status in {502, 503, 504}
        else ""
    )
    return Failure("proxy", refused, reached)


def not_http(place: Place, message: str, *, in_place_of_a_tunnel: bool) -> Failure:
    """Return the failure for a response that is not HTTP.

    Args:
        place: Who sent it.
        message: What the parser says; it may quote the response.
        in_place_of_a_tunnel: Whether a proxy sent it when it was asked for a tunnel.
    """
    if in_place_of_a_tunnel:
        return Failure("not_http", f"the answer of {place} is not HTTP", f"is it an HTTP proxy? check {place.setting}")
    # aiohttp lists the packing among the faults of HTTP if no module for it is installed.
    if packing := _PACKING.search(message):
        reason = f"the answer of {place} is compressed by {packing.group(1)}, which was not asked for"
        return Failure("body", reason, "a proxy on the way may ignore the header Accept-Encoding")
    # How a TLS server begins its complaint about a plain text: an alert, of TLS 1.0 or later.
    tls = place.scheme == "http" and ("\\x15\\x03" in message or "\x15\x03" in message)
    hint = f"does this port speak https? {place.setting} says http" if tls else ""
    return Failure("not_http", f"the answer of {place} is not HTTP", hint)


def broken(place: Place, *, closed: bool, connected: bool) -> Failure:
    """Return the failure of a connection that broke before an answer came.

    Args:
        place: The other end, as far as is known.
        closed: Whether the other end closed the connection in good order.
        connected: Whether the request was on its way. Otherwise a proxy has closed the connection before there was a tunnel.
    """
    if not connected:
        reason = f"{place} closed the connection before there was a tunnel"
        return Failure("disconnected", reason, f"is it an HTTP proxy? check {place.setting}")
    words = "was closed" if closed else "broke"
    plain = place.scheme == "http" and not place.is_proxy
    hint = f"does this port speak https? {place.setting} says http" if plain else ""
    reason = f"the connection to {place} {words} before an answer came"
    return Failure("disconnected" if closed else "reset", reason, hint)


def cut_off(place: Place) -> Failure:
    """Return the failure for a body that broke off."""
    return Failure("body", f"the answer of {place} broke off, or could not be decompressed")


def too_late(place: Place, seconds: float, *, connected: bool) -> Failure:
    """Return the failure for a time limit that has passed. `connected` says whether the request was on its way."""
    if connected:
        return Failure(
            "timeout", f"no answer within {seconds:g} s from {place}", "a larger timeout lets it take longer"
        )
    hint = f"a firewall may drop it; {_ONLINE}" if place.via is None else f"check {place.via.setting}"
    return Failure("timeout", f"no connection to {place} within {seconds:g} s", hint)


def api_place(url: URL, proxy: Proxy | None) -> Place:
    """Return the place of the API, from the URL of a request, and the proxy on the way."""
    return Place(url.host_subcomponent or "", url.port, url.scheme, via=None if proxy is None else proxy_place(proxy))


def proxy_place(proxy: Proxy) -> Place:
    """Return the place of a proxy."""
    return Place(
        proxy.url.host_subcomponent or "", proxy.url.port, proxy.url.scheme, is_proxy=True, source=proxy.source
    )
