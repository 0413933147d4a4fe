"""The receiving side of webhooks: signatures, typed events, and a receiver that handles each event once."""

from unlimcall_async.errors import EventError, SignatureError
from unlimcall_async.webhooks.claims import Claim, ClaimLostError, SeenStore, Standing
from unlimcall_async.webhooks.events import (
    CallEnded,
    CallTransferred,
    DispositionSet,
    DncAdded,
    Event,
    LeadCompleted,
    UnknownEvent,
    parse_event,
)
from unlimcall_async.webhooks.memory import MemoryStore
from unlimcall_async.webhooks.receiver import WebhookReceiver
from unlimcall_async.webhooks.signature import sign
from unlimcall_async.webhooks.sqlite import SQLiteStore
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
    "SQLiteStore",
    "SeenStore",
    "SignatureError",
    "Standing",
    "UnknownEvent",
    "WebhookReceiver",
    "parse_event",
    "receive",
    "sign",
    "verify",
]
