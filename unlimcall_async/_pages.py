"""Pages of call records, the bulk of all bytes: decoded straight into records, without Python code per row.

Pure: no I/O. What is refused here, be it a page that no struct can be made for or a real error, `_codec` reads by its converter,
which decides. So the reader may refuse more than the converter, never less, and a test holds the two together.

What documented fields do not read is read by a struct that has the new ones too, whose names are remembered; so are texts that
repeat. Both change how fast a page is read, and what it takes in memory, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, count
from operator import attrgetter
from typing import Any, Final

import msgspec
from attrs import frozen
from msgspec.structs import fields, force_setattr

from unlimcall_async._vocabulary import Vocabulary
from unlimcall_async.models import NOTHING, CallRecord

# All that msgspec says of a body that it does not take. The last is what Decimal says of an exponent beyond its own.
REFUSALS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation)

# An API adds a field now and then. A server that thinks up names must not make this learn for ever.
_MOST_NAMES: Final = 16

_written: Final = msgspec.json.Encoder().encode
_page_of_anything: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_rows_of_anything: Final = msgspec.json.Decoder(list[dict[str, Any]]).decode

# The fields of a row that the reference names, as structs are made of them. Some types are parameters, which stand for any text.
_DOCUMENTED: Final = [
    (each.name, each.type, msgspec.field(default=each.default, name=each.encode_name))
    for each in fields(CallRecord)
    if each.name != "extra"
]
_OF_ROWS: Final = frozenset(default.name for _, _, default in _DOCUMENTED)
_OF_PAGE: Final = frozenset({"count", "calls"})


@frozen
class Rows:
    """A page, as it was decoded.

    Attributes:
        count: What it says of the number of records.
        calls: Its records, in the server's order.
        moments: When each of them starts, in UTC.
        finer: Whether one of these is no whole millisecond.
        extra: What stands beside `count` and `calls`.
    """

    count: int
    calls: Sequence[CallRecord]
    moments: list[datetime]
    finer: bool
    extra: Mapping[str, Any]

    def is_whole(self, limit: int) -> bool:
        """Tell whether the answer to a request for at most `limit` rows cannot have been clipped."""
        return len(self.calls) < limit and self.count <= len(self.calls)


class Reader:
    """Decodes pages, and learns which fields they have besides those of the reference, and which texts come again and again."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._documented = _Shape(_documented, self._vocabulary)
        self._learned: _Shape | None = None

    def read(self, body: bytes) -> Rows | None:
        """Read a page, or give `None` if it is none, or no struct can be made for it."""
        page = self._documented.read(body)
        if page is None and self._learned is not None:
            page = self._learned.read(body)
        return self._read_novel(body) if page is None else page

    def _read_novel(self, body: bytes) -> Rows | None:
        """Read a page with fields that are new, and keep their names; but names that are of no use are ignored."""
        old = (self._learned or self._documented).decoder
        of_page, of_rows = _names_in(body)
        of_page, of_rows = _joined(old.of_page, of_page), _joined(old.of_rows, of_rows)
        if (of_page, of_rows) == (old.of_page, old.of_rows) or len(of_page) + len(of_rows) > _MOST_NAMES:
            return None
        try:
            shape = _Shape(_Decoder(of_page, of_rows), self._vocabulary)
        except ValueError:
            # A struct does not take a name that JSON must escape, nor the one that stands for `extra`.
            return None
        page = shape.read(body)
        if page is not None:
            self._learned = shape
        return page


