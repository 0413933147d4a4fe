"""Which of the rows that share start and id were handed out before: the legs of one call share both, and a row may change.

Pure: no I/O. A record may be rated again between two pages: its price is filled in, its disposition or its currency changes. So
each group of fields has a digest of its own, in the order of how little the group changes. The rows of a page, and those that
were handed out, are paired by what they have in common: by all fields first, then by fewer and fewer groups. That is the
assignment in which the least has changed. A stream goes on from rows that do not vanish, so there the rows that are paired with
none are new. A follow also tells which rows have changed, and which are gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar
from zlib import crc32

from unlimcall_async._plain import json_of
from unlimcall_async.cdrs.checkpoint import LEG_BYTES
from unlimcall_async.cdrs.follow_checkpoint import MORE_BYTES
from unlimcall_async.cdrs.rows import BadRow, Row
from unlimcall_async.models import CallRecord

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
# Which of the digests must agree, and whether that is asked of legs of earlier releases: all of the contents, all of the leg, then
# those of a group less each time.
_STAGES: Final = (
    (slice(LEG_BYTES + MORE_BYTES), False),
    (slice(LEG_BYTES), False),
    (slice(_GROUPED, LEG_BYTES), True),
    *((slice(length), False) for length in range(_GROUPED - 1, _CALL_BYTES - 1, -1)),
)

T = TypeVar("T")
R = TypeVar("R", bound=Row)


def digest(row: Row) -> str:
    """Return 16 hexadecimal characters that stand for the documented fields of a record, or for the text of a bad row."""
    if isinstance(row, BadRow):
        return row.digest
    return blake2b(repr(_documented(row)).encode(), digest_size=8).hexdigest()


def leg_of(row: Row) -> bytes:
    """Return the digests by which a row is known again among those that share its start and id."""
    whole = bytes.fromhex(digest(row))
    if isinstance(row, BadRow):  # whose one field is its text
        return whole[:_GROUPED] + whole[: LEG_BYTES - _GROUPED]
    call = _crc(_CALL(row)).to_bytes(4, "big")[:_CALL_BYTES]
    groups = bytes(_crc(group(row)) >> 24 for group in _GROUPS)
    return call + groups + whole[: LEG_BYTES - _GROUPED]


def _crc(values: object) -> int:
    return crc32(repr(values).encode())


def contents_of(record: CallRecord) -> bytes:
    """Return the leg of a record, and three bytes more: a record that has changed in any field, `extra` included, has others."""
    whole = bytes.fromhex(digest(record))
    if record.extra:
        # The leg has no part of this, so that a field that the API adds does not tell legs apart.
        text = json_of(record.extra).encode()
        whole = whole[: LEG_BYTES - _GROUPED] + blake2b(whole + text, digest_size=8).digest()
    return leg_of(record) + whole[LEG_BYTES - _GROUPED :][:MORE_BYTES]


def are_equal(contents: bytes, known: bytes) -> bool:
    """Return whether a record with some contents is as it was known, as far as a leg, or contents, can tell."""
    first = _GROUPED if _is_old(known) else 0
    return contents[first : len(known)] == known[first:]


def pair(rows: Sequence[tuple[bytes, T]], legs: Sequence[bytes]) -> tuple[list[tuple[T, int]], list[T], list[int]]:
    """Return which legs some rows are, by what they have in common.

    Args:
        rows: The legs, or the contents, of rows that share start and id, and the rows.
        legs: The legs, or the contents, of the rows that were handed out.

    Returns:
        Each row that was found with the place of its leg; the rows that are left, in order; the places of the legs that are left.
    """
    left, places, pairs = list(rows), list(range(len(legs))), list[tuple[T, int]]()
    for common, of_old in _STAGES:
        by_common = defaultdict[bytes, list[int]](list)
        others, unpaired = list[int](), list[tuple[bytes, T]]()
        for place in places:
            leg = legs[place]
            (by_common[leg[common]] if _is_old(leg) == of_old else others).append(place)
        for leg, row in left:
            if same := by_common.get(leg[common]):
                pairs.append((row, same.pop()))
            else:
                unpaired.append((leg, row))
        left, places = unpaired, [*others, *chain.from_iterable(by_common.values())]
    return pairs, [row for _, row in left], sorted(places)


def new_of(rows: Sequence[R], handed_out: Sequence[bytes]) -> list[R]:
    """Return the rows, of all that share start and id, that were not handed out: so many as there are more of them.

    Args:
        rows: The rows, in the order of the output.
        handed_out: The legs of the rows that were handed out, as these rows were then.
    """
    if len(rows) <= len(handed_out):
        return []
    _, left, places = pair([(leg_of(row), row) for row in rows], handed_out)
    # Nothing tells which of these rows the other legs are. In the order of the output the new ones are the last.
    return left[len(places) :]


def _is_old(leg: bytes) -> bool:
    """Return whether a leg is that of an earlier release, which has only the digest of all fields."""
    return not any(leg[:_GROUPED])
