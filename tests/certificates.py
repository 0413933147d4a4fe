"""Certificates, made when a test runs: a private key in the repository looks like a leak."""

from __future__ import annotations

import ssl
from typing import Any

import trustme


def untrusted_context() -> ssl.SSLContext:
    """Return the TLS settings of a server on this machine, with a certificate of an authority that no client knows."""
    return server_context(trustme.CA(), "127.0.0.1")


def server_context(authority: trustme.CA, *names: str, **settings: Any) -> ssl.SSLContext:
    """Return the TLS settings of a server with a certificate of an authority. `settings` are those of `issue_cert`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **settings).configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """Return the TLS settings of a client that trusts an authority, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context
