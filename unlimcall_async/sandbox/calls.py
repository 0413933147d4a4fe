"""The call records, and the selection of one page of them.

Pure: no I/O. A start time is an integer here, milliseconds since 1970 UTC: the finest step that the API writes. Every combination
of bounds and resolution is translated into one half-open interval of such integers, so no other code depends on those settings.
`call_index` finds the rows of an interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from attrs import Attribute, field, frozen

from unlimcall_async.sandbox.call_index import BLOCK, CallIndex
from unlimcall_async.sandbox.checks import all_of
from unlimcall_async.sandbox.settings import Order, Resolution
from unlimcall_async.sandbox.times import plain_time

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_DOCUMENTED: Final = frozenset(
    {
        *("id", "startTime", "duration", "billsec", "src", "dst", "disposition"),
        *("sipUsername", "sellPriceCents", "currency", "country", "did"),
    }
)


def epoch_ms(moment: datetime) -> int:
    """Return a timezone-aware time as whole milliseconds since 1970 UTC, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def _start_time(value: datetime) -> datetime:
    return plain_time("start_time", value)


def _check_start_time(_: object, __: Attribute[Any], value: datetime) -> None:
    if value.microsecond % 1000:
        raise ValueError("start_time must be a whole number of milliseconds: the API writes no finer time")


def _check_extra(_: object, __: Attribute[Any], value: Mapping[str, Any]) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"extra must be a mapping of names to values, not {type(value).__name__}")
    if taken := _DOCUMENTED.intersection(value):
        raise ValueError(f"extra may not replace documented fields: {', '.join(sorted(taken))}")


@frozen(kw_only=True)
class SandboxCall:
    """A call detail record (reference, `GET /cdrs`). The defaults are the values of the reference's example.

    Attributes:
        id: Id of the record. Several records may have one id.
        start_time: A timezone-aware time in whole milliseconds.
        duration: Seconds from the start to the end of the call.
        billsec: Seconds that are billed.
        src: Number of the caller.
        dst: Number that was called.
        disposition: Outcome of the call, for example "ANSWERED".
        sip_username: The seat that placed the call.
        sell_price_cents: Price in hundredths of `currency`.
        currency: ISO 4217 code.
        country: Name of the destination's country.
        did: The DID number involved, if any.
        extra: Fields that the reference does not have, written into the row unchanged.
    """

    id: str
    start_time: datetime = field(converter=_start_time, validator=_check_start_time)
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
    """Return the body of a response of `GET /cdrs`."""
    # msgspec writes a full page in a quarter of a millisecond; `json` takes two.
    return msgspec.json.encode({"count": count, "calls": [call_json(row) for row in rows]}, enc_hook=_builtin)


def _builtin(value: object) -> object:
    """Return a value of a subclass of str, int or float, which msgspec does not encode, as the builtin type."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__int__(value)
    raise TypeError(f"a call record must hold JSON values only, not {type(value).__name__}")


@frozen
class Window:
    """The start times that a request selects: `start <= time < end`, in milliseconds since 1970 UTC."""

    start: int
    end: int

    @classmethod
    def between(
        cls, from_ms: int, till_ms: int, *, from_inclusive: bool, till_inclusive: bool, resolution: Resolution
    ) -> Window:
        """Return the window that the bounds of a request select.

        Both bounds are rounded down to a step. "The time, rounded down to the step, is after `from`" then means "the time is in
        the next step or later". "Not after `till`" means "before the next step". So an exclusive start and an inclusive end
        move by one step.
        """
        step = 1000 if resolution == "s" else 1
        start = from_ms - from_ms % step
        end = till_ms - till_ms % step
        return cls(start if from_inclusive else start + step, end + step if till_inclusive else end)


class CallStore:
    """Every call record of the account.

    Attributes:
        block: How many rows the index keeps together, for tests that need an index of many small blocks.
    """

    def __init__(self, block: int = BLOCK) -> None:
        self._rows: list[SandboxCall] = []
        self._index = CallIndex(block)

    def add(self, calls: Iterable[SandboxCall]) -> None:
        """Add records; the next selection sees them."""
        added = all_of("calls", calls, SandboxCall)  # before any change: if the iterable fails, no record is added
        self._index.add([epoch_ms(call.start_time) for call in added])
        self._rows += added

    @property
    def rows(self) -> tuple[SandboxCall, ...]:
        """All records, in order of insertion."""
        return tuple(self._rows)

    def select(self, window: Window, *, order: Order, limit: int) -> tuple[list[SandboxCall], int]:
        """Return the first `limit` records of the window in this order, and the number of records in the window."""
        numbers, matches = self._index.find(window.start, window.end, order=order, limit=limit)
        return [self._rows[number] for number in numbers], matches
