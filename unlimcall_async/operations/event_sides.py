"""The two sides that are compared: an end of a call that a receiver saw, and a leg of a call that the API records.

Pure: no I/O. An event's `callId` is a UUID, and a record's `id` is not, so a phone number, a time and a duration have to decide.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from sys import float_info
from typing import Final

from attrs import field, frozen

from unlimcall_async import CallRecord, _arguments
from unlimcall_async.webhooks import CallEnded, RecoveredCall, recovered_event

# What stands before a number, behind one, and inside one that is written for callers of two countries: "+44 (0)20 7183 8750".
_AROUND: Final = re.compile(r"^\s*(?:sips?|tel):|[@;,].*$|\(0\)", re.IGNORECASE | re.DOTALL)
_NO_DIGITS: Final = re.compile("[^0-9]+")
# The shortest end of a number that may stand for the whole number, for example in national form: the numbers of small countries.
LEAST_DIGITS: Final = 7

_LONGEST: Final = 10**12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(kw_only=True)
class SeenEvent:
    """A `call.ended` that a receiver saw, with what is needed to find its record.

    Attributes:
        key: Identifies the call of the event: the same for each delivery. It shows no phone number.
        call_id: The event's `call_id`, as `POST /calls` returned it, or `None`.
        phone: The number that the event names, or `None`. The repr leaves it out.
        duration_sec: The duration that the event states, or `None`.
        occurred_at: The event's own time, in UTC, or `None`.
        arrived_at: When the event came, in UTC; `None` if that is not known.
        recovers: The id of the recovered event if this is one (`RecoveredCall`), else `None`.
    """

    key: str = field(repr=False)
    call_id: str | None
    phone: str | None = field(repr=False)
    duration_sec: float | None
    occurred_at: datetime | None
    arrived_at: datetime | None
    recovers: str | None

    @property
    def at(self) -> datetime:
        """The event's own time, or without one the time of its arrival."""
        moment = self.occurred_at or self.arrived_at
        if moment is None:
            raise ValueError("an event without a time of its own needs arrived_at")
        return moment

    @classmethod
    def of(cls, event: CallEnded, arrived_at: datetime | None) -> SeenEvent:
        """Return what is kept of an event.

        Raises:
            ValueError: The event has no time of its own, and `arrived_at` is `None`; or the time has no timezone.
            TypeError: A field of the event is of a wrong type.
        """
        # An event that a user made may hold anything.
        duration = None if event.duration_sec is None else _arguments.real("event.duration_sec", event.duration_sec)
        for name in ("call_id", "phone"):
            if (value := getattr(event, name)) is not None:
                _arguments.text(f"event.{name}", value)
        occurred_at = None if event.occurred_at is None else _arguments.utc("event.occurred_at", event.occurred_at)
        seen = cls(
            key=_key_of(event),
            call_id=event.call_id,
            phone=event.phone,
            # A whole number may be larger than any float. No NaN, either.
            duration_sec=duration if duration is not None and abs(duration) <= float_info.max else None,
            occurred_at=occurred_at,
            arrived_at=arrived_at,
            recovers=str(event.id) if isinstance(event, RecoveredCall) else None,
        )
        _ = seen.at
        return seen


@frozen
class EventSide:
    """An event as the matching reads it. Times are seconds since 1970."""

    key: str
    digits: str
    at: float
    is_arrival: bool
    duration: float | None

    @classmethod
    def of(cls, event: SeenEvent) -> EventSide:
        """Return the side of an event."""
        return cls(event.key, digits_of(event.phone), seconds(event.at), event.occurred_at is None, event.duration_sec)


@frozen
class Leg:
    """A record as the matching reads it. Times are seconds since 1970.

    Attributes:
        key: Identifies the record, with its duration: a record that was revised is one more leg of its call.
        recovered_id: The id of the event that is made of the record (`recovered_event`).
    """

    key: str
    recovered_id: str
    digits: str
    start: float
    end: float
    duration: float
    billsec: float

    @classmethod
    def of(cls, record: CallRecord, start: datetime) -> Leg:
        """Return the side of a record, whose start in UTC is `start`."""
        began = seconds(start)
        event = recovered_event(record)
        return cls(
            key=_digest([record.id, began, record.dst, record.duration, record.billsec]),
            recovered_id=str(event.id),
            digits=digits_of(event.phone),
            start=began,
            end=began + _length(record.duration),
            duration=_length(record.duration),
            billsec=_length(record.billsec),
        )


def _length(duration: int) -> float:
    # A whole number may be larger than any float. A call of so many seconds ends in the future, and is left out.
    return float(min(duration, _LONGEST))


def seconds(moment: datetime) -> float:
    """Return a time in seconds since 1970."""
    return (moment - _EPOCH).total_seconds()


def digits_of(number: str | None) -> str:
    """Return the digits of a phone number from its first one that is not 0, or `""` if the text holds no number.

    So `+442071838750`, `00442071838750` and `tel:+44-20-7183-8750` are equal, and a number in national form is an end of them.
    """
    if number is None:
        return ""
    plain = _AROUND.sub("", number)
    if not plain.isascii():
        # By value, because a text may write its digits in any script.
        plain = "".join(str(int(sign)) for sign in plain if sign.isdecimal())
    return _NO_DIGITS.sub("", plain).lstrip("0")


def bucket_of(digits: str) -> str:
    """Return the end that two numbers have in common if they may be the same."""
    return digits[-LEAST_DIGITS:]


def _key_of(event: CallEnded) -> str:
    """Return the key of the call that an event is about.

    A call ends once. So its id counts before the event's: two hooks may tell of one call in two events. The number is part of the
    key, because a sender that fills in the same id everywhere must not make all calls one. An event without any id is its contents.
    """
    if isinstance(event, RecoveredCall):
        return _digest(["recovered", event.id])
    if event.call_id:
        return _digest(["call", event.call_id, digits_of(event.phone)])
    if event.id is not None:
        return _digest(["event", event.id])
    time = None if event.occurred_at is None else event.occurred_at.isoformat()
    return _digest(["contents", event.contact_id, event.phone, event.duration_sec, time, event.hangup_reason])


def _digest(values: list[object]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]
