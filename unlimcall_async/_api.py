"""The public names, which the package shows as its own when the first of them is used."""

from unlimcall_async._plain import from_dict, to_dict, to_json
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.checkpoint_file import CheckpointFile
from unlimcall_async.cdrs.checkpoint_journal import CheckpointJournal, JournalEntry
from unlimcall_async.cdrs.follow import CdrFollow
from unlimcall_async.cdrs.stats import FollowStats, Progress, StreamStats
from unlimcall_async.cdrs.stream import CdrStream
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
    EventError,
    InvalidInputError,
    InvalidRequestError,
    InvalidTimestampError,
    NotFoundError,
    OriginateFailedError,
    RateLimitedError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    SignatureError,
    SuspendedError,
    TransportError,
    UnlimCallError,
    WindowOrderError,
    WindowSaturatedError,
    WindowTooWideError,
)
from unlimcall_async.http.bucket import RateLimit
from unlimcall_async.http.limiter import LimitState, RateLimits
from unlimcall_async.http.messages import RawResponse
from unlimcall_async.http.observer import Observation, Observer
from unlimcall_async.http.raw import Raw
from unlimcall_async.http.retry import RetryPolicy
from unlimcall_async.models import (
    Agent,
    Balance,
    CallRecord,
    CdrPage,
    Disposition,
    EventType,
    Hook,
    Identity,
    QueuedCall,
    UnreadableRow,
)
from unlimcall_async.tracking import track

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
    "CdrFollow",
    "CdrPage",
    "CdrStream",
    "Checkpoint",
    "CheckpointError",
    "CheckpointFile",
    "CheckpointJournal",
    "ClientClosedError",
    "ConflictError",
    "DialerRequiredError",
    "Disposition",
    "EngineNotConfiguredError",
    "EventError",
    "EventType",
    "FollowStats",
    "Hook",
    "Identity",
    "InvalidInputError",
    "InvalidRequestError",
    "InvalidTimestampError",
    "JournalEntry",
    "LimitState",
    "NotFoundError",
    "Observation",
    "Observer",
    "OriginateFailedError",
    "Progress",
    "QueuedCall",
    "RateLimit",
    "RateLimitedError",
    "RateLimits",
    "Raw",
    "RawResponse",
    "RequestTimeoutError",
    "ResponseError",
    "RetryPolicy",
    "ServerError",
    "SignatureError",
    "StreamStats",
    "SuspendedError",
    "TransportError",
    "UnlimCallError",
    "UnreadableRow",
    "WindowOrderError",
    "WindowSaturatedError",
    "WindowTooWideError",
    "from_dict",
    "to_dict",
    "to_json",
    "track",
]
