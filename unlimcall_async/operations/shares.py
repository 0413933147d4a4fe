"""A count out of a total, as a rate with its confidence interval. Pure: no I/O."""

from __future__ import annotations

from math import sqrt
from typing import Final

from attrs import frozen

# The quantile of the normal distribution for an interval that holds the true rate 99 times in 100.
Z: Final = 2.576
# The operations guide: "sustained elevation above 1 % indicates a carrier routing problem".
FAILURE_BOUND: Final = 0.01
# Among fewer attempts, a single failure decides whether the share is above 1 %.
FAILURE_MINIMUM: Final = 200


@frozen
class Share:
    """`count` out of `of`, for example the failed attempts out of all attempts.

    Attributes:
        count: How many were counted.
        of: Out of how many.

    Raises:
        ValueError: `count` does not lie between 0 and `of`.
    """

    count: int
    of: int

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.count <= self.of:
            raise ValueError("count must be from 0 to `of`")

    @property
    def rate(self) -> float | None:
        """`count / of`, from 0 to 1; `None` if `of` is 0."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """The lowest and the highest true rate that these counts allow, at 99 % (Wilson score interval); `(0, 1)` if `of` is 0."""
        if not self.of:
            return 0.0, 1.0
        # Wilson's, because the usual interval is empty if `count` is 0, and far too narrow if `of` is small.
        # Beyond some 300 digits a float cannot hold the total; the noise is zero long before.
        observed, noise = self.count / self.of, Z * Z / min(self.of, 10**300)
        middle = observed + noise / 2
        reach = sqrt(noise * (observed * (1 - observed) + noise / 4))
        return max(0.0, (middle - reach) / (1 + noise)), min(1.0, (middle + reach) / (1 + noise))
