"""One or more of each public model, for the tests of what works with all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.core.payloads import RECORD
from unlimcall_async import (
    Agent,
    Balance,
    CallRecord,
    CdrChange,
    CdrKey,
    CdrPage,
    Hook,
    Identity,
    LimitState,
    Progress,
    QueuedCall,
    RateLimit,
    RateLimits,
    StreamStats,
    UnreadableRow,
)
from unlimcall_async.webhooks import (
    CallEnded,
    CallTransferred,
    DispositionSet,
    DncAdded,
    LeadCompleted,
    RecoveredCall,
    UnknownEvent,
)

AT = datetime(2026, 5, 24, 18, 14, 2, 500_000, tzinfo=UTC)
NOVEL: dict[str, Any] = {"new": {"a": [1, "x", None, True, Decimal("4.50"), {}]}}

PLAIN_MODELS: list[Any] = [
    Identity("1042", "Acme", "ops@example.com"),
    Balance(Decimal("42.7831"), "USD", "prepaid", None, blocked=False, stale=True),
    Agent("27", "unl_001", "SDR seat — Berlin", AT),
    RECORD,
    CallRecord("1", AT, 2, 1),
    CdrPage(2, (RECORD, CallRecord("1", AT, 2, 1)), complete=True),
    CdrPage(0, (), complete=True),
    QueuedCall("f3c1", "queued"),
    Hook("8c6e", "whsec_1", "call.ended", "https://example.com"),
    UnreadableRow((AT, AT), "calls[1].id", "expected text", b'\xff{"id":1}'),
    CdrKey(AT, "1"),
    CdrChange("revised", RECORD),
    CdrChange("removed", None, CdrKey(AT, "1")),
    CallEnded(type="call.ended", id="5", duration_sec=81.5, transfer_initiated=False),
    CallTransferred(type="call.transferred", id=5, duration_sec=81, transfer_target="+14155550100"),
    DispositionSet(type="disposition.set", terminal=True, actor="ai"),
    DncAdded(type="dnc.added"),
]
# With what cattrs refuses without hooks of its user: a time or a Decimal in a field that may be `None`.
FULL_MODELS: list[Any] = [
    Balance(Decimal("42.7831"), "USD", "prepaid", Decimal("1E+3"), blocked=False, stale=True),
    LeadCompleted(type="lead.completed", occurred_at=AT),
    RecoveredCall(type="call.ended", occurred_at=AT, record=CallRecord("1", AT, 2, 1)),
    Progress(0.5, 10, 2, AT, waiting_for="rate limit", waiting_until=AT, eta=None),
    StreamStats(3, 5, 0, 1, 0, 3, 0.5, "seek"),
    LimitState(RateLimit(60, burst=5), 3, 0.0, 0.0),
    RateLimits.unlimited(),
]
NOVEL_MODELS: list[Any] = [
    Identity("1042", "Acme", "ops@example.com", extra=NOVEL),
    CallRecord("1", AT, 2, 1, extra=NOVEL),
    CdrPage(1, (CallRecord("1", AT, 2, 1, extra=NOVEL),), complete=False, extra=NOVEL),
    UnknownEvent(type="new.event", extra=NOVEL),
]
MODELS: list[Any] = [*PLAIN_MODELS, *FULL_MODELS, *NOVEL_MODELS]
