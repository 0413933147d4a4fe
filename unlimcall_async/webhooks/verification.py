"""`verify` and `receive`, for users with their own server: the pure checks, and the system clock if no time is given."""

from __future__ import annotations

import time
from collections.abc import Sequence

from unlimcall_async.webhooks.events import Event, parse_event
from unlimcall_async.webhooks.signature import Bytes, check, finite, key_ring, raw


def verify(
    body: Bytes, header: str | None, secrets: str | Sequence[str], *, tolerance: float = 300, now: float | None = None
) -> None:
    """Check that a webhook delivery was signed with one of the secrets, at about this time (reference: "Webhooks").

    The sender's retries may keep their first signature for 24 hours. To accept them, pass a `tolerance` of 25 hours, and remember
    the ids of handled events, because a captured delivery can be replayed as long. `WebhookReceiver` does both for you.

    Args:
        body: The body of the request, byte for byte, before anything has decoded it.
        header: The value of the header `X-Unlimcall-Signature`; `None` if the request has none.
        secrets: The secret that `POST /hooks` returned, whole, with its `whsec_`. Pass a sequence of several secrets while one of
            them is being replaced.
        tolerance: The most seconds that the signature's time may lie before `now`, and after it.
        now: Unix time in seconds. `None` reads the system clock.

    Raises:
        SignatureError: The signature is not valid. `reason` is `"missing"`, `"malformed"`, `"mismatch"`, `"too_old"` or
            `"in_future"`.
        TypeError: An argument is of the wrong type, for example a body that is already a `str`.
        ValueError: `secrets` is empty, a secret is not visible ASCII, or `tolerance` is below 0.
    """
    span = finite("tolerance", tolerance)
    if span < 0:
        raise ValueError("tolerance must be 0 or more")
    moment = time.time() if now is None else finite("now", now)
    check(raw("body", body), header, key_ring(secrets), now=moment, behind=span, ahead=span)


def receive(
    body: Bytes, header: str | None, secrets: str | Sequence[str], *, tolerance: float = 300, now: float | None = None
) -> Event:
    """Check the signature of a webhook delivery as `verify` does, then return its event.

    The arguments are those of `verify`. An unsigned body is never parsed.

    Raises:
        SignatureError: The signature is not valid; `reason` says why.
        EventError: The signature is valid, and the body is not a valid event.
        TypeError: An argument is of the wrong type.
        ValueError: `secrets` is empty, a secret is not visible ASCII, or `tolerance` is below 0.
    """
    verify(body, header, secrets, tolerance=tolerance, now=now)
    return parse_event(body)
