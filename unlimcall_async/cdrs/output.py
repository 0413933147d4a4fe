"""What a stream has handed out: how far the position is, and which rows that cannot be read were kept.

Pure: no I/O. A view may take records off the position before it hands them out: a batch of Arrow is handed out when it is full, and
a file when it is whole. Meanwhile the output is held: the checkpoint stays where it was, and rows that cannot be read do not show.
Then the records are handed out in one step, or taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from unlimcall_async.cdrs.checkpoint import Place, StreamCheckpoint
from unlimcall_async.cdrs.planner.known_server import KnownServer
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.position import Position
from unlimcall_async.cdrs.rows import Row, UnplacedRow
from unlimcall_async.cdrs.times import Range, to_micros
from unlimcall_async.cdrs.unreadable import UnreadableRows
from unlimcall_async.models import CallRecord
from unlimcall_async.proof.ledger import Ledger
from unlimcall_async.proof.manifest import Evidence, Manifest


@frozen
class _Held:
    """Where the output was when it was held: its checkpoint, and what it had counted."""

    checkpoint: StreamCheckpoint
    handed_out: int
    rows_used: int


class Output:
    """What a stream has handed out.

    Args:
        start: The start of the range.
        end: The end of the range, which is not part of it.
        unreadable: The rows that cannot be read.
        known: What is known of the server, for checkpoints.
        newest_first: The direction of the output.
        place: The place that a checkpoint holds, or `None` for the beginning.
        limit: The `limit` of each request, for the manifest.
        manifest: Whether a manifest is asked for; `None` if nobody can ask for one later.

    Attributes:
        position: How far the records were taken.
        unreadable: The rows that cannot be read.
        rows_used: Rows that became records of a part that the position has entered.
    """

    def __init__(
        self,
        start: datetime,
        end: datetime,
        unreadable: UnreadableRows,
        known: KnownServer,
        *,
        newest_first: bool,
        place: Place | None,
        limit: int,
        manifest: bool | None,
    ) -> None:
        self.position: Position = Position(start, end, newest_first=newest_first, place=place)
        self.unreadable: UnreadableRows = unreadable
        self.rows_used: int = 0
        self._start, self._end, self._newest_first = start, end, newest_first
        self._known = known
        self._held: _Held | None = None
        wanted = Range(to_micros(start), to_micros(end))
        self._ledger = Ledger(wanted, place, newest_first=newest_first, limit=limit, asked=manifest)
        # How many records had been handed out when the run began.
        self._before_run = 0

    @property
    def handed_out(self) -> int:
        """How many records were handed out; those that are held were not."""
        return self.position.handed_out if self._held is None else self._held.handed_out

    @property
    def checkpoint(self) -> StreamCheckpoint:
        """The checkpoint behind the last record that was handed out."""
        return self.checkpoint_at(self.position.place) if self._held is None else self._held.checkpoint

    def checkpoint_at(self, place: Place, *, skipped: UnplacedRow | None = None) -> StreamCheckpoint:
        """Return a checkpoint at a place, at which a row that cannot be read may count as handed out."""
        marks = self.unreadable.marks_behind(place.settled, newest_first=self._newest_first, skipped=skipped)
        return StreamCheckpoint(self._start, self._end, self._newest_first, place, marks, self._known.proven)

    # --- going on -------------------------------------------------------------------------------------------------------

    def enter(self, part: Range, rows: Sequence[CallRecord], basis: Basis) -> None:
        """Go on to the next part with these records, the oldest first, and what they rest on."""
        self.position.enter(part, rows)
        self._ledger.note_part(part, basis)
        self._enter_run()

    def enter_unreadable(self, part: Range, rows: Sequence[Row], unplaced: Sequence[UnplacedRow], basis: Basis) -> None:
        """Go on to the next part, some rows of which cannot be read."""
        self.position.enter_unreadable(part, rows, unplaced)
        self._ledger.note_part(part, basis)
        self._enter_run()

    def pass_unreadable(self, row: UnplacedRow) -> None:
        """Go on behind a row that comes next and cannot be read."""
        self._ledger.note_unreadable(row)
        self.position.pass_unreadable()
        self._enter_run()

    def _enter_run(self) -> None:
        self._before_run = self.position.handed_out
        self._ledger.enter(self.position.run)

    # --- the manifest ---------------------------------------------------------------------------------------------------

    def forgo_manifest(self) -> None:
        """Keep no records for a manifest: nobody will ask for one."""
        self._ledger.forgo()

    def manifest(self, skipped: UnplacedRow | None) -> Manifest:
        """Return the manifest of what was handed out, and of the row behind that has ended the stream, if one has.

        Raises:
            RuntimeError: Nobody has asked for a manifest before, and too many records were handed out since.
        """
        handed_out = self.position.handed_out - self._before_run
        if self._held is not None:
            return self._ledger.manifest(self._held.checkpoint.place, handed_out)
        place = self.position.place if skipped is None else self.position.place_behind_unreadable
        return self._ledger.manifest(place, handed_out, skipped=skipped)

    def take_manifest(self) -> Manifest:
        """Return the manifest of what was handed out, and begin a new one.

        Raises:
            RuntimeError: The output is held. Or as for `manifest`.
        """
        if self._held is not None:
            raise RuntimeError("records were taken that are not handed out yet: take the manifest behind a whole batch")
        handed_out, self._before_run = self.position.handed_out - self._before_run, self.position.handed_out
        return self._ledger.take(self.position.place, handed_out)

    def evidence_from(self, number: int) -> list[Evidence]:
        """Return what the parts from a number on rest on, in the order of the output, up to the one that is handed out now."""
        return self._ledger.evidence_from(number)

    # --- holding --------------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Hold the output, if it is not held already."""
        if self._held is None:
            self._held = _Held(self.checkpoint, self.position.handed_out, self.rows_used)
            self.unreadable.hold()
            self._ledger.hold(self.position.handed_out - self._before_run)

    def hand_out(self) -> None:
        """Hand out all records that were taken since the output was held."""
        self._held = None
        self.unreadable.hand_out()
        self._ledger.hand_out()

    def take_back(self) -> None:
        """Return to where the output was when it was held. What comes behind has to be asked again."""
        if self._held is None:
            raise AssertionError("only what is held is taken back")
        self.unreadable.take_back()
        self._ledger.take_back(self._held.checkpoint.place.at)
        self.rows_used = self._held.rows_used
        self.position = Position(
            self._start,
            self._end,
            newest_first=self._newest_first,
            place=self._held.checkpoint.place,
            handed_out=self._held.handed_out,
        )
        self._before_run = self._held.handed_out
        self._held = None
