"""Webhooks, the receiving side: signatures, typed events, and a receiver that handles each event once.

The modules, from the bottom up:

- `wire`: headers and bodies as frameworks hand them over; pure.
- `signature`: checks `X-Unlimcall-Signature`; pure. `verification`: `verify` and `receive`, with the clock.
- `events`: the body of a delivery as a typed event; pure. `identity`: which deliveries are of one event; pure.
- `recovery`: the event of a call whose own event never came; pure.
- `responses`: the responses of the receiver, and the count of failures in a row; pure.
- `stores`: the promise of a store of event ids, and `MemoryStore`.
- `sqlite`: `SQLiteStore`, over `database`, its connections, and `database_path`, the check of its path.
- `steady`: the time by which a store forgets; pure.
- `handling`: one event, claimed, handled and confirmed. `adapters`: the receiver under aiohttp and ASGI servers.
- `receiver`: `WebhookReceiver`, which joins all of these. `tracker`: `CallTracker`, a user of the receiver.
"""

from unlimcall_async.errors import EventError, SignatureError
from unlimcall_async.webhooks.events import (
    CallEnded,
    CallTransferred,
    DispositionSet,
    DncAdded,
    Event,
    LeadCompleted,
    RecoveredCall,
    UnknownEvent,
    parse_event,
)
from unlimcall_async.webhooks.handling import when_handled
from unlimcall_async.webhooks.receiver import WebhookReceiver
from unlimcall_async.webhooks.recovery import recovered_event
from unlimcall_async.webhooks.responses import ReceiverStats
from unlimcall_async.webhooks.signature import sign
from unlimcall_async.webhooks.sqlite import SQLiteStore
from unlimcall_async.webhooks.stores import Claim, ClaimLostError, MemoryStore, SeenStore, Standing
from unlimcall_async.webhooks.tracker import CallTracker
from unlimcall_async.webhooks.verification import receive, verify

__all__ = [
    "CallEnded",
    "CallTracker",
    "CallTransferred",
    "Claim",
    "ClaimLostError",
    "DispositionSet",
    "DncAdded",
    "Event",
    "EventError",
    "LeadCompleted",
    "MemoryStore",
    "ReceiverStats",
    "RecoveredCall",
    "SQLiteStore",
    "SeenStore",
    "SignatureError",
    "Standing",
    "UnknownEvent",
    "WebhookReceiver",
    "parse_event",
    "receive",
    "recovered_event",
    "sign",
    "verify",
    "when_handled",
]
