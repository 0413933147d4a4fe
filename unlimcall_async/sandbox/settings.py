"""What the sandbox may be told about itself: the API's open points, its limits and its speed.  No I/O.

The reference is silent on the order of `/cdrs`, on whether its bounds are inclusive, on what `count` counts, on the
shape of an error body and on the numbers behind "per-endpoint rate limits".  Each silence is a setting here, so that a
client can be shown to work whichever way the real service turns out.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from attrs import Attribute, define, field
from attrs.validators import ge, gt, in_, instance_of

from unlimcall_async.sandbox.targets import routes
from unlimcall_async.sandbox.webhook_settings import WebhookSettings

__all__ = ["Count", "EndpointName", "ErrorShape", "Order", "Resolution", "RetryAfter", "Settings", "check_endpoint"]

EndpointName = Literal["me", "balance", "cdrs", "agents", "calls", "hooks"]
Order = Literal["newest_first", "oldest_first", "insertion", "arbitrary"]
Resolution = Literal["ms", "s"]
Count = Literal["rows", "matches"]
ErrorShape = Literal["flat", "nested", "code_message", "text", "html"]
RetryAfter = Literal["seconds", "date"]


def check_endpoint(name: str) -> None:
    """Raise `ValueError` unless `name` is one of the names by which limits and faults address an endpoint."""
    if name not in get_args(EndpointName):
        raise ValueError(f"endpoint must be one of {', '.join(get_args(EndpointName))}, not {name!r}")


def _check_limits(_: object, __: "Attribute[Any]", limits: Mapping[EndpointName, int] | None) -> None:
    for name, per_minute in (limits or {}).items():
        check_endpoint(name)
        if per_minute < 1:
            raise ValueError(f"rate_limits[{name!r}] must be at least 1 request per minute")


@define(kw_only=True)
class Settings:
    """How the server behaves, changeable while it runs.

    Attributes:
        order: Order of the rows of `/cdrs`.  "insertion" is the order in which they were added, "arbitrary" a fixed
            pseudo-random one that does not depend on the window.
        from_inclusive: Whether a row that starts exactly at `from` is in the window.
        till_inclusive: Whether a row that starts exactly at `till` is in the window.
        resolution: What bounds and start times are floored to before they are compared.
        count: What `count` in the answer of `/cdrs` counts: the rows in the page, or all matches of the window.
        cap: The most rows that a page holds, whatever `limit` asks for.
        rate_limits: Requests per minute by endpoint name; an endpoint that is not named has no limit.
        minute: Seconds that one minute of `rate_limits` lasts, for tests that cannot wait for a real one.
        retry_after: Form of the `Retry-After` header of a 429; `None` leaves it out.
        latency: Seconds between processing a request and answering it.
        error_shape: Shape of every error body.
        deliver_to: For https URLs that are subscribed, an http URL on this machine that gets what is sent to them.
            Nothing is ever sent elsewhere: what has no receiver here is logged with the error "no route".
        webhooks: How calls end and how events are delivered.
    """

    order: Order = field(validator=in_(get_args(Order)))
    from_inclusive: bool = field(validator=instance_of(bool))
    till_inclusive: bool = field(validator=instance_of(bool))
    resolution: Resolution = field(validator=in_(get_args(Resolution)))
    count: Count = field(validator=in_(get_args(Count)))
    cap: int = field(validator=ge(1))
    rate_limits: Mapping[EndpointName, int] | None = field(validator=_check_limits)
    minute: float = field(validator=gt(0))
    retry_after: RetryAfter | None = field(validator=in_((*get_args(RetryAfter), None)))
    latency: float = field(validator=ge(0))
    error_shape: ErrorShape = field(validator=in_(get_args(ErrorShape)))
    deliver_to: Mapping[str, str] = field(converter=routes)
    webhooks: WebhookSettings = field(validator=instance_of(WebhookSettings))
