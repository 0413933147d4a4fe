"""From a request to its response: path, method, token, scope, rate limit, suspension, and then the endpoint.

No I/O; time is an argument.

The operations guide names limits "per minute" and does not say how requests are counted. They are counted over a sliding window,
the strictest reading: no span of one minute lets more requests through than the limit.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime
from typing import Final, get_args
from urllib.parse import unquote

from attrs import frozen

from unlimcall_async.sandbox.endpoints import OPERATIONS, Admitted
from unlimcall_async.sandbox.responses import RefusedError, Response, retry_after_header
from unlimcall_async.sandbox.settings import EndpointName
from unlimcall_async.sandbox.state import ReceivedRequest, State

BASE_PATH: Final = "/api/v1"


@frozen
class Resource:
    """The endpoint of a path: its name, its template, and the id in the path if the template has one."""

    endpoint: EndpointName
    template: str
    id: str = ""


# An endpoint is named after its path; `/hooks` and `/hooks/{id}` share a name.
_FIXED: Final = {f"{BASE_PATH}/{name}": Resource(name, f"/{name}") for name in get_args(EndpointName)}
_HOOKS: Final = f"{BASE_PATH}/hooks/"


def find_resource(path: str) -> Resource | None:
    """Return the endpoint of a path as the client sent it, or `None` for an unknown path.

    Nothing is normalised: a path with a doubled slash, a trailing slash or `..` is unknown. So a client that builds such a path
    gets a 404.
    """
    tail = path.removeprefix(_HOOKS)
    if tail not in {path, ""} and "/" not in tail:
        return Resource("hooks", "/hooks/{id}", unquote(tail))
    return _FIXED.get(path)


def authenticate(state: State, request: ReceivedRequest) -> tuple[str, frozenset[str]]:
    """Return the token of a request and its scopes.

    Raises:
        RefusedError: The request has no valid token.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    scopes = state.tokens.scopes(token)
    if scheme.lower() != "bearer" or scopes is None:
        raise RefusedError("unauthorized", "Token invalid, expired, or revoked.")
    return token, scopes


class SlidingWindows:
    """The times of the requests let through, for each key (a token and an endpoint)."""

    def __init__(self) -> None:
        self._granted: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def admit(self, key: tuple[str, str], *, limit: int, span: float, now: float) -> float | None:
        """Count a request at `now` and return `None`, or refuse it and return the seconds until a request would be let through.

        A request that is refused does not count.
        """
        granted = self._granted[key]
        while granted and granted[0] <= now - span:
            granted.popleft()
        if len(granted) < limit:
            granted.append(now)
            return None
        # The limit may have been lowered meanwhile. There is room only when all but `limit - 1` requests have left the window.
        return granted[len(granted) - limit] + span - now


class Api:
    """The API of one account."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._limits = SlidingWindows()

    def respond(self, request: ReceivedRequest, *, now: float, utc: datetime) -> Response:
        """Process a request at `now`, seconds of the event loop's clock, and at the same moment `utc` of the calendar."""
        try:
            return self._process(request, now, utc)
        except RefusedError as refusal:
            return refusal.response(self.state.settings.error_shape)

    def _process(self, request: ReceivedRequest, now: float, utc: datetime) -> Response:
        settings = self.state.settings
        resource = find_resource(request.path)
        if resource is None:
            raise RefusedError("not_found", "There is nothing at this path.")
        operations = OPERATIONS[resource.template]
        if request.method not in operations:
            allow = {"Allow": ", ".join(operations)}
            raise RefusedError("method_not_allowed", "This path has no such method.", allow)
        operation = operations[request.method]

        token, scopes = authenticate(self.state, request)
        # Not 403: "Token invalid or missing required scope" is one code in the reference.
        if operation.scope is not None and operation.scope not in scopes:
            raise RefusedError("unauthorized", f"The token is missing the scope {operation.scope}.")

        per_minute = (settings.rate_limits or {}).get(resource.endpoint)
        if per_minute is not None:
            wait = self._limits.admit((token, resource.endpoint), limit=per_minute, span=settings.minute, now=now)
            if wait is not None:
                header = retry_after_header(settings.retry_after, wait=wait, now=utc.timestamp())
                raise RefusedError("rate_limited", f"At most {per_minute} requests per minute.", header)

        # The reference names `suspended` under `/me` only. A suspended account is taken to be so for every endpoint.
        if self.state.account.suspended:
            raise RefusedError("suspended", "Account suspended, contact support.")
        return operation.handle(self.state, Admitted(request, resource.id, now, utc))
