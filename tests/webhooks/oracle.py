"""Deliveries as the sender makes them, written from the reference alone; HMAC by its definition (RFC 2104)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

SECRET = "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01"
OTHER_SECRET = "whsec_9ZyXwVuTsRqPoNmLkJiHgFeDcBa3210Q"
NOW = 1_748_110_442


def mac(key: bytes, message: bytes) -> str:
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()


def signature(body: bytes, secret: str = SECRET, at: int | str = NOW) -> str:
    return f"t={at},v1={mac(secret.encode(), f'{at}.'.encode() + body)}"


def headers(body: bytes, secret: str = SECRET, at: int | str = NOW) -> dict[str, str]:
    return {"Content-Type": "application/json", "X-Unlimcall-Signature": signature(body, secret, at)}


def event_body(event_id: str | None = "evt_1", kind: str = "call.ended", **fields: Any) -> bytes:
    head = {"event": kind} if event_id is None else {"event": kind, "eventId": event_id}
    return json.dumps({**head, **fields}).encode()
