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
        scope: The scope that the token needs, or `None` where any valid token will do.
        repeatable: Whether sending it twice has the effect of sending it once.
        bucket: The rate limit that it draws on, or `None`.
    """

    method: str
    path: str
    scope: str | None
    repeatable: bool
    bucket: BucketName | None


ME: Final = Endpoint("GET", "/me", None, repeatable=True, bucket="me")
BALANCE: Final = Endpoint("GET", "/balance", "read:balance", repeatable=True, bucket="balance")
CDRS: Final = Endpoint("GET", "/cdrs", "read:cdrs", repeatable=True, bucket="cdrs")
AGENTS: Final = Endpoint("GET", "/agents", "read:agents", repeatable=True, bucket="agents")
# The API takes no idempotency key: a second POST is a second phone call, or a second subscription.
CREATE_CALL: Final = Endpoint("POST", "/calls", "write:calls", repeatable=False, bucket="calls")
CREATE_HOOK: Final = Endpoint("POST", "/hooks", "write:hooks", repeatable=False, bucket="hooks")
DELETE_HOOK: Final = Endpoint("DELETE", "/hooks/{id}", "write:hooks", repeatable=True, bucket="hooks")

ENDPOINTS: Final = (ME, BALANCE, CDRS, AGENTS, CREATE_CALL, CREATE_HOOK, DELETE_HOOK)

# Of a path that the reference does not describe, only HTTP's own promise is known (RFC 9110, 9.2.2).
_IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


def endpoint_at(method: str, path: str) -> Endpoint:
    """Describe any method and path: as the table does, or else by what HTTP says of the method.

    A method that the table does not have still draws on the rate limit of its path.
    """
    pattern = _pattern_of(path)
    at_path = [endpoint for endpoint in ENDPOINTS if endpoint.path == pattern]
    for endpoint in at_path:
        if endpoint.method == method:
            return endpoint
    bucket = at_path[0].bucket if at_path else None
    return Endpoint(method, pattern if at_path else "(other)", None, method in _IDEMPOTENT_METHODS, bucket)


def _pattern_of(path: str) -> str:
    segments = unquote(path).strip("/").split("/")
    if segments[0] == "hooks" and len(segments) == 2:
        return DELETE_HOOK.path
    return "/" + "/".join(segments)
