"""How far a stream is: for each account, the time before which all records are known.

Pure: no I/O, no clock.

Theory. A batch of a stream is what lies between two offsets, and Spark may ask for it twice: after a crash, Spark plans the batch
anew that it had not committed. A row must be in exactly one batch, so both readings have to give the same rows. A record is written
when its call ends but dated by its start, and the API cannot be asked for what was written since. So an offset by the latest row
seen loses rows, and an offset at which rows may still appear has batches that differ. An offset is a time before which everything
is known: `settle` behind now, as the frontier of a follow is `lookback` behind its poll. So the range of a batch does not change.

An account that is new enters with its start, and has its first records in the next batch. So the two offsets of a batch hold its
range, and options do not change the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from unlimcall_async.spark.options import Options

Offset = dict[str, str]


def first_offset(options: Options) -> Offset:
    """Return where a new stream begins."""
    return {account: _text(options.start) for account in options.accounts}


def next_offset(known: Mapping[str, str], options: Options, known_until: datetime) -> Offset:
    """Return the offset up to a time. No account goes back, and one that is no longer asked stays where it is."""
    until = known_until if options.end is None else min(known_until, options.end)
    moved = {account: max(time_of(text), until) for account, text in known.items() if account in options.accounts}
    return first_offset(options) | dict(known) | {account: _text(at) for account, at in moved.items()}


def settled(now: datetime, settle: timedelta) -> datetime:
    """Return the time, in whole seconds, before which all records have appeared now. Otherwise like `time_before`."""
    return time_before(now, settle).replace(microsecond=0)


def time_before(now: datetime, settle: timedelta) -> datetime:
    """Return the time that is as long ago as `settle` says.

    Raises:
        ValueError: That was before the year 1.
    """
    try:
        return now - settle
    except OverflowError:
        raise ValueError("settle must not reach back beyond the year 1") from None


def time_of(text: str) -> datetime:
    """Return the time of an account in an offset."""
    return datetime.fromisoformat(text)


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
