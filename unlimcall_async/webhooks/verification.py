"""`verify` and `receive`, for those who bring their own server: the pure checks, and the clock where no time is given."""

from __future__ import annotations

import time
from collections.abc import Sequence

from unlimcall_async.webhooks.events import Event, parse_event
from unlimcall_async.webhooks.signature import Bytes, check, finite, key_ring, raw


def verify(
    body: Bytes, header: str | None, secrets: str | Sequence[str], *, tolerance: float = 300, now: float | None = None
) -> None:
    """Check that a webhook delivery was signed with one of the secrets, at about this time (reference: "Webhooks").

    A `str` is one secret. Retries may keep their first signature for 24 hours, so a receiver that takes part in them needs a
    `tolerance` of 25 hours, and must then remember the events that it has seen: `WebhookReceiver` does both.

    Args:
        body: The request's body, byte for byte as it came.
        header: The value of `X-Unlimcall-Signature`; `None` where there is none.
        secrets: What `POST /hooks` returned, whole; several while one is being replaced by another.
        tolerance: How many seconds ago the delivery may have been signed, and how many seconds ahead of `now`.
        now: Unix time in seconds; `None` reads the clock.

    Raises:
        SignatureError: The signature does not hold; `reason` says why.
        TypeError: An argument is of the wrong type, such as a body that was decoded already.
        ValueError: No secret, an empty one, or a `tolerance` below 0.
    """
    span = finite("tolerance", tolerance)
    if span < 0:
        raise ValueError("tolerance must be 0 or more")
    moment = time.time() if now is None else finite("now", now)
    check(raw("body", body), header, key_ring(secrets), now=moment, behind=span, ahead=span)


def receive(
    body: Bytes, header: str | None, secrets: str | Sequence[str], *, tolerance: float = 300, now: float | None = None
) -> Event:
    """Check the signature of a webhook delivery as `verify` does, and only then read its event.

    Raises:
        SignatureError: The signature does not hold.
        EventError: It holds, and the body is no event.
        TypeError: An argument is of the wrong type.
        ValueError: No secret, an empty one, or a `tolerance` below 0.
    """
    verify(body, header, secrets, tolerance=tolerance, now=now)
    return parse_event(body)
