"""Where the rows of a window are, in any order, while rows are being added.  No I/O.

A row is known here by its number, its place in the order of insertion, and its start time in milliseconds since 1970
UTC.  A time and a number make one integer, the key, time above; the keys, sorted, lie in blocks of about a thousand:

    blocks   [k k k k k k] [k k k k k] [k k k k k k k] [k k k k]
    window          |---- cut -- whole -- whole -- cut ----|

- A window is a run of blocks; bisection finds it, and its first and its last block are cut.  Its rows by time are the
  keys of that run, read from either end; the lengths of its pieces add up to its number of matches.
- Every other order is a way to turn a number into a rank.  A block remembers its rows sorted by rank.  The first rows of
  a window in that order are among the first few of each block, and, of a block whose few all made it, the next.  Of
  the two blocks that are cut, the rows outside the window are left out first.
- A row that is added goes into its block, and into what that block remembers; a block that has doubled is cut in two.
  An addition that is large beside what is there sorts everything anew instead, which is then the cheaper way.

So with N rows in blocks of B, adding a row costs a few bisections and the moving of at most 2 B pointers; a page of L
rows costs O(N/B + L) by time and O((N/B + L) log(N/B) + B) in any other order.  Ranks are computed block by block when an
order is first asked for, about half a microsecond a row, once.  Not here: removal, which the API does not have.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Literal, TypeAlias

from unlimcall_async.sandbox.settings import Order

__all__ = ["BLOCK", "CallIndex"]

_Ranking: TypeAlias = Literal["insertion", "arbitrary"]

# Large enough that a window over a million rows looks into no more than a thousand blocks, and small enough that going
# through the two that are cut costs no more than that.
BLOCK = 1000

# Sorting everything anew costs about 0.2 microseconds a row, adding one row to its block 2 to 4.
_REBUILD_SHARE = 16

# The number is the lower part of a key and of a rank.  A billion rows are more than fit into memory; CPython keeps
# integers in digits of 30 bits, so a rank of twice as many is as small as can be.
_NUMBER_BITS = 30
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1


def _shuffled(number: int) -> int:
    """Return the rank of a row in the arbitrary order.

    A pseudo-random value above the number: no addition and no window changes it, and it is the same on every machine.
    The two rounds of an integer hash (xor with the higher bits, multiply by an odd constant) leave no trace of the
    order of insertion.
    """
    mixed = (number ^ number >> 15) * 0x2C1B3C6D & _NUMBER_MASK
    mixed = (mixed ^ mixed >> 12) * 0x297A2D39 & _NUMBER_MASK
    return (mixed ^ mixed >> 15) << _NUMBER_BITS | number


def _as_added(number: int) -> int:
    return number


_RANKS: Mapping[_Ranking, Callable[[int], int]] = {"insertion": _as_added, "arbitrary": _shuffled}


def _ranked(keys: Iterable[int], ranking: _Ranking) -> list[int]:
    rank = _RANKS[ranking]
    return sorted([rank(key & _NUMBER_MASK) for key in keys])


class _Block:
    """Some keys that are neighbours in time, and their rows in every other order that was asked for."""

    __slots__ = ("_ranks", "keys")

    def __init__(self, keys: list[int]) -> None:
        self.keys = keys
        self._ranks: dict[_Ranking, list[int]] = {}

    def last(self) -> int:
        return self.keys[-1]

    def insert(self, key: int) -> None:
        insort(self.keys, key)
        for ranking, ranks in self._ranks.items():
            insort(ranks, _RANKS[ranking](key & _NUMBER_MASK))

    def ranked(self, ranking: _Ranking) -> list[int]:
        if ranking not in self._ranks:
            self._ranks[ranking] = _ranked(self.keys, ranking)
        return self._ranks[ranking]


# The part of a block that a window takes, as positions in its keys.
_Piece: TypeAlias = tuple[_Block, int, int]


class CallIndex:
    """The numbers of all rows, by start time."""

    def __init__(self, block: int = BLOCK) -> None:
        self._block = block
        self._blocks: list[_Block] = []  # none of them empty, in order of time
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, times: Sequence[int]) -> None:
        """Add rows with these start times; their numbers go on where the last addition ended."""
        keys = [time << _NUMBER_BITS | number for number, time in enumerate(times, self._size)]
        self._size += len(keys)
        if len(keys) * _REBUILD_SHARE > self._size:
            self._rebuild(keys)
        else:
            for key in keys:
                self._insert(key)

    def find(self, start: int, end: int, *, order: Order, limit: int) -> tuple[list[int], int]:
        """Return the first `limit` numbers with `start <= time < end` in this order, and how many there are."""
        pieces = self._pieces(start << _NUMBER_BITS, end << _NUMBER_BITS)
        found = _first(pieces, order, limit)
        return [key & _NUMBER_MASK for key in found], sum(last - first for _, first, last in pieces)

    def _rebuild(self, keys: list[int]) -> None:
        everything = sorted(chain(chain.from_iterable(block.keys for block in self._blocks), keys))
        cuts = range(0, len(everything), self._block)
        self._blocks = [_Block(everything[cut : cut + self._block]) for cut in cuts]

    def _insert(self, key: int) -> None:
        place = min(self._first_reaching(key), len(self._blocks) - 1)  # what is later than all goes into the last
        block = self._blocks[place]
        block.insert(key)
        if len(block.keys) > 2 * self._block:
            halves = block.keys[: self._block], block.keys[self._block :]
            self._blocks[place : place + 1] = map(_Block, halves)

    def _pieces(self, low: int, high: int) -> list[_Piece]:
        """Return what has `low <= key < high`, block by block; one that turned the bounds round gets nothing."""
        if high <= low:
            return []
        first, last = self._first_reaching(low), self._first_reaching(high)
        pieces = [(block, 0, len(block.keys)) for block in self._blocks[first : last + 1]]
        if pieces:
            block = pieces[-1][0]
            pieces[-1] = block, 0, bisect_left(block.keys, high)
            block, _, end = pieces[0]  # perhaps the same one
            pieces[0] = block, bisect_left(block.keys, low), end
        return pieces

    def _first_reaching(self, key: int) -> int:
        """Return the first block that has a key as high as this one."""
        return bisect_left(self._blocks, key, key=_Block.last)


def _first(pieces: list[_Piece], order: Order, limit: int) -> list[int]:
    """Return the first keys or ranks, both of which end in the number.

    Newest first is oldest first read backwards: of two rows with one start time, the later addition comes first.
    """
    if order == "oldest_first":
        return list(islice(chain.from_iterable(block.keys[first:last] for block, first, last in pieces), limit))
    if order == "newest_first":
        backwards = (reversed(block.keys[first:last]) for block, first, last in reversed(pieces))
        return list(islice(chain.from_iterable(backwards), limit))
    return _lowest([_piece_ranked(piece, order) for piece in pieces], limit)


def _lowest(runs: list[list[int]], limit: int) -> list[int]:
    """Return the lowest integers of sorted runs.

    The highest of the lowest in the first few of each run is an upper bound, and only runs that lie below it with all of
    their few can hold more.
    """
    few = 1 + limit // max(1, len(runs))
    found = sorted(chain.from_iterable(run[:few] for run in runs))[:limit]
    bound = found[-1] if len(found) == limit > 0 else None
    more = [run for run in runs if len(run) > few and (bound is None or run[few - 1] < bound)]
    for run in more:
        found += run[few : few + limit if bound is None else bisect_left(run, bound)]
    found.sort()
    return found[:limit]


def _piece_ranked(piece: _Piece, ranking: _Ranking) -> list[int]:
    block, first, last = piece
    ranks = block.ranked(ranking)
    if last - first == len(ranks):
        return ranks
    inside = {key & _NUMBER_MASK for key in block.keys[first:last]}
    return [rank for rank in ranks if rank & _NUMBER_MASK in inside]
