"""Whose turn is it in front of a bucket? Parties wait by turns, and the waiters of one party in their order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from itertools import zip_longest

from attrs import define, field


@define(eq=False)
class Waiter:
    """A place in the queue.

    Attributes:
        party: Whose turn it is when this waiter is served.
        latest: The time until which the waiter can wait.
        scope: Ends the wait, if the token will come later than `latest`.
        turn: Set when the waiter is the head of the queue.
    """

    party: Hashable
    latest: float
    scope: asyncio.Timeout | None = None
    turn: asyncio.Event = field(factory=asyncio.Event)


class Turns:
    """Who waits in front of a bucket, and whose turn it is.

    A party is a stream, a follow, or a single call. Parties are served by turns, and the waiters of one party in the order in which
    they came. So a stream with many requests delays a single call by one request, and two streams get half of the requests each.
    """

    def __init__(self) -> None:
        # In the order of their turns. A party without waiters is not kept, so it has its next turn behind all that wait.
        self._parties: OrderedDict[Hashable, deque[Waiter]] = OrderedDict()

    @property
    def head(self) -> Waiter | None:
        """The waiter whose turn it is."""
        return next(iter(self._parties.values()))[0] if self._parties else None

    def add(self, waiter: Waiter, *, first: bool) -> None:
        """Add a waiter: behind the others of its party, or before them if its request is sent again."""
        waiters = self._parties.get(waiter.party)
        if waiters is None:
            self._parties[waiter.party] = deque([waiter])
        elif first:
            # Not before the head of the queue, which may be about to take its token.
            waiters.insert(int(waiters[0] is self.head), waiter)
        else:
            waiters.append(waiter)
        self._wake_head()

    def remove(self, waiter: Waiter, *, served: bool) -> None:
        """Remove a waiter. If the waiter was served, the turn of its party is over."""
        waiters = self._parties[waiter.party]
        waiters.remove(waiter)
        if not waiters:
            del self._parties[waiter.party]
        elif served:
            self._parties.move_to_end(waiter.party)
        self._wake_head()

    def _wake_head(self) -> None:
        if (head := self.head) is not None:
            head.turn.set()

    def ahead_of(self, party: Hashable) -> int:
        """Return how many are served before a waiter that comes now, if no others come."""
        place = len(self._parties.get(party, ()))
        ahead, before = 0, party in self._parties
        for other, waiters in self._parties.items():
            before = before and other != party
            ahead += min(len(waiters), place + (before or place == 0))
        return ahead

    def in_order(self) -> list[Waiter]:
        """Return all waiters in the order in which they are served, if no others come."""
        rounds = zip_longest(*self._parties.values())
        return [waiter for turn in rounds for waiter in turn if waiter is not None]

    def __len__(self) -> int:
        return sum(map(len, self._parties.values()))
