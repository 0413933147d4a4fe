"""Everything the sandbox knows at one moment: the account, its data, and what was asked of it.  No I/O."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from unlimcall_async.sandbox.account import Account, Tokens
from unlimcall_async.sandbox.calls import CallStore
from unlimcall_async.sandbox.settings import EndpointName, Settings

__all__ = ["OriginatedCall", "ReceivedRequest", "State", "Subscription"]


@define(eq=False)
class ReceivedRequest:
    """One request that reached the server, recorded on receipt, before any fault.

    Attributes:
        method: HTTP method.
        path: Path as it was sent, with the base path, without the query.
        query: Query parameters; of a name that was sent twice, the first.
        headers: Headers; names are looked up in any case.
        body: Body, byte for byte.
        endpoint: Name of the endpoint that the path belongs to; `None` for an unknown path.
        received_at: Time of the event loop's clock, seconds.
        status: Status of the answer; `None` as long as none was sent.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)  # they hold the bearer token
    body: bytes
    endpoint: EndpointName | None
    received_at: float
    status: int | None = None


@frozen
class OriginatedCall:
    """A call that `POST /calls` placed: exactly one for each request that took effect.

    Attributes:
        call_id: The `callId` of the answer.
        ai_agent_id: Id of the agent that runs the call.
        to_number: Destination, E.164.
        from_number: Caller-ID override, E.164.
        metadata: Annotations of the request.
        received_at: When it was placed, in seconds of the event loop's clock.
        placed_at: The same moment by the calendar, aware.
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
    """A webhook subscription.  Deleting disables it (reference: "Soft-delete"), and so do 10 failures in a row.

    Attributes:
        id: UUID v4.
        event: The event type subscribed to.
        target_url: Where deliveries go.
        secret: Signing secret, with its `whsec_` prefix.
        enabled: False once it has been deleted or has failed too often; it then gets nothing more.
        failures: How many attempts have failed since the last that was answered with a 2xx.
    """

    id: str
    event: str
    target_url: str
    secret: str = field(repr=False)
    enabled: bool = True
    failures: int = 0


def _nobody(_: OriginatedCall) -> None:
    """Take no note of a call."""


@define(eq=False)
class State:
    """What the endpoints read and change.

    Attributes:
        account: The customer.
        settings: How the server behaves.
        tokens: Who may ask.
        calls: The call detail records.
        originated: Every call placed, in order.
        ongoing: Those of them that have not ended, by id.
        placed: Who is told of each call when it is placed.
        hooks: Every subscription by id, disabled ones included.
    """

    account: Account
    settings: Settings
    tokens: Tokens = field(factory=Tokens)
    calls: CallStore = field(factory=CallStore)
    originated: list[OriginatedCall] = field(factory=list)
    ongoing: dict[str, OriginatedCall] = field(factory=dict)
    placed: Callable[[OriginatedCall], None] = _nobody
    hooks: dict[str, Subscription] = field(factory=dict)
