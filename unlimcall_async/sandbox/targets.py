"""Where webhooks may go: what a subscription may name, and what stands for it on this machine.  No I/O."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from urllib.parse import urlsplit

from yarl import URL

__all__ = ["is_target", "routes"]

_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")


def is_target(url: str) -> bool:
    """Return whether a subscription may name this URL: https, at most 512 characters (reference, `POST /hooks`)."""
    # urlsplit drops some control characters silently, so they are looked for first.
    if len(url) > 512 or _CONTROL_OR_SPACE.search(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname)


def routes(deliver_to: Mapping[str, str]) -> Mapping[str, str]:
    """Check a map from subscribed targets to receivers on this machine, and return a copy that stays as it is."""
    for target, local in deliver_to.items():
        if not is_target(target):
            raise ValueError(f"deliver_to: {target!r} must be an https URL of at most 512 characters")
        if not _is_local(local):
            raise ValueError(f"deliver_to: {local!r} must be an http URL on this machine, by a loopback address")
    return MappingProxyType(dict(deliver_to))


def _is_local(url: str) -> bool:
    """Return whether the URL leads to this machine, read by the parser of the client that will send to it."""
    try:
        parts = URL(url)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.host is not None and _is_loopback(parts.host)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
