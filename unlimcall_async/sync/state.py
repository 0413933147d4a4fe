"""How far a table is, and what a run has to ask.

Pure: no I/O. The table holds one interval of an account's time, `[first, watermark)`. A run goes on at the watermark, and asks the
lookback before it again. It fills time before `first` downwards from there, the newest first. So after each transaction of any run
the table holds one interval, and two times are all that has to be stored of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Self

from attrs import field, frozen

from unlimcall_async import _json
from unlimcall_async.cdrs.checkpoint import (
    Place,
    ProvenOrder,
    StreamCheckpoint,
    array_of,
    read_order,
    utc_start,
    write_order,
)
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.errors import CheckpointError

VERSION: Final = 1
KIND: Final = "cdrs.sync"


@frozen
class SyncState:
    """What is stored beside a table for each account.

    Attributes:
        first: The start of the interval that the table holds.
        watermark: Its end.
        order: The order in which the server was found to sort: a later run presumes it, and checks it.
    """

    first: datetime = field(converter=utc_start)
    watermark: datetime = field(converter=utc_start)
    order: ProvenOrder | None = field(default=None, eq=False)

    def to_json(self) -> str:
        """Return the state as JSON."""
        held = [self.first.isoformat(), self.watermark.isoformat()]
        return json.dumps({"version": VERSION, "kind": KIND, "held": held, **write_order(self.order)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the state that `to_json` wrote.

        Raises:
            CheckpointError: The text is damaged, or of a later release.
        """
        try:
            content: Any = _json.read(text)
            known = (content["kind"], content["version"]) == (KIND, VERSION)
            state = cls._of(content) if known else None
        except (ValueError, KeyError, TypeError, OverflowError):
            raise CheckpointError("the stored state of the sync is damaged") from None
        if state is None:
            raise CheckpointError(f"this release does not know the state of a sync of version {content['version']!r}")
        if state.first > state.watermark:
            raise CheckpointError("the stored state of the sync is damaged: it ends before it begins")
        return state

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Self:
        first, watermark = map(datetime.fromisoformat, array_of(content["held"]))
        return cls(first, watermark, read_order(content))


@frozen
class Stretch:
    """A range that a run asks in one stream."""

    start: datetime
    end: datetime
    newest_first: bool = False


def stretches_of(state: SyncState | None, start: datetime, end: datetime, lookback: timedelta) -> list[Stretch]:
    """Return what a run asks: at the watermark first, and then what lies before the interval."""
    if state is None:
        return [Stretch(start, end)]
    again = state.watermark - min(lookback, state.watermark - state.first)
    # An earlier end takes back nothing that the table holds.
    last = max(end, state.watermark)
    if last - state.watermark > state.watermark - again > timedelta(0):
        # A stream plans the whole of its range at once, the newest pages among the first. Runs that are cut off would spend
        # themselves on what they then lack, and get ever less far behind the watermark.
        stretches = [Stretch(again, state.watermark), Stretch(state.watermark, last)]
    else:
        # The new time is short, and one answer may hold both.
        stretches = [Stretch(again, last)]
    return [*stretches, Stretch(start, state.first, newest_first=True)] if start < state.first else stretches


def again(state: SyncState, ranges: Iterable[tuple[datetime, datetime]]) -> list[Stretch]:
    """Return what a repair asks: the time of ranges, in any order, that lies in the interval of the table."""
    stretches = list[Stretch]()
    for start, end in sorted(ranges):
        first, last = max(start, state.first), min(end, state.watermark)
        if stretches and first <= stretches[-1].end:
            first = stretches.pop().start if last > stretches[-1].end else last
        if first < last:
            stretches.append(Stretch(first, last))
    return stretches


def resumable(stretch: Stretch, order: ProvenOrder | None) -> StreamCheckpoint:
    """Return the checkpoint at the very beginning of a stretch, which says what was proven of the server."""
    place = Place(to_micros(stretch.end if stretch.newest_first else stretch.start))
    return StreamCheckpoint(stretch.start, stretch.end, stretch.newest_first, place, (), order)
