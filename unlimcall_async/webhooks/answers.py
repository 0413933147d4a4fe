"""What a receiver answers, chosen by what the sender makes of it.

Pure: no I/O. The sender takes 2xx as delivered. It takes 4xx as final: the event is lost. After 5xx, and where no answer comes, it
tries again for 24 hours. After 10 failures in a row, of either kind, it disables the endpoint (reference: "Webhooks"). So 4xx is
for what no repetition can mend, and whatever may be the receiver's own fault is 5xx:

- A signature that is missing, malformed or of another key will not get better: 401, one answer for all of them, from which a
  stranger learns nothing. While a secret is being replaced its deliveries may come before it is known here: 503 then.
- `too_old` and `in_future` are said of the sender's own deliveries only. What was signed too long ago gets no younger: 401. What
  seems to be signed in the future will not seem so later, and one of the two clocks is wrong, most likely the one here: 503, and it
  comes again when that may have been put right.
- A body that is signed and still no event stays so: 400.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from unlimcall_async.errors import SignatureError

Answer: TypeAlias = tuple[int, bytes]

HANDLED: Final[Answer] = (200, b"handled")
SEEN: Final[Answer] = (200, b"seen before")
NO_EVENT: Final[Answer] = (400, b"no event")
REFUSED: Final[Answer] = (401, b"signature refused")
TOO_LARGE: Final[Answer] = (413, b"too large")
FAILED: Final[Answer] = (500, b"failed, try again")
NOT_NOW: Final[Answer] = (503, b"not now, try again")

# Lengths of a run of failures at which the alarm is raised; the sender disables the endpoint at 10.
ALARMS: Final = frozenset({3, 5, 7, 9})


def refusal(error: SignatureError, *, rotating: bool) -> Answer:
    """Say how to refuse a signature."""
    if error.reason == "in_future":
        return NOT_NOW
    return NOT_NOW if rotating and error.reason == "mismatch" else REFUSED


class FailureRun:
    """Counts failures in a row, as the sender does."""

    def __init__(self) -> None:
        self.length: int = 0

    def note(self, status: int) -> bool:
        """Count an answer; say whether the run has reached a length that calls for an alarm."""
        if status < 300:
            self.length = 0
            return False
        self.length += 1
        return self.length in ALARMS
