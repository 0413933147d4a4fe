"""What TLS and certificates can say, in words: what no server on this machine says by itself."""

from __future__ import annotations

import ssl

import pytest

from unlimcall_async.http.causes import Place, no_tls, not_trusted

API = Place("api.corp.example", 443, "https")


@pytest.mark.parametrize(
    ("name", "words", "advice"),
    [
        ("UNSUPPORTED_PROTOCOL", "unsupported protocol", "an old version of TLS"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "tlsv1 alert protocol version", "an old version of TLS"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "sslv3 alert handshake failure", "pass ssl= with one"),
        ("HTTP_REQUEST", "http request", "does this port speak plain http? the base URL says https"),
        ("BAD_SOMETHING", "bad something", ""),
        (None, "the reason is not known", ""),
    ],
)
def test_tls_that_could_not_be_set_up(name: str | None, words: str, advice: str) -> None:
    error = ssl.SSLError(1, "[SSL: X] the text of OpenSSL (_ssl.c:1)")
    error.reason = name  # type: ignore[assignment] # as OpenSSL leaves it if it has no name
    failure = no_tls(API, error)
    assert failure.reason == f"TLS could not be set up with api.corp.example:443: {words}"
    assert advice in failure.hint
    assert (failure.cause, failure.permanent) == ("tls", False)


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (18, "self-signed certificate", "shows one that is self-signed"),
        (19, "self-signed certificate in certificate chain", "shows one whose authority is not known"),
        (62, "Hostname mismatch, certificate is not valid for 'x'.", "shows one for another host name"),
        (
            92,
            "Basic Constraints of CA cert not marked critical",
            "a check: Basic Constraints of CA cert not marked critical",
        ),
    ],
)
def test_a_certificate_that_is_not_trusted(code: int, message: str, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.verify_code, error.verify_message = code, message
    failure = not_trusted(API, error)
    assert failure.reason.endswith(words)
    assert failure.permanent


def test_a_fingerprint_that_differs() -> None:
    assert not_trusted(API, ValueError()).reason.endswith("a check: its fingerprint")
