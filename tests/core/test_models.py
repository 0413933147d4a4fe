"""The models: frozen, slotted and hashable, with an `extra` that records may share."""

from __future__ import annotations

import copy
import inspect
import json
import operator
import pickle
import pydoc
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs
import cattrs
import msgspec
import pytest

from tests.core.payloads import (
    AGENT,
    BALANCE,
    CALL,
    HOOK,
    ME,
    PAGE,
    QUEUED,
    RECORD,
    Json,
    read_balance,
    read_hook,
    read_me,
    read_page,
    read_queued,
    written,
)
from unlimcall_async._codec import decode_agents
from unlimcall_async.models import CallRecord

NOVEL: Json = {"new": {"a": [1]}}
MODELS: dict[str, Callable[[], Any]] = {
    "Identity": lambda: read_me(written({**ME, **NOVEL})),
    "Balance": lambda: read_balance(written({**BALANCE, **NOVEL})),
    "Agent": lambda: decode_agents(written({"count": 1, "agents": [{**AGENT, **NOVEL}]}))[0],
    "CallRecord": lambda: read_page(written({"count": 1, "calls": [{**CALL, **NOVEL}]})).calls[0],
    "CdrPage": lambda: read_page(written({**PAGE, **NOVEL})),
    "QueuedCall": lambda: read_queued(written({**QUEUED, **NOVEL})),
    "Hook": lambda: read_hook(written({**HOOK, **NOVEL})),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_are_frozen_slotted_hashable_and_survive_pickle_and_copy(name: str) -> None:
    model = MODELS[name]()
    assert type(model).__name__ == name
    for field in (*(a.name for a in attrs.fields(type(model))), "novel"):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(model, field, None)
    assert not hasattr(model, "__dict__")
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    copies = [pickle.loads(pickle.dumps(model, protocol)) for protocol in protocols]  # noqa: S301 # made right here
    for twin in (*copies, copy.copy(model), copy.deepcopy(model)):
        assert twin == model
        assert twin.extra == NOVEL
        assert {twin, model} == {model}


def test_the_secret_of_a_hook_is_not_in_its_repr() -> None:
    hook = read_hook(written(HOOK))
    assert hook.secret == HOOK["secret"]
    assert "whsec" not in f"{hook!r} {hook} {[hook]}"


WRITING: list[Callable[[Any], object]] = [
    lambda extra: operator.setitem(extra, "new", 1),
    lambda extra: operator.delitem(extra, "new"),
    lambda extra: operator.ior(extra, {"new": 1}),  # type: ignore[no-untyped-call] # as the stubs have it
    lambda extra: extra.update(new=1),
    lambda extra: extra.setdefault("new", 1),
    lambda extra: extra.pop("new", None),
    lambda extra: extra.popitem(),
    lambda extra: extra.clear(),
]


@pytest.mark.parametrize("write", WRITING)
def test_nothing_can_be_written_into_an_extra_that_records_share(write: Callable[[Any], object]) -> None:
    first, second = read_page(written({"count": 2, "calls": [CALL, CALL]})).calls
    with pytest.raises(TypeError, match="extra"):
        write(first.extra)
    assert first.extra == second.extra == CallRecord(*attrs.astuple(RECORD)[:4]).extra == {}


def test_an_empty_extra_is_a_dict_to_all_that_reads_it() -> None:
    (record,) = read_page(written({"count": 1, "calls": [CALL]})).calls
    assert json.dumps(attrs.asdict(record)["extra"]) == json.dumps(record.extra) == "{}"
    for twin in (record.extra | {}, record.extra.copy(), copy.copy(record.extra), copy.deepcopy(record).extra):  # type: ignore[operator, attr-defined]
        assert type(twin) is dict
        twin["new"] = 1
    assert record.extra == {}


def test_a_record_is_a_struct_with_the_fields_that_attrs_names() -> None:
    assert [field.name for field in attrs.fields(CallRecord)] == list(CallRecord.__struct_fields__)
    defaults = {field.name: field.default for field in attrs.fields(CallRecord) if field.default is not attrs.NOTHING}
    assert defaults == {name: getattr(CallRecord("1", RECORD.start_time, 1, 0), name) for name in defaults}
    assert attrs.evolve(RECORD, duration=82).duration == 82
    assert CallRecord(**attrs.asdict(RECORD)) == RECORD
    assert "extra={}" in repr(RECORD)


# What the source of `CallRecord` says.
TYPES: dict[str, Any] = {
    "id": str,
    "start_time": datetime,
    "duration": int,
    "billsec": int,
    "src": str | None,
    "dst": str | None,
    "disposition": str | None,
    "sip_username": str | None,
    "sell_price_cents": int | None,
    "currency": str | None,
    "country": str | None,
    "did": str | None,
    "extra": Mapping[str, Any],
}
SEEN_TYPES: dict[str, Callable[[], Mapping[str, Any]]] = {
    "typing": lambda: typing.get_type_hints(CallRecord, include_extras=True),
    "inspect": lambda: {name: each.annotation for name, each in inspect.signature(CallRecord).parameters.items()},
    "attrs": lambda: {each.name: each.type for each in attrs.fields(CallRecord)},
    "msgspec": lambda: {each.name: each.type for each in msgspec.structs.fields(CallRecord)},
}


@pytest.mark.parametrize("tool", SEEN_TYPES)
def test_every_tool_sees_the_types_of_a_record_that_its_source_says(tool: str) -> None:
    assert SEEN_TYPES[tool]() == TYPES


def test_a_record_has_no_type_parameters() -> None:
    with pytest.raises(TypeError, match="not subscriptable"):
        CallRecord[str]  # type: ignore[misc] # that is the point


def test_cattrs_structures_each_field_of_a_record_as_the_type_that_its_source_says() -> None:
    asked: dict[Any, list[str]] = {}

    def note(value: str, kind: Any) -> str:
        asked.setdefault(kind, []).append(value)
        return value

    converter = cattrs.Converter()
    for kind in (str, int, datetime):
        converter.register_structure_hook(kind, note)
    names: Json = {name: name for name in TYPES if name != "extra"} | {"extra": {}}
    assert attrs.asdict(converter.structure(names, CallRecord)) == names
    assert asked.keys() == {str, int, datetime}
    for kind, its_fields in asked.items():
        assert its_fields == [name for name, type_ in TYPES.items() if type_ in {kind, kind | None}]


def test_help_shows_the_types_of_a_record() -> None:
    assert "src: str | None = None" in pydoc.plain(pydoc.render_doc(CallRecord))


def test_a_record_goes_through_the_converters_of_a_user_and_back() -> None:
    cattrs_own = cattrs.Converter()
    cattrs_own.register_unstructure_hook(datetime, datetime.isoformat)
    cattrs_own.register_structure_hook(datetime, lambda value, _type: datetime.fromisoformat(value))
    plain = cattrs_own.unstructure(RECORD)
    assert plain["start_time"] == RECORD.start_time.isoformat()
    assert cattrs_own.structure(plain, CallRecord) == RECORD
    assert msgspec.json.decode(msgspec.json.encode(RECORD), type=CallRecord) == RECORD


def test_a_subclass_of_a_record_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be subclassed"):
        type("Priced", (CallRecord,), {"__annotations__": {"margin": int}, "margin": 0})
