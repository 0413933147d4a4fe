"""What a stream records of itself as it goes: the answers that it rests on, and the digests of what it has handed out.

Pure: no I/O. Digests cost about as much as all the rest of a pull, and few pulls need them. So none is made before somebody asks
for a manifest. Until then the ledger keeps the records of the stream's beginning as they are, and beyond that nothing of them.

`output` holds what was taken and is not handed out yet. The ledger does the same: `hold`, then `hand_out` or `take_back`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final, Self

from attrs import Factory, define, evolve

from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import Range, to_datetime, to_micros
from unlimcall_async.models import CallRecord
from unlimcall_async.proof.digest import DayDigest, Days
from unlimcall_async.proof.manifest import Evidence, Manifest, UnreadRow, assumptions_of

# Records that are kept without a digest, in case somebody asks later: some 30 MB.
MOST_KEPT: Final = 50_000
# Records that are freed at once, in whole runs: to free all that was kept takes more than 10 ms.
_FREED_AT_ONCE: Final = 1000


@define
class _Entries:
    """What was recorded up to a place.

    Attributes:
        days: The digests of records.
        kept: Records that have no digest yet, as they came; `None` once they were too many.
        records: How many records were kept.
        last: The records at the last instant.
        first: The records at the instant at which the stream was resumed.
        windows: What each part of the range rests on.
        unreadable: The rows that cannot be read.
    """

    days: Days = Factory(Days)
    kept: list[Sequence[CallRecord]] | None = Factory(list)
    records: int = 0
    last: Sequence[CallRecord] = ()
    first: Sequence[CallRecord] = ()
    windows: list[tuple[Range, Basis]] = Factory(list)
    unreadable: list[UnplacedRow] = Factory(list)

    def copy(self) -> Self:
        """Return a copy, which later entries do not change."""
        kept = None if self.kept is None else list(self.kept)
        return evolve(
            self, days=self.days.copy(), kept=kept, windows=list(self.windows), unreadable=list(self.unreadable)
        )

    def digest(self) -> None:
        """Make the digests of the records that are kept."""
        for records in self.kept or ():
            self.days.add(records)
        if self.kept is not None:
            self.kept.clear()


class Ledger:
    """The record of one stream.

    Args:
        wanted: The range of the stream, or what was left of it when the stream was resumed.
        place: The place that the stream was resumed at, or `None`.
        newest_first: The direction of the output.
        limit: The `limit` of each request.
        asked: Whether a manifest is asked for; `None` if nobody can ask for one later.
    """

    def __init__(
        self, wanted: Range, place: Place | None, *, newest_first: bool, limit: int, asked: bool | None
    ) -> None:
        self._newest_first = newest_first
        at = place.at if place is not None else wanted.end if newest_first else wanted.start
        self._began = place if place is not None else Place(at)
        self._limit = limit
        self._asked = asked
        self._entries = _Entries(kept=None if asked is None else [])
        # The records that are being handed out.
        self._run: Sequence[CallRecord] = ()
        # Runs that are kept no longer, and are freed a few at a time.
        self._let_go: list[Sequence[CallRecord]] = []
        # The entries up to the place at which the output is held; `None` if it is not held.
        self._held: _Entries | None = None

    # --- what is handed out ---------------------------------------------------------------------------------------------

    def forgo(self) -> None:
        """Keep no records: nobody will ask for a manifest."""
        self._entries.kept = None

    def enter(self, run: Sequence[CallRecord]) -> None:
        """Record that the records before were handed out, and that these come next, in the order of the output."""
        self._add(self._entries, self._run)
        # A copy, because readers may change the lists that they get.
        self._run = tuple(run)

    def note_part(self, part: Range, basis: Basis) -> None:
        """Record what the records of a part rest on, which come next."""
        # The first part of a stream that was resumed, or was taken back, may hold again what was handed out.
        reached = self._began.at
        if self._entries.windows:
            before, _ = self._entries.windows[-1]
            reached = before.start if self._newest_first else before.end
        if self._reaches_behind(part, reached):
            first, last = (part.start, reached) if self._newest_first else (reached, part.end)
            self._entries.windows.append((Range(max(part.start, first), min(part.end, last)), basis))

    def note_unreadable(self, row: UnplacedRow) -> None:
        """Record a row that cannot be read, and that the stream goes on behind."""
        self._entries.unreadable.append(row)

    def hold(self, handed_out: int) -> None:
        """Hold the output, so many records of the run of which were handed out."""
        self._held = self._behind(handed_out)

    def hand_out(self) -> None:
        """Hand out all that was recorded since the output was held."""
        self._held = None

    def take_back(self, at: int) -> None:
        """Return to where the output was held. What lies behind that time is asked again."""
        if self._held is not None:
            self._entries, self._held, self._run = self._held, None, ()
            left = [(self._before(part, at), basis) for part, basis in self._entries.windows]
            self._entries.windows = [(part, basis) for part, basis in left if len(part) > 0]

    def _before(self, part: Range, at: int) -> Range:
        """Return the piece of a part that is handed out before a time."""
        if self._newest_first:
            return Range(min(max(part.start, at), part.end), part.end)
        return Range(part.start, max(min(part.end, at), part.start))

    def _behind(self, handed_out: int) -> _Entries:
        """Return the entries with so many records of the run."""
        entries = self._entries.copy()
        self._add(entries, self._run[:handed_out])
        return entries

    def _add(self, entries: _Entries, records: Sequence[CallRecord]) -> None:
        if not records:
            return
        if self._asked:
            entries.days.add(records)
        elif entries.kept is not None:
            entries.kept.append(records)
            entries.records += len(records)
            if entries.records > MOST_KEPT:
                self._let_go += entries.kept
                entries.kept = None
        freed = 0
        while self._let_go and freed < _FREED_AT_ONCE:
            freed += len(self._let_go.pop())
        last = records[-1].start_time
        here = tuple(takewhile(lambda record: record.start_time == last, reversed(records)))
        also = entries.last if len(here) == len(records) and entries.last and entries.last[0].start_time == last else ()
        entries.last = (*also, *here)
        if to_micros(records[0].start_time) == self._began.at:
            first = records[0].start_time
            entries.first = (*entries.first, *takewhile(lambda record: record.start_time == first, records))

    # --- the manifest ---------------------------------------------------------------------------------------------------

    def manifest(self, place: Place, handed_out: int, *, skipped: UnplacedRow | None = None) -> Manifest:
        """Return the manifest of what was handed out.

        Args:
            place: The place behind that.
            handed_out: How many records of the run were handed out.
            skipped: The row behind the place that has ended the stream: the manifest covers that row as one that cannot be read.

        Raises:
            RuntimeError: Nobody has asked before, and too many records were handed out since.
        """
        self._asked = True
        for entries in (self._entries, self._held):
            if entries is not None:
                entries.digest()
        entries = self._behind(handed_out) if self._held is None else self._held
        if entries.kept is None:
            raise RuntimeError(
                f"the stream had handed out more than {MOST_KEPT:,} records when its manifest was first read: "
                "pass manifest=True to client.cdrs.stream, or read stream.manifest before the first record"
            )
        ends = [(self._began, entries.first), (place, entries.last)]
        (start, at_start), (end, at_end) = reversed(ends) if self._newest_first else ends
        unread = entries.unreadable if skipped is None else [*entries.unreadable, skipped]
        windows = self._windows(entries, start.at, end.at)
        return Manifest(
            to_datetime(start.at),
            to_datetime(end.at),
            windows,
            entries.days.digests(),
            tuple(_unread_row(row) for row in unread),
            assumptions_of(windows),
            _held_at(start, at_start),
            _held_at(end, at_end),
        )

    def take(self, place: Place, handed_out: int) -> Manifest:
        """Return the manifest of what was handed out, and begin anew behind it. The output is not held.

        Args:
            place: The place behind what was handed out.
            handed_out: How many records of the run were handed out.
        """
        manifest = self.manifest(place, handed_out)
        rest = [(part, basis) for part, basis in self._entries.windows if self._reaches_behind(part, place.at)]
        self._entries, self._run, self._began = _Entries(windows=rest), self._run[handed_out:], place
        return manifest

    def _reaches_behind(self, part: Range, at: int) -> bool:
        """Return whether a part, or a piece of it, is handed out behind a time."""
        return part.start < at if self._newest_first else part.end > at

    def _windows(self, entries: _Entries, start: int, end: int) -> tuple[Evidence, ...]:
        windows = [
            self._evidence(Range(max(part.start, start), min(part.end, end)), basis)
            for part, basis in entries.windows
            if max(part.start, start) < min(part.end, end)
        ]
        return tuple(reversed(windows) if self._newest_first else windows)

    def _evidence(self, part: Range, basis: Basis) -> Evidence:
        return Evidence(
            start=to_datetime(part.start),
            end=to_datetime(part.end),
            asked_from=to_datetime(basis.window.start),
            asked_till=to_datetime(basis.window.till),
            limit=self._limit,
            rows=basis.rows,
            count=basis.count,
            reason="short" if basis.repeated is None else "sought",
            repeated=basis.repeated,
        )

    def evidence_from(self, number: int) -> list[Evidence]:
        """Return what the parts from a number on rest on, in the order of the output. The last one may be handed out in part."""
        return [self._evidence(part, basis) for part, basis in self._entries.windows[number:]]


def _held_at(place: Place, records: Sequence[CallRecord]) -> tuple[str, ...] | None:
    """Return the hashes of the records at a place that stands between two records of one instant, else `None`."""
    if place.is_edge:
        return None
    return tuple(
        sorted(DayDigest.of([record]).digest for record in records if to_micros(record.start_time) == place.at)
    )


def _unread_row(row: UnplacedRow) -> UnreadRow:
    first, last = to_datetime(row.window.start), to_datetime(row.window.till)
    return UnreadRow(first, last, row.where, row.reason, row.digest)
