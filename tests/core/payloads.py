"""The payloads of the API reference, the functions that decode them, and a helper for bodies that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from unlimcall_async._codec import DecodeError, decode, decode_agents, decode_cdr_list, decode_hook
from unlimcall_async._pages import PageDecoder
from unlimcall_async.models import Balance, CallRecord, CdrPage, Hook, Identity, QueuedCall

Json = dict[str, Any]
Read = Callable[[bytes], object]

PHONE = "+14155550100"
EVENT, TARGET = "call.ended", "https://example.com/hooks/unlimcall"

# The reference's own examples.
ME: Json = {"customerId": "1042", "companyName": "Acme Calling Co.", "primaryContactEmail": "ops@example.com"}
BALANCE: Json = {
    "balance": 42.7831, "currency": "USD", "accountType": "prepaid", "creditLimit": None, "blocked": False, "stale": False,
}  # fmt: skip
CALL: Json = {
    "id": "1747852442.42", "startTime": "2026-05-24T18:14:02.000Z", "duration": 81, "billsec": 80, "src": PHONE,
    "dst": "+442071838750", "disposition": "ANSWERED", "sipUsername": "unl_001", "sellPriceCents": 34, "currency": "USD",
    "country": "United Kingdom", "did": None,
}  # fmt: skip
AGENT: Json = {"id": "27", "sipUsername": "unl_001", "label": "SDR seat — Berlin", "createdAt": "2026-04-30T09:14:00Z"}
QUEUED: Json = {"callId": "f3c1e8a2-9d7f-4c5b-bd91-6e9f0a3b1c7d", "status": "queued"}
HOOK: Json = {"id": "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31", "secret": "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01"}
PAGE: Json = {"count": 18, "calls": [CALL] * 18}
AGENTS: Json = {"count": 1, "agents": [AGENT]}

# The kinds of a row's fields in the API reference, with `?` if null is allowed.
CALL_KINDS = {
    "id": "text", "startTime": "time", "duration": "whole", "billsec": "whole", "src": "text?", "dst": "text?",
    "disposition": "text?", "sipUsername": "text?", "sellPriceCents": "whole?", "currency": "text?", "country": "text?",
    "did": "text?",
}  # fmt: skip

RECORD = CallRecord(
    id="1747852442.42",
    start_time=datetime(2026, 5, 24, 18, 14, 2, tzinfo=UTC),
    duration=81,
    billsec=80,
    src=PHONE,
    dst="+442071838750",
    disposition="ANSWERED",
    sip_username="unl_001",
    sell_price_cents=34,
    currency="USD",
    country="United Kingdom",
    did=None,
)


def read_me(body: bytes) -> Identity:
    return decode(body, Identity)


def read_balance(body: bytes) -> Balance:
    return decode(body, Balance)


def read_queued(body: bytes) -> QueuedCall:
    return decode(body, QueuedCall)


def read_page(body: bytes) -> CdrPage:
    return decode_cdr_list(body, 1000, PageDecoder())


def read_hook(body: bytes) -> Hook:
    return decode_hook(body, EVENT, TARGET)


READERS: list[Read] = [read_me, read_balance, read_page, decode_agents, read_queued, read_hook]


def written(value: object) -> bytes:
    return json.dumps(value).encode()


def refusal(read: Read, body: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        read(body)
    return caught.value
