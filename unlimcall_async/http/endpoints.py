"""The seven endpoints of the API, as a table (reference: Endpoints).

Pure: no I/O.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from attrs import frozen

BucketName: TypeAlias = Literal["me", "balance", "cdrs", "agents", "calls", "hooks"]


@frozen
class Endpoint:
    """One endpoint.

    Attributes:
        method: The HTTP method.
        path: The path below the base URL; `{id}` stands for one segment, `(other)` for a path that is not in the table.
        scope: The scope that the token needs, or `None` if any valid token will do.
        repeatable: Whether two equal requests have the effect of one.
        bucket: The rate limit that a request draws on, or `None`.
        success: The statuses that say that the request is done. A path that is not in the reference has `None`, for any 2xx.
    """

    method: str
    path: str
    scope: str | None
    repeatable: bool
    bucket: BucketName | None
    success: frozenset[int] | None = None


# With this path every base URL of the API ends (reference: Endpoints).
BASE_PATH: Final = "/api/v1"

_READ: Final = frozenset({200})
_CREATED: Final = frozenset({200, 201})
_REMOVED: Final = frozenset({204})

ME: Final = Endpoint("GET", "/me", None, repeatable=True, bucket="me", success=_READ)
BALANCE: Final = Endpoint("GET", "/balance", "read:balance", repeatable=True, bucket="balance", success=_READ)
CDRS: Final = Endpoint("GET", "/cdrs", "read:cdrs", repeatable=True, bucket="cdrs", success=_READ)
AGENTS: Final = Endpoint("GET", "/agents", "read:agents", repeatable=True, bucket="agents", success=_READ)
# The API takes no idempotency key: a second POST is a second phone call, or a second subscription.
CREATE_CALL: Final = Endpoint("POST", "/calls", "write:calls", repeatable=False, bucket="calls", success=_CREATED)
CREATE_HOOK: Final = Endpoint("POST", "/hooks", "write:hooks", repeatable=False, bucket="hooks", success=_CREATED)
DELETE_HOOK: Final = Endpoint("DELETE", "/hooks/{id}", "write:hooks", repeatable=True, bucket="hooks", success=_REMOVED)

ENDPOINTS: Final = (ME, BALANCE, CDRS, AGENTS, CREATE_CALL, CREATE_HOOK, DELETE_HOOK)

# RFC 9110, 9.2.2. Of a path that the reference does not describe, HTTP's own promise is all that is known.
_IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


def endpoint_at(method: str, path: str) -> Endpoint:
    """Return the endpoint of any method and path: a row of the table, or else one made from what HTTP says of the method.

    A method that the table does not list for a path still draws on the rate limit of that path.
    """
    # Unquoted, because `/%63alls` reaches the same handler as `/calls`: no spelling makes a call repeatable.
    segments = unquote(path).strip("/").split("/")
    pattern = DELETE_HOOK.path if segments[0] == "hooks" and len(segments) == 2 else "/" + "/".join(segments)
    at_path = [endpoint for endpoint in ENDPOINTS if endpoint.path == pattern]
    for endpoint in at_path:
        if endpoint.method == method:
            return endpoint
    repeatable = method in _IDEMPOTENT_METHODS
    if at_path:
        return Endpoint(method, pattern, None, repeatable, at_path[0].bucket)
    # Not the path itself, which logs would show: it may hold a phone number.
    return Endpoint(method, "(other)", None, repeatable, None)
