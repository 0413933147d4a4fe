"""The call records and the selection of a page of them.  No I/O.

A start time is an integer here, milliseconds since 1970 UTC: the finest step that the API writes.  Every combination of
bounds and resolution comes down to one half-open interval of such integers, so the settings are nowhere else;
`call_index` knows where the rows of an interval are.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from attrs import Attribute, field, frozen

from unlimcall_async.sandbox.call_index import BLOCK, CallIndex
from unlimcall_async.sandbox.settings import Order, Resolution

__all__ = ["CallStore", "SandboxCall", "Window", "call_json", "epoch_ms", "page_json"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

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
    if taken := _DOCUMENTED.intersection(value):
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
    start = call.start_time.astimezone(UTC).isoformat(timespec="milliseconds")
    return {
        "id": call.id,
        "startTime": start.removesuffix("+00:00") + "Z",
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


def page_json(count: int, rows: Iterable[SandboxCall]) -> bytes:
    """Return the body of an answer of `GET /cdrs`.

    By msgspec, which writes a full page in a quarter of a millisecond; `json` takes two.
    """
    return msgspec.json.encode({"count": count, "calls": [call_json(row) for row in rows]})


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
    """Every record of the account.

    Attributes:
        block: How many rows the index keeps together, for tests that want it to have many small blocks.
    """

    def __init__(self, block: int = BLOCK) -> None:
        self._rows: list[SandboxCall] = []
        self._index = CallIndex(block)

    def add(self, calls: Iterable[SandboxCall]) -> None:
        """Add records; the next selection sees them."""
        added = list(calls)  # all of them or, where the iterable fails, none
        self._index.add([epoch_ms(call.start_time) for call in added])
        self._rows += added

    @property
    def rows(self) -> tuple[SandboxCall, ...]:
        """All records in insertion order."""
        return tuple(self._rows)

    def select(self, window: Window, *, order: Order, limit: int) -> tuple[list[SandboxCall], int]:
        """Return the first `limit` records of the window in this order, and how many the window holds."""
        numbers, matches = self._index.find(window.start, window.end, order=order, limit=limit)
        return [self._rows[number] for number in numbers], matches
