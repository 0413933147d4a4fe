"""The call records and the selection of a page of them.  No I/O.

A start time is an integer here, milliseconds since 1970 UTC: the finest step that the API writes.  Every combination of
bounds and resolution comes down to one half-open interval of such integers, so selecting is two bisections in one
sorted list, and the settings are nowhere else.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from heapq import nsmallest
from typing import Any

from attrs import Attribute, field, frozen

from unlimcall_async.sandbox.settings import Order, Resolution

__all__ = ["CallStore", "SandboxCall", "Window", "call_json", "epoch_ms"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# A sort key is the start time above, the row's number (insertion order) below: one integer compares faster than a pair.
_NUMBER_BITS = 32
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1

_DOCUMENTED = frozenset(
    {
        *("id", "startTime", "duration", "billsec", "src", "dst", "disposition"),
        *("sipUsername", "sellPriceCents", "currency", "country", "did"),
    }
)


def epoch_ms(moment: datetime) -> int:
    """Return an aware time as whole milliseconds since 1970 UTC, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def _check_start_time(_: object, __: "Attribute[Any]", value: datetime) -> None:
    if value.tzinfo is None:
        raise ValueError("start_time must be timezone-aware")
    if value.microsecond % 1000:
        raise ValueError("start_time must be a whole number of milliseconds: the API writes no finer time")


def _check_extra(_: object, __: "Attribute[Any]", value: Mapping[str, Any]) -> None:
    if taken := _DOCUMENTED & value.keys():
        raise ValueError(f"extra may not replace documented fields: {', '.join(sorted(taken))}")


@frozen(kw_only=True)
class SandboxCall:
    """A call detail record (reference, `GET /cdrs`); what is left out is as in the reference's example.

    Attributes:
        id: Id of the record; several records may share one.
        start_time: Aware, in whole milliseconds.
        duration: Seconds from the start to the end of the call.
        billsec: Seconds that are billed.
        src: Caller's number.
        dst: Called number.
        disposition: Outcome, as "ANSWERED".
        sip_username: The seat that placed the call.
        sell_price_cents: Price in hundredths of `currency`.
        currency: ISO 4217 code.
        country: Name of the destination's country.
        did: The DID number involved, if any.
        extra: Fields that the reference does not have, written into the row as they are.
    """

    id: str
    start_time: datetime = field(validator=_check_start_time)
    duration: int = 81
    billsec: int = 81
    src: str | None = "+14155550100"
    dst: str | None = "+442071838750"
    disposition: str | None = "ANSWERED"
    sip_username: str | None = "unl_001"
    sell_price_cents: int | None = 34
    currency: str | None = "USD"
    country: str | None = "United Kingdom"
    did: str | None = None
    extra: Mapping[str, Any] = field(factory=dict, validator=_check_extra, hash=False)


def call_json(call: SandboxCall) -> dict[str, Any]:
    """Return the record as the reference writes it."""
    start = call.start_time.astimezone(UTC).replace(tzinfo=None)
    return {
        "id": call.id,
        "startTime": start.isoformat(timespec="milliseconds") + "Z",
        "duration": call.duration,
        "billsec": call.billsec,
        "src": call.src,
        "dst": call.dst,
        "disposition": call.disposition,
        "sipUsername": call.sip_username,
        "sellPriceCents": call.sell_price_cents,
        "currency": call.currency,
        "country": call.country,
        "did": call.did,
        **call.extra,
    }


@frozen
class Window:
    """The start times that a request selects: `start <= time < end`, in milliseconds since 1970 UTC."""

    start: int
    end: int

    @classmethod
    def between(
        cls, from_ms: int, till_ms: int, *, from_inclusive: bool, till_inclusive: bool, resolution: Resolution
    ) -> "Window":
        """Translate the bounds of a request.

        With both bounds floored to a step, "time floored to the step is after `from`" means "time is in the next step
        or later", and "not after `till`" means "before the next step": an exclusive start and an inclusive end move by
        one step.
        """
        step = 1000 if resolution == "s" else 1
        start = from_ms - from_ms % step
        end = till_ms - till_ms % step
        return cls(start if from_inclusive else start + step, end + step if till_inclusive else end)


class CallStore:
    """Every record of the account, in the order of insertion and sorted by start time."""

    def __init__(self) -> None:
        self._rows: list[SandboxCall] = []
        self._keys: list[int] = []  # sorted up to `_sorted`
        self._sorted = 0
        self._ranks: list[bytes] = []  # of the first rows, as far as somebody asked for the arbitrary order

    def add(self, calls: Iterable[SandboxCall]) -> None:
        """Add records; the next selection sees them."""
        for call in calls:
            self._keys.append(epoch_ms(call.start_time) << _NUMBER_BITS | len(self._rows))
            self._rows.append(call)

    @property
    def rows(self) -> tuple[SandboxCall, ...]:
        """All records in insertion order."""
        return tuple(self._rows)

    def select(self, window: Window, *, order: Order, limit: int) -> tuple[list[SandboxCall], int]:
        """Return the first `limit` records of the window in this order, and how many the window holds."""
        keys = self._sorted_keys()
        first = bisect_left(keys, window.start << _NUMBER_BITS)
        # A window that rounding turned inside out is empty.
        last = max(first, bisect_left(keys, window.end << _NUMBER_BITS))
        numbers = self._numbers(first, last, order, limit)
        return [self._rows[number] for number in numbers], last - first

    def _sorted_keys(self) -> list[int]:
        # Sorting waits for the first question after an addition; the sort is close to linear on a list that is one
        # sorted run followed by additions.
        if self._sorted < len(self._keys):
            self._keys.sort()
            self._sorted = len(self._keys)
        return self._keys

    def _numbers(self, first: int, last: int, order: Order, limit: int) -> Iterable[int]:
        """Return the numbers of the first `limit` rows among the sorted keys `first` to `last`.

        Newest first is oldest first read backwards: of two rows with one start time, the later addition comes first.
        """
        if order == "oldest_first":
            return self._unpacked(range(first, min(last, first + limit)))
        if order == "newest_first":
            return self._unpacked(reversed(range(max(first, last - limit), last)))
        matches = self._unpacked(range(first, last))
        if order == "insertion":
            return nsmallest(limit, matches)
        ranks = self._known_ranks()
        return nsmallest(limit, matches, key=lambda number: (ranks[number], number))

    def _unpacked(self, positions: Iterable[int]) -> Iterator[int]:
        return (self._keys[position] & _NUMBER_MASK for position in positions)

    def _known_ranks(self) -> list[bytes]:
        """Return the place of each row in the arbitrary order, which no later addition and no window changes."""
        for number in range(len(self._ranks), len(self._rows)):
            self._ranks.append(blake2b(f"{number} {self._rows[number].id}".encode(), digest_size=8).digest())
        return self._ranks
