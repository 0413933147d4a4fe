"""The event of a call whose `call.ended` never came, made of the call's record. Pure: no I/O."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from unlimcall_async import _arguments
from unlimcall_async.models import CallRecord
from unlimcall_async.webhooks.events import RecoveredCall


def recovered_id(record: CallRecord) -> str:
    """Return the id of the event that `recovered_event` makes of a record. The price of the call and its length may change."""
    start = _arguments.utc("record.start_time", record.start_time)
    identity = json.dumps([record.id, start.isoformat()]).encode()
    return f"recovered-{hashlib.sha256(identity).hexdigest()[:32]}"


def recovered_event(record: CallRecord) -> RecoveredCall:
    """Return the event of a call that has ended, made of its record.

    The event's id is made of the record's id and start: each time the same, so that a store handles the event once. No event of the
    API has such an id. `duration_sec` is the record's `duration`, and `occurred_at` is its end.

    Raises:
        TypeError: `record` is not a `CallRecord`.
        ValueError: The record's `start_time` has no timezone.
    """
    if not isinstance(record, CallRecord):
        raise TypeError(f"record must be a CallRecord, not {type(record).__name__}")
    try:
        end = _arguments.utc("record.start_time", record.start_time) + timedelta(seconds=record.duration)
    except OverflowError:
        end = None  # after the year 9999
    return RecoveredCall(
        id=recovered_id(record),
        type="call.ended",
        occurred_at=end,
        phone=record.dst,
        duration_sec=record.duration,
        record=record,
    )
