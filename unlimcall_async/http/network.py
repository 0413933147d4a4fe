"""How the requests of a client reach the API: the proxy and the certificates.

Pure: no I/O. The environment comes in as a mapping.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen
from yarl import URL

from unlimcall_async.http.proxies import Proxy, environment_proxy, is_exposed


@frozen
class Network:
    """How the requests of a client reach the API.

    Attributes:
        proxy: The proxy that the client has named, or the environment; `None` without one, and for that of a session.
        tls: The settings of TLS that the client was given, or `None`.
        allow_plain_http: Whether plain http to other hosts than this machine is allowed.
    """

    proxy: Proxy | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    allow_plain_http: bool = False


# Straight to the API, with the certificates of the machine.
DIRECT: Final = Network()


def network_to(
    url: URL,
    *,
    proxy: Proxy | None,
    tls: ssl.SSLContext | None,
    environ: Mapping[str, str] | None,
    allow_plain_http: bool,
) -> Network | Exception:
    """Return how requests reach the base URL, or the error if they must not. See `proxies` for the reason why it is returned.

    Args:
        url: The base URL.
        proxy: The proxy that the client was given. It also counts for this machine, and whatever `NO_PROXY` lists.
        tls: The settings of TLS that the client was given.
        environ: The environment, or `None` if it does not count.
        allow_plain_http: As in `Network`.
    """
    chosen = proxy if proxy is not None or environ is None else environment_proxy(url, environ)
    if isinstance(chosen, Exception):
        return chosen
    if chosen is not None and is_exposed(url, chosen.url, allow_plain_http=allow_plain_http):
        shown = f"plain http would show the token to the proxy {chosen.place}"
        return ValueError(f"{chosen.source}: {shown}; use https, or allow_plain_http=True")
    return Network(chosen, tls, allow_plain_http)
