"""Pages of call records, the bulk of all bytes: decoded without Python code per row, and made into records when their turn comes.

Pure: no I/O. msgspec decodes a page into rows, structs that have what a record has under the same names, and allow no other field.
A row takes half the room of a record, and the garbage collector does not look at it. So whoever holds many pages holds rows.

What is refused here, be it a field that the API has added or a real error, `_codec` reads by its converter, which decides. So the
reader may refuse more than the converter, never less, and a test holds the two together. The names of the fields that turn out to
be new are learned: rows that allow them too are tried on what the documented ones refuse. That changes how fast a page is read,
and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from attrs import fields, frozen
from msgspec.structs import astuple

from unlimcall_async.models import CallRecord

AwareDatetime: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]

# All that msgspec says of a body that it does not take. The last is what Decimal says of an exponent beyond its own.
REFUSALS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation)

# An API adds a field now and then. A server that thinks up names must not make this learn for ever.
_MOST_NAMES: Final = 16


class _NotInJson:
    """A type that no JSON value has. It lets a struct hold a field that a body can never fill."""


class CallRow(msgspec.Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    """A row as `GET /cdrs` documents it, attribute for attribute a `CallRecord`; `extra` may be `None`."""

    id: str
    start_time: AwareDatetime
    duration: int
    billsec: int
    src: str | None = None
    dst: str | None = None
    disposition: str | None = None
    sip_username: str | None = None
    sell_price_cents: int | None = None
    currency: str | None = None
    country: str | None = None
    did: str | None = None
    # `None` for nothing: a thousand empty dicts are a thousand objects for the garbage collector to count.
    extra: _NotInJson = msgspec.field(default=cast("Any", None), name="")


class _Page(msgspec.Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    count: int


_FIELDS: Final = tuple(field.name for field in fields(CallRecord))
_fields_of = attrgetter(*_FIELDS)


@frozen
class Rows:
    """A page, as it was decoded.

    Attributes:
        count: What it says of the number of records.
        calls: Its rows, in the server's order.
        extra: What stands beside these two.
    """

    count: int
    calls: Sequence[CallRow]
    extra: Mapping[str, Any]

    def is_whole(self, limit: int) -> bool:
        """Tell whether the answer to a request for at most `limit` rows cannot have been clipped."""
        return len(self.calls) < limit and self.count <= len(self.calls)


class Reader:
    """Decodes pages, and learns which fields they have besides those of the reference."""

    def __init__(self) -> None:
        self._learned: _Decoder | None = None

    def read(self, body: bytes) -> Rows | None:
        """Read a page, or give `None` if it is no page of fields that are known."""
        page = _documented.decode(body)
        return self._learned.decode(body) if page is None and self._learned is not None else page

    def learn(self, of_page: Iterable[str], of_rows: Iterable[str]) -> None:
        """Take note of the names of new fields. Names that are of no use are ignored."""
        old = self._learned or _documented
        known = old.of_page, old.of_rows
        # In the order of the page, in which msgspec looks for them.
        now = tuple(dict.fromkeys((*known[0], *of_page))), tuple(dict.fromkeys((*known[1], *of_rows)))
        if now == known or len(now[0]) + len(now[1]) > _MOST_NAMES:
            return
        try:
            self._learned = _Decoder(*now)
        except ValueError:
            # A struct does not take a name that JSON must escape, nor the one that stands for `extra`.
            return


class _Decoder:
    """Decodes pages with the documented fields, and with others of these names."""

    def __init__(self, of_page: tuple[str, ...], of_rows: tuple[str, ...]) -> None:
        self.of_page = of_page
        self.of_rows = of_rows
        row = _struct_with("NovelRow", CallRow, of_rows) if of_rows else CallRow
        # The collector does not look into a tuple either, once it has seen that there is nothing in it to look at.
        page = _struct_with("Page", _Page, of_page, calls=tuple[row, ...])  # type: ignore[valid-type] # made a line above
        self._decode = msgspec.json.Decoder(page, float_hook=Decimal).decode

    def decode(self, body: bytes) -> Rows | None:
        try:
            page = self._decode(body)
            for row in page.calls:
                if row.start_time.tzinfo is not UTC:
                    row.start_time = row.start_time.astimezone(UTC)
        except (*REFUSALS, OverflowError):  # the last is what a time says that no other zone can write
            return None
        if self.of_rows:
            for row in page.calls:
                row.extra = cast("Any", _named(self.of_rows, astuple(row)[len(_FIELDS) :]))
        return Rows(page.count, page.calls, _named(self.of_page, astuple(page)[2:]))


def _struct_with(name: str, base: type[msgspec.Struct], names: Iterable[str], **kinds: Any) -> Any:
    """Make a struct with the fields of another, some that are required, and some of any type under the names that JSON has."""
    novel = [
        (f"novel_{number}", Any, msgspec.field(default=msgspec.UNSET, name=each)) for number, each in enumerate(names)
    ]
    return msgspec.defstruct(name, [*kinds.items(), *novel], bases=(base,), gc=False, forbid_unknown_fields=True)


def _named(names: Sequence[str], values: tuple[Any, ...]) -> dict[str, Any]:
    named = dict(zip(names, values, strict=True))
    if msgspec.UNSET in values:
        return {name: value for name, value in named.items() if value is not msgspec.UNSET}
    return named


_documented: Final = _Decoder((), ())


def row_of(record: CallRecord) -> CallRow:
    """Give a row that has what a record has."""
    return CallRow(*_fields_of(record))


# A record that can still be written. To fill a frozen one costs twice what it costs to decode it.
_Draft: Any = type(
    "_Draft", (CallRecord,), {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
)


def records_of(rows: Sequence[CallRow]) -> list[CallRecord]:
    """Make the records of rows, which take over what these have in `extra`."""
    records: list[Any] = list(map(object.__new__, repeat(_Draft, len(rows))))
    for row, record in zip(rows, records, strict=True):
        record.id = row.id
        record.start_time = row.start_time
        record.duration = row.duration
        record.billsec = row.billsec
        record.src = row.src
        record.dst = row.dst
        record.disposition = row.disposition
        record.sip_username = row.sip_username
        record.sell_price_cents = row.sell_price_cents
        record.currency = row.currency
        record.country = row.country
        record.did = row.did
        record.extra = row.extra or {}  # type: ignore[truthy-bool] # `None` or a dict, whatever its type says
        record.__class__ = CallRecord
    return records
