"""Which account is worked on next, and how many at once.

Pure: no I/O. Time is an argument, in seconds on any clock that does not run backwards.

Theory. A place is the right to be worked on, and there are `at_once` of them. A slow account takes longer, and gives its place back
in the end: each attempt has a time limit. But the wait for a rate limit may last minutes, after a 429, or hours, at the end of a
day's limit. Accounts that wait like that would fill up all places, while others could go on. So there are two ways out:

- A pull keeps what it has of an account in a stream, which can be left and continued. It is *set aside* until its wait is over, and
  then takes a place again, before any account that is new. Any number of accounts may be set aside.
- Other work cannot be left. It goes on waiting, and its place is *lent* meanwhile: to as many accounts as there are places. So
  there are never more than twice as many accounts under way as places.

An account is set aside, or its place is lent, only if another account waits for a place.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Final

# Seconds. A wait for the rate limit that is as long is worth another account's turn: to leave a stream and to continue it costs a
# few milliseconds. The waits between the requests of a bucket, a second at 60 a minute, and the delays of the retry policy are
# shorter.
LONG: Final = 5.0
# Seconds between two looks at those that have a place: the most that a long wait costs another account. A look at a stream
# takes 16 microseconds.
LOOK: Final = 0.25


class Schedule:
    """The accounts that wait for a place, and those that have one.

    Args:
        accounts: The accounts, in the order of their turns.
        at_once: How many places there are.
    """

    def __init__(self, accounts: Iterable[str], at_once: int) -> None:
        self._fresh = deque(accounts)
        self._at_once = at_once
        # The accounts that were set aside: when the wait of each is over, and the order of those that are equal.
        self._aside: list[tuple[float, int, str]] = []
        self._number = 0
        self._under_way: set[str] = set()
        self._lent: set[str] = set()

    @property
    def under_way(self) -> frozenset[str]:
        """The accounts that are worked on."""
        return frozenset(self._under_way)

    @property
    def left(self) -> int:
        """How many accounts are not done."""
        return len(self._fresh) + len(self._aside) + len(self._under_way)

    def next(self, now: float) -> str | None:
        """Return the account that gets a place now, or `None` if no place is free or no account waits."""
        if len(self._under_way) - len(self._lent) >= self._at_once:
            return None
        if self._aside and (self._aside[0][0] <= now or not self._fresh):
            # Also one whose wait goes on, if nobody else wants the place: then the account goes on at once when it can.
            account = heapq.heappop(self._aside)[2]
        elif self._fresh:
            account = self._fresh.popleft()
        else:
            return None
        self._under_way.add(account)
        return account

    def is_wanted(self, now: float) -> bool:
        """Return whether an account that could go on waits for a place."""
        return bool(self._fresh) or (bool(self._aside) and self._aside[0][0] <= now)

    def done(self, account: str) -> None:
        """Take an account off."""
        self._under_way.discard(account)
        self._lent.discard(account)

    def set_aside(self, account: str, until: float) -> None:
        """Have an account give its place back, and wait until a time."""
        self.done(account)
        self._number += 1
        heapq.heappush(self._aside, (until, self._number, account))

    def put_back(self, accounts: Iterable[str]) -> None:
        """Have accounts wait for a place, before all that are new: those that were left, or that failed and are tried again."""
        accounts = list(accounts)
        for account in accounts:
            self.done(account)
        self._fresh.extendleft(reversed(accounts))

    def lend(self, account: str) -> None:
        """Lend the place of an account that is worked on, unless as many are lent as there are."""
        if len(self._lent) < self._at_once:
            self._lent.add(account)

    def take_back(self, account: str) -> None:
        """Count an account again whose place was lent. Until enough others are done, none of those that wait gets a place."""
        self._lent.discard(account)
