"""The API itself: a request goes in, an answer comes out, and the account has changed.  No I/O; time is an argument."""

from datetime import datetime

from unlimcall_async.sandbox.answers import Answer, RefusedError, retry_after
from unlimcall_async.sandbox.handlers import OPERATIONS, Admitted, Operation
from unlimcall_async.sandbox.limits import SlidingWindows
from unlimcall_async.sandbox.routing import Resource, find_resource
from unlimcall_async.sandbox.settings import EndpointName
from unlimcall_async.sandbox.state import ReceivedRequest, State

__all__ = ["Api"]


class Api:
    """What every request passes on its way to an endpoint: path, method, token, scope, rate limit, suspension."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._limits = SlidingWindows()

    def answer(self, request: ReceivedRequest, *, now: float, utc: datetime) -> Answer:
        """Process a request at `now` (seconds of the event loop's clock), which is `utc` by the calendar."""
        try:
            resource, operation = _route(request)
            self._admit(request, resource.endpoint, operation.scope, now, utc)
            return operation.handle(self.state, Admitted(request, resource.id, now, utc))
        except RefusedError as refusal:
            return refusal.answer(self.state.settings.error_shape)

    def _admit(
        self, request: ReceivedRequest, endpoint: EndpointName, scope: str | None, now: float, utc: datetime
    ) -> None:
        token = self._authenticate(request, scope)
        self._limit(token, endpoint, now, utc)
        # The reference names `suspended` under `/me` only; a suspended account is taken to be so for every endpoint.
        if self.state.account.suspended:
            raise RefusedError("suspended", "Account suspended, contact support.")

    def _authenticate(self, request: ReceivedRequest, scope: str | None) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        granted = self.state.tokens.scopes(token)
        if scheme.lower() != "bearer" or granted is None:
            raise RefusedError("unauthorized", "Token invalid, expired, or revoked.")
        # Not 403: "Token invalid or missing required scope" is one code in the reference.
        if scope is not None and scope not in granted:
            raise RefusedError("unauthorized", f"The token is missing the scope {scope}.")
        return token

    def _limit(self, token: str, endpoint: EndpointName, now: float, utc: datetime) -> None:
        settings = self.state.settings
        per_minute = (settings.rate_limits or {}).get(endpoint)
        if per_minute is None:
            return
        wait = self._limits.admit((token, endpoint), limit=per_minute, span=settings.minute, now=now)
        if wait is not None:
            header = retry_after(settings.retry_after, wait=wait, now=utc.timestamp())
            raise RefusedError("rate_limited", f"At most {per_minute} requests per minute.", header)


def _route(request: ReceivedRequest) -> tuple[Resource, Operation]:
    resource = find_resource(request.path)
    if resource is None:
        raise RefusedError("not_found", "There is nothing at this path.")
    operations = OPERATIONS[resource.template]
    if request.method not in operations:
        allow = {"Allow": ", ".join(operations)}
        raise RefusedError("method_not_allowed", "This path has no such method.", allow)
    return resource, operations[request.method]
