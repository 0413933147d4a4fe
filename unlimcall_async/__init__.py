"""Asyncio client for the UnlimCall telephony API, version 1."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unlimcall_async._version import __version__

if TYPE_CHECKING:
    from unlimcall_async._api import *  # noqa: F403 # all of them
else:
    # A name is imported at its first use, with the modules that it needs and no others. All names but these are errors.
    _MODULES = {
        "_from_plain": "from_dict",
        "_plain": "to_dict to_json",
        "cdrs.changes": "CdrChange CdrKey",
        "cdrs.checkpoint": "Checkpoint",
        "cdrs.checkpoint_file": "CheckpointFile",
        "cdrs.checkpoint_journal": "CheckpointJournal JournalEntry",
        "cdrs.follow": "CdrFollow",
        "cdrs.stats": "FollowStats Progress StreamStats",
        "cdrs.stream": "CdrStream",
        "client": "AsyncClient",
        "http.messages": "RawResponse",
        "http.observer": "Observation Observer",
        "http.rate_limits": "LimitState RateLimit RateLimits",
        "http.raw": "Raw",
        "http.retry": "RetryPolicy",
        "models": "Agent Balance CallRecord CdrPage Disposition EventType Hook Identity QueuedCall UnreadableRow",
        "tracking": "track",
    }
    _HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        if name in __all__:
            home = import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
            globals()[name] = getattr(home, name)
        elif not name.startswith("_"):
            _import_module(f"{__name__}.{name}")
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def _import_module(name: str) -> None:
        # For example `unlimcall_async.errors`, of which a program may only have imported the package.
        try:
            import_module(name)
        except ImportError as error:
            if error.name != name:  # for example an extra is missing, as the error says
                raise AttributeError(str(error)) from error

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


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
    "CdrChange",
    "CdrFollow",
    "CdrKey",
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
    "__version__",
    "from_dict",
    "to_dict",
    "to_json",
    "track",
]
