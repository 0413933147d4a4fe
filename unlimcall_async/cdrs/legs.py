"""Which of the rows that share start and id were handed out before: the legs of one call share both, and a row may change.

Pure: no I/O. A record may be rated again between two pages: its price is filled in, its disposition or its currency changes. So
each group of fields has a digest of its own, in the order of how little the group changes. The rows of a page, and those that
were handed out, are paired by what they have in common: by all fields first, then by fewer and fewer groups. That is the
assignment in which the least has changed. Rows do not vanish, so the rows that are paired with none are new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar
from zlib import crc32

from unlimcall_async.cdrs.checkpoint import LEG_BYTES
from unlimcall_async.cdrs.rows import BadRow, Row

# The documented fields alone, so that fields that the API, or a later release, adds do not change a digest that a user has stored.
_documented: Final = attrgetter(
    *("id", "start_time", "duration", "billsec", "src", "dst", "disposition"),
    *("sip_username", "sell_price_cents", "currency", "country", "did"),
)
# The digests of a leg: which call the record is of, on three bytes; then a byte for each group that may change, the one that
# changes least first; then two bytes for all fields. A byte is enough, because the legs of one call alone are compared by it.
_CALL: Final = attrgetter("duration", "src", "dst")
_GROUPS: Final[tuple[Callable[[Any], Any], ...]] = (
    attrgetter("sip_username", "did"),
    attrgetter("billsec"),
    attrgetter("disposition"),
    attrgetter("currency", "country"),
    attrgetter("sell_price_cents"),
)
_CALL_BYTES: Final = 3
_GROUPED: Final = _CALL_BYTES + len(_GROUPS)
# Which of the digests must agree, and whether that is asked of legs of earlier releases: all, then those of a group less each time.
_STAGES: Final = (
    (slice(LEG_BYTES), False),
    (slice(_GROUPED, LEG_BYTES), True),
    *((slice(length), False) for length in range(_GROUPED - 1, _CALL_BYTES - 1, -1)),
)

T = TypeVar("T", bound=Row)


def digest(row: Row) -> str:
    """Return 16 hexadecimal characters that stand for the documented fields of a record, or for the text of a bad row."""
    if isinstance(row, BadRow):
        return row.digest
    return blake2b(repr(_documented(row)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def leg_of(row: Row) -> bytes:
    """Return the digests by which a row is known again among those that share its start and id."""
    whole = bytes.fromhex(digest(row))
    if isinstance(row, BadRow):  # whose one field is its text
        return whole[:_GROUPED] + whole[: LEG_BYTES - _GROUPED]
    call = _crc(_CALL(row)).to_bytes(4, "big")[:_CALL_BYTES]
    groups = bytes(_crc(group(row)) >> 24 for group in _GROUPS)
    return call + groups + whole[: LEG_BYTES - _GROUPED]


def _crc(values: object) -> int:
    return crc32(repr(values).encode("utf-8", "surrogatepass"))


def new_of(rows: Sequence[T], handed_out: Sequence[bytes]) -> list[T]:
    """Return the rows, of all that share start and id, that were not handed out: so many as there are more of them.

    Args:
        rows: The rows, in the order of the output.
        handed_out: The legs of the rows that were handed out, as these rows were then.
    """
    if len(rows) <= len(handed_out):
        return []
    left, legs = [(leg_of(row), row) for row in rows], list(handed_out)
    for common, of_old in _STAGES:
        by_common = defaultdict[bytes, list[bytes]](list)
        others, unpaired = list[bytes](), list[tuple[bytes, T]]()
        for leg in legs:
            (by_common[leg[common]] if _is_old(leg) == of_old else others).append(leg)
        for leg, row in left:
            if same := by_common.get(leg[common]):
                same.pop()
            else:
                unpaired.append((leg, row))
        left, legs = unpaired, [*others, *chain.from_iterable(by_common.values())]
    # Nothing tells which of these rows the other legs are. In the order of the output the new ones are the last.
    return [row for _, row in left[len(legs) :]]


def _is_old(leg: bytes) -> bool:
    """Return whether a leg is that of an earlier release, which has only the digest of all fields."""
    return not any(leg[:_GROUPED])
