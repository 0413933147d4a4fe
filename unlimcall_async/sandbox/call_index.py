"""The index of the call records: the rows of a window, in any order, while rows are being added.

Pure: no I/O. The index knows two things of a row: its number, which is its place in the order of insertion, and its start time in
milliseconds since 1970 UTC. A time and a number make one integer, the key, with the time in its higher bits. The sorted keys lie in
blocks of about a thousand:

    blocks   [k k k k k k] [k k k k k] [k k k k k k k] [k k k k]
    window          |---- cut -- whole -- whole -- cut ----|

- A window is a run of blocks. Bisection finds the run, and the window cuts its first and its last block. The rows of the window
  by time are the keys of that run, read from either end. Their number is the sum of the lengths of the pieces.
- Every other order is a function from a number to a rank. A block remembers its rows sorted by rank. The first rows of a window
  in that order are among the first few rows of each block. If all the few rows of a block are taken, the block's next rows are
  looked at too. Of the two blocks that are cut, the rows outside the window are left out first.
- A row that is added is sorted into its block, and into the orders that the block remembers. A block that has doubled is cut in
  two. An addition that is large beside the index sorts all keys anew instead, which is then cheaper.

So with N rows in blocks of B, adding a row costs a few bisections and moves at most 2 B pointers. A page of L rows costs
O(N/B + L) by time and O((N/B + L) log(N/B) + B) in any other order. Ranks are computed block by block when an order is first asked
for, once, at about half a microsecond a row. Rows cannot be removed: the API cannot remove them either.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from typing import Final, Literal, TypeAlias

from unlimcall_async.sandbox.settings import Order

Ranking: TypeAlias = Literal["insertion", "arbitrary"]

# Large enough that a window over a million rows has no more than a thousand blocks, and small enough that going through the two
# blocks that are cut costs no more than going through the thousand.
BLOCK: Final = 1000

# Sorting all keys anew costs about 0.2 microseconds a row, adding one row to its block 2 to 4.
_REBUILD_SHARE: Final = 16

# The number is the lower part of a key and of a rank. A billion rows are more than fit into memory. CPython keeps integers in
# digits of 30 bits, so a rank, which has twice as many bits, is as small as possible.
_NUMBER_BITS: Final = 30
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1


def insertion_rank(number: int) -> int:
    """Return the rank of a row in the order of insertion."""
    return number


def arbitrary_rank(number: int) -> int:
    """Return the rank of a row in the arbitrary order: a pseudo-random value above the number.

    No addition and no window changes the rank, and it is the same on every machine. The two rounds of an integer hash (xor with the
    higher bits, multiply by an odd constant) leave no trace of the order of insertion.
    """
    mixed = (number ^ number >> 15) * 0x2C1B3C6D & _NUMBER_MASK
    mixed = (mixed ^ mixed >> 12) * 0x297A2D39 & _NUMBER_MASK
    return (mixed ^ mixed >> 15) << _NUMBER_BITS | number


_RANKS: Final[Mapping[Ranking, Callable[[int], int]]] = {"insertion": insertion_rank, "arbitrary": arbitrary_rank}


class Block:
    """Some keys that are neighbours in time, and their ranks, sorted, for every other order that was asked for."""

    __slots__ = ("_ranks", "keys")

    def __init__(self, keys: list[int]) -> None:
        self.keys: list[int] = keys
        self._ranks: dict[Ranking, list[int]] = {}

    def last(self) -> int:
        """Return the highest key."""
        return self.keys[-1]

    def insert(self, key: int) -> None:
        """Add a key, also to the orders that the block remembers."""
        insort(self.keys, key)
        for ranking, ranks in self._ranks.items():
            insort(ranks, _RANKS[ranking](key & _NUMBER_MASK))

    def ranked(self, first: int, last: int, ranking: Ranking) -> list[int]:
        """Return the sorted ranks of the keys from position `first` to before `last`."""
        if ranking not in self._ranks:
            rank = _RANKS[ranking]
            self._ranks[ranking] = sorted([rank(key & _NUMBER_MASK) for key in self.keys])
        ranks = self._ranks[ranking]
        if last - first == len(ranks):
            return ranks
        inside = {key & _NUMBER_MASK for key in self.keys[first:last]}
        return [rank for rank in ranks if rank & _NUMBER_MASK in inside]


class CallIndex:
    """The numbers of all rows, by start time."""

    def __init__(self, block: int = BLOCK) -> None:
        self._block = block
        self._blocks: list[Block] = []  # in order of time, none of them empty
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, times: Sequence[int]) -> None:
        """Add rows with these start times; their numbers continue where the last addition ended."""
        keys = [time << _NUMBER_BITS | number for number, time in enumerate(times, self._size)]
        self._size += len(keys)
        if len(keys) * _REBUILD_SHARE > self._size:
            everything = sorted(chain(chain.from_iterable(block.keys for block in self._blocks), keys))
            cuts = range(0, len(everything), self._block)
            self._blocks = [Block(everything[cut : cut + self._block]) for cut in cuts]
            return
        for key in keys:
            # A key above all others is sorted into the last block.
            place = min(self._first_reaching(key), len(self._blocks) - 1)
            block = self._blocks[place]
            block.insert(key)
            if len(block.keys) > 2 * self._block:
                halves = block.keys[: self._block], block.keys[self._block :]
                self._blocks[place : place + 1] = map(Block, halves)

    def find(self, start: int, end: int, *, order: Order, limit: int) -> tuple[list[int], int]:
        """Return the first `limit` numbers with `start <= time < end` in this order, and how many such numbers there are."""
        low, high = start << _NUMBER_BITS, end << _NUMBER_BITS
        if high <= low:
            return [], 0
        # A piece is a block with the first and the last position that the window takes of its keys.
        pieces = [
            (block, 0, len(block.keys))
            for block in self._blocks[self._first_reaching(low) : self._first_reaching(high) + 1]
        ]
        if pieces:
            block = pieces[-1][0]
            pieces[-1] = block, 0, bisect_left(block.keys, high)
            block, _, last = pieces[0]  # which may be the last piece, too
            pieces[0] = block, bisect_left(block.keys, low), last

        # A key and a rank both end in the number.
        if order == "oldest_first":
            keys = chain.from_iterable(block.keys[first:last] for block, first, last in pieces)
            found = list(islice(keys, limit))
        elif order == "newest_first":
            # Oldest first, read backwards: of two rows with one start time, the later addition comes first.
            keys = chain.from_iterable(reversed(block.keys[first:last]) for block, first, last in reversed(pieces))
            found = list(islice(keys, limit))
        else:
            found = lowest([block.ranked(first, last, order) for block, first, last in pieces], limit)
        return [key & _NUMBER_MASK for key in found], sum(last - first for _, first, last in pieces)

    def _first_reaching(self, key: int) -> int:
        """Return the position of the first block that has a key as high as this one."""
        return bisect_left(self._blocks, key, key=Block.last)


def lowest(runs: Sequence[list[int]], limit: int) -> list[int]:
    """Return the lowest `limit` integers of sorted runs, in order."""
    few = 1 + limit // max(1, len(runs))
    found = sorted(chain.from_iterable(run[:few] for run in runs))[:limit]
    # The highest of these is an upper bound. Only a run whose first few integers all lie below the bound can hold more.
    bound = found[-1] if len(found) == limit > 0 else None
    for run in runs:
        if len(run) > few and (bound is None or run[few - 1] < bound):
            found += run[few : few + limit if bound is None else bisect_left(run, bound)]
    found.sort()
    return found[:limit]
