"""What the sandbox may be told about webhooks: when calls end, and what the reference leaves open.  No I/O.

The reference documents the five events, the signature, which answers are retried, a backoff of up to 24 hours and the
end of an endpoint after 10 failures.  It is silent on the envelope around an event's payload, on the first delay, on the
time-out and on whether a retry is signed anew.  Each silence is a setting here.
"""

from math import inf
from typing import Literal, get_args

from attrs import define, field, frozen
from attrs.validators import ge, gt, in_, instance_of, le, lt, optional

__all__ = ["Clock", "Envelope", "IdKey", "PayloadKey", "TimeFormat", "TimeKey", "TypeKey", "WebhookSettings"]

TypeKey = Literal["event", "type"]
IdKey = Literal["eventId", "id"]
PayloadKey = Literal["data", "payload"]
TimeKey = Literal["timestamp", "occurredAt", "createdAt"]
TimeFormat = Literal["iso", "unix"]
Clock = Literal["accelerated", "real"]


@frozen(kw_only=True)
class Envelope:
    """The names under which a delivery's body holds what every event has.

    Attributes:
        type: Name of the event's type.
        id: Name of the event's id; `None` leaves it out.
        payload: Name under which the payload's fields stand together; `None` puts them beside the others.
        time: Name of the time at which the event occurred; `None` leaves it out.
        time_format: "iso" is as the API writes times, "unix" whole seconds since 1970.
    """

    type: TypeKey = field(default="event", validator=in_(get_args(TypeKey)))
    id: IdKey | None = field(default="eventId", validator=in_((*get_args(IdKey), None)))
    payload: PayloadKey | None = field(default=None, validator=in_((*get_args(PayloadKey), None)))
    time: TimeKey | None = field(default="timestamp", validator=in_((*get_args(TimeKey), None)))
    time_format: TimeFormat = field(default="iso", validator=in_(get_args(TimeFormat)))


_SHARE = [ge(0.0), le(1.0)]
_SECONDS = [ge(0.0), lt(inf)]


@define(kw_only=True)
class WebhookSettings:
    """How calls end and how events are delivered, changeable while the sandbox runs; a wait that has begun is kept.

    The accelerated clock is the one on which calls last and retries wait.  It runs at `speed`, for each call and each
    delivery on its own, and stands still while an answer is awaited: at any speed there are the same attempts, at the
    same ages.

    Attributes:
        call_seconds: How long a call that `POST /calls` places lasts, in seconds of the accelerated clock; with 0 its
            `call.ended` may overtake the answer.  With `None` it lasts until `Sandbox.end_call`.
        speed: Seconds of the accelerated clock in one real second; `math.inf` leaves all waits out.
        first_delay: Seconds of the accelerated clock from the first failed attempt to the next; each further delay is
            twice the one before, and no attempt is made later than 24 hours after the first.
        timeout: Real seconds that a receiver has for its answer.
        resign: Whether each attempt is signed anew; otherwise all carry the time of the first.
        clock: The clock by which a signature ages that is kept for retries.  With "accelerated" its `t` is moved back by
            what was left out, so that a receiver on the real clock sees a retry after 20 hours with a signature 20
            hours old; with "real" the header stays the same, byte for byte, and as young as it really is.
        twins: Share of the deliveries, 0 to 1, that are sent twice at the same time.
        repeats: Share of the deliveries, 0 to 1, that are sent once more after they were delivered.
        disorder: Seconds of the accelerated clock that a delivery waits at most before its first attempt.
        seed: Another seed, other twins, repeats and waits.
        envelope: Shape of the bodies.
    """

    call_seconds: float | None = field(default=None, validator=optional(_SECONDS))
    speed: float = field(default=1.0, validator=gt(0.0))
    first_delay: float = field(default=60.0, validator=ge(1.0))
    timeout: float = field(default=10.0, validator=[gt(0.0), lt(inf)])
    resign: bool = field(default=True, validator=instance_of(bool))
    clock: Clock = field(default="accelerated", validator=in_(get_args(Clock)))
    twins: float = field(default=0.0, validator=_SHARE)
    repeats: float = field(default=0.0, validator=_SHARE)
    disorder: float = field(default=0.0, validator=_SECONDS)
    seed: int = field(default=0, validator=instance_of(int))
    envelope: Envelope = field(factory=Envelope, validator=instance_of(Envelope))
