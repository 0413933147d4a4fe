"""The manifest of a pull in pieces: one line for each piece of the pull, and their sum. No I/O.

The manifest of a pull grows with its pages, so it is stored as the pull goes, in `FILE.manifest.json.part`. Each line is the
manifest of one piece. The journal counts these lines as it counts the records. So after any kill the lines are those of just the
records that count.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Self

import attrs

from unlimcall_async.cli.rejects import count
from unlimcall_async.proof import DayDigest, Evidence, Manifest, UnreadRow


@attrs.frozen
class Lines:
    """How much of the file of lines counts.

    Attributes:
        length: The bytes that count.
        crc32: Their CRC-32.
    """

    length: int = attrs.field(default=0, validator=count)
    crc32: int = attrs.field(default=0, validator=count)

    def after(self, text: bytes) -> Self:
        """Return the same after more lines."""
        return attrs.evolve(self, length=self.length + len(text), crc32=zlib.crc32(text, self.crc32))


def line(manifest: Manifest) -> bytes:
    """Return a manifest as one line."""
    # JSON has a line end between values only.
    return manifest.to_json().replace("\n", "").encode() + b"\n"


def sum_of(lines: Iterable[bytes], start: datetime, end: datetime) -> Manifest:
    """Return the manifest of a whole pull.

    Args:
        lines: The lines of its pieces, in their order.
        start: The start of the pull's range.
        end: Its end.

    Raises:
        ValueError: A line is not a manifest, or the pieces leave out some of the range.
    """
    windows, unreadable, makers = list[Evidence](), list[UnreadRow](), dict[str, None]()
    days = dict[date, DayDigest]()
    reached = start
    for text in lines:
        piece = Manifest.from_json(text)
        if piece.start != reached:
            raise ValueError("the pieces of the manifest do not touch")
        reached = piece.end
        windows += piece.windows
        unreadable += piece.unreadable
        makers |= dict.fromkeys(piece.made_by.split(", "))
        for day, digest in piece.days.items():
            # Few days are in two pieces.
            days[day] = days[day] + digest if day in days else digest
    if reached != end:
        raise ValueError("the pieces of the manifest do not reach the end")
    bare = Manifest(start, end, tuple(_joined(windows)), dict(sorted(days.items())), tuple(unreadable))
    # A sum says what its windows rest on. To add manifests one by one would copy the windows each time.
    return attrs.evolve(bare + Manifest(end, end), made_by=", ".join(makers))


def _joined(windows: Iterable[Evidence]) -> Iterator[Evidence]:
    """Yield windows. Those that rest on one answer, and were divided between two pieces, are joined."""
    last: Evidence | None = None
    for window in windows:
        if (
            last is not None
            and last.end == window.start
            and attrs.evolve(window, start=last.start) == attrs.evolve(last, end=window.end)
        ):
            last = attrs.evolve(last, end=window.end)
            continue
        if last is not None:
            yield last
        last = window
    if last is not None:
        yield last
