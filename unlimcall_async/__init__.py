"""Asyncio client for the UnlimCall telephony API, version 1."""

from unlimcall_async._version import __version__
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.stream import CdrStream, Progress, StreamStats
from unlimcall_async.client import AsyncClient
from unlimcall_async.errors import (
    AccountNotProvisionedError,
    AgentNotFoundError,
    AgentNotProvisionedError,
    APIError,
    AuthenticationError,
    CheckpointError,
    ClientClosedError,
    ConflictError,
    DialerRequiredError,
    EngineNotConfiguredError,
    InvalidInputError,
    InvalidRequestError,
    InvalidTimestampError,
    NotFoundError,
    OriginateFailedError,
    RateLimitedError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    SuspendedError,
    TransportError,
    UnlimCallError,
    WindowOrderError,
    WindowSaturatedError,
    WindowTooWideError,
)
from unlimcall_async.http.bucket import RateLimit
from unlimcall_async.http.limiter import RateLimits
from unlimcall_async.http.messages import RawResponse
from unlimcall_async.http.retry import RetryPolicy
from unlimcall_async.models import Agent, Balance, CallRecord, CdrPage, Hook, Identity, QueuedCall

__all__ = [
    "APIError",
    "AccountNotProvisionedError",
    "Agent",
    "AgentNotFoundError",
    "AgentNotProvisionedError",
    "AsyncClient",
    "AuthenticationError",
    "Balance",
    "CallRecord",
    "CdrPage",
    "CdrStream",
    "Checkpoint",
    "CheckpointError",
    "ClientClosedError",
    "ConflictError",
    "DialerRequiredError",
    "EngineNotConfiguredError",
    "Hook",
    "Identity",
    "InvalidInputError",
    "InvalidRequestError",
    "InvalidTimestampError",
    "NotFoundError",
    "OriginateFailedError",
    "Progress",
    "QueuedCall",
    "RateLimit",
    "RateLimitedError",
    "RateLimits",
    "RawResponse",
    "RequestTimeoutError",
    "ResponseError",
    "RetryPolicy",
    "ServerError",
    "StreamStats",
    "SuspendedError",
    "TransportError",
    "UnlimCallError",
    "WindowOrderError",
    "WindowSaturatedError",
    "WindowTooWideError",
    "__version__",
]
