"""What is known of the order in which a server gives rows.

Pure: no I/O.

Rules. An order is proven by claims that were asked and held exactly what was claimed; it is proven anew once in so many pages. One
answer whose rows go back and forth refutes it for good, or one that lacks a row that it must hold: a server that sorts never gives
one. A claim that turns out to hold more is no proof, but may be due to a record that was written meanwhile: the next claim is asked
too, and only several of them in a row withdraw the proof. It may be proven again; but a server whose pages are sorted and whose
claims are never right, because it takes any rows and then sorts them, is given up.
"""

from __future__ import annotations

from typing import Final

from unlimcall_async.cdrs.answer import Answer

# Rows that must have come as claimed. One page of the usual size is enough; small pages look sorted by chance.
_EVIDENCE: Final = 40
# After so many pages that rest on the order, one is proven again.
_PAGES_TO_A_PROOF: Final = 64
# Claims in a row that held more than was claimed: so many withdraw a proof, and so many end all hope of one.
_PATIENCE, _LAST_PATIENCE = 3, 9


class Ordering:
    """What is known of the order.

    Attributes:
        newest_first: The order that is proven; `None` for none.
        proofs: How many claims were proven.
        spoiled: How many held more, or less, than was claimed.
        withdrawn: How often a proof was withdrawn.
        proven_on: The number of the latest answer whose claim was proven.
    """

    def __init__(self, *, seek: bool) -> None:
        self.newest_first: bool | None = None
        self.proofs: int = 0
        self.spoiled: int = 0
        self.withdrawn: int = 0
        self.proven_on: int = 0
        self._possible = {True, False} if seek else set[bool]()
        self._evidence = self._pages = self._in_a_row = 0

    @property
    def hopeless(self) -> bool:
        """Whether the server does not sort by time, or nothing is to be made of it."""
        return not self._possible

    def see(self, answer: Answer) -> bool:
        """Take note of how an answer is sorted. Tell whether that withdraws the proof."""
        if not answer.seconds_fall:
            self._possible.discard(True)
        if not answer.seconds_rise:
            self._possible.discard(False)
        return self.newest_first is not None and self.newest_first not in self._possible and self.withdraw()

    @property
    def direction(self) -> bool | None:
        """The order that all answers so far are in: `True` for the newest first; `None` for none, or for either."""
        return next(iter(self._possible)) if len(self._possible) == 1 else None

    @property
    def due(self) -> bool:
        """Whether the next claim is to be proven."""
        return self.newest_first is None or self._pages >= _PAGES_TO_A_PROOF

    def claimed(self) -> None:
        """Say that a page was claimed."""
        self._pages = 0 if self.due else self._pages + 1

    def prove(self, rows: int, came: int, *, newest_first: bool) -> None:
        """Say that a claim of so many rows, of the answer with that number, held exactly those."""
        self.proven_on = max(self.proven_on, came)
        self.proofs += 1
        self._in_a_row = self._pages = 0
        self._evidence += rows
        if self._evidence >= _EVIDENCE and newest_first in self._possible:
            self.newest_first = newest_first

    def spoil(self) -> bool:
        """Say that a claim, or a seam, was not as it should be. Tell whether that withdraws the proof."""
        self.spoiled += 1
        self._evidence = 0
        self._in_a_row += 1
        if self._in_a_row >= _LAST_PATIENCE:
            self._possible.clear()
        return self._in_a_row >= _PATIENCE and self.newest_first is not None and self.withdraw()

    def refute(self, *, newest_first: bool) -> None:
        """Say that the server does not sort that way."""
        self._possible.discard(newest_first)
        self.spoiled += 1
        if self.newest_first == newest_first:
            self.withdraw()

    def withdraw(self) -> bool:
        """Say that the order is not to be relied on."""
        self.newest_first, self._evidence = None, 0
        self.withdrawn += 1
        return True
