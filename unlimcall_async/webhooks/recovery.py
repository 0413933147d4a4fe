"""The event of a call whose `call.ended` never came, made of the call's record. Pure: no I/O."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from unlimcall_async import _arguments
from unlimcall_async.models import CallRecord
from unlimcall_async.webhooks.events import RecoveredCall


def recovered_event(record: CallRecord) -> RecoveredCall:
    """Return the event of a call that has ended, made of its record.

    The event's id is made of the record's id and start: each time the same, so that a store handles the event once. No event of the
    API has such an id. `duration_sec` is the record's `duration`, and `occurred_at` is its end. `phone` is the number of the
    contact: `dst`, or `src` if `dst` is the `did`.

    Raises:
        TypeError: `record` is not a `CallRecord`.
        ValueError: The record's `start_time` has no timezone.
    """
    if not isinstance(record, CallRecord):
        raise TypeError(f"record must be a CallRecord, not {type(record).__name__}")
    start = _arguments.utc("record.start_time", record.start_time)
    # Without what may be revised: the length of the call, its price, its outcome.
    identity = json.dumps([record.id, start.isoformat()]).encode()
    try:
        end = start + timedelta(seconds=record.duration)
    except OverflowError:
        end = None  # after the year 9999
    return RecoveredCall(
        id=f"recovered-{hashlib.sha256(identity).hexdigest()[:32]}",
        type="call.ended",
        occurred_at=end,
        # Of a call that came in over a DID, the contact is the caller.
        phone=record.src if record.did is not None and record.did == record.dst else record.dst,
        duration_sec=record.duration,
        record=record,
    )
