"""Which rows of one start and id were seen before: the legs of a call share both, and a row may change between two pages.

Pure: no I/O. A row is known again by a digest of all its fields. The price of a call may be filled in after the record was written,
and the call's disposition, currency and country may be set right. So a row whose digest is new may still have been seen. Such a row
is known by a digest of the fields that do not change. If both digests are new, the number of rows alone tells: rows do not vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeVar

T = TypeVar("T", bound=tuple[Hashable, Hashable])

# What two legs, each the digest of all fields and that of the fixed ones, must have in common, the surest rule first.
_RULES: Final[tuple[Callable[[tuple[Hashable, Hashable]], Hashable], ...]] = (
    lambda leg: leg[0],
    lambda leg: leg[1],
    lambda _leg: None,
)


def places_of_seen(legs: Sequence[T], seen: Sequence[T]) -> set[int]:
    """Return the places, among rows that share start and id, of those that were seen before.

    There are as many places as rows were seen, or all if there are fewer rows.

    Args:
        legs: Two digests of each row: of all fields, and of those that do not change.
        seen: The digests of the rows that were seen, as the rows were then.
    """
    places, left = set[int](), list(seen)
    for common in _RULES:
        for place, leg in enumerate(legs):
            known = next((other for other in left if common(other) == common(leg)), None)
            if place not in places and known is not None:
                left.remove(known)
                places.add(place)
    return places
