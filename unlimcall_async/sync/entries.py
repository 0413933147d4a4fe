"""The manifest of a table, as it is stored beside the table: an entry for each window, cut at midnight.

Pure: no I/O. An entry holds what the records of a stretch of time rest on, and their digest. The entries of an account do not
overlap. A piece of time replaces those within it, in the transaction that writes its rows. So the work of a piece does not depend
on the size of the table, and at any moment the entries add up to the manifest of the table.

A piece may begin or end inside an entry. What is left of such an entry keeps its evidence: the answer holds that part, too. Its
digest is made of the rows that the table holds there. If the table's rows are those of the entries already, no entry is replaced.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final, Self

from attrs import evolve, frozen

from unlimcall_async import _json
from unlimcall_async._from_plain import from_dict
from unlimcall_async._plain import to_dict
from unlimcall_async._version import __version__
from unlimcall_async.errors import CheckpointError
from unlimcall_async.proof.digest import DayDigest
from unlimcall_async.proof.manifest import Evidence, Manifest, UnreadRow, assumptions_of
from unlimcall_async.sync.rows import Row, record_of, start_of
from unlimcall_async.sync.state import SyncState

VERSION: Final = 1
_DAY: Final = timedelta(days=1)


@frozen
class ManifestEntry:
    """An entry as a destination stores it.

    Attributes:
        start: The start of its time. No two entries of an account have the same one.
        text: JSON, some 500 bytes.
    """

    start: datetime
    text: str


@frozen
class Unread:
    """A row that is not in the table, and the times between which it may start."""

    row: UnreadRow
    first: datetime
    last: datetime

    def may_lie_in(self, start: datetime, end: datetime) -> bool:
        """Return whether the row may start in `[start, end)`."""
        return self.first < end and start <= self.last


@frozen
class Entry:
    """What the records of a stretch of time rest on.

    Attributes:
        evidence: The answer, and the start and the end of the stretch.
        digest: The number and the digest of the records.
        unread: The rows that may start here, and are not in the table.
        made_by: The release that made the entry.
    """

    evidence: Evidence
    digest: DayDigest
    unread: tuple[Unread, ...] = ()
    made_by: str = f"unlimcall-async {__version__}"

    @property
    def start(self) -> datetime:
        """The start of the stretch."""
        return self.evidence.start

    @property
    def end(self) -> datetime:
        """Its end, which is not part of it."""
        return self.evidence.end

    def within(self, start: datetime, end: datetime, digest: DayDigest) -> Self:
        """Return what is left of the entry in `[start, end)`, given the digest there."""
        unread = tuple(each for each in self.unread if each.may_lie_in(start, end))
        return evolve(self, evidence=evolve(self.evidence, start=start, end=end), digest=digest, unread=unread)

    def stored(self) -> ManifestEntry:
        """Return the entry as a destination stores it."""
        content = {
            "version": VERSION,
            "evidence": to_dict(self.evidence),
            "digest": to_dict(self.digest),
            "unread": [[to_dict(each.row), each.first.isoformat(), each.last.isoformat()] for each in self.unread],
            "made_by": self.made_by,
        }
        return ManifestEntry(self.start, json.dumps(content, separators=(",", ":")))

    @classmethod
    def read(cls, stored: ManifestEntry) -> Self:
        """Return the entry that `stored` returned.

        Raises:
            CheckpointError: The text is damaged, or of a later release.
        """
        try:
            content: Any = _json.read(stored.text)
            if content["version"] == VERSION:
                unread = tuple(
                    Unread(from_dict(UnreadRow, row), datetime.fromisoformat(first), datetime.fromisoformat(last))
                    for row, first, last in content["unread"]
                )
                evidence, digest = from_dict(Evidence, content["evidence"]), from_dict(DayDigest, content["digest"])
                return cls(evidence, digest, unread, str(content["made_by"]))
        except (ValueError, KeyError, TypeError, OverflowError):
            raise CheckpointError("the stored manifest of the table is damaged") from None
        raise CheckpointError(f"this release does not know a stored manifest of version {content['version']!r}")


def midnight(moment: datetime) -> datetime:
    """Return the start of a time's UTC day: an entry that holds the time begins there or later."""
    return datetime.combine(moment.date(), time(), UTC)


def overlapping(stored: Sequence[ManifestEntry], start: datetime, end: datetime) -> list[Entry]:
    """Return the entries that overlap with `[start, end)`, given all that begin on its days before its end, by time."""
    first = max(0, bisect_left(stored, start, key=lambda each: each.start) - 1)
    return [entry for each in stored[first:] if (entry := Entry.read(each)).end > start and entry.start < end]


# --- what a piece of time changes -------------------------------------------------------------------------------------------


@frozen
class Proof:
    """What the rows of a piece of time rest on.

    Attributes:
        start: The start of the piece.
        end: Its end.
        windows: The evidence, by time, without a gap.
        unread: The rows of the piece that are not in the table.
        cuts: Times at which an entry has to end: those at which the table's interval begins and ends.
    """

    start: datetime
    end: datetime
    windows: Sequence[Evidence]
    unread: Sequence[Unread] = ()
    cuts: Sequence[datetime] = ()

    def evidence(self) -> Iterator[Evidence]:
        """Yield the evidence of each entry."""
        for window in self.windows:
            start, end = max(window.start, self.start), min(window.end, self.end)
            if start < end:
                inner = {start, end, *midnights(start, end), *(cut for cut in self.cuts if start < cut < end)}
                for first, last in pairwise(sorted(inner)):
                    yield evolve(window, start=first, end=last)


