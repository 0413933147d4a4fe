"""Asyncio client for the UnlimCall telephony API, version 1."""

from typing import TYPE_CHECKING, Any

from unlimcall_async._version import __version__

if TYPE_CHECKING:
    from unlimcall_async._api import *  # noqa: F403 # all of them
else:

    def __getattr__(name: str) -> Any:
        # The public names take a third of a second to import. A program that imports only a part of the package, as the command
        # does for `--version`, does not wait for them.
        if not name.startswith("_"):
            _import_names()
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        _import_names()
        return sorted(globals())

    def _import_names() -> None:
        from unlimcall_async import _api  # noqa: PLC0415 # see above

        # Some are missing while the module itself is being imported.
        globals().update({name: value for name, value in vars(_api).items() if name in __all__})


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
