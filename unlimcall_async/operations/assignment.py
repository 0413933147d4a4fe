"""A cheapest assignment of rows to columns, of which few pairs are possible. Pure: no I/O.

The method is that of shortest augmenting paths, with a price for each row and column. Each row enters in turn. The search from it
goes along possible pairs alone, cheapest first, and ends at the first free column. So it stays near its row, and a large problem of
short chains costs about as much as its chains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from math import inf


def assign(costs: Sequence[Mapping[int, float]], unmatched: float) -> list[int | None]:
    """Return the column of each row, or `None` for a row that is left without one. The sum of the costs is the least possible.

    The result depends on the order of the rows and on the numbers of the columns only if several sums are equal.

    Args:
        costs: For each row, the cost of each column that the row may have: 0 or above.
        unmatched: The cost of a row without a column.
    """
    # A column of its own for each row, below 0, stands for no column.
    edges = [{**columns, -1 - row: unmatched} for row, columns in enumerate(costs)]
    prices = _Prices(edges)
    column_of = [-1 - row for row in range(len(edges))]
    for entering in range(len(edges)):
        column, reached_from = prices.nearest_free(entering)
        # Each row on the path takes the column that the path leaves it by, and hands its own one on.
        while True:
            row = reached_from[column]
            prices.owner[column] = row
            column, column_of[row] = column_of[row], column
            if row == entering:
                break
    return [column if column >= 0 else None for column in column_of]


class _Prices:
    """The prices of the rows and columns, by which no pair costs less than 0, and a pair that was assigned costs 0.

    Attributes:
        owner: The row of each column that was assigned.
    """

    def __init__(self, edges: Sequence[Mapping[int, float]]) -> None:
        self.owner: dict[int, int] = {}
        self._edges = edges
        self._rows = [0.0] * len(edges)
        self._columns: dict[int, float] = {}

    def nearest_free(self, entering: int) -> tuple[int, dict[int, int]]:
        """Return the free column that is nearest to a row, and the row from which each column was reached. Change the prices."""
        distance: dict[int, float] = {}
        reached_from: dict[int, int] = {}
        settled: dict[int, float] = {}
        heap: list[tuple[float, int]] = []
        row, so_far = entering, 0.0
        while True:
            for column, cost in self._edges[row].items():
                length = so_far + cost - self._rows[row] - self._columns.get(column, 0.0)
                if column not in settled and length < distance.get(column, inf):
                    distance[column], reached_from[column] = length, row
                    heappush(heap, (length, column))
            so_far, column = heappop(heap)
            while column in settled:
                so_far, column = heappop(heap)
            settled[column] = so_far
            if column not in self.owner:
                break
            row = self.owner[column]
        self._rows[entering] += so_far
        for passed, length in settled.items():
            if passed != column:
                self._rows[self.owner[passed]] += so_far - length
                self._columns[passed] = self._columns.get(passed, 0.0) - (so_far - length)
        return column, reached_from
