"""The plan: the parts of the range that were not handed out yet, in the order of the output.

Pure: no I/O. Together the parts are the rest of the range, without gaps and without overlaps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

from unlimcall_async.cdrs.planner.density import Hints
from unlimcall_async.cdrs.planner.divide import Divider
from unlimcall_async.cdrs.planner.parts import Claimed, Done, Failed, Part, Read, Saturated, Waiting
from unlimcall_async.cdrs.planner.sizes import Sizes
from unlimcall_async.cdrs.planner.tally import Tally
from unlimcall_async.cdrs.planner.tasks import Gauge, Probe, Prove
from unlimcall_async.cdrs.times import Range


class Plan:
    """The parts, the next one to hand out first."""

    def __init__(self, wanted: Range, sizes: Sizes, *, newest_first: bool) -> None:
        self._newest_first = newest_first
        self._sizes = sizes
        self._parts: deque[Part] = deque()
        self._tally = Tally()
        if len(wanted):
            self._insert(0, Part(wanted))
        self._end = wanted.start if newest_first else wanted.end

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    @property
    def first(self) -> Part | None:
        """The part that is handed out next."""
        return self._parts[0] if self._parts else None

    def remove_first(self) -> None:
        """Remove the part that was handed out."""
        self._tally.remove(self._parts.popleft())

    @property
    def edge(self) -> int:
        """The time up to which (from which on, with the newest first) all parts were handed out."""
        if not self._parts:
            return self._end
        return self._parts[0].range.end if self._newest_first else self._parts[0].range.start

    def output_waits_for(self, part: Part) -> bool:
        """Return whether the output waits for this part: all parts before it, if any, are claimed, and ask nothing of their own."""
        return next((each for each in self._parts if type(each.state) is not Claimed), None) is part

    @property
    def held(self) -> int:
        """How many records wait for their turn."""
        return self._tally.held

    @property
    def settled(self) -> int:
        """The microseconds of the parts whose records are here, and wait for their turn."""
        return sum(len(part.range) for part in self._parts if type(part.state) in {Done, Claimed})

    @property
    def room(self) -> int:
        """How many more records may be held, if each question under way brings a full page."""
        return self._sizes.most - self._tally.held - len(self._tally.asked) * self._sizes.page

    @property
    def has_claims(self) -> bool:
        """Whether a claim waits, for its proof or for another page."""
        return self._tally.claimed > 0 or self.is_proving

    @property
    def is_proving(self) -> bool:
        """Whether a claim is being proven, or is about to be."""
        return self._tally.to_prove + self._tally.proving > 0

    @property
    def is_gauging(self) -> bool:
        """Whether a window that shows how the server treats bounds is under way, or is about to be asked."""
        return any(type(part.task) is Gauge for part in self._parts)

    def has_beside(self, part: Part, *, later: bool) -> bool:
        """Return whether another part lies beside a part, on its later side or on its earlier one."""
        place = self._parts.index(part) + (1 if later != self._newest_first else -1)
        return 0 <= place < len(self._parts)

    # --- which part to ask ----------------------------------------------------------------------------------------------

    def claim_to_prove(self, *, spare: float) -> Part | None:
        """Return a claim to prove, one at a time: a claim that is doubted or, if more than `spare` others wait, one of these.

        Until an order is proven no chain can go on. And what one doubted claim shows of the traffic, others need not be asked for.
        """
        claims_too = self._tally.claimed > spare
        if self._tally.proving or not (claims_too or self._tally.to_prove):
            return None
        return next(
            part for part in self._parts if type(part.task) is Prove or (claims_too and type(part.state) is Claimed)
        )

    def waits_for_claim(self, *, proven: bool) -> bool:
        """Return whether only a proof can help, if nothing is under way and no part can be asked.

        Without a proven order, a chain did not end in a page that supports the presumed one. With one, the output waits for a claim
        that no page can agree with.
        """
        return not proven or (self.first is not None and type(self.first.state) is Claimed)

    def part_to_learn_from(self) -> Part | None:
        """Return the first part that was cut to fill a page, if it waits, and no earlier part is saturated or failed."""
        stops = (Saturated, Failed)
        first = next((part for part in self._parts if part.hints.expected or isinstance(part.state, stops)), None)
        return first if first is not None and isinstance(first.state, Waiting) else None

    def part_in_doubt(self, room: int) -> Part | None:
        """Return the first part whose page was not believed, if it waits, and no earlier part is saturated or failed."""
        if room < self._sizes.page + self._sizes.kept:
            return None
        stops = (Saturated, Failed)
        first = next((part for part in self._parts if part.hints.doubted or isinstance(part.state, stops)), None)
        return first if first is not None and isinstance(first.state, Waiting) else None

    def first_to_ask(self, divider: Divider, room: int) -> Part | None:
        """Return the first part that waits, if it is not better cut later, and if `room` records are enough for its page."""
        if not self._tally.waiting:
            return None
        # This loop goes over a hundred parts, most of them claimed or done, before each question: hence `type(...) is`.
        first = True
        for part in self._parts:
            state = type(part.state)
            if state is Claimed:
                continue
            if state is Failed or state is Saturated:
                return None  # nobody could use what lies behind
            if state is Waiting and part.hints.hole is not None and (other := self._beside_hole(part)) is not None:
                # It takes the hole in when it is asked, or the part behind the page that is under way does.
                first = first and type(other.state) is Waiting
                continue
            if (
                state is Waiting
                and not isinstance(part.task, Probe)
                and not divider.is_better_cut_later(part, self.asked)
            ):
                # What all others wait for may always be asked.
                return part if first or room >= self._sizes.page + self._sizes.kept else None
            first = False
        return None

    @property
    def asked(self) -> Collection[Part]:
        """The parts with a question under way."""
        return self._tally.asked

    def take_in_hole(self, part: Part) -> None:
        """Extend a part that is to be read over the hole that its page will reach at no cost, if there is one."""
        place = self._parts.index(part)
        for beside in (place - 1, place + 1):
            hole = self._parts[beside] if 0 <= beside < len(self._parts) else part
            if hole.hints.hole is not None and type(hole.state) is Waiting and self._beside_hole(hole) is part:
                self._join_hole(hole, part)
                return

    def _beside_hole(self, hole: Part) -> Part | None:
        """Return the part whose page will reach a hole at no cost, or `None` if no question goes there.

        A chain goes towards the hole from the other side than the page that says that it is one.
        """
        place = self._parts.index(hole) + (1 if hole.hints.hole != self._newest_first else -1)
        if not 0 <= place < len(self._parts):
            return None
        other = self._parts[place]
        return other if isinstance(other.task, Read) and not other.hints.searched else None

    def _join_hole(self, hole: Part, other: Part) -> None:
        other.take_in(hole.range)
        self._remove(self._parts.index(hole))

    # --- how parts are replaced, joined and dropped ---------------------------------------------------------------------

    def replace(self, part: Part, pieces: list[Part]) -> None:
        """Put pieces, which together are the range of a part, in the place of the part."""
        place = self._parts.index(part)
        self._remove(place)
        ordered = sorted(pieces, key=lambda piece: piece.range.start, reverse=self._newest_first)
        for offset, piece in enumerate(ordered):
            self._insert(place + offset, piece)

    def keep_to(self, part: Part, asked: Range) -> list[Part]:
        """Reduce a long part to the range that its window reached, and leave the rest of it for later; return the rest."""
        if asked == part.range:
            return []
        beside = Range(part.range.start, asked.start), Range(asked.end, part.range.end)
        rests = [Part(rest, hints=Hints(density=part.hints.density)) for rest in beside if len(rest)]
        part.range = asked
        self.replace(part, [part, *rests])
        return rests

    def extend(self, part: Part, most: int | None = None) -> bool:
        """Extend a part over the untouched part behind it, by `most` microseconds; return whether there was such a part."""
        place = self._parts.index(part) + 1
        if place == len(self._parts) or not (other := self._parts[place]).untouched:
            return False
        more = len(other.range) if most is None else min(len(other.range), max(0, most))
        at = other.range.end - more if self._newest_first else other.range.start + more
        earlier, later = Range(other.range.start, at), Range(at, other.range.end)
        taken, other.range = (later, earlier) if self._newest_first else (earlier, later)
        part.take_in(taken)
        if not len(other.range):
            self._remove(place)
        return True

    def make_room(self, kept: Part) -> int:
        """Drop what is held behind a part, from the far end, until a page fits; return the room that there is then.

        What is dropped is asked again in its turn.
        """
        while (room := self.room) < self._sizes.page:
            last = next(part for part in reversed(self._parts) if part is kept or (part.held and part.question is None))
            if last is kept:
                break
            last.ask_again()
            self.extend(last)
        return room

    def reset(self) -> None:
        """Return every part that was asked, has failed or is saturated to waiting."""
        for part in self._parts:
            part.reset()

    def _insert(self, place: int, part: Part) -> None:
        self._parts.insert(place, part)
        self._tally.add(part)

    def _remove(self, place: int) -> None:
        self._tally.remove(self._parts[place])
        del self._parts[place]
