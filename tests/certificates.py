"""A certificate that nobody trusts, made when a test runs: a private key in the repository looks like a leak."""

from __future__ import annotations

import ssl

import trustme


def untrusted_context() -> ssl.SSLContext:
    """Return the TLS settings of a server on this machine, with a certificate of an authority that no client knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context
