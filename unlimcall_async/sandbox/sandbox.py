"""The class `Sandbox`: a façade over the account, the server, the fault schedule and the sender of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from unlimcall_async.sandbox.account import DEFAULT_TOKEN, SCOPES, Account, SandboxAgent
from unlimcall_async.sandbox.api import BASE_PATH, Api
from unlimcall_async.sandbox.call_ends import OngoingCalls
from unlimcall_async.sandbox.calls import SandboxCall
from unlimcall_async.sandbox.control import Control
from unlimcall_async.sandbox.deliveries import DeliveryAttempt
from unlimcall_async.sandbox.events import EventType, SandboxEvent
from unlimcall_async.sandbox.faults import Fault, Injection
from unlimcall_async.sandbox.sender import WebhookSender
from unlimcall_async.sandbox.server import Server
from unlimcall_async.sandbox.settings import (
    Count,
    EndpointName,
    ErrorShape,
    Order,
    Resolution,
    RetryAfter,
    Settings,
    WebhookSettings,
)
from unlimcall_async.sandbox.state import OriginatedCall, ReceivedRequest, State, Subscription
from unlimcall_async.sandbox.thread import LoopThread

T = TypeVar("T")
P = ParamSpec("P")

# The defaults of the signature below stand where the fields are, in these two classes.
_ACCOUNT: Final = Account()
_SETTINGS: Final = Settings()


class Sandbox:
    """The UnlimCall API on this machine: a real HTTP server that behaves as the API reference says.

    Use a sandbox as a context manager, which starts and stops the server:

        with Sandbox(order="oldest_first") as sandbox:
            sandbox.add_calls(generate_traffic(1000, start=..., end=...))
            subprocess.run([...], env={"UNLIMCALL_BASE_URL": sandbox.url, "UNLIMCALL_TOKEN": sandbox.token})

    `with` serves from a thread of its own, for a test of any kind: plain, in any event loop, or in another process. Every method
    may then be called from any thread. `async with` serves in the running event loop, and so on the virtual time of a test that
    has such time. There all methods belong to this loop.

    `host`, `port` and `token` are fixed when the sandbox is made. All other arguments are attributes of `sandbox.account` or
    `sandbox.settings`, and may be changed there while the server runs; the classes `Account` and `Settings` describe them.

    Args:
        host: The address to listen on.
        port: The port. With 0 the first start takes a free port, and every later start takes the same one.
        token: The token that has every scope; by default a token that is always the same.

    Attributes:
        account: The customer's data and states.
        settings: What the reference leaves open, limits, latency and webhooks.
        token: A token with every scope.
        requests: The requests that reached the server, in order of arrival. This list and the next two keep the newest 10,000
            entries, with 64 MB at most (`settings.keep` and `settings.keep_bytes`), so that a sandbox can run for weeks.
        originated: The calls that `POST /calls` placed.
        deliveries: The attempts to deliver an event, in the order in which the attempts were sent.
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
        company_name: str = _ACCOUNT.company_name,
        customer_id: str = _ACCOUNT.customer_id,
        primary_contact_email: str = _ACCOUNT.primary_contact_email,
        balance: str | Decimal = _ACCOUNT.balance,
        currency: str = _ACCOUNT.currency,
        account_type: str = _ACCOUNT.account_type,
        credit_limit: str | Decimal | None = _ACCOUNT.credit_limit,
        blocked: bool = _ACCOUNT.blocked,
        stale: bool = _ACCOUNT.stale,
        suspended: bool = _ACCOUNT.suspended,
        provisioned: bool = _ACCOUNT.provisioned,
        dialer: bool = _ACCOUNT.dialer,
        engine: bool = _ACCOUNT.engine,
        originate_error: str | None = _ACCOUNT.originate_error,
        balance_fails: bool = _ACCOUNT.balance_fails,
        agents: Iterable[SandboxAgent] = _ACCOUNT.agents,
        order: Order = _SETTINGS.order,
        from_inclusive: bool = _SETTINGS.from_inclusive,
        till_inclusive: bool = _SETTINGS.till_inclusive,
        resolution: Resolution = _SETTINGS.resolution,
        count: Count = _SETTINGS.count,
        cap: int = _SETTINGS.cap,
        rate_limits: Mapping[EndpointName, int] | None = _SETTINGS.rate_limits,
        minute: float = _SETTINGS.minute,
        retry_after: RetryAfter | None = _SETTINGS.retry_after,
        latency: float = _SETTINGS.latency,
        error_shape: ErrorShape = _SETTINGS.error_shape,
        deliver_to: Mapping[str, str] | None = None,
        webhooks: WebhookSettings | None = None,
        keep: int = _SETTINGS.keep,
        keep_bytes: int = _SETTINGS.keep_bytes,
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
            keep=keep,
            keep_bytes=keep_bytes,
        )
        self._state = State(self.account, self.settings)
        self._sender = WebhookSender(self._state)
        self._calls = OngoingCalls(self._state, self._sender)
        self._state.placed = self._calls.placed
        self._server = Server(Api(self._state), Control(self._state, self._calls), host=host, port=port)
        self._thread: LoopThread | None = None
        self.token = self.add_token(SCOPES, DEFAULT_TOKEN if token is None else token)
        self.requests = self._server.requests.entries
        self.originated = self._state.originated.entries
        self.deliveries = self._sender.attempts.entries

    def __repr__(self) -> str:
        running = f"running on {self.url}" if self._server.running else "stopped"
        return f"<Sandbox {running}, {self._server.requests.total} requests>"

    def __enter__(self) -> Self:
        if self._server.running or self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        self._thread = LoopThread()
        try:
            self._thread.run(self._server.start())
        except BaseException:
            self._end_thread()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._thread is not None:
                self._thread.run(self._stop())
        finally:
            self._end_thread()

    def _end_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the port. After `stop()` it is the same port again, and all data is as before.

        Raises:
            RuntimeError: The sandbox is running already.
            OSError: The port cannot be opened, for example because another server has it.
        """
        await self._in_its_loop(self._server.start())

    async def stop(self) -> None:
        """Close the port, cut the requests in flight, and give up the deliveries under way.

        Stopping a stopped sandbox does nothing. A call that would have ended by itself then lasts until `end_call`, also after
        another `start()`. Inside `with Sandbox()`, `stop()` and `start()` make an outage.
        """
        await self._in_its_loop(self._stop())

    async def _stop(self) -> None:
        try:
            await self._server.stop()
        finally:
            await self._sender.stop()

    async def _in_its_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the server runs."""
        return await (work if self._thread is None else self._thread.wait_for(work))

    def _do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function where the server runs, because it reads or changes what the server uses."""
        if self._thread is None:
            return function(*args, **kwargs)
        return self._thread.call(function, *args, **kwargs)

    @property
    def url(self) -> str:
        """The base URL, for example `http://127.0.0.1:54321/api/v1`.

        Raises:
            RuntimeError: The sandbox has not been started, and was made without a port.
        """
        if not self._server.port:
            raise RuntimeError("the sandbox has no port until it is started")
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host  # IPv6
        return f"http://{host}:{self._server.port}{BASE_PATH}"

    def add_token(self, scopes: Iterable[str], token: str | None = None) -> str:
        """Add a token that opens the account, and return it.

        Args:
            scopes: Scopes of the reference, for example `read:cdrs`.
            token: The token; by default a new one.

        Raises:
            ValueError: The reference has no such scope, or the token cannot stand in a header.
        """
        return self._do(self._state.tokens.add, scopes, token)

    def revoke_token(self, token: str) -> None:
        """Make a token invalid at once.

        Raises:
            ValueError: The token is not valid.
        """
        self._do(self._state.tokens.revoke, token)

    def add_calls(self, calls: Iterable[SandboxCall]) -> None:
        """Add call records; the next request sees them."""
        self._do(self._state.calls.add, calls)

    @property
    def calls(self) -> tuple[SandboxCall, ...]:
        """The call records, in order of insertion."""
        return self._state.calls.rows

    @property
    def hooks(self) -> Mapping[str, Subscription]:
        """The webhook subscriptions by id, disabled ones included."""
        return MappingProxyType(self._state.hooks)

    def deliver(
        self,
        event: EventType,
        payload: Mapping[str, Any] | None = None,
        *,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
    ) -> SandboxEvent:
        """Begin to deliver an event to every enabled subscription for its type, and return the event.

        Args:
            event: One of the five event types of the reference.
            payload: All fields of the event; by default `sample_payload(event)`.
            event_id: Id of the event; by default a new one. The id of an earlier event makes this a delivery of the same event.
            occurred_at: When the event occurred, timezone-aware; by default now.

        Raises:
            ValueError: An argument is not as described, or the payload is not JSON.
            RuntimeError: The sandbox is stopped.
        """
        self._require_running()
        delivered = self._sender.event(event, payload, event_id, occurred_at)
        self._do(self._sender.send, delivered)
        return delivered

    def end_call(self, call_id: str, *, duration: int = 81, **fields: Any) -> SandboxEvent:
        """End a call that `POST /calls` placed: write its call record, begin to deliver `call.ended`, and return the event.

        Args:
            call_id: The `callId` of the response to `POST /calls`.
            duration: Whole seconds that the call has lasted.
            fields: Payload fields by the names of the reference, for example `dispositionCode`, in place of the made-up ones.

        Raises:
            ValueError: There is no such call, or it has ended; `duration` is negative, or too large; or a field is not JSON.
            TypeError: `duration` is not an `int`.
            RuntimeError: The sandbox is stopped.
        """
        self._require_running()
        return self._do(self._calls.end, call_id, duration, fields)

    def _require_running(self) -> None:
        if not self._server.running:
            raise RuntimeError("the sandbox is stopped, so it delivers nothing")

    async def delivered(self) -> None:
        """Wait until nothing is under way: no delivery, no retry to come, and no call that ends by itself."""
        await self._in_its_loop(self._sender.idle())

    def wait_delivered(self, timeout: float | None = 10.0) -> None:
        """Wait as `delivered()` does, from plain code inside `with Sandbox()`.

        Args:
            timeout: The most seconds to wait; `None` for no bound.

        Raises:
            TimeoutError: A delivery, or a call that ends by itself, is still under way.
            RuntimeError: The sandbox does not serve from a thread of its own.
        """
        if self._thread is None:
            raise RuntimeError("wait_delivered is for `with Sandbox()`; in an event loop, await delivered()")
        self._thread.run(self._sender.idle(), timeout)

    def inject(
        self, fault: Fault, endpoint: EndpointName | None = None, times: int | None = 1, skip: int = 0
    ) -> Injection:
        """Schedule a fault for the next requests of an endpoint, and return the entry in the schedule.

        If several faults are due for a request, the first one injected takes the request, and the others wait.

        Args:
            fault: For example `ResetAfter()` or `Status(503)`.
            endpoint: Name of the endpoint; `None` means every endpoint, and unknown paths.
            times: How many requests the fault hits; `None` means every request. The entry's `remaining` counts down from it.
            skip: How many requests of the endpoint pass before. Requests that another fault takes count, too.

        Raises:
            ValueError: There is no such endpoint, `times` is below 1, or `skip` is negative.
        """
        return self._do(self._server.faults.inject, fault, endpoint=endpoint, times=times, skip=skip)

    def clear_faults(self) -> None:
        """Remove every fault that is still to come."""
        self._do(self._server.faults.clear)
