"""How an event is delivered: signature, verdict on an answer, schedule, end of an endpoint.  No I/O; time is an argument.

Reference, "Webhooks": "Exponential backoff up to 24 h.  2xx = delivered, 4xx = permanent fail, 5xx + timeout = retry",
"Endpoint is auto-disabled after 10 consecutive failures".  Where that leaves a choice, it is made so that a receiver has
the harder time:

- The 24 hours are those from the first attempt to the last.
- A failure is an attempt, not a delivery that was given up; attempts of all deliveries to a subscription count together,
  a permanent failure counts as one, and a 2xx starts the count anew.
- A broken or refused connection is taken for a time-out.  Any other status, as a redirect, which is not followed, is a
  permanent failure.
"""

import hashlib
import hmac
from typing import Literal

from attrs import define, evolve, field, frozen

from unlimcall_async.sandbox.events import EventType, SandboxEvent
from unlimcall_async.sandbox.state import Subscription
from unlimcall_async.sandbox.webhook_settings import WebhookSettings

__all__ = ["Delivery", "DeliveryAttempt", "DeliveryError", "counted", "may_be_retried", "retry_delay", "sign"]

DISABLED_AFTER = 10
RETRIED_FOR = 24 * 60 * 60.0

DeliveryError = Literal["timeout", "connection", "no route"]


@define(eq=False)
class DeliveryAttempt:
    """One signed POST, recorded when it is sent.

    Attributes:
        hook_id: Id of the subscription.
        target_url: What it subscribed, whatever stands for that on this machine.
        event: The event's type.
        event_id: The event's id.
        number: 1 for the first attempt of a delivery; a twin and a repeat are deliveries of their own.
        age: Seconds of the accelerated clock since the first attempt of its delivery.
        sent_at: Seconds since 1970, on the real clock.
        signature: The header `X-Unlimcall-Signature`.
        body: Body, byte for byte.
        status: Status of the answer; `None` as long as none has come.
        error: Why no answer came: "timeout", "connection" (refused or broken), or "no route" where `deliver_to` has no
            receiver for the target, and so nothing was sent, and nothing failed.
    """

    hook_id: str
    target_url: str
    event: EventType
    event_id: str
    number: int
    age: float
    sent_at: float
    signature: str
    body: bytes = field(repr=False)
    status: int | None = None
    error: DeliveryError | None = None

    @property
    def delivered(self) -> bool:
        """Whether the answer was a 2xx."""
        return self.status is not None and 200 <= self.status < 300


@frozen
class _Signed:
    """When a delivery was signed, and what of the accelerated clock has been left out since, in seconds."""

    at: float
    left_out: float = 0.0


@define(eq=False)
class Delivery:
    """An event on its way to a subscription.

    Attributes:
        hook_id: Id of the subscription.
        event: The event.
        attempts: How many attempts were made.
        age: Seconds of the accelerated clock since the first.
    """

    hook_id: str
    event: SandboxEvent
    attempts: int = 0
    age: float = 0.0
    _signed: _Signed | None = field(default=None, alias="signed")

    def attempt(self, hook: Subscription, settings: WebhookSettings, *, now: float) -> DeliveryAttempt:
        """Return what is sent at `now`, seconds since 1970, and count it."""
        if self._signed is None or settings.resign:
            self._signed = _Signed(now)
        aged = self._signed.left_out if settings.clock == "accelerated" else 0.0
        self.attempts += 1
        return DeliveryAttempt(
            hook_id=hook.id,
            target_url=hook.target_url,
            event=self.event.type,
            event_id=self.event.id,
            number=self.attempts,
            age=self.age,
            sent_at=now,
            signature=sign(self.event.body, hook.secret, int(self._signed.at) - round(aged)),
            body=self.event.body,
        )

    def waited(self, seconds: float, left_out: float) -> None:
        """Grow older by seconds of the accelerated clock, of which some did not really pass."""
        self.age += seconds
        if self._signed is not None:
            self._signed = evolve(self._signed, left_out=self._signed.left_out + left_out)

    def repeated(self) -> "Delivery":
        """Return a delivery of the same event that goes on from here, as by a sender that lost the answer."""
        return Delivery(self.hook_id, self.event, signed=self._signed)


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Return the header `X-Unlimcall-Signature` (reference, "Webhooks").

    The key is the whole secret: the reference says "the secret returned by POST /hooks", which its prefix belongs to.
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def may_be_retried(attempt: DeliveryAttempt) -> bool:
    """Return whether an attempt that did not deliver may be followed by another."""
    if attempt.status is None:
        return attempt.error != "no route"
    return attempt.status >= 500


def retry_delay(delivery: Delivery, first_delay: float) -> float | None:
    """Return the seconds from the attempt that failed to the next; `None` if that came later than 24 hours."""
    delay = first_delay * 2.0 ** (delivery.attempts - 1)
    return delay if delivery.age + delay <= RETRIED_FOR else None


def counted(hook: Subscription, attempt: DeliveryAttempt) -> Subscription:
    """Return the subscription as it stands after an attempt."""
    if attempt.error == "no route":
        return hook
    failures = 0 if attempt.delivered else hook.failures + 1
    return evolve(hook, failures=failures, enabled=hook.enabled and failures < DISABLED_AFTER)
