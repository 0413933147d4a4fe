"""The state of the sandbox: the account, its data, and the requests that were made.

Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from unlimcall_async.sandbox.account import Account, Tokens
from unlimcall_async.sandbox.calls import CallStore
from unlimcall_async.sandbox.history import History, size_of
from unlimcall_async.sandbox.settings import EndpointName, Settings


@define(eq=False)
class ReceivedRequest:
    """One request that reached the server, recorded when it arrives, before any fault.

    Attributes:
        method: HTTP method.
        path: Path as the client sent it, with the base path and without the query.
        query: Query parameters; of a name that was sent twice, the first value.
        headers: Headers; names are found in upper and lower case.
        body: Body, byte for byte.
        endpoint: Name of the path's endpoint; `None` for an unknown path.
        received_at: Time of the event loop's clock, in seconds.
        status: Status of the response; `None` as long as no response was sent.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)  # they hold the bearer token
    body: bytes
    endpoint: EndpointName | None
    received_at: float
    status: int | None = None

    def size(self) -> int:
        """Return about how many bytes the request holds."""
        return sum(map(size_of, (self.path, self.query, self.headers, self.body)))


@frozen
class OriginatedCall:
    """A call that `POST /calls` placed: exactly one for each request that took effect.

    Attributes:
        call_id: The `callId` of the response.
        ai_agent_id: Id of the agent that runs the call.
        to_number: Destination, in E.164 form.
        from_number: Caller-ID override, in E.164 form.
        metadata: The request's `metadata`.
        received_at: When the call was placed, in seconds of the event loop's clock.
        placed_at: The same moment of the calendar, timezone-aware.
    """

    call_id: str
    ai_agent_id: str
    to_number: str
    from_number: str | None
    metadata: Mapping[str, Any] | None
    received_at: float
    placed_at: datetime


@frozen
class Subscription:
    """A webhook subscription. A deletion disables it (reference: "Soft-delete"), and so do 10 failures in a row.

    Attributes:
        id: UUID v4.
        event: The event type of the subscription.
        target_url: The URL to which deliveries go.
        secret: Signing secret, with its `whsec_` prefix.
        enabled: `False` after a deletion or too many failures. A disabled subscription receives nothing.
        failures: How many attempts have failed since the last one that was answered with a 2xx.
    """

    id: str
    event: str
    target_url: str
    secret: str = field(repr=False)
    enabled: bool = True
    failures: int = 0


@define(eq=False)
class State:
    """What the endpoints read and change.

    Attributes:
        account: The customer.
        settings: How the server behaves.
        tokens: The tokens that open the account.
        calls: The call records.
        originated: The calls that were placed, in order.
        ongoing: The calls that have not ended, by id, without their metadata: these calls may be many, and none is dropped.
        placed: Called with each call when it is placed.
        hooks: Every subscription by id, disabled ones included.
    """

    account: Account
    settings: Settings
    tokens: Tokens = field(factory=Tokens)
    calls: CallStore = field(factory=CallStore)
    originated: History[OriginatedCall] = field(init=False)
    ongoing: dict[str, OriginatedCall] = field(factory=dict)
    placed: Callable[[OriginatedCall], None] = field(default=lambda _call: None)
    hooks: dict[str, Subscription] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.originated = History(self.settings, lambda call: size_of(call.metadata))
