"""The parts of a range, in the order of the output: how they are replaced, joined, held, and taken off.

Pure: no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from unlimcall_async.cdrs.cutting import Sizes
from unlimcall_async.cdrs.instants import Range
from unlimcall_async.cdrs.parts import Part, State


class Line:
    """The parts that were not taken yet. Together they are the rest of the range, without gaps."""

    def __init__(self, wanted: Range, sizes: Sizes, *, newest_first: bool) -> None:
        self._newest_first = newest_first
        self._sizes = sizes
        self._parts: deque[Part] = deque([Part(wanted)] if len(wanted) else [])
        self._end = wanted.start if newest_first else wanted.end

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    @property
    def first(self) -> Part | None:
        """The part that comes out next."""
        return self._parts[0] if self._parts else None

    def take_first(self) -> None:
        """Take off the part that came out."""
        self._parts.popleft()

    @property
    def edge(self) -> int:
        """The millisecond up to which (from which on, with the newest first) all parts were taken."""
        if not self._parts:
            return self._end
        return self._parts[0].range.end if self._newest_first else self._parts[0].range.start

    @property
    def held(self) -> int:
        """How many records wait for their turn."""
        return sum(part.held for part in self._parts)

    @property
    def room(self) -> int:
        """How many more records may be held."""
        done, asked, taken = State.DONE, State.ASKED, 0
        for part in self._parts:  # there may be a hundred, most of them done, and this is looked at with every question
            state = part.state
            taken += len(part.records) if state is done else part.held + self._sizes.page * (state is asked)
        return self._sizes.most - taken

    def replace(self, part: Part, parts: list[Part]) -> None:
        """Put others in the place of a part: together they are its range."""
        place = self._parts.index(part)
        del self._parts[place]
        for offset, new in enumerate(self._in_order(parts)):
            self._parts.insert(place + offset, new)

    def _in_order(self, parts: list[Part]) -> list[Part]:
        return sorted(parts, key=lambda part: part.range, reverse=self._newest_first)

    def keep_to(self, part: Part, asked: Range) -> None:
        """Keep a long part to what its window reached, and leave the rest for later."""
        if asked != part.range:
            near = Range(asked.end, part.range.end) if self._newest_first else Range(part.range.start, asked.start)
            part.range = asked
            self.replace(part, [Part(near, density=part.density), part])

    def extend(self, part: Part, most: int | None = None) -> bool:
        """Let a part take in what comes behind it, or the next milliseconds of it, if nobody has begun with that."""
        place = self._parts.index(part) + 1
        if place == len(self._parts) or not (other := self._parts[place]).untouched:
            return False
        more = len(other.range) if most is None else min(len(other.range), max(0, most))
        at = other.range.end - more if self._newest_first else other.range.start + more
        earlier, later = Range(other.range.start, at), Range(at, other.range.end)
        taken, other.range = (later, earlier) if self._newest_first else (earlier, later)
        part.take_in(taken)
        if not len(other.range):
            del self._parts[place]
        return True

    def make_room(self, kept: Part) -> int:
        """Give up what is held behind a part, from the far end, if there is too much of it: it is asked again in its turn.

        Gives the room that there is then.
        """
        while (room := self.room) < self._sizes.page:
            last = next(part for part in reversed(self._parts) if part is kept or (part.held and not part.question))
            if last is kept:
                break
            last.ask_again()
            self.extend(last)
        return room

    def forget(self) -> None:
        """Say that no question is under way any more, and that failures may be tried again."""
        for part in self._parts:
            part.question = None
            if part.state in {State.ASKED, State.FAILED, State.SATURATED}:
                part.state, part.error = State.WAITING, None
