"""The sandbox as a user holds it: a façade over the account, the server and the fault schedule."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import Self

from unlimcall_async.sandbox.account import DEFAULT_AGENTS, DEFAULT_TOKEN, SCOPES, Account, SandboxAgent
from unlimcall_async.sandbox.api import Api
from unlimcall_async.sandbox.calls import SandboxCall
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

__all__ = ["Sandbox"]


class Sandbox:
    """The UnlimCall API on loopback: a real HTTP server that behaves as the API reference says.

    `async with Sandbox() as sandbox:` starts and stops it.  What the account is and how the server behaves are
    arguments here and stay changeable, as `sandbox.account` and `sandbox.settings`; `Account` and `Settings` describe
    each.

    Attributes:
        account: The customer's data and states.
        settings: What the reference leaves open, limits, latency.
        token: A token with every scope.
        requests: Everything that reached the server, in order of receipt.
        originated: Every call that `POST /calls` placed.
    """

    account: Account
    settings: Settings
    token: str
    requests: list[ReceivedRequest]
    originated: list[OriginatedCall]

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
        )
        self._state = State(self.account, self.settings)
        self._server = Server(Api(self._state), host=host, port=port)
        self.token = self.add_token(SCOPES, token or DEFAULT_TOKEN)
        self.requests = self._server.requests
        self.originated = self._state.originated

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
        """Close the port and cut the requests in flight; stopping twice is fine."""
        await self._server.stop()

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
