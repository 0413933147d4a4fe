"""Texts that call records have over and over, such as the outcome of a call, or the line that made it.

Pure: no I/O. Where a page is decoded by what these texts may be, one object stands for each of them, not one in each record. That
takes a third off the memory of a record; and where pages wait for others, as in most pulls, memory is what the processor waits for.
What is not known is learned, and a field that has something new again and again is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Literal

from unlimcall_async.models import REPEATING, CallRecord

# Fewer records are soon read, and show little of what others have.
ENOUGH: Final = 100
# The texts of a field. With more of them there is less to share, and more to look through.
_MOST: Final = 128
# Their characters. Longer ones are remarks, which seldom repeat, and what is known is kept as long as the client.
_LONGEST: Final = 64
# The pages that may have something new in a field: each of them is read twice.
_PATIENCE: Final = 8


class Vocabulary:
    """The texts of the fields that repeat theirs."""

    def __init__(self) -> None:
        self._known: dict[str, set[str | None]] = {name: set() for name in REPEATING}
        self._surprises: dict[str, int] = dict.fromkeys(REPEATING, 0)

    def learn(self, records: Sequence[CallRecord]) -> bool:
        """Take note of the texts of some records, and tell whether that changes `types`."""
        if len(records) < ENOUGH:
            return False
        changed = False
        for name, known in [*self._known.items()]:
            new = set(map(attrgetter(name), records)) - known
            if new:
                changed = True
                known.update(new)
                self._surprises[name] += 1
                if self._surprises[name] > _PATIENCE or not _are_few_and_short(known):
                    del self._known[name]
        return changed

    @property
    def types(self) -> Mapping[str, Any]:
        """What the texts of each field may be, for msgspec: any, if there is no telling."""
        return {name: Literal[tuple(self._known[name])] if name in self._known else str | None for name in REPEATING}


def _are_few_and_short(texts: Collection[str | None]) -> bool:
    return len(texts) <= _MOST and all(len(text) <= _LONGEST for text in texts if text is not None)
