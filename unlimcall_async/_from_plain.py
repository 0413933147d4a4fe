"""Models from their plain form: the way back from `_plain`.

Pure: no I/O. A mapping is converted to a private struct of msgspec first, which has the fields and types of the model. msgspec
checks the types and names the place of an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import attrs
import msgspec

T = TypeVar("T")


def from_dict(model: type[T], mapping: Mapping[str, Any]) -> T:
    """Return the model whose plain form is `mapping`: the way back from `to_dict`, and from JSON.

    No value is coerced. Times need an offset from UTC, and money is text. Fractions in `extra` become `Decimal`, as in what the API
    sends.

    Raises:
        TypeError: `model` is not the class of a model, or `mapping` is not a mapping.
        ValueError: A field is missing, unknown, of a wrong type, or a number that is not finite. The message names the place, and
            not the value.
    """
    if not _is_model(model):
        raise TypeError("model must be the class of a model, for example CallRecord")
    # A model reads as a mapping, too.
    if not (isinstance(mapping, Mapping) or hasattr(mapping, "keys")):
        raise TypeError(f"mapping must be a mapping, not {type(mapping).__name__}")
    built: T = _read(dict(mapping), _struct_of(model), model.__name__)  # type: ignore[arg-type] # a class has a hash
    return built


def read_field(model: type, name: str, value: Any) -> Any:
    """Return what a field of a model holds for a plain value, or raise the `ValueError` of `from_dict`."""
    kind = types_of(model)[name]
    return _exact(_read(value, dict[str, Any], name)) if name == "extra" else _read(value, _strict(kind), name)


@cache
def types_of(model: Any) -> Mapping[str, Any]:
    """Return the types of a model's fields, by name."""
    attrs.resolve_types(model)
    return MappingProxyType({each.name: each.type for each in attrs.fields(model)})


@cache
def _struct_of(model: type) -> type[msgspec.Struct]:
    """Return a struct with the fields of a model, which refuses other fields."""
    kinds = types_of(model)
    fields: list[Any] = []
    for each in attrs.fields(model):
        kind = dict[str, Any] if each.name == "extra" else _strict(kinds[each.name])
        if each.default is attrs.NOTHING:
            fields.append((each.name, kind))
        elif isinstance(each.default, attrs.Factory):  # type: ignore[arg-type] # a class, whatever the stubs say
            fields.append((each.name, kind, msgspec.field(default_factory=each.default.factory)))
        else:
            fields.append((each.name, kind, each.default))
    struct = msgspec.defstruct(model.__name__, fields, kw_only=True, forbid_unknown_fields=True)
    _models[struct] = model
    return struct


_models: Final[dict[type, type]] = {}


def _read(value: Any, kind: Any, name: str) -> Any:
    """Return what stands in a model for a plain value, or raise a `ValueError` that begins with a name."""
    try:
        return _built(msgspec.convert(value, kind, dec_hook=_number))
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from None
    except OverflowError:  # `astimezone` raises OverflowError at the edge of the calendar
        raise ValueError(f"{name}: a time is beyond the calendar in UTC") from None


class _Number:
    """A number that is checked here, because msgspec is not as strict: it takes NaN, and a float as money.

    Attributes:
        value: The number.
    """

    __slots__ = ("value",)

    def __init__(self, value: Decimal | float) -> None:
        self.value = value


class _Money(_Number): ...


class _Real(_Number): ...


_CHECKED: Final[Mapping[Any, type[_Number]]] = {Decimal: _Money, float: _Real}
# As `str` writes a `Decimal`, or a person an amount. `Decimal` would take also `NaN`, `1_000`, blanks, and digits of any script.
_is_amount: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch


def _number(kind: Any, value: Any) -> _Number:
    """Return the number that a plain value stands for, or raise a `ValueError`. msgspec calls this function, and adds the place."""
    if kind is _Real:
        # As a float, an integer would not be the same text again.
        if type(value) in {int, float} and (type(value) is int or isfinite(value)):
            return _Real(value)
        raise ValueError("expected a finite number")
    if type(value) is float:
        # It may have lost digits before.
        raise ValueError("expected money as text, and not as a float")
    if type(value) in {int, Decimal} or (isinstance(value, str) and _is_amount(value)):
        with suppress(ArithmeticError):  # an exponent beyond the limits of `Decimal`
            amount = Decimal(value)
            if amount.is_finite():
                return _Money(amount)
    raise ValueError("expected money as text, for example '12.50'")


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _members(kind: Any) -> tuple[Any, ...]:
    """Return the types of a union, or the type itself."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _strict(kind: Any) -> Any:
    """Return a type as msgspec shall check it."""
    if kind is datetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if kind in _CHECKED:
        return _CHECKED[kind]
    if _is_model(kind):
        return _struct_of(kind)
    if get_origin(kind) is tuple:
        return tuple.__class_getitem__(tuple(each if each is ... else _strict(each) for each in get_args(kind)))
    members = _members(kind)
    if len(members) == 1:
        return kind
    # msgspec knows no union of a type that is checked here with any other type than `None`.
    is_optional = len(members) == 2 and type(None) in members
    return Union[tuple(each if each in _CHECKED and not is_optional else _strict(each) for each in members)]  # noqa: UP007 # of members that are not known here


def _built(value: Any) -> Any:
    """Return what stands in a model for a value that msgspec has checked."""
    if isinstance(value, msgspec.Struct) and type(value) in _models:
        found = {name: _exact(item) if name == "extra" else _built(item) for name, item in _items(value)}
        return _models[type(value)](**found)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, _Number):
        return value.value
    return tuple(map(_built, value)) if isinstance(value, tuple) else value


def _items(struct: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(struct, name)) for name in struct.__struct_fields__)


def _exact(value: Any) -> Any:
    """Return a value of `extra` with its fractions as `Decimal`."""
    if type(value) is float:
        return Decimal(repr(value)) if isfinite(value) else value
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value
