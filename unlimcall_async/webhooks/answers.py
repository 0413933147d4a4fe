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
# What can be had without a secret, but for the 503 while one is being replaced.
_ALSO_FOR_STRANGERS: Final = frozenset({REFUSED[0], TOO_LARGE[0]})


def refusal(error: SignatureError, *, rotating: bool) -> Answer:
    """Say how to refuse a signature."""
    if error.reason == "in_future":
        return NOT_NOW
    return NOT_NOW if rotating and error.reason == "mismatch" else REFUSED


class FailureRun:
    """Counts failures in a row, as the sender does, and apart from them those that no stranger can bring about.

    A stranger who knocks often takes the first count past its alarms. Failures of the sender's own deliveries have to be told all
    the same.
    """

    def __init__(self) -> None:
        self._all = 0
        self._own = 0

    def note(self, status: int) -> int | None:
        """Count an answer; give the length of the run if it calls for an alarm."""
        if status < 300:
            self._all = self._own = 0
            return None
        self._all += 1
        counts = [self._all]
        if status not in _ALSO_FOR_STRANGERS:
            self._own += 1
            counts.append(self._own)
        return next((count for count in counts if count in ALARMS), None)
