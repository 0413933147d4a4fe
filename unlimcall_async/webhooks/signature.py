"""The signature of a webhook delivery: `X-Unlimcall-Signature: t=<unix>,v1=<hex>`.

Pure: no I/O, no clock. What is signed is the text of `t` as it came, a full stop, and the body's bytes (reference: "Webhooks, HMAC
input"), so neither is ever written anew here.

The reference does not say what the key is. **It is taken to be the whole secret in UTF-8, `whsec_` included**: the bytes of the
text that `POST /hooks` shows.

A header has one spelling: items `name=value` between commas without spaces, `t` once and in ASCII digits, each `v1` 64 hexadecimal
digits in lower case. Items of other names, in lower case too, are passed over, as the API may add schemes. Several `v1` and several
secrets let a secret be replaced without a gap: one pair that agrees is enough.

The time is judged last. Whoever has no secret is told `mismatch` whatever time he writes, and `too_old` and `in_future` can be
relied on to be said of the sender's own deliveries.
"""

from __future__ import annotations

import hmac
import re
import sys
from collections.abc import Sequence
from typing import Final, TypeAlias

from unlimcall_async.errors import SignatureError

HEADER: Final = "X-Unlimcall-Signature"

Bytes: TypeAlias = bytes | bytearray | memoryview

_DIGITS: Final = re.compile(r"[0-9]+")
_NAME: Final = re.compile(r"[a-z0-9_-]+")
# The form that the reference shows, read at once: with it a verification costs half. Others are read item by item.
_AS_DOCUMENTED: Final = re.compile(r"t=([0-9]+),v1=([0-9a-f]{64})")
_HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def sign(body: Bytes, secret: str, timestamp: float) -> str:
    """Make the header that the sender would put on a delivery (reference: "Webhooks"); for tests of a receiver.

    Args:
        body: The request's body.
        secret: What `POST /hooks` returned, whole.
        timestamp: Unix time in seconds; a fraction is left off.
    """
    moment = finite("timestamp", timestamp)
    if moment < 0:
        raise ValueError("timestamp must not be before 1970")
    stamp = str(int(moment))
    return f"t={stamp},v1={_mac(_key(secret), stamp, raw('body', body))}"


def check(body: bytes, header: str | None, keys: Sequence[bytes], *, now: float, behind: float, ahead: float) -> None:
    """Check the signature of a body, made at most `behind` seconds before `now` and `ahead` seconds after it.

    Raises:
        SignatureError: It does not hold.
    """
    stamp, candidates = _items(header)
    matched = False
    for key in keys:
        expected = _mac(key, stamp, body)
        for candidate in candidates:
            # To the end of all pairs, without leaving early: the time taken tells nothing about which one agrees, or how far.
            matched |= hmac.compare_digest(expected, candidate)
    if not matched:
        raise SignatureError("mismatch")
    # A float takes any number of digits; beyond its range it is infinity, which is in the future.
    age = now - float(stamp)
    if not age <= behind:
        raise SignatureError("too_old", age)
    if not -age <= ahead:
        raise SignatureError("in_future", age)


def key_ring(secrets: object) -> tuple[bytes, ...]:
    """Require one secret or a sequence of them, and give their keys."""
    if isinstance(secrets, str):
        return (_key(secrets),)
    if not isinstance(secrets, Sequence):
        raise TypeError(f"secrets must be a str or a sequence of them, not {type(secrets).__name__}")
    if not secrets:
        raise ValueError("secrets must hold at least one secret")
    return tuple(_key(secret) for secret in secrets)


def raw(name: str, value: object) -> bytes:
    """Require bytes. Not text: what is signed is the body as it came, before anybody decodes it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"{name} must be bytes, as the request brought them, not {type(value).__name__}")


def finite(name: str, value: object) -> float:
    """Require a finite number of seconds."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name} must be finite")
    return value


def _items(header: object) -> tuple[str, list[str]]:
    """Split a header into its time, as it is written, and its signatures."""
    # None is a header that is not there. Many a framework gives an empty text for that.
    if header is None or header == "":
        raise SignatureError("missing")
    if not isinstance(header, str):
        raise TypeError(f"header must be a str or None, not {type(header).__name__}")
    if as_documented := _AS_DOCUMENTED.fullmatch(header):
        return as_documented[1], [as_documented[2]]
    stamps, candidates = [], []
    for item in header.split(","):
        name, equals, value = item.partition("=")
        if name == "v1":
            candidates.append(value)
        elif name == "t":
            stamps.append(value)
        elif not equals or not _NAME.fullmatch(name):
            # Else ` t` would pass for another scheme, and hide a second time.
            raise SignatureError("malformed")
    # `str.isdigit` takes digits of every script, `int` also signs, spaces and underscores.
    if len(stamps) != 1 or not _DIGITS.fullmatch(stamps[0]):
        raise SignatureError("malformed")
    if not candidates or not all(map(_HEX_SHA256.fullmatch, candidates)):
        raise SignatureError("malformed")
    return stamps[0], candidates


def _key(secret: object) -> bytes:
    if not isinstance(secret, str):
        raise TypeError(f"secrets must be str, not {type(secret).__name__}")
    if not secret:
        # Anybody can sign with an empty key.
        raise ValueError("secrets must not be empty; is the variable set that should hold it?")
    try:
        return secret.encode()
    except UnicodeEncodeError:
        # Its own message would quote the secret.
        raise ValueError("secrets must be text that UTF-8 can hold") from None


def _mac(key: bytes, stamp: str, body: bytes) -> str:
    return hmac.digest(key, b".".join((stamp.encode("ascii"), body)), "sha256").hex()
