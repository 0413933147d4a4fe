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

# Fewer records are soon read, also twice, and show little of what others have.
ENOUGH: Final = 100
# The texts of a field. With more of them there is less to share, and more to look through.
_MOST: Final = 64
# Their characters. Longer ones are remarks, which seldom repeat, and what is known is kept: by the client, and for a while by
# `typing`, which remembers the last types that were made.
_LONGEST: Final = 64
# The pages from which a field may be learned. All but the first of them are read twice.
_PATIENCE: Final = 8


class Vocabulary:
    """The texts of the fields that repeat theirs.

    Attributes:
        edition: How often it has changed.
    """

    def __init__(self) -> None:
        self.edition: int = 0
        self._known: dict[str, set[str | None]] = {name: set() for name in REPEATING}
        self._surprises: dict[str, int] = dict.fromkeys(REPEATING, 0)

    def learn(self, records: Sequence[CallRecord]) -> None:
        """Take note of the texts of the records of a page."""
        if len(records) < ENOUGH:
            return
        news = {name: set(map(attrgetter(name), records)) - known for name, known in self._known.items()}
        self.edition += any(news.values())
        for name, new in news.items():
            known = self._known[name]
            known.update(new)
            self._surprises[name] += bool(new)
            if self._surprises[name] > _PATIENCE or not _are_few_and_short(known):
                del self._known[name]

    @property
    def types(self) -> Mapping[str, Any]:
        """What the texts of each of `REPEATING` may be, for msgspec: any, if there is no telling."""
        return {name: Literal[tuple(self._known[name])] if name in self._known else str | None for name in REPEATING}


def _are_few_and_short(texts: Collection[str | None]) -> bool:
    return len(texts) <= _MOST and all(len(text) <= _LONGEST for text in texts if text is not None)
