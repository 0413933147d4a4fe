"""A sandbox of the UnlimCall API: a real HTTP server on loopback, for tests, examples and demonstrations.

It is written from the API reference alone and shares no code with the client, so that it can judge it.
"""

from typing import TYPE_CHECKING, Any

from unlimcall_async.sandbox.account import SCOPES, Account, SandboxAgent
from unlimcall_async.sandbox.calls import SandboxCall
from unlimcall_async.sandbox.deliveries import DeliveryAttempt
from unlimcall_async.sandbox.events import EventType, SandboxEvent, sample_payload
from unlimcall_async.sandbox.faults import (
    Close,
    Delay,
    Fault,
    Garbage,
    Html,
    Injection,
    Processed,
    Redirect,
    ResetAfter,
    ResetBefore,
    Stall,
    Status,
    Truncate,
)
from unlimcall_async.sandbox.settings import Settings
from unlimcall_async.sandbox.state import OriginatedCall, ReceivedRequest, Subscription
from unlimcall_async.sandbox.traffic import TrafficKind, generate_traffic
from unlimcall_async.sandbox.webhook_settings import Envelope, WebhookSettings

if TYPE_CHECKING:
    from unlimcall_async.sandbox.sandbox import Sandbox
else:

    def __getattr__(name: str) -> Any:
        # pytest imports this package at the start of every run in which it is installed, because its plugin lives
        # here.  aiohttp's server, 0.2 s, waits until somebody wants a sandbox.
        if name == "Sandbox":
            from unlimcall_async.sandbox.sandbox import Sandbox  # noqa: PLC0415  # late on purpose

            return Sandbox
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "SCOPES",
    "Account",
    "Close",
    "Delay",
    "DeliveryAttempt",
    "Envelope",
    "EventType",
    "Fault",
    "Garbage",
    "Html",
    "Injection",
    "OriginatedCall",
    "Processed",
    "ReceivedRequest",
    "Redirect",
    "ResetAfter",
    "ResetBefore",
    "Sandbox",
    "SandboxAgent",
    "SandboxCall",
    "SandboxEvent",
    "Settings",
    "Stall",
    "Status",
    "Subscription",
    "TrafficKind",
    "Truncate",
    "WebhookSettings",
    "generate_traffic",
    "sample_payload",
]
