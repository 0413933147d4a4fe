"""Which calls failed, and which were answered, by the words of their records. Pure: no I/O."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Final

from attrs import frozen

from unlimcall_async import CallRecord, _arguments

# An assumption: the guide says that carrier failures (SIP 503, destination unreachable, codec negotiation) are in CDRs as failed
# calls "with specific SIP response codes". Neither the guide nor the reference lists a disposition other than ANSWERED. So these
# are Asterisk's words for a failed call, and the codes of SIP, as a number or behind "SIP ": 488 (no common codec) and all 5xx.
# Busy and no answer are left out, because the called party causes them, not the carrier.
FAILED_DISPOSITIONS: Final[frozenset[str]] = frozenset(
    {"FAILED", "CONGESTION", "CHANUNAVAIL"}
    | {f"{prefix}{code}" for prefix in ("", "SIP ") for code in (488, *range(500, 600))}
)


@frozen
class Listed:
    """Whether the disposition of a record is a listed one, in upper or lower case."""

    dispositions: frozenset[str]

    def __call__(self, record: CallRecord) -> bool:
        """Return whether the record's disposition is listed."""
        return record.disposition is not None and record.disposition.upper() in self.dispositions


@frozen
class Asked:
    """Whether a function of the user's says that a record is of a failed attempt."""

    function: Callable[[CallRecord], object]

    def __call__(self, record: CallRecord) -> bool:
        """Return what the function says, as a bool."""
        return bool(self.function(record))


def failure_test(failed: object) -> Callable[[CallRecord], bool]:
    """Return the function that says whether a record is a failed attempt, made of the argument `failed` of a user.

    Raises:
        TypeError: `failed` is neither a collection of dispositions nor a plain function.
    """
    if inspect.iscoroutinefunction(failed):
        raise TypeError("failed must be a plain function, not a coroutine function")
    if callable(failed):
        return Asked(failed)
    if isinstance(failed, str) or not isinstance(failed, Collection):
        raise TypeError(f"failed must be a collection of dispositions or a function, not {type(failed).__name__}")
    return Listed(frozenset(_arguments.text("failed", disposition).upper() for disposition in failed))
