"""CDR pages, decoded straight into records, without Python code for each row.

Pure: no I/O. This module is the fast way of `_codec`. `_codec` reads each body that is refused here once more, with its converter.
The converter decides whether the body is an error, or a page that the converter alone can read. So this module may refuse more than
the converter does, and never less. Tests compare the two.

There are two kinds of rows:

1. Rows with the fields of the API reference alone, the documented fields, are decoded into a private subclass of `CallRecord` that
   has the API's names, and their class is changed then. So nothing is copied.
2. Rows with undocumented fields are decoded into a private struct that has these fields, too, and then copied into records. The
   names of these fields are learned from the pages that have them. This changes how fast a page is decoded, not what is decoded.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import repeat
from operator import attrgetter
from secrets import token_hex
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from attrs import frozen
from msgspec.structs import fields, force_setattr

from unlimcall_async.models import EMPTY_EXTRA, CallRecord

# All that msgspec raises for a body that it does not accept. Decimal raises the last one, for an exponent beyond its own limits.
REFUSALS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation)

# Bytes of a page that are decoded in one turn: some 250 rows, and 0.3 ms.
_AT_ONCE: Final = 1 << 16
_BETWEEN_ROWS: Final = re.compile(rb"(?<=\})[ \t\r\n]*,[ \t\r\n]*(?=\{)")

# An API adds a field now and then. A server that makes up names would otherwise make a client build structs for ever.
_MAX_UNDOCUMENTED: Final = 16

# The levels of an undocumented field of a row. Whatever writes the record as JSON takes some calls for each level, and Python has
# 1,000 for all. By the room that is left, one version would read a row that it cannot write, and another version would refuse it.
DEEPEST: Final = 100

_encode: Final = msgspec.json.Encoder().encode
_decode_any_page: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any_rows: Final = msgspec.json.Decoder(list[dict[str, Any]]).decode

# No duration, price or count has more than 64 bits, in any language that may read the records next.
_Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_BOUNDED: Final[dict[str, Any]] = {
    "duration": _Int64,
    "billsec": _Int64,
    "sell_price_cents": cast("Any", _Int64) | None,
}

# The names of a row's documented fields in JSON, by attribute: the same in camel case.
_NAMES: Final = {
    each.name: re.sub("_(.)", lambda found: found[1].upper(), each.name)
    for each in fields(CallRecord)
    if each.name != "extra"
}
ROW_NAMES: Final = tuple(_NAMES.values())

# The documented fields of a row, in the form that `msgspec.defstruct` takes.
_ROW_FIELDS: Final = [
    (each.name, _BOUNDED.get(each.name, each.type), msgspec.field(default=each.default, name=_NAMES[each.name]))
    for each in fields(CallRecord)
    if each.name != "extra"
]

# A record in the making. It has the layout of a `CallRecord`, and the API's names: msgspec knows only one set of names for a class,
# and those of `CallRecord` are what users see. A struct cannot leave a field out of decoding, so no server can guess the name of
# `extra`.
_Row: Final = msgspec.defstruct(
    "_Row",
    [*_ROW_FIELDS, ("extra", dict[str, Any], msgspec.field(default=EMPTY_EXTRA, name=token_hex()))],
    bases=(CallRecord,),
    module=__name__,
    frozen=True,
    gc=False,
    forbid_unknown_fields=True,
)
_PAGE_NAMES: Final = frozenset({"count", "calls"})


@frozen
class DecodedPage:
    """The response to one CDR request.

    Attributes:
        count: The number of records that the server states.
        records: The records, in server order.
        starts: The start of each record, in UTC.
        finer_than_millis: Whether one of the starts is not a whole millisecond.
        extra: The fields beside `count` and `calls`.
    """

    count: int
    records: Sequence[CallRecord]
    starts: list[datetime]
    finer_than_millis: bool
    extra: Mapping[str, Any]

    def is_complete(self, limit: int) -> bool:
        """Return whether the page, asked for with this `limit`, holds all records of its window."""
        return len(self.records) < limit and self.count <= len(self.records)


class PageDecoder:
    """Decodes CDR pages, and learns the names of their undocumented fields. One decoder serves a client and its views."""

    def __init__(self) -> None:
        self._extended: _FieldsDecoder | None = None

    def decode(self, body: bytes) -> DecodedPage | None:
        """Decode a page. Return `None` if the body is not a page, or has fields that no struct can have."""
        return self.decode_known(body) or self.learn(body)

    def decode_known(self, body: bytes) -> DecodedPage | None:
        """Decode a page that has no undocumented fields but those that were learned. Return `None` for any other body."""
        # First of all the decoder that copies nothing: most servers send no undocumented field, or not in all pages.
        page = _documented.decode(body)
        if page is None and self._extended is not None:
            page = self._extended.decode(body)
        return page

    def decode_in_turns(self, body: bytes, at_once: int = _AT_ONCE) -> Generator[None, None, DecodedPage | None]:
        """Return what `decode` returns, and yield between two turns of decoding.

        A body is decoded in one turn if it has undocumented fields beside its rows, or new ones in them, or is not a page.

        Args:
            body: The body.
            at_once: How many bytes to decode in a turn, about.
        """
        first, *others = _cut(body, at_once)
        page = self.decode_known(first) if others else None
        # The rows that were cut are those of `calls`, because the page has no other field that could hold them.
        if page is not None and not page.extra:
            pieces = [page]
            for text in others:
                yield
                piece = self._decode_rows(text)
                if piece is None:
                    break
                pieces.append(piece)
            else:
                return _joined(pieces)
            yield
        return self.decode(body)

    def _decode_rows(self, text: bytes) -> DecodedPage | None:
        """Decode rows, an array, that have no undocumented fields but those that were learned. Return `None` for any other text."""
        rows = _documented.decode_rows(text)
        if rows is None and self._extended is not None:
            rows = self._extended.decode_rows(text)
        return rows

    def learn(self, body: bytes) -> DecodedPage | None:
        """Decode a page with a struct that has its undocumented fields, too, and keep the struct if it fits the page."""
        try:
            page = _decode_any_page(body)
            rows = _decode_any_rows(page.get("calls", b"[]"))
        except REFUSALS:
            return None
        # Names that are known come first; new ones follow in the order of the page, in which msgspec will look for them.
        known = self._extended or _documented
        page_names = tuple(dict.fromkeys([*known.page_names, *(name for name in page if name not in _PAGE_NAMES)]))
        names = dict.fromkeys(name for row in rows for name in row)
        row_names = tuple(dict.fromkeys([*known.row_names, *(name for name in names if name not in ROW_NAMES)]))
        if (page_names, row_names) == (known.page_names, known.row_names):
            # The page has no new field: something else is wrong with the body.
            return None
        if len(page_names) + len(row_names) > _MAX_UNDOCUMENTED:
            return None
        try:
            extended = _FieldsDecoder(page_names, row_names)
        except ValueError:
            # A struct does not accept a name that JSON must escape.
            return None
        decoded = extended.decode(body)
        if decoded is not None:
            self._extended = extended
        return decoded


class _FieldsDecoder:
    """Decodes pages that have the documented fields, and undocumented ones of the given names in the page and in its rows."""

    def __init__(self, page_names: tuple[str, ...] = (), row_names: tuple[str, ...] = ()) -> None:
        self.page_names = page_names
        self.row_names = row_names
        row: Any = _struct_with(_ROW_FIELDS, row_names) if row_names else _Row
        # A tuple, because the garbage collector stops tracking a tuple of records once it has looked; a list it visits each time.
        calls: Any = tuple[row, ...]
        page = _struct_with([("count", _Int64), ("calls", calls)], page_names)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(page, float_hook=Decimal).decode
        self._decode_rows: Callable[[bytes], Any] = msgspec.json.Decoder(calls, float_hook=Decimal).decode

    def decode(self, body: bytes) -> DecodedPage | None:
        """Decode a page. Return `None` if the body has other fields, or is not a page."""
        try:
            page = self._decode(body)
            return self._page_of(page.calls, page.count, _extras([page], self.page_names)[0])
        except (*REFUSALS, OverflowError):  # `astimezone` raises OverflowError at the edge of the calendar
            return None

    def decode_rows(self, text: bytes) -> DecodedPage | None:
        """Decode rows, an array. Return `None` if one of them has other fields, or the text is not an array of rows."""
        try:
            return self._page_of(self._decode_rows(text), 0, {})
        except (*REFUSALS, OverflowError):  # as above
            return None

    def _page_of(self, rows: Sequence[Any], count: int, extra: Mapping[str, Any]) -> DecodedPage:
        """Return rows of the struct as the records of a page."""
        starts, finer_than_millis = _convert_to_utc(rows, [row.start_time for row in rows])
        if not self.row_names:
            # Rows become records where they are, without a loop in Python: a new object for each would be a third of its cost.
            deque(map(force_setattr, rows, repeat("__class__"), repeat(CallRecord)), maxlen=0)
        else:
            if any(map(_have_too_deep, repeat(rows), range(len(self.row_names)))):
                raise msgspec.DecodeError("an undocumented field has too many levels")
            made = [
                CallRecord(
                    row.id, row.start_time, row.duration, row.billsec, row.src, row.dst, row.disposition,
                    row.sip_username, row.sell_price_cents, row.currency, row.country, row.did, extra,
                )
                for row, extra in zip(rows, _extras(rows, self.row_names), strict=True)
            ]  # fmt: skip
            # A tuple, as above.
            rows = tuple(made)
        return DecodedPage(count, rows, starts, finer_than_millis, extra)


def are_finer_than_millis(starts: Sequence[datetime]) -> bool:
    """Return whether one of these times in UTC is not a whole millisecond."""
    return _has_fine_fraction(_encode(starts))


def _cut(body: bytes, at_once: int) -> list[bytes]:
    """Return the text of a page with its first rows alone, and an array of rows for each further piece of about so many bytes.

    A cut is between a `}` and a `{`, and may be at a wrong place: within a text, or between other objects than rows. Then one of
    the pieces is not valid JSON, or holds what is not a row. If all are valid, together they say what the body says.
    """
    end = body.rfind(b"]")
    cuts = list[re.Match[bytes]]()
    place = at_once
    # No piece is so short that a turn is not worth it.
    while place + at_once // 2 < end and (cut := _BETWEEN_ROWS.search(body, place, end)) is not None:
        cuts.append(cut)
        place = cut.end() + at_once
    if not cuts:
        return [body]
    # A view, because a slice of bytes would be copied twice.
    view, edges = memoryview(body), [*(cut.start() for cut in cuts[1:]), end]
    others = [b"".join((b"[", view[cut.end() : edge], b"]")) for cut, edge in zip(cuts, edges, strict=True)]
    return [b"".join((view[: cuts[0].start()], view[end:])), *others]


def _joined(pieces: Sequence[DecodedPage]) -> DecodedPage:
    """Return the page that falls into these pieces. What is beside the rows is that of the first one."""
    records, starts = list[CallRecord](), list[datetime]()
    for piece in pieces:
        records += piece.records
        starts += piece.starts
    fine = any(piece.finer_than_millis for piece in pieces)
    return DecodedPage(pieces[0].count, tuple(records), starts, fine, pieces[0].extra)


def _convert_to_utc(rows: Sequence[Any], starts: list[datetime]) -> tuple[list[datetime], bool]:
    """Return the rows' starts in UTC, and whether one of them is not a whole millisecond.

    The rows are changed in place if their starts are in other zones. A start without a zone is a `msgspec.ValidationError`.
    """
    # Nearly all pages are in UTC. Encoded as JSON, all starts are checked at once: 0.14 ms for 1000 of them, against 0.39 ms in a
    # loop over `tzinfo` and `microsecond` (`python -m timeit`). msgspec writes an offset of less than a minute as `Z`, too, but
    # does not read one.
    text = _encode(starts)
    # The text behind a `Z` is searched for, too, because a longer text is found faster.
    if text.count(b'Z",') + text.endswith(b'Z"]') == len(starts):
        return starts, _has_fine_fraction(text)
    if any(start.tzinfo is None for start in starts):
        raise msgspec.ValidationError("a start has no zone")
    starts = [start.astimezone(UTC) for start in starts]
    for row, start in zip(rows, starts, strict=True):
        # Records are frozen, but nobody has seen these yet.
        force_setattr(row, "start_time", start)
    return starts, are_finer_than_millis(starts)


def is_too_deep(value: object) -> bool:
    """Return whether an undocumented field has more levels than a row may have."""
    left: list[Any] = [value]
    for _ in range(DEEPEST + 1):
        # Level by level, because to follow a value to its end would take a call for each level, too.
        nested = [each for each in left if type(each) is list or type(each) is dict]
        if not nested:
            return False
        left = [each for one in nested for each in (one.values() if type(one) is dict else one)]
    return True


def _have_too_deep(rows: Sequence[Any], number: int) -> bool:
    """Return whether the undocumented field of this number has too many levels in one of the rows."""
    values = [*map(attrgetter(_attribute(number)), rows)]
    # Nearly all fields have no levels, and to ask each value would be a third of the cost of its row.
    return not {list, dict}.isdisjoint(map(type, values)) and any(map(is_too_deep, values))


def _has_fine_fraction(encoded: bytes) -> bool:
    """Return whether one of these times, as msgspec has encoded them in UTC, is not a whole millisecond."""
    # msgspec writes no fraction or six digits. A `.` stands nowhere else, and `000Z` ends no time without a fraction.
    return b"." in encoded and encoded.count(b"000Z") < encoded.count(b".")


def _struct_with(documented: Sequence[Any], names: Iterable[str]) -> type[msgspec.Struct]:
    """Return a struct with the documented fields, and optional ones of any type that have these names in JSON."""
    undocumented = [
        (_attribute(number), Any, msgspec.field(default=msgspec.UNSET, name=name)) for number, name in enumerate(names)
    ]
    return msgspec.defstruct("Extended", [*documented, *undocumented], gc=False, forbid_unknown_fields=True)


def _extras(structs: Sequence[msgspec.Struct], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the undocumented fields of each struct, sorted by name."""
    extras: list[dict[str, Any]] = [{} for _ in structs]
    # A loop over fields and then structs takes half the time of a loop over structs and then fields.
    for name, number in sorted((name, number) for number, name in enumerate(names)):
        for extra, value in zip(extras, map(attrgetter(_attribute(number)), structs), strict=True):
            if value is not msgspec.UNSET:
                extra[name] = value
    return extras


def _attribute(number: int) -> str:
    """Return a struct's attribute for an undocumented field: a name in JSON need not be an identifier."""
    return f"undocumented_{number}"


_documented: Final = _FieldsDecoder()
