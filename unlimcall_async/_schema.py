"""The models in pydantic, and so in FastAPI. Only pydantic imports this module: it is not a dependency of the package.

Pure: no I/O. A model's schema is that of a typed dict, which pydantic can describe, validate and serialize field by field. Around
the dict, a model that is a model already stays as it is. Each value that holds no other model is checked as `from_dict` checks it,
because the hooks of pydantic coerce; and written as `to_dict` writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, get_args

import attrs
from pydantic_core import core_schema

from unlimcall_async._from_plain import read_field, types_of
from unlimcall_async._plain import plain_field


def schema_of(model: type, handler: Any) -> core_schema.CoreSchema:
    """Return the schema of a model. `handler` generates the schemas of other types."""
    fields = {
        each.name: core_schema.typed_dict_field(
            _field_schema(model, each.name, kind, handler), required=each.default is attrs.NOTHING
        )
        for each, kind in zip(attrs.fields(model), types_of(model).values(), strict=True)
    }
    as_dict = core_schema.typed_dict_schema(fields, cls=model, cls_name=model.__name__, extra_behavior="forbid")

    def build(value: Any, read: Callable[[Any], dict[str, Any]]) -> Any:
        return value if isinstance(value, model) else model(**read(value))

    return core_schema.no_info_wrap_validator_function(
        build,
        as_dict,
        ref=f"{model.__module__}.{model.__qualname__}",
        serialization=core_schema.wrap_serializer_function_ser_schema(_write, schema=as_dict),
    )


def _write(value: Any, write: Callable[[Any], Any]) -> Any:
    """Serialize a model, or what a program has put in its place, which pydantic then warns of."""
    if not attrs.has(type(value)):
        return write(value)
    names = [each.name for each in attrs.fields(type(value))]
    return write({name: getattr(value, name) for name in names if name != "extra" or value.extra})


def _field_schema(model: type, name: str, kind: Any, handler: Any) -> core_schema.CoreSchema:
    # Calling the handler would not ask a model for its schema.
    described: core_schema.CoreSchema = handler.generate_schema(_in_json(kind))
    if _holds_model(kind):
        return described

    def read(value: Any, _read: Callable[[Any], Any]) -> Any:
        return read_field(model, name, value)

    return core_schema.no_info_wrap_validator_function(
        read,
        described,
        serialization=core_schema.plain_serializer_function_ser_schema(_write_field, info_arg=True),
    )


def _write_field(value: Any, info: core_schema.SerializationInfo) -> Any:
    return plain_field(value) if info.mode_is_json() else value


def _holds_model(kind: Any) -> bool:
    return any(map(_holds_model, get_args(kind))) if get_args(kind) else attrs.has(kind)


def _in_json(kind: Any) -> Any:
    """Return the type that describes a field in a JSON schema: money and bytes are text."""
    return {Decimal: str, Decimal | None: str | None, bytes: str}.get(kind, kind)
