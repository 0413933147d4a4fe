"""The sandbox as a user holds it: a façade over the account, the server and the fault schedule."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import Any, Self

from unlimcall_async.sandbox.account import DEFAULT_AGENTS, DEFAULT_TOKEN, SCOPES, Account, SandboxAgent
from unlimcall_async.sandbox.api import Api
from unlimcall_async.sandbox.calls import SandboxCall
from unlimcall_async.sandbox.courier import Courier
from unlimcall_async.sandbox.deliveries import DeliveryAttempt
from unlimcall_async.sandbox.events import EventType, SandboxEvent
from unlimcall_async.sandbox.faults import Fault, Injection
from unlimcall_async.sandbox.routing import BASE_PATH
from unlimcall_async.sandbox.server import Server
from unlimcall_async.sandbox.settings import (
    Count,
    EndpointName,
    ErrorShape,
    Order,
    Resolution,
    RetryAfter,
    Settings,
)
from unlimcall_async.sandbox.state import OriginatedCall, ReceivedRequest, State, Subscription
from unlimcall_async.sandbox.switchboard import Switchboard
from unlimcall_async.sandbox.webhook_settings import WebhookSettings

__all__ = ["Sandbox"]


class Sandbox:
    """The UnlimCall API on loopback: a real HTTP server that behaves as the API reference says.

    `async with Sandbox() as sandbox:` starts and stops it.  What the account is and how the server behaves are
    arguments here and stay changeable, as `sandbox.account` and `sandbox.settings`; `Account` and `Settings` describe
    each.

    Attributes:
        account: The customer's data and states.
        settings: What the reference leaves open, limits, latency, webhooks.
        token: A token with every scope.
        requests: Everything that reached the server, in order of receipt.
        originated: Every call that `POST /calls` placed.
        deliveries: Every attempt to deliver an event, in the order in which they were sent.
    """

    account: Account
    settings: Settings
    token: str
    requests: list[ReceivedRequest]
    originated: list[OriginatedCall]
    deliveries: list[DeliveryAttempt]

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        company_name: str = "Acme Calling Co.",
        customer_id: str = "1042",
        primary_contact_email: str = "ops@acme.example",
        balance: str | Decimal = "42.7831",
        currency: str = "USD",
        account_type: str = "prepaid",
        credit_limit: str | Decimal | None = None,
        blocked: bool = False,
        stale: bool = False,
        suspended: bool = False,
        provisioned: bool = True,
        dialer: bool = True,
        engine: bool = True,
        originate_error: str | None = None,
        balance_fails: bool = False,
        agents: Iterable[SandboxAgent] = DEFAULT_AGENTS,
        order: Order = "newest_first",
        from_inclusive: bool = True,
        till_inclusive: bool = False,
        resolution: Resolution = "ms",
        count: Count = "rows",
        cap: int = 1000,
        rate_limits: Mapping[EndpointName, int] | None = None,
        minute: float = 60.0,
        retry_after: RetryAfter | None = "seconds",
        latency: float = 0.0,
        error_shape: ErrorShape = "flat",
        deliver_to: Mapping[str, str] | None = None,
        webhooks: WebhookSettings | None = None,
    ) -> None:
        self.account = Account(
            company_name=company_name,
            customer_id=customer_id,
            primary_contact_email=primary_contact_email,
            balance=balance,
            currency=currency,
            account_type=account_type,
            credit_limit=credit_limit,
            blocked=blocked,
            stale=stale,
            suspended=suspended,
            provisioned=provisioned,
            dialer=dialer,
            engine=engine,
            originate_error=originate_error,
            balance_fails=balance_fails,
            agents=agents,
        )
        self.settings = Settings(
            order=order,
            from_inclusive=from_inclusive,
            till_inclusive=till_inclusive,
            resolution=resolution,
            count=count,
            cap=cap,
            rate_limits=rate_limits,
            minute=minute,
            retry_after=retry_after,
            latency=latency,
            error_shape=error_shape,
            deliver_to=deliver_to or {},
            webhooks=webhooks or WebhookSettings(),
        )
        self._state = State(self.account, self.settings)
        self._courier = Courier(self._state)
        self._switchboard = Switchboard(self._state, self._courier)
        self._state.placed = self._switchboard.placed
        self._server = Server(Api(self._state), host=host, port=port)
        self.token = self.add_token(SCOPES, token or DEFAULT_TOKEN)
        self.requests = self._server.requests
        self.originated = self._state.originated
        self.deliveries = self._courier.attempts

    def __repr__(self) -> str:
        running = f"running on {self.url}" if self._server.running else "stopped"
        return f"<Sandbox {running}, {len(self.requests)} requests>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the port; after `stop()` it is the same port again, with all data as it was."""
        await self._server.start()

    async def stop(self) -> None:
        """Close the port, cut the requests in flight and give up the deliveries under way; stopping twice is fine.

        A call that would have ended by itself goes on until `end_call`, also after another `start()`.
        """
        try:
            await self._server.stop()
        finally:
            await self._courier.stop()

    @property
    def url(self) -> str:
        """The base URL, as `http://127.0.0.1:54321/api/v1`."""
        if not self._server.port:
            raise RuntimeError("the sandbox has no port until it is started")
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host  # IPv6
        return f"http://{host}:{self._server.port}{BASE_PATH}"

    def add_token(self, scopes: Iterable[str], token: str | None = None) -> str:
        """Mint a token with these scopes of the reference, or take the given one; return it."""
        return self._state.tokens.add(scopes, token)

    def revoke_token(self, token: str) -> None:
        """Make a token invalid at once."""
        self._state.tokens.revoke(token)

    def add_calls(self, calls: Iterable[SandboxCall]) -> None:
        """Add call records; the next request sees them."""
        self._state.calls.add(calls)

    @property
    def calls(self) -> tuple[SandboxCall, ...]:
        """The call records, in order of insertion."""
        return self._state.calls.rows

    @property
    def hooks(self) -> Mapping[str, Subscription]:
        """The webhook subscriptions by id, with the disabled ones."""
        return MappingProxyType(self._state.hooks)

    def deliver(
        self,
        event: EventType,
        payload: Mapping[str, Any] | None = None,
        *,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
    ) -> SandboxEvent:
        """Begin to deliver an event to every enabled subscription for it (reference, "Webhooks"); return the event.

        Args:
            event: One of the five types.
            payload: All its fields; the default is `sample_payload(event)`.
            event_id: Its id, where the event is one that was delivered before; the default is a new one.
            occurred_at: Aware; the default is now.

        Raises:
            ValueError: An argument is not as above, or the payload is not JSON.
            RuntimeError: The sandbox is stopped.
        """
        self._require_running()
        return self._switchboard.announce(event, payload, event_id, occurred_at)

    def end_call(self, call_id: str, *, duration: int = 81, **fields: Any) -> SandboxEvent:
        """End a call that `POST /calls` placed: write its record, and begin to deliver `call.ended`; return the event.

        Args:
            call_id: The `callId` of the answer.
            duration: Whole seconds that the call has lasted.
            fields: Payload fields by the names of the reference, as `dispositionCode`, in place of made-up ones.

        Raises:
            ValueError: There is no such call, or it has ended; `duration` is negative; a field is not JSON.
            RuntimeError: The sandbox is stopped.
        """
        self._require_running()
        return self._switchboard.end(call_id, duration, fields)

    async def delivered(self) -> None:
        """Wait until nothing is under way: no delivery, no retry to come, no call that ends by itself."""
        await self._courier.idle()

    def _require_running(self) -> None:
        if not self._server.running:
            raise RuntimeError("the sandbox is stopped, so it delivers nothing")

    def inject(
        self, fault: Fault, endpoint: EndpointName | None = None, times: int | None = 1, skip: int = 0
    ) -> Injection:
        """Let something go wrong with the next `times` requests of an endpoint, after `skip` of them.

        `endpoint=None` means all endpoints, `times=None` for ever.  Of several faults that are due for a request, the
        first one injected wins and the others wait; `skip` counts each request, whichever fault takes it.
        The fault's `remaining`, in the handle that is returned, falls to 0.
        """
        return self._server.faults.inject(fault, endpoint=endpoint, times=times, skip=skip)

    def clear_faults(self) -> None:
        """Forget every fault that is still to come."""
        self._server.faults.clear()
