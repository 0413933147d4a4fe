"""The responses of a receiver, chosen by what the sender does after each of them.

Pure: no I/O. After 2xx the sender counts the event as delivered. After 4xx it gives the event up: the event is lost. After 5xx, and
after no response, it sends the event again for 24 hours. After 10 failures in a row, 4xx or 5xx, it disables the endpoint
(reference: "Webhooks"). So the receiver sends 4xx only if no repetition can succeed, and 5xx for whatever may be its own fault:

- 401 for a signature that is missing, malformed or made with another key, because a repetition carries the same one. All three get
  the same response, from which a stranger learns nothing. While a secret is being replaced, a `mismatch` is a 503: deliveries under
  the new secret may come before the receiver knows that secret.
- 503 for `in_future` and for `too_old`. The sender's retries end before a signature is too old, so one of the two clocks is wrong,
  most likely the receiver's, and may have been put right before the delivery comes again. Only deliveries of the sender get these
  two reasons, because the time is judged after the key.
- 503 for a body that is not as it was sent: something here may have read or unpacked the body, and kept nothing or something else.
  Then the signature cannot be checked.
- 400 for a body that is signed and is not a valid event, because a repetition has the same body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import frozen

from unlimcall_async._model import Model
from unlimcall_async.errors import SignatureError

Response: TypeAlias = tuple[int, bytes]

HANDLED: Final[Response] = (200, b"handled")
SEEN: Final[Response] = (200, b"seen before")
NO_EVENT: Final[Response] = (400, b"no event")
REFUSED: Final[Response] = (401, b"signature refused")
TOO_LARGE: Final[Response] = (413, b"too large")
FAILED: Final[Response] = (500, b"failed, try again")
NOT_NOW: Final[Response] = (503, b"not now, try again")
UNREADABLE: Final[Response] = (503, b"not readable, try again")

# Lengths of a run of failures at which the alarm is raised. The sender disables the endpoint at 10, so the last alarm comes one
# failure before that.
ALARMS: Final = frozenset({3, 5, 7, 9})
# The failures that a stranger without a secret can cause. The 503 while a secret is being replaced is left out: that time is short.
_CAUSED_BY_STRANGERS: Final = frozenset({REFUSED, TOO_LARGE, UNREADABLE})


def refusal(error: SignatureError, *, rotating: bool) -> Response:
    """Return the response to a signature that was refused; `rotating` while a secret is being replaced."""
    if error.reason in {"in_future", "too_old"}:
        return NOT_NOW
    return NOT_NOW if rotating and error.reason == "mismatch" else REFUSED


@frozen
class ReceiverStats(Model):
    """What became of the deliveries of a receiver. A delivery counts once its whole body has come and its response is known.

    Attributes:
        handled: Deliveries whose event was handled.
        seen: Deliveries of events that were handled before.
        failed: Deliveries whose event was not handled, because a handler or the store failed, or because another process was still
            at it. The sender repeats the event.
        refused: Deliveries that were not accepted, by reason: a `reason` of `SignatureError`; `altered` for a body that is not as
            it was sent; `too_large` for one beyond `max_body`; `no_event` for one that is signed and not a valid event.
    """

    handled: int
    seen: int
    failed: int
    refused: Mapping[str, int]


class FailureRun:
    """Counts failures in a row as the sender does, and a second time without those that a stranger can cause.

    A stranger who sends many requests takes the first count past its alarms. The second count raises the alarms for failures of the
    sender's own deliveries all the same.
    """

    def __init__(self) -> None:
        self._all = 0
        self._own = 0

    def note(self, response: Response) -> int | None:
        """Count a response; return the length of the run if an alarm is due at that length."""
        if response[0] < 300:
            self._all = self._own = 0
            return None
        self._all += 1
        counts = [self._all]
        if response not in _CAUSED_BY_STRANGERS:
            self._own += 1
            counts.append(self._own)
        return next((count for count in counts if count in ALARMS), None)
