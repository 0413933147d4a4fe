"""The public names, which the package shows as its own when the first of them is used."""

from unlimcall_async._from_plain import from_dict as from_dict
from unlimcall_async._plain import to_dict as to_dict
from unlimcall_async._plain import to_json as to_json
from unlimcall_async.cdrs.changes import CdrChange as CdrChange
from unlimcall_async.cdrs.changes import CdrKey as CdrKey
from unlimcall_async.cdrs.checkpoint import Checkpoint as Checkpoint
from unlimcall_async.cdrs.checkpoint_file import CheckpointFile as CheckpointFile
from unlimcall_async.cdrs.checkpoint_journal import CheckpointJournal as CheckpointJournal
from unlimcall_async.cdrs.checkpoint_journal import JournalEntry as JournalEntry
from unlimcall_async.cdrs.follow import CdrFollow as CdrFollow
from unlimcall_async.cdrs.stats import FollowStats as FollowStats
from unlimcall_async.cdrs.stats import Progress as Progress
from unlimcall_async.cdrs.stats import StreamStats as StreamStats
from unlimcall_async.cdrs.stream import CdrStream as CdrStream
from unlimcall_async.client import AsyncClient as AsyncClient
from unlimcall_async.errors import (
    AccountNotProvisionedError as AccountNotProvisionedError,
)
from unlimcall_async.errors import (
    AgentNotFoundError as AgentNotFoundError,
)
from unlimcall_async.errors import (
    AgentNotProvisionedError as AgentNotProvisionedError,
)
from unlimcall_async.errors import (
    APIError as APIError,
)
from unlimcall_async.errors import (
    AuthenticationError as AuthenticationError,
)
from unlimcall_async.errors import (
    CheckpointError as CheckpointError,
)
from unlimcall_async.errors import (
    ClientClosedError as ClientClosedError,
)
from unlimcall_async.errors import (
    ConflictError as ConflictError,
)
from unlimcall_async.errors import (
    DialerRequiredError as DialerRequiredError,
)
from unlimcall_async.errors import (
    EngineNotConfiguredError as EngineNotConfiguredError,
)
from unlimcall_async.errors import (
    EventError as EventError,
)
from unlimcall_async.errors import (
    InvalidInputError as InvalidInputError,
)
from unlimcall_async.errors import (
    InvalidRequestError as InvalidRequestError,
)
from unlimcall_async.errors import (
    InvalidTimestampError as InvalidTimestampError,
)
from unlimcall_async.errors import (
    NotFoundError as NotFoundError,
)
from unlimcall_async.errors import (
    OriginateFailedError as OriginateFailedError,
)
from unlimcall_async.errors import (
    RateLimitedError as RateLimitedError,
)
from unlimcall_async.errors import (
    RequestTimeoutError as RequestTimeoutError,
)
from unlimcall_async.errors import (
    ResponseError as ResponseError,
)
from unlimcall_async.errors import (
    ServerError as ServerError,
)
from unlimcall_async.errors import (
    SignatureError as SignatureError,
)
from unlimcall_async.errors import (
    SuspendedError as SuspendedError,
)
from unlimcall_async.errors import (
    TransportError as TransportError,
)
from unlimcall_async.errors import (
    UnlimCallError as UnlimCallError,
)
from unlimcall_async.errors import (
    WindowOrderError as WindowOrderError,
)
from unlimcall_async.errors import (
    WindowSaturatedError as WindowSaturatedError,
)
from unlimcall_async.errors import (
    WindowTooWideError as WindowTooWideError,
)
from unlimcall_async.http.messages import RawResponse as RawResponse
from unlimcall_async.http.observer import Observation as Observation
from unlimcall_async.http.observer import Observer as Observer
from unlimcall_async.http.rate_limits import LimitState as LimitState
from unlimcall_async.http.rate_limits import RateLimit as RateLimit
from unlimcall_async.http.rate_limits import RateLimits as RateLimits
from unlimcall_async.http.raw import Raw as Raw
from unlimcall_async.http.retry import RetryPolicy as RetryPolicy
from unlimcall_async.models import (
    Agent as Agent,
)
from unlimcall_async.models import (
    Balance as Balance,
)
from unlimcall_async.models import (
    CallRecord as CallRecord,
)
from unlimcall_async.models import (
    CdrPage as CdrPage,
)
from unlimcall_async.models import (
    Disposition as Disposition,
)
from unlimcall_async.models import (
    EventType as EventType,
)
from unlimcall_async.models import (
    Hook as Hook,
)
from unlimcall_async.models import (
    Identity as Identity,
)
from unlimcall_async.models import (
    QueuedCall as QueuedCall,
)
from unlimcall_async.models import (
    UnreadableRow as UnreadableRow,
)
from unlimcall_async.tracking import track as track
