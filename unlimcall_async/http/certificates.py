"""The certificate authorities that the environment names, and whether this machine has any."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

from unlimcall_async._platform import has_certificate_store


def missing_certificates() -> str:
    """Return the hint for a machine on which no certificate could be trusted, or an empty text."""
    found = ssl.get_default_verify_paths()
    if (named := os.environ.get(found.openssl_cafile_env)) and found.cafile is None:
        return f"{found.openssl_cafile_env} names no file: {named}"
    if has_certificate_store() or found.cafile is not None:
        return ""
    try:
        if found.capath and any(Path(found.capath).iterdir()):
            return ""
    except OSError as error:
        # For example, only root may read the folder that `SSL_CERT_DIR` names.
        return f"the certificate authorities in {found.capath} cannot be read: {error.strerror}"
    return "this machine has no certificate authorities: install them, for example by the package ca-certificates"


def environment_tls() -> ssl.SSLContext | None:
    """Return the settings of TLS that `SSL_CERT_FILE` and `SSL_CERT_DIR` stand for, or `None` for aiohttp's own."""
    # aiohttp makes its own when it is imported, and so looks at these variables too early.
    named = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    return _tls_of(*named) if any(named) else None


@cache
def _tls_of(_file: str, _folder: str) -> ssl.SSLContext:
    # Made once for each pair: to read all certificates of a machine takes up to 0.06 s. OpenSSL itself looks at the variables.
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
