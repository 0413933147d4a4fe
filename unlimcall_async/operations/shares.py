"""A share, with the counts behind it. Pure: no I/O."""

from __future__ import annotations

from math import sqrt
from typing import Final

from attrs import frozen

# Of the normal distribution, for an interval that holds the truth 99 times in 100.
_Z: Final = 2.576


@frozen
class Share:
    """`count` of `of`.

    Attributes:
        count: How many were counted.
        of: Out of how many.
    """

    count: int
    of: int

    @property
    def rate(self) -> float | None:
        """The share, from 0 to 1; `None` out of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """What the true share can be, given these counts: the Wilson score interval, at 99 %; out of nothing, anything."""
        if not self.of:
            return 0.0, 1.0
        observed, noise = self.count / self.of, _Z * _Z / self.of
        middle = observed + noise / 2
        reach = sqrt(noise * (observed * (1 - observed) + noise / 4))
        return max(0.0, (middle - reach) / (1 + noise)), min(1.0, (middle + reach) / (1 + noise))
