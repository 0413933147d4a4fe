"""Bytes to models: strict about types, open to fields that the API adds.

Pure: no I/O. One private cattrs converter holds a strict hook for each type of the payloads, because the hooks of cattrs itself
coerce (`None` to `'None'`, `'7'` to `7`). No number of a JSON text passes through a float, so money stays exact.

CDR pages, the bulk of all bytes, have a fast way (`_pages`). The converter reads each body that the fast way refuses, and decides.

An error says where in the body it is (`calls[17].startTime`) and what was expected there. It never says what was found, because the
value may be a phone number.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs
import msgspec

from unlimcall_async import _json
from unlimcall_async._pages import DEEPEST, DecodedPage, PageDecoder, are_finer_than_millis, is_too_deep
from unlimcall_async.models import Agent, CallRecord, CdrPage, Hook

if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")

AwareDatetime: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class DecodeError(Exception):
    """A body is not what the API promises: `where` is the place in the body, `reason` what was expected there."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def inside(self, outer: str) -> DecodeError:
        """Return the error with its place seen from the enclosing value, in which the present value is at `outer`."""
        joint = "" if not self.where or self.where.startswith("[") else "."
        return DecodeError(f"{outer}{joint}{self.where}", self.reason)


def decode(body: bytes, model: type[T]) -> T:
    """Decode a body as one of the models, or raise `DecodeError`."""
    try:
        value: T = _converter().structure(parse(body), model)
    except DecodeError as error:
        # Only an error about the outermost value has no place yet.
        raise DecodeError(error.where or "body", error.reason) from None
    return value


def decode_cdr_list(body: bytes, limit: int, decoder: PageDecoder) -> CdrPage:
    """Decode the response to a CDR request with this `limit` as users see it, or raise `DecodeError`."""
    page = decode_cdr_page(body, decoder)
    return CdrPage(page.count, tuple(page.records), complete=page.is_complete(limit), extra=page.extra)


def decode_cdr_page(body: bytes, decoder: PageDecoder) -> DecodedPage:
    """Decode the response to a CDR request, or raise `DecodeError`. The decoder learns from the page."""
    # The converter accepts what the fast way has refused, or says where it is wrong.
    return decoder.decode(body) or _converted(body)


def decode_cdr_page_in_turns(body: bytes, decoder: PageDecoder) -> Generator[None, None, DecodedPage]:
    """Return what `decode_cdr_page` returns, and yield between two turns of decoding. Raise `DecodeError` as it does."""
    page = yield from decoder.decode_in_turns(body)
    return page or _converted(body)


def decode_cdr_row(text: bytes, decoder: PageDecoder) -> Sequence[CallRecord]:
    """Decode a row as a page of its own, and return the records of that page, or raise `DecodeError`.

    The decoder learns from a record alone: to learn takes five times as long as to refuse a row.
    """
    body = b'{"count":1,"calls":[%b]}' % text
    page = decoder.decode_known(body)
    if page is None:
        page = _converted(body)
        decoder.learn(body)
    return page.records


def _converted(body: bytes) -> DecodedPage:
    listing = decode(body, _CdrListing)
    if listing.calls is None and listing.count:
        raise DecodeError("calls", "expected an array")
    # Some servers write an empty array as null.
    calls = listing.calls or []
    starts = [record.start_time for record in calls]
    return DecodedPage(listing.count, calls, starts, are_finer_than_millis(starts), listing.extra)


def decode_agents(body: bytes) -> list[Agent]:
    """Decode the response to `GET /agents`. Raise `DecodeError` also if `count` is higher than the number of agents in it."""
    listing = decode(body, _AgentListing)
    if listing.count > len(listing.agents):
        raise DecodeError("count", f"expected at most {len(listing.agents)}, the number of agents received")
    return listing.agents


def decode_hook(body: bytes, event: str, target_url: str) -> Hook:
    """Decode the response to a `POST /hooks` request for `event` and `target_url`, or raise `DecodeError`."""
    created = decode(body, _CreatedHook)
    return Hook(created.id, created.secret, event, target_url, extra=created.extra)


