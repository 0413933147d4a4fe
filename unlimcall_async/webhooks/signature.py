"""The signature of a webhook delivery: `X-Unlimcall-Signature: t=<unix>,v1=<hex>`.

Pure: no I/O, no clock. The signed message is the text of `t` as it came, a full stop, and the bytes of the body (reference:
"Webhooks, HMAC input"). So neither the time nor the body is ever formatted anew here.

The reference does not say which bytes of the secret are the key. **The key is taken to be the whole secret in UTF-8, `whsec_`
included**: the text that `POST /hooks` returns.

A header has one valid spelling: items `name=value` with commas and no spaces between them, `t` once and in ASCII digits, each `v1`
as 64 lower-case hexadecimal digits. Items with other lower-case names are ignored, because the API may add schemes. Several `v1`
and several secrets allow a secret to be replaced without a gap: one pair that agrees is enough.

The time is judged last. A stranger without a secret gets `mismatch`, whatever time the header names. So `too_old` and `in_future`
are certain to be about a delivery of the sender.
"""

from __future__ import annotations

import hmac
import re
import sys
from collections.abc import Sequence
from typing import Final, TypeAlias

from unlimcall_async import _arguments
from unlimcall_async.errors import SignatureError

HEADER: Final = "X-Unlimcall-Signature"

Bytes: TypeAlias = bytes | bytearray | memoryview

_DIGITS: Final = re.compile(r"[0-9]+")
_NAME: Final = re.compile(r"[a-z0-9_-]+")
# The form that the reference shows, matched at once, which halves the cost of a verification (`python benchmarks/webhooks.py`).
# Other forms are split into items.
_AS_DOCUMENTED: Final = re.compile(r"t=([0-9]+),v1=([0-9a-f]{64})")
_HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def sign(body: Bytes, secret: str, timestamp: float) -> str:
    """Return the value of `X-Unlimcall-Signature` for a body, as the sender makes it (reference: "Webhooks").

    Use it to test your receiver.

    Args:
        body: The body of the request.
        secret: The secret that `POST /hooks` returned, whole.
        timestamp: Unix time in seconds; a fraction is dropped.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: The secret is not visible ASCII, or `timestamp` is below 0 or not finite.
    """
    moment = finite("timestamp", timestamp)
    if moment < 0:
        raise ValueError("timestamp must not be before 1970")
    stamp = str(int(moment))
    return f"t={stamp},v1={_mac(key('secret', secret), stamp, raw('body', body))}"


def check(body: bytes, header: object, keys: Sequence[bytes], *, now: float, behind: float, ahead: float) -> float:
    """Check the signature of a body, made at most `behind` seconds before `now` and at most `ahead` seconds after it.

    Returns:
        When the signature was made: Unix time by the sender's clock.

    Raises:
        SignatureError: The signature is not valid.
    """
    stamp, candidates = _split(header)
    matched = False
    for each in keys:
        expected = _mac(each, stamp, body)
        for candidate in candidates:
            # All pairs are compared, without leaving early: the time taken does not tell which pair agrees, or how far.
            matched |= hmac.compare_digest(expected, candidate)
    if not matched:
        raise SignatureError("mismatch")
    # `float` reads any number of digits; beyond its range the result is infinity, which lies in the future.
    age = now - float(stamp)
    if not age <= behind:
        raise SignatureError("too_old", age)
    if not -age <= ahead:
        raise SignatureError("in_future", age)
    return float(stamp)


def _split(header: object) -> tuple[str, list[str]]:
    """Split a header into its time, as it is written, and its signatures."""
    # `None` is a header that is missing. Many frameworks give an empty text for that.
    if header is None or header == "":
        raise SignatureError("missing")
    if not isinstance(header, str):
        raise TypeError(f"header must be a str or None, not {type(header).__name__}")
    # A plain text: a subclass may have comparisons of its own.
    header = str.__str__(header)
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
            # Without this check ` t` would pass for another scheme, and hide a second time.
            raise SignatureError("malformed")
    # Not `str.isdigit`, which accepts digits of every script, nor `int`, which accepts signs, spaces and underscores.
    if len(stamps) != 1 or not _DIGITS.fullmatch(stamps[0]):
        raise SignatureError("malformed")
    if not candidates or not all(map(_HEX_SHA256.fullmatch, candidates)):
        raise SignatureError("malformed")
    return stamps[0], candidates


def key_ring(secrets: object) -> tuple[bytes, ...]:
    """Require one secret or a sequence of secrets, and return their keys."""
    if isinstance(secrets, str):
        return (key("secrets", secrets),)
    # Bytes are a sequence, of numbers.
    if not isinstance(secrets, Sequence) or isinstance(secrets, (bytes, bytearray)):
        raise TypeError(f"secrets must be a str or a sequence of str, not {type(secrets).__name__}")
    if not secrets:
        raise ValueError("secrets must hold at least one secret")
    return tuple(key("secrets", secret) for secret in secrets)


def key(name: str, secret: object) -> bytes:
    """Require a secret, and return its key.

    A secret is checked as a token is. With a line break at its end, from a file, every delivery would be refused for good. With an
    empty key anybody can sign.
    """
    problem = _arguments.token_problem(secret, name)
    if problem is not None:
        raise problem
    return _arguments.text(name, secret).encode()


def raw(name: str, value: object) -> bytes:
    """Require bytes. Text is refused: the signature is over the body as it came, before anything decodes it."""
    if type(value) is bytes:
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        # Not `bytes(value)`, which may be a method of a subclass.
        return memoryview(value).tobytes()
    raise TypeError(f"{name} must be bytes, undecoded, as they came in the request, not {type(value).__name__}")


def finite(name: str, value: object) -> float:
    """Require a finite number of seconds."""
    count = _arguments.real(name, value)
    if not abs(count) <= sys.float_info.max:
        raise ValueError(f"{name} must be finite")
    return count


def _mac(key: bytes, stamp: str, body: bytes) -> str:
    return hmac.digest(key, b".".join((stamp.encode("ascii"), body)), "sha256").hex()