def midnights(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the midnights between two times."""
    at = midnight(start)
    while end - at > _DAY:
        at += _DAY
        yield at


def replaced(
    proof: Proof, old: Sequence[Entry], rows: Sequence[Row], first: datetime, last: datetime
) -> tuple[Sequence[datetime], Sequence[ManifestEntry]]:
    """Return which entries a piece of time removes, by their starts, and which it stores then.

    Args:
        proof: What the rows of the piece rest on.
        old: The entries that overlap with the piece, by time.
        rows: The rows that the table holds in `[first, last)` behind the change, in any order.
        first: The start of the piece, or of an entry that begins before it.
        last: The end of the piece, or of an entry that ends behind it.
    """
    evidence = list(proof.evidence())
    bounds = {first, last, *_ends(evidence), *_ends(entry.evidence for entry in old)}
    digests = _Digests(rows, sorted(at for at in bounds if first <= at <= last))
    if _is_kept(proof, old) and all(digests.between(each.start, each.end) == each.digest for each in old):
        return (), ()
    made = list[Entry]()
    for each in evidence:
        if (digest := digests.between(each.start, each.end)) is not None:
            unread = tuple(row for row in proof.unread if row.may_lie_in(each.start, each.end))
            made.append(Entry(each, digest, unread))
    for entry in old:
        for start, end in ((entry.start, min(entry.end, proof.start)), (max(entry.start, proof.end), entry.end)):
            if start < end and (digest := digests.between(start, end)) is not None:
                made.append(entry.within(start, end, digest))
    made.sort(key=lambda entry: entry.start)
    return [entry.start for entry in old], [entry.stored() for entry in made]


def _ends(windows: Iterable[Evidence]) -> Iterator[datetime]:
    for window in windows:
        yield from (window.start, window.end)


def _is_kept(proof: Proof, old: Sequence[Entry]) -> bool:
    """Return whether entries prove all of a piece already, if their digests are right."""
    if not old or old[0].start > proof.start or old[-1].end < proof.end:
        return False
    if any(one.end != next_one.start for one, next_one in pairwise(old)):
        return False
    listed = {each.row.digest for entry in old for each in entry.unread if each.may_lie_in(proof.start, proof.end)}
    return listed == {each.row.digest for each in proof.unread}


class _Digests:
    """The digests of rows between any two of some times.

    Each row is hashed once. A user's row may have no digest, because its `extra` is not JSON.
    """

    def __init__(self, rows: Sequence[Row], bounds: Sequence[datetime]) -> None:
        ordered = sorted(rows, key=start_of)
        self._bounds = bounds
        self._digests = list[DayDigest | None]()
        for start, end in pairwise(bounds):
            some = ordered[bisect_left(ordered, start, key=start_of) : bisect_left(ordered, end, key=start_of)]
            try:
                self._digests.append(DayDigest.of(map(record_of, some)))
            except (ValueError, TypeError):
                self._digests.append(None)

    def between(self, start: datetime, end: datetime) -> DayDigest | None:
        """Return the digest of the rows between two of the times, or `None` if the rows are not known, or have none."""
        if not self._bounds or start < self._bounds[0] or end > self._bounds[-1]:
            return None
        total = DayDigest()
        for digest in self._digests[self._place(start) : self._place(end)]:
            if digest is None:
                return None
            total += digest
        return total

    def _place(self, at: datetime) -> int:
        return bisect_left(self._bounds, at)


# --- the manifest -----------------------------------------------------------------------------------------------------------


def manifest_of(state: SyncState, stored: Iterable[ManifestEntry]) -> Manifest:
    """Return the manifest of a table, given all its entries by time.

    The manifest covers the last stretch of time that entries cover without a gap: all that the table holds, unless an earlier
    release has written some of it.
    """
    run = list[Entry]()
    for each in stored:
        if state.first <= each.start < state.watermark:
            entry = Entry.read(each)
            if run and run[-1].end != entry.start:
                run.clear()
            run.append(entry)
    if not run:
        return Manifest(state.watermark, state.watermark, assumptions=assumptions_of(()))
    windows = tuple(_joined(entry.evidence for entry in run))
    days = dict[date, DayDigest]()
    for entry in run:
        if entry.digest.records:
            day = entry.start.date()
            days[day] = days.get(day, DayDigest()) + entry.digest
    unread = dict.fromkeys(each.row for entry in run for each in entry.unread)
    made_by = ", ".join(dict.fromkeys(entry.made_by for entry in run))
    return Manifest(run[0].start, run[-1].end, windows, days, tuple(unread), assumptions_of(windows), made_by=made_by)


def _joined(windows: Iterable[Evidence]) -> Iterator[Evidence]:
    """Yield evidence in which what was cut at midnight is one again."""
    last: Evidence | None = None
    for window in windows:
        if last is not None and evolve(window, start=last.start, end=last.end) == last:
            last = evolve(last, end=window.end)
        else:
            if last is not None:
                yield last
            last = window
    if last is not None:
        yield last
