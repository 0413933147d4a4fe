"""The settings of a sandbox: what the API reference leaves open, limits, speed, and where webhooks go.

Pure: no I/O. The reference does not say how `/cdrs` is sorted, whether its bounds are inclusive, or what `count` counts. It does
not show the body of an error, or the numbers behind "per-endpoint rate limits".

Of webhooks the reference documents the five events and the signature. It says which responses are retried, that the backoff lasts
up to 24 hours, and that an endpoint ends after 10 failures. It does not say what surrounds an event's payload, how long the first
delay and the timeout are, or whether a retry is signed anew.

Each of these gaps is a setting, so that a client can be tested against every behaviour that the real service may have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from math import inf
from types import MappingProxyType
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from attrs import Attribute, define, field, frozen
from attrs.validators import optional
from yarl import URL

from unlimcall_async.sandbox.checks import instance, number, one_of, whole

EndpointName = Literal["me", "balance", "cdrs", "agents", "calls", "hooks"]
Order = Literal["newest_first", "oldest_first", "insertion", "arbitrary"]
Resolution = Literal["ms", "s"]
Count = Literal["rows", "matches"]
ErrorShape = Literal["flat", "nested", "code_message", "text", "html"]
RetryAfter = Literal["seconds", "date"]

TypeKey = Literal["event", "type"]
IdKey = Literal["eventId", "id"]
PayloadKey = Literal["data", "payload"]
TimeKey = Literal["timestamp", "occurredAt", "createdAt"]
TimeFormat = Literal["iso", "unix"]
Clock = Literal["accelerated", "real"]

_CONTROL_OR_SPACE: Final = re.compile(r"[\x00-\x20\x7f]")

_SHARE: Final = number(at_least=0, at_most=1)
_SECONDS: Final = number(at_least=0, below=inf)


def check_endpoint(name: object) -> None:
    """Raise `ValueError` unless `name` is one of the names by which limits and faults address an endpoint."""
    if name not in get_args(EndpointName):
        raise ValueError(f"endpoint must be one of {', '.join(get_args(EndpointName))}")


def is_target(url: str) -> bool:
    """Return whether a subscription may name this URL: https, at most 512 characters (reference, `POST /hooks`)."""
    # `urlsplit` silently drops some control characters, so they are looked for first.
    if len(url) > 512 or _CONTROL_OR_SPACE.search(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname)


def routes(deliver_to: Mapping[str, str]) -> Mapping[str, str]:
    """Check a map from subscribed targets to receivers on this machine, and return a read-only copy."""
    if not isinstance(deliver_to, Mapping):
        raise TypeError(f"deliver_to must map https URLs to URLs of this machine, not {type(deliver_to).__name__}")
    # By its number, because a URL may hold credentials.
    for place, (target, local) in enumerate(deliver_to.items(), 1):
        if not is_target(target):
            raise ValueError(f"deliver_to: target {place} must be an https URL of at most 512 characters")
        if not _is_local(local):
            raise ValueError(f"deliver_to: receiver {place} must be an http URL on this machine, by a loopback address")
    return MappingProxyType(dict(deliver_to))


def _is_local(url: str) -> bool:
    """Return whether an http URL leads to this machine."""
    try:
        # yarl is the parser of the client that will send to the URL. Another parser may find another host in the same text.
        parts = URL(url)
        if parts.scheme != "http" or parts.host is None:
            return False
        return parts.host == "localhost" or ip_address(parts.host).is_loopback
    except (ValueError, IndexError):  # yarl raises an IndexError for `http://[]@`
        return False


def _check_limits(_: object, __: Attribute[Any], limits: Mapping[EndpointName, int] | None) -> None:
    if limits is not None and not isinstance(limits, Mapping):
        raise TypeError(f"rate_limits must map names of endpoints to requests per minute, not {type(limits).__name__}")
    for name, per_minute in (limits or {}).items():
        check_endpoint(name)
        if not isinstance(per_minute, int):
            raise TypeError(f"rate_limits[{name!r}] must be an int, not {type(per_minute).__name__}")
        if per_minute < 1:
            raise ValueError(f"rate_limits[{name!r}] must be at least 1 request per minute")


@frozen(kw_only=True)
class Envelope:
    """The names under which a delivery's body holds the fields that every event has.

    Attributes:
        type: Name of the event's type.
        id: Name of the event's id. `None` leaves the id out.
        payload: Name of the object that holds the payload's fields. `None` puts them beside the other names.
        time: Name of the time at which the event occurred. `None` leaves the time out.
        time_format: "iso" writes times as the API does, "unix" as whole seconds since 1970.
    """

    type: TypeKey = field(default="event", validator=one_of(*get_args(TypeKey)))
    id: IdKey | None = field(default="eventId", validator=one_of(*get_args(IdKey), None))
    payload: PayloadKey | None = field(default=None, validator=one_of(*get_args(PayloadKey), None))
    time: TimeKey | None = field(default="timestamp", validator=one_of(*get_args(TimeKey), None))
    time_format: TimeFormat = field(default="iso", validator=one_of(*get_args(TimeFormat)))


@define(kw_only=True)
class WebhookSettings:
    """How calls end and how events are delivered.

    Every setting may be changed while the sandbox runs. A wait that has begun is not changed.

    Calls last, and retries wait, on an accelerated clock that runs at `speed`. The clock runs for each call and each delivery on
    its own, and stands still while a receiver's response is awaited. So at any speed there are the same attempts, at the same ages.

    Attributes:
        call_seconds: Seconds of the accelerated clock that a call placed by `POST /calls` lasts. With 0 its `call.ended` may
            overtake the response. With `None` the call lasts until `Sandbox.end_call`.
        speed: Seconds of the accelerated clock in one real second. `math.inf` leaves all waits out.
        first_delay: Seconds of the accelerated clock from the first failed attempt to the next. Each further delay is twice
            the one before, and no attempt is made later than 24 hours after the first.
        timeout: Real seconds that a receiver has to respond.
        resign: `True` signs each attempt anew. With `False` all attempts carry the signature time of the first.
        clock: The clock by which a signature ages that is kept for retries. "accelerated" moves its `t` back by the time that
            was left out: a receiver on the real clock then sees a retry after 20 hours with a signature that is 20 hours
            old. "real" keeps the header the same, byte for byte, and as young as it really is.
        twins: Share of the deliveries, 0 to 1, that are sent twice at the same time.
        repeats: Share of the deliveries, 0 to 1, that are sent once more after they were delivered.
        disorder: The most seconds of the accelerated clock that a delivery waits before its first attempt.
        seed: Chooses the deliveries that are sent twice or repeated, and the waits before first attempts.
        envelope: Shape of the bodies.
    """

    call_seconds: float | None = field(default=None, validator=optional(_SECONDS))
    speed: float = field(default=1.0, validator=number(above=0))
    first_delay: float = field(default=60.0, validator=number(at_least=1))
    timeout: float = field(default=10.0, validator=number(above=0, below=inf))
    resign: bool = field(default=True, validator=instance(bool))
    clock: Clock = field(default="accelerated", validator=one_of(*get_args(Clock)))
    twins: float = field(default=0.0, validator=_SHARE)
    repeats: float = field(default=0.0, validator=_SHARE)
    disorder: float = field(default=0.0, validator=_SECONDS)
    seed: int = field(default=0, validator=instance(int))
    envelope: Envelope = field(factory=Envelope, validator=instance(Envelope))


@define(kw_only=True)
class Settings:
    """How the server behaves. Every setting may be changed while the server runs.

    Attributes:
        order: Order of the rows of `/cdrs`. "insertion" is the order in which they were added. "arbitrary" is a fixed
            pseudo-random order that does not depend on the window.
        from_inclusive: Whether a row that starts exactly at `from` is in the window.
        till_inclusive: Whether a row that starts exactly at `till` is in the window.
        resolution: The step to which bounds and start times are rounded down before they are compared: "ms" or "s".
        count: What `count` in a response of `/cdrs` counts: the rows of the page, or all matches in the window.
        cap: The most rows that a page holds, whatever `limit` asks for.
        rate_limits: Requests per minute by endpoint name. An endpoint that is not named has no limit.
        minute: Seconds that one minute of `rate_limits` lasts, for tests that cannot wait for a real one.
        retry_after: Form of the `Retry-After` header of a 429. `None` leaves the header out.
        latency: Seconds between processing a request and sending the response.
        error_shape: Shape of every error body.
        deliver_to: For each https URL that is subscribed, the http URL on this machine that receives its deliveries. Nothing
            is ever sent to another machine: a delivery without a receiver here is logged with the error "no route".
        webhooks: How calls end and how events are delivered.
        keep: How many entries `Sandbox.requests`, `Sandbox.originated` and `Sandbox.deliveries` each keep: the newest ones.
        keep_bytes: How many bytes the entries of each of the three may hold together: bodies, headers, queries and metadata. The
            newest entry is kept in any case.
    """

    order: Order = field(default="newest_first", validator=one_of(*get_args(Order)))
    from_inclusive: bool = field(default=True, validator=instance(bool))
    till_inclusive: bool = field(default=False, validator=instance(bool))
    resolution: Resolution = field(default="ms", validator=one_of(*get_args(Resolution)))
    count: Count = field(default="rows", validator=one_of(*get_args(Count)))
    cap: int = field(default=1000, validator=whole(at_least=1))
    rate_limits: Mapping[EndpointName, int] | None = field(default=None, validator=_check_limits)
    minute: float = field(default=60.0, validator=number(above=0))
    retry_after: RetryAfter | None = field(default="seconds", validator=one_of(*get_args(RetryAfter), None))
    latency: float = field(default=0.0, validator=number(at_least=0))
    error_shape: ErrorShape = field(default="flat", validator=one_of(*get_args(ErrorShape)))
    deliver_to: Mapping[str, str] = field(factory=dict, converter=routes)
    webhooks: WebhookSettings = field(factory=WebhookSettings, validator=instance(WebhookSettings))
    keep: int = field(default=10_000, validator=whole(at_least=1))
    keep_bytes: int = field(default=64 << 20, validator=whole(at_least=0))