def parse(body: bytes) -> Any:
    """Decode JSON into plain values, with fractions as `Decimal`, or raise `DecodeError`."""
    try:
        return _json.read(body)
    except _json.JsonError:
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
    calls: list[CallRecord] | None
    extra: Mapping[str, Any] = attrs.field(factory=dict)


# --- the converter --------------------------------------------------------------------------------------------------
# A structure hook takes a value of the decoded JSON and its type, and returns what the model holds, or raises `DecodeError`.


def _exactly(kind: type[T], name: str) -> Callable[[Any, Any], T]:
    """Return the hook of a type that takes values of exactly this type."""

    def structure(value: Any, _type: Any) -> T:
        # Not `isinstance`: a bool is an int in Python, but `true` is not a number in JSON.
        if type(value) is not kind:
            raise DecodeError("", f"expected {name}")
        return value

    return structure


def _whole(value: Any, _type: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise DecodeError("", "expected a whole number")
    return value


def _decimal(value: Any, _type: Any) -> Decimal:
    # The JSON decoder makes a `Decimal` of each number with a fraction or an exponent, and an int of any other.
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
    except (msgspec.ValidationError, OverflowError):  # `astimezone` raises OverflowError at the edge of the calendar
        raise DecodeError("", "expected an ISO 8601 time with its offset from UTC") from None


def _list_hook(list_type: Any) -> Callable[[Any, Any], list[Any]]:
    """Return the hook of a list type. Its errors say which item is wrong."""
    (item_type,) = get_args(list_type)
    item_hook = _converter().get_structure_hook(item_type)

    def structure(value: Any, _type: Any) -> list[Any]:
        if type(value) is not list:
            raise DecodeError("", "expected an array")
        items: list[Any] = []
        try:
            # The items before the wrong one are in the list when its error arrives, so their number is its index.
            items.extend(item_hook(item, item_type) for item in value)
        except DecodeError as error:
            raise error.inside(f"[{len(items)}]") from None
        return items

    return structure


def _optional_hook(union: Any) -> Callable[[Any, Any], Any]:
    """Return the hook of a type that may also be `None`."""
    (kind,) = (member for member in get_args(union) if member is not type(None))
    hook = _converter().get_structure_hook(kind)
    return lambda value, _type: None if value is None else hook(value, kind)


def _payload_hook(model: Any) -> Callable[[Any, Any], Any]:
    """Return the hook of an attrs class. It takes the fields by their names in JSON, and keeps all others in `extra`."""
    attrs.resolve_types(model)
    fields = {_wire_name(a.name): a for a in attrs.fields(model) if a.name != "extra"}
    hooks = {wire: (_converter().get_structure_hook(a.type), a.type, a.name) for wire, a in fields.items()}
    required = [wire for wire, a in fields.items() if a.default is attrs.NOTHING]

    def structure(value: Any, _type: Any) -> Any:
        if type(value) is not dict:
            raise DecodeError("", "expected an object")
        for wire in required:
            if wire not in value:
                raise DecodeError(wire, "missing")
        # Sorted by name as in `_pages`, so that the order does not tell which of the two ways decoded the page.
        known: dict[str, Any] = {"extra": {wire: value[wire] for wire in sorted(value) if wire not in hooks}}
        for wire, item in value.items():
            if wire not in hooks:
                if model is CallRecord and is_too_deep(item):
                    raise DecodeError(wire, f"expected at most {DEEPEST} levels")
                continue
            hook, kind, name = hooks[wire]
            try:
                known[name] = hook(item, kind)
            except DecodeError as error:
                raise error.inside(wire) from None
        return model(**known)

    return structure


def _wire_name(name: str) -> str:
    """Return the API's name of an attribute: the same in camel case."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list


def _is_optional(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind)


@cache
def _converter() -> cattrs.Converter:
    """Return the converter. It is made when it is first needed, because a stream of good pages never needs it."""
    import cattrs  # noqa: PLC0415 # slow to import

    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook(str, _exactly(str, "text"))
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(Decimal, _decimal)
    converter.register_structure_hook(datetime, _utc)
    converter.register_structure_hook_factory(_is_optional, _optional_hook)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(attrs.has, _payload_hook)
    return converter