def _names_in(body: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the names of fields that are not documented, of a page and of its rows; none if that is no page."""
    try:
        page = _page_of_anything(body)
        rows = _rows_of_anything(page.get("calls", b"[]"))
    except REFUSALS:
        return (), ()
    # In the order of the page, in which msgspec looks for them.
    of_rows = dict.fromkeys(chain.from_iterable(rows))
    return tuple(name for name in page if name not in _OF_PAGE), tuple(name for name in of_rows if name not in _OF_ROWS)


def _joined(known: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *names)))


class _Shape:
    """Pages with the same fields: decoded by the texts that are known, else whatever their texts are."""

    def __init__(self, decoder: _Decoder, vocabulary: Vocabulary) -> None:
        self.decoder = decoder
        self._vocabulary = vocabulary
        self._by_texts: _Decoder | None = None
        self._edition = 0

    def read(self, body: bytes) -> Rows | None:
        """Read a page, or give `None` if it has other fields."""
        rows = self._by_texts.decode(body) if self._by_texts else None
        if rows is None:
            rows = self.decoder.decode(body)
            if rows is not None:
                self._learn(rows)
        return rows

    def _learn(self, rows: Rows) -> None:
        self._vocabulary.learn(rows.calls)
        if self._edition != self._vocabulary.edition:
            self._edition = self._vocabulary.edition
            self._by_texts = _Decoder(self.decoder.of_page, self.decoder.of_rows, self._vocabulary.types)


class _Decoder:
    """Decodes pages with the documented fields, and with others of these names; `texts` are types of some of the fields."""

    def __init__(
        self, of_page: tuple[str, ...], of_rows: tuple[str, ...], texts: Mapping[str, Any] | None = None
    ) -> None:
        self.of_page = of_page
        self.of_rows = of_rows
        row: Any = CallRecord
        if of_rows:
            documented = [(name, (texts or {}).get(name, kind), default) for name, kind, default in _DOCUMENTED]
            row = _struct_with("NovelRow", documented, of_rows)
        elif texts:
            # Its parameters stand in this order, too.
            row = CallRecord[tuple(texts.values())]  # type: ignore[misc] # parameters for msgspec alone, see `models`
        # The collector does not look into a tuple either, once it has seen that there is nothing in it to look at.
        calls: Any = tuple[row, ...]
        page = _struct_with("Page", [("count", int), ("calls", calls)], of_page)
        self._decode = msgspec.json.Decoder(page, float_hook=Decimal).decode

    def decode(self, body: bytes) -> Rows | None:
        try:
            page = self._decode(body)
            starts = self._starts_of(page.calls)
        except (*REFUSALS, OverflowError):  # the last is what a time says that no other zone can write
            return None
        if starts is None:
            return None
        calls = _records_of(page.calls, self.of_rows) if self.of_rows else page.calls
        return Rows(page.count, calls, *starts, _extras([page], self.of_page)[0])

    def _starts_of(self, rows: Sequence[CallRecord]) -> tuple[list[datetime], bool] | None:
        """As `_in_utc`; `None` also if a record has a field of the name that stands for `extra`."""
        if self.of_rows:
            return _in_utc(rows, [row.start_time for row in rows])
        # One look at each record for both.
        moments = [row.start_time for row in rows if row.extra is NOTHING]
        return _in_utc(rows, moments) if len(moments) == len(rows) else None


def _in_utc(rows: Sequence[CallRecord], moments: list[datetime]) -> tuple[list[datetime], bool] | None:
    """Make the starts of rows that nobody has seen yet UTC, if they are not; `None` if one has no zone.

    Gives them, and whether one of them is no whole millisecond.
    """
    # Written as JSON they are looked at all at once, for a third of what it takes to look at one after the other. An offset of mere
    # seconds would be written as `Z` too, but none can be read.
    text = _written(moments)
    if text.count(b"Z") == len(rows):
        return moments, _is_finer(text)
    if any(moment.tzinfo is None for moment in moments):
        return None
    moments = [moment.astimezone(UTC) for moment in moments]
    for row, moment in zip(rows, moments, strict=True):
        force_setattr(row, "start_time", moment)
    return moments, finer_than_millis(moments)


def finer_than_millis(moments: Sequence[datetime]) -> bool:
    """Tell whether one of some times in UTC is no whole millisecond."""
    return _is_finer(_written(moments))


def _is_finer(text: bytes) -> bool:
    # A fraction of a second is written with six digits; and `.` stands nowhere else, nor `000Z` at the end of a whole second.
    return b"." in text and text.count(b"000Z") < text.count(b".")


def _struct_with(name: str, documented: Sequence[tuple[str, Any] | tuple[str, Any, Any]], names: Iterable[str]) -> Any:
    """Make a struct with these fields, and some of any type under the names that JSON has."""
    novel = [
        (_novel(number), Any, msgspec.field(default=msgspec.UNSET, name=each)) for number, each in enumerate(names)
    ]
    return msgspec.defstruct(name, [*documented, *novel], gc=False, forbid_unknown_fields=True)


def _records_of(rows: Sequence[CallRecord], names: Sequence[str]) -> Sequence[CallRecord]:
    """Make records of rows with novel fields, which they have in `extra`."""
    return [
        CallRecord(
            row.id, row.start_time, row.duration, row.billsec, row.src, row.dst, row.disposition,
            row.sip_username, row.sell_price_cents, row.currency, row.country, row.did, extra,
        )
        for row, extra in zip(rows, _extras(rows, names), strict=True)
    ]  # fmt: skip


def _extras(structs: Sequence[msgspec.Struct], names: Sequence[str]) -> list[dict[str, Any]]:
    """Give what structs have in their novel fields, which JSON has under these names, in the order of the names."""
    extras: list[dict[str, Any]] = [{} for _ in structs]
    # Field by field: that is half the work of row by row.
    for name, number in sorted(zip(names, count(), strict=False)):
        for extra, value in zip(extras, map(attrgetter(_novel(number)), structs), strict=True):
            if value is not msgspec.UNSET:
                extra[name] = value
    return extras


def _novel(number: int) -> str:
    """Name a novel field as it is called in a struct: the name that it has in JSON may be none for an attribute."""
    return f"novel_{number}"


_documented: Final = _Decoder((), ())
