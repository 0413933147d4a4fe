"""The manifest of a pull: which time it covers, why each window of that time is complete, and the digest of each day.

Pure: no I/O. A manifest holds no call record: it grows with the pages of a pull, and says of each why nothing is missing there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, Self, TypeAlias

import msgspec
from attrs import evolve, field, frozen

from unlimcall_async import _json
from unlimcall_async._from_plain import from_dict
from unlimcall_async._model import Model
from unlimcall_async._plain import to_dict
from unlimcall_async._version import __version__
from unlimcall_async.proof.digest import DayDigest, added, total_of

VERSION: Final = 1
_KIND: Final = "cdrs.manifest"
_SECOND: Final = timedelta(seconds=1)
# What `json` writes for a manifest without days, and for one day. No text within the JSON looks like the first, because `json`
# escapes the ends of lines in texts.
_NO_DAYS: Final = '\n "days": {},\n'
_DAY: Final = '  "%s": {\n   "records": %d,\n   "digest": "%s"\n  }'

Reason: TypeAlias = Literal["short", "sought"]

# What nothing can be built without (`docs/promises.md`), and what some windows rest on beside that.
_ASSUMED: Final = (
    "An answer with fewer rows than limit, and count not above its rows, is its whole window.",
    "A row lies within a second of its window.",
    "Bounds are compared at one second or finer.",
    "Rows may appear, but do not vanish or move.",
)
_BEYOND_ASSUMED: Final = (
    "Dense traffic was asked for by windows that reach less far than what rests on them, by a second at most, "
    "because answers had shown how the server treats their bounds."
)
_ORDER_ASSUMED: Final = (
    "An order proven on a page holds on later pages that arrive sorted, and agree with the page before."
)


def _time(value: datetime) -> datetime:
    return value


class _Day(msgspec.Struct, forbid_unknown_fields=True):
    """The digest of a day in JSON. `from_dict` would read a day of a manifest ten times as slowly."""

    records: int = 0
    digest: str = DayDigest().digest


@frozen
class Evidence(Model):
    """Why the records of one window are complete: the answer that they rest on.

    Attributes:
        start: The start of the time whose records rest on this answer.
        end: Its end, which is not part of it.
        asked_from: `from` of the request. The request asks for more than the window, so that its bounds do not matter. The window
            reaches beyond the request, by a second at most, only if answers had shown how the server treats bounds: where a second
            was taken apart, and in dense traffic.
        asked_till: `till` of the request.
        limit: `limit` of the request.
        rows: The rows of the answer.
        count: `count` of the answer.
        reason: `short`: the answer has fewer rows than `limit`, and is all of what was asked. `sought`: the answer is full, and
            holds all rows of the window because the server sorts. The next answer overlaps with it, and repeats `repeated` rows.
        repeated: How many rows the next answer repeats, or `None` for a short answer.
    """

    start: datetime = field(converter=_time)
    end: datetime = field(converter=_time)
    asked_from: datetime = field(converter=_time)
    asked_till: datetime = field(converter=_time)
    limit: int
    rows: int
    count: int
    reason: Reason
    repeated: int | None = None

    @property
    def was_asked(self) -> bool:
        """Whether the window lies within what was asked, but for a second at each end."""
        before, behind = self.asked_from - self.start, self.end - self.asked_till
        return self.start <= self.end and before <= _SECOND and behind <= _SECOND

    @property
    def is_complete(self) -> bool:
        """Whether the answer is as the reason says."""
        if self.reason == "short":
            return 0 <= self.count <= self.rows < self.limit and self.repeated is None
        return self.repeated is not None and 0 < self.repeated <= self.rows


@frozen
class UnreadRow(Model):
    """A row that could not be read: it is in no count and no digest.

    Attributes:
        asked_from: `from` of the request that showed the row.
        asked_till: `till` of the request.
        where: The place in the answer, for example `calls[17].billsec`.
        reason: What was expected there.
        digest: 16 hexadecimal digits that stand for the row's text. The text is not part of a manifest: it may hold phone numbers.
    """

    asked_from: datetime = field(converter=_time)
    asked_till: datetime = field(converter=_time)
    where: str
    reason: str
    digest: str


@frozen
class Manifest(Model):
    """What a pull covers, why that is complete, and the digest of each day.

    Manifests of pulls that touch add up: the sum of those of a pull that was resumed covers what one pull covers.

    Attributes:
        start: The start of the time that is covered.
        end: Its end.
        windows: The answers that the records rest on, by time. They cover the time without a gap.
        days: The number and the digest of the records of each UTC day that has any.
        unreadable: The rows that could not be read.
        assumptions: What was assumed of the server, each a sentence.
        held_at_start: `None` if all records that start at `start` are part of the manifest. Else the hashes of those that are: the
            pull was resumed between two records that start together.
        held_at_end: `None` if no record that starts at `end` is part of the manifest, as in any interval `[start, end)`. Else
            the hashes of those that are.
        made_by: The release of this package that made the manifest.
        version: The version of the format.
    """

    start: datetime = field(converter=_time)
    end: datetime = field(converter=_time)
    windows: tuple[Evidence, ...] = field(default=(), repr=False)
    days: Mapping[date, DayDigest] = field(factory=dict, repr=False, hash=False)
    unreadable: tuple[UnreadRow, ...] = field(default=(), repr=False)
    assumptions: tuple[str, ...] = field(default=(), repr=False)
    held_at_start: tuple[str, ...] | None = field(default=None, repr=False)
    held_at_end: tuple[str, ...] | None = field(default=None, repr=False)
    made_by: str = field(default=f"unlimcall-async {__version__}", eq=False)
    version: int = VERSION

    @property
    def total(self) -> DayDigest:
        """The number and the digest of all records."""
        return total_of(self.days.values())

    def __add__(self, other: Manifest) -> Manifest:
        """Return the manifest of two pulls together.

        Raises:
            ValueError: The two do not touch: time between them is covered by neither, or by both.
        """
        if not isinstance(other, Manifest):
            return NotImplemented
        first, last = sorted((self, other), key=_order)
        if first.end != last.start or (first.held_at_end is None) != (last.held_at_start is None):
            raise ValueError(
                f"the manifests do not touch: one ends at {first.end.isoformat()}, the other begins at {last.start.isoformat()}"
            )
        made_by = dict.fromkeys([*first.made_by.split(", "), *last.made_by.split(", ")])
        return Manifest(
            first.start,
            last.end,
            (*first.windows, *last.windows),
            added(first.days, last.days),
            (*first.unreadable, *last.unreadable),
            assumptions_of((*first.windows, *last.windows)),
            _held(first.held_at_start, last.held_at_start if first.start == first.end else ()),
            _held(last.held_at_end, first.held_at_end if last.start == last.end else ()),
            ", ".join(made_by),
        )

    def gaps(self) -> list[tuple[datetime, datetime]]:
        """Return the stretches of time that no window covers. A manifest of a pull has none."""
        gaps, reached = [], self.start
        for window in sorted(self.windows, key=lambda each: each.start):
            if window.start > reached:
                gaps.append((reached, window.start))
            reached = max(reached, window.end)
        return [*gaps, (reached, self.end)] if reached < self.end else gaps

    def _check(self) -> None:
        """Check that the manifest does not contradict itself.

        Raises:
            ValueError: A window was not asked or need not be complete, two windows overlap, or a day is not one of the manifest.
        """
        for place, window in enumerate(self.windows):
            if not window.was_asked:
                raise ValueError(f"windows[{place}] reaches beyond what was asked")
            if not window.is_complete:
                raise ValueError(f"windows[{place}] is not {window.reason}: its answer does not say so")
        by_time = sorted(self.windows, key=lambda each: each.start)
        for before, behind in pairwise(by_time):
            if before.end > behind.start:
                raise ValueError(f"two windows hold {behind.start.isoformat()}")
        for day, each in self.days.items():
            if each.records < 0 or not self.start.date() <= day <= self.end.date():
                raise ValueError(f"there cannot be {each.records} records on {day}")

    def to_json(self) -> str:
        """Return the manifest as JSON, without a secret or a phone number."""
        content = to_dict(evolve(self, days={}))
        text = json.dumps({"kind": _KIND, **content}, indent=1)
        # With an indent, `json` is Python code that looks at each value. For the days, that would take longer than all the rest.
        return text.replace(_NO_DAYS, _days_text(self.days), 1) if self.days else text

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the manifest that `to_json` wrote.

        Raises:
            ValueError: `text` is not a manifest, is damaged, or is of a version that this release does not know.
        """
        try:
            content = _json.read(text)
            kind, version = content.pop("kind"), content.get("version")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError("the text is not a manifest") from None
        if (kind, version) != (_KIND, VERSION):
            raise ValueError(f"this release does not know a manifest of {kind!r}, version {version!r}")
        try:
            read = _days_in(content.pop("days", None))
            manifest = evolve(from_dict(cls, content), days=read)
            manifest._check()  # noqa: SLF001 # of this class
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"the manifest is damaged: {error}") from None
        if manifest.start > manifest.end or manifest.gaps():
            raise ValueError("the manifest is damaged: its windows leave out some of its time")
        return manifest


