"""The rules of delivery: the signature, which responses are retried, the schedule of retries, the end of an endpoint.

Pure: no I/O; time is an argument. Reference, "Webhooks": "Exponential backoff up to 24 h.  2xx = delivered, 4xx = permanent fail,
5xx + timeout = retry", "Endpoint is auto-disabled after 10 consecutive failures". Where the reference leaves a choice, the choice
is the harder one for a receiver:

- The 24 hours are those from the first attempt to the last.
- A failure is an attempt, not a delivery that was given up. The attempts of all deliveries to a subscription count together, a
  permanent failure counts as one, and a 2xx starts the count anew.
- A broken or refused connection is treated as a timeout. Any other status is a permanent failure, for example a redirect, which
  is not followed.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Literal

from attrs import define, evolve, field

from unlimcall_async.sandbox.events import EventType, SandboxEvent
from unlimcall_async.sandbox.settings import WebhookSettings
from unlimcall_async.sandbox.state import Subscription

DISABLED_AFTER: Final = 10
RETRIED_FOR: Final = 24 * 60 * 60.0

DeliveryError = Literal["timeout", "connection", "no route"]


@define(eq=False)
class DeliveryAttempt:
    """One signed POST, recorded when it is sent.

    Attributes:
        hook_id: Id of the subscription.
        target_url: The https URL of the subscription, not the URL on this machine that `deliver_to` maps it to.
        event: The event's type.
        event_id: The event's id.
        number: 1 for the first attempt of a delivery. A twin and a repeat are deliveries of their own.
        age: Seconds of the accelerated clock since the first attempt of the delivery.
        sent_at: Seconds since 1970, on the real clock.
        signature: The header `X-Unlimcall-Signature`.
        body: Body, byte for byte.
        status: Status of the receiver's response; `None` as long as there is no response.
        error: Why there is no response: "timeout", "connection" (refused or broken), or "no route". "no route" means that
            `deliver_to` has no receiver for the target; then nothing was sent, and the attempt does not count as a failure.
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
        """Whether the receiver responded with a 2xx."""
        return self.status is not None and 200 <= self.status < 300


@define(eq=False)
class Delivery:
    """An event on its way to a subscription.

    Attributes:
        hook_id: Id of the subscription.
        event: The event.
        attempts: How many attempts were made.
        age: Seconds of the accelerated clock since the first attempt.
        signed_at: When the delivery was last signed, in seconds since 1970; `None` before the first attempt.
        left_out: Seconds of the accelerated clock since then that did not really pass.
    """

    hook_id: str
    event: SandboxEvent
    attempts: int = 0
    age: float = 0.0
    signed_at: float | None = None
    left_out: float = 0.0

    def attempt(self, hook: Subscription, settings: WebhookSettings, *, now: float) -> DeliveryAttempt:
        """Return the attempt to send at `now`, seconds since 1970, and count it."""
        if self.signed_at is None or settings.resign:
            self.signed_at, self.left_out = now, 0.0
        aged = self.left_out if settings.clock == "accelerated" else 0.0
        self.attempts += 1
        return DeliveryAttempt(
            hook_id=hook.id,
            target_url=hook.target_url,
            event=self.event.type,
            event_id=self.event.id,
            number=self.attempts,
            age=self.age,
            sent_at=now,
            signature=sign(self.event.body, hook.secret, int(self.signed_at) - round(aged)),
            body=self.event.body,
        )

    def waited(self, seconds: float, left_out: float) -> None:
        """Add a wait to the delivery's age: seconds of the accelerated clock, `left_out` of which did not really pass."""
        self.age += seconds
        self.left_out += left_out

    def repeated(self) -> Delivery:
        """Return a new delivery of the same event with the same signature, as by a sender that lost the response."""
        return Delivery(self.hook_id, self.event, signed_at=self.signed_at, left_out=self.left_out)


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Return the header `X-Unlimcall-Signature` (reference, "Webhooks")."""
    # The key is the whole secret: the reference says "the secret returned by POST /hooks", and that text includes the prefix.
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def may_be_retried(attempt: DeliveryAttempt) -> bool:
    """Return whether an attempt that did not deliver may be followed by another."""
    if attempt.status is None:
        return attempt.error != "no route"
    return attempt.status >= 500


def retry_delay(delivery: Delivery, first_delay: float) -> float | None:
    """Return the seconds from the attempt that failed to the next, or `None` if 24 hours would have passed by then."""
    delay = first_delay * 2.0 ** (delivery.attempts - 1)
    return delay if delivery.age + delay <= RETRIED_FOR else None


def counted(hook: Subscription, attempt: DeliveryAttempt) -> Subscription:
    """Return the subscription with the attempt counted: as a failure, or as the end of a row of failures."""
    if attempt.error == "no route":
        return hook
    failures = 0 if attempt.delivered else hook.failures + 1
    return evolve(hook, failures=failures, enabled=hook.enabled and failures < DISABLED_AFTER)
