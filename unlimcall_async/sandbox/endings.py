"""What is left of a call when it ends: its record, and what `call.ended` says of it.  No I/O."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from unlimcall_async.sandbox.calls import SandboxCall
from unlimcall_async.sandbox.events import sample_payload
from unlimcall_async.sandbox.state import OriginatedCall

__all__ = ["call_record", "ended_payload"]


def ended_payload(call: OriginatedCall, duration: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of `call.ended`, with these fields changed or added."""
    own = {"callId": call.call_id, "contactId": None, "phone": call.to_number, "durationSec": duration}
    return {**sample_payload("call.ended"), **own, **fields}


def call_record(call: OriginatedCall, *, duration: int, number: int, sip_username: str | None) -> SandboxCall:
    """Return the record that is written when the call ends, dated by its start; `number` counts the calls that ended.

    Its id is not the `callId`: the reference shows ids of two kinds, and does not say how one could be told from the
    other.  Its `src` is not the call's `from_number`, which the reference says is "not yet forwarded to the engine".
    """
    return SandboxCall(
        id=f"{int(call.placed_at.timestamp())}.{number}",
        start_time=_whole_milliseconds(call.placed_at),
        duration=duration,
        billsec=duration,
        dst=call.to_number,
        sip_username=sip_username,
        country=None,
    )


def _whole_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