def _days_text(days: Mapping[date, DayDigest]) -> str:
    """Return the lines of the digests of days in the JSON of a manifest."""
    written = [_DAY % (day, each.records, each.digest) for day, each in sorted(days.items())]
    return '\n "days": {\n' + ",\n".join(written) + "\n },\n"


def _days_in(content: object) -> dict[date, DayDigest]:
    """Return the digests of days that the JSON of a manifest holds.

    Raises:
        ValueError: They are damaged.
    """
    try:
        days = msgspec.convert(content, dict[date, _Day])
    except msgspec.ValidationError as error:
        raise ValueError(f"days: {error}") from None
    return {day: DayDigest(each.records, each.digest) for day, each in days.items()}


def _order(manifest: Manifest) -> tuple[datetime, datetime, bool, bool]:
    """Return what manifests that touch are sorted by."""
    # Two manifests may lie within one instant. Then the one that begins before the records of that instant comes first, and the one
    # that also ends before them before that.
    between = manifest.held_at_start is not None, manifest.held_at_end is not None
    return manifest.start, manifest.end, *between


def _held(edge: tuple[str, ...] | None, within: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the hashes at an edge of a sum: a manifest that lies within that instant adds its own."""
    return None if edge is None else tuple(sorted([*edge, *(within or ())]))


def assumptions_of(windows: Sequence[Evidence]) -> tuple[str, ...]:
    """Return what windows rest on beside their answers."""
    assumptions = list[str](_ASSUMED)
    if any(window.start < window.asked_from or window.asked_till < window.end for window in windows):
        assumptions.append(_BEYOND_ASSUMED)
    if any(window.reason == "sought" for window in windows):
        assumptions.append(_ORDER_ASSUMED)
    return tuple(assumptions)
