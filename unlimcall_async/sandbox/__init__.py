"""A sandbox of the UnlimCall API: a real HTTP server on this machine, for tests, examples and demonstrations.

The sandbox is written from the API reference alone. It shares no code with the client, because it must not borrow from what it
judges. Its modules, from a request inwards:

    sandbox         what a user holds: the class `Sandbox`
    thread          the event loop in a thread, for `with Sandbox()`
    server, wire    HTTP: each request is recorded, faults are carried out; responses that break off
    faults          the faults, and when each of them is due
    api             path, method, token, scope, rate limit, suspension
    control         what another program asks of the sandbox itself, on a path of its own
    description     the API's description for tools, `openapi.json`, and a page to try the API, `page.html`
    endpoints       the seven endpoints, in the order of the reference
    responses       responses and error bodies as data
    account, state  the customer, its tokens, and everything that the endpoints read and change
    settings        what the reference leaves open
    history         the newest requests, calls and deliveries
    checks, times   what a user sets, and the times that a user passes
    calls           call records, and the selection of a page; `call_index` finds the rows of a window
    call_ends       placed calls until they end
    events          the five webhook events; `deliveries` has the rules of delivery, and `sender` sends
    traffic         generated call records; `start_times` spreads them over time, `markets` has the countries
    pytest_plugin   the fixture `unlimcall_sandbox`

`unlimcall sandbox` serves a sandbox from the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unlimcall_async.sandbox.account import DEFAULT_TOKEN, SCOPES, Account, SandboxAgent
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
from unlimcall_async.sandbox.settings import Envelope, Settings, WebhookSettings
from unlimcall_async.sandbox.state import OriginatedCall, ReceivedRequest, Subscription
from unlimcall_async.sandbox.traffic import TrafficKind, generate_traffic

if TYPE_CHECKING:
    from unlimcall_async.sandbox.sandbox import Sandbox
else:

    def __getattr__(name: str) -> Any:
        # pytest imports this package at the start of every run in which it is installed, because the plugin is part of the package.
        # aiohttp's server takes 0.2 s to import, so it is imported when a sandbox is first used.
        if name == "Sandbox":
            from unlimcall_async.sandbox.sandbox import Sandbox  # noqa: PLC0415 # late on purpose

            return Sandbox
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "DEFAULT_TOKEN",
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
