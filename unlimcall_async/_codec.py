"""Bytes to models: strict about types, open to fields that the API adds.

Pure: no I/O. One private cattrs converter holds a strict hook for each type of the payloads, because the hooks that
cattrs comes with coerce (`None` to `'None'`, `'7'` to `7`). JSON is read without a float in between, so money stays
exact.

Pages of call records, the bulk of all bytes, have a fast way (`_rows`). Whatever that refuses goes through the
converter, which decides.

An error says where it is (`calls[17].startTime`) and what was expected, never what was found: that may be a phone
number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
import msgspec

from unlimcall_async._rows import REFUSALS, Reader, Rows, finer_than_millis
from unlimcall_async.models import Agent, CallRecord, CdrPage, Hook

T = TypeVar("T")

AwareDatetime: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]

_untyped = msgspec.json.Decoder(float_hook=Decimal)


class DecodeError(Exception):
    """A body is not what the API promises: `where` is the place in it, `reason` what was expected there."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def inside(self, outer: str) -> DecodeError:
        """Give the same error as seen from one level further out."""
        joint = "" if not self.where or self.where.startswith("[") else "."
        return DecodeError(f"{outer}{joint}{self.where}", self.reason)


def decode(body: bytes, model: type[T]) -> T:
    """Read a body as one of the models, or raise `DecodeError`."""
    try:
        value: T = _converter.structure(parse(body), model)
    except DecodeError as error:
        raise DecodeError(error.where or "body", error.reason) from None
    return value


def decode_page(body: bytes, limit: int, reader: Reader) -> CdrPage:
    """Read an answer of `GET /cdrs` to a request for at most `limit` rows, or raise `DecodeError`."""
    rows = decode_rows(body, reader)
    return CdrPage(rows.count, tuple(rows.calls), complete=rows.is_whole(limit), extra=rows.extra)


def decode_rows(body: bytes, reader: Reader) -> Rows:
    """Read an answer of `GET /cdrs` as it came, or raise `DecodeError`. The reader learns from it."""
    rows = reader.read(body)
    if rows is None:
        listing = decode(body, _CdrListing)
        moments = [record.start_time for record in listing.calls]
        rows = Rows(listing.count, listing.calls, moments, finer_than_millis(moments), listing.extra)
    return rows


def decode_agents(body: bytes) -> list[Agent]:
    """Read an answer of `GET /agents`, or raise `DecodeError`: also if it counts more agents than it holds."""
    listing = decode(body, _AgentListing)
    if listing.count > len(listing.agents):
        raise DecodeError("count", f"counts more agents than the {len(listing.agents)} that came")
    return listing.agents


def decode_hook(body: bytes, event: str, target_url: str) -> Hook:
    """Read an answer of `POST /hooks` to a request for `event` and `target_url`, or raise `DecodeError`."""
    created = decode(body, _CreatedHook)
    return Hook(created.id, created.secret, event, target_url, extra=created.extra)


def parse(body: bytes) -> Any:
    """Read JSON into plain values, its fractions as `Decimal`, or raise `DecodeError`."""
    try:
        return _untyped.decode(body)
    except REFUSALS:
        raise DecodeError("body", "expected JSON") from None


@attrs.frozen
class _AgentListing:
    count: int
    agents: list[Agent]
    extra: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class _CreatedHook:
    id: str
    secret: str = attrs.field(repr=False)
    extra: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class _CdrListing:
    count: int
    calls: list[CallRecord]
    extra: Mapping[str, Any] = attrs.field(factory=dict)


# --- the converter --------------------------------------------------------------------------------------------------


def _exactly(kind: type[T], name: str) -> Callable[[Any, Any], T]:
    def structure(value: Any, _type: Any) -> T:
        # Not isinstance: a bool is an int, and no API means that.
        if type(value) is not kind:
            raise DecodeError("", f"expected {name}")
        return value

    return structure


def _decimal(value: Any, _type: Any) -> Decimal:
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    raise DecodeError("", "expected a number")


def _utc(value: Any, _type: Any) -> datetime:
    if type(value) is not str:
        raise DecodeError("", "expected a time as text")
    try:
        return msgspec.convert(value, AwareDatetime).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise DecodeError("", "expected an ISO 8601 time with its offset from UTC") from None


def _list_hook(list_type: Any) -> Callable[[Any, Any], list[Any]]:
    (item_type,) = get_args(list_type)
    item_hook = _converter.get_structure_hook(item_type)

    def structure(value: Any, _type: Any) -> list[Any]:
        if type(value) is not list:
            raise DecodeError("", "expected an array")
        items: list[Any] = []
        try:
            items.extend(item_hook(item, item_type) for item in value)
        except DecodeError as error:
            raise error.inside(f"[{len(items)}]") from None
        return items

    return structure


def _optional_hook(union: Any) -> Callable[[Any, Any], Any]:
    (kind,) = (member for member in get_args(union) if member is not type(None))
    hook = _converter.get_structure_hook(kind)
    return lambda value, _type: None if value is None else hook(value, kind)


def _payload_hook(model: Any) -> Callable[[Any, Any], Any]:
    """Make the hook of an attrs class: its fields under their wire names, all others kept in `extra`."""
    attrs.resolve_types(model)
    fields = {_wire_name(a.name): a for a in attrs.fields(model) if a.name != "extra"}
    hooks = {wire: (_converter.get_structure_hook(a.type), a.type, a.name) for wire, a in fields.items()}
    required = [wire for wire, a in fields.items() if a.default is attrs.NOTHING]

    def structure(value: Any, _type: Any) -> Any:
        if type(value) is not dict:
            raise DecodeError("", "expected an object")
        for wire in required:
            if wire not in value:
                raise DecodeError(wire, "missing")
        # By name, so that their order depends neither on the server nor on what was read before (see `_rows`).
        known: dict[str, Any] = {"extra": {wire: value[wire] for wire in sorted(value) if wire not in hooks}}
        for wire, item in value.items():
            if wire not in hooks:
                continue
            hook, kind, name = hooks[wire]
            try:
                known[name] = hook(item, kind)
            except DecodeError as error:
                raise error.inside(wire) from None
        return model(**known)

    return structure


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list


def _is_optional(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook(str, _exactly(str, "text"))
    converter.register_structure_hook(int, _exactly(int, "a whole number"))
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(Decimal, _decimal)
    converter.register_structure_hook(datetime, _utc)
    converter.register_structure_hook_factory(_is_optional, _optional_hook)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(attrs.has, _payload_hook)
    return converter


_converter = _make_converter()
