"""The models in the tools of other people: attrs, cattrs, msgspec, pickle, pydantic, FastAPI and pandas."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from decimal import Decimal
from typing import Annotated, Any

import aiohttp
import attrs
import cattrs
import cattrs.preconf.json
import fastapi
import msgspec
import pandas as pd  # type: ignore[import-untyped] # its stubs are another package
import pytest
from fastapi.encoders import jsonable_encoder
from pydantic import TypeAdapter, ValidationError

from tests.core.models import AT, FULL_MODELS, MODELS, PLAIN_MODELS
from tests.core.payloads import RECORD
from tests.webhooks.servers import uvicorn_server
from unlimcall_async import Balance, CallRecord, CdrPage, Hook, QueuedCall, UnreadableRow, to_dict, to_json


@pytest.mark.parametrize("model", MODELS)
def test_attrs_copies_a_model(model: Any) -> None:
    assert type(model)(**attrs.asdict(model, recurse=False)) == attrs.evolve(model) == model
    assert (
        type(model)(**dict(zip(attrs.fields_dict(type(model)), attrs.astuple(model, recurse=False), strict=True)))
        == model
    )


@pytest.mark.parametrize("model", MODELS)
def test_models_survive_pickle_and_copy(model: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(model, protocol)) == model  # noqa: S301 # made right here
    assert copy.copy(model) == copy.deepcopy(model) == model


# What `pickle.dumps` made of these models before they had a base of their own.
PICKLES: list[tuple[str, Any]] = [
    (
        "gASVtAAAAAAAAACMFnVubGltY2FsbF9hc3luYy5tb2RlbHOUjAdCYWxhbmNllJOUKYGUfZQojAdiYWxhbmNllIwHZGVjaW1hbJSMB0RlY2ltYWyUk5SMBzQyLjc4MzGUhZRSlIwIY3VycmVuY3mUjANVU0SUjAxhY2NvdW50X3R5cGWUjAdwcmVwYWlklIwMY3JlZGl0X2xpbWl0lE6MB2Jsb2NrZWSUiYwFc3RhbGWUiIwFZXh0cmGUfZR1Yi4=",
        Balance(Decimal("42.7831"), "USD", "prepaid", None, blocked=False, stale=True),
    ),
    (
        "gASVqwAAAAAAAACMFnVubGltY2FsbF9hc3luYy5tb2RlbHOUjApDYWxsUmVjb3JklJOUKIwBMZSMCGRhdGV0aW1llIwIZGF0ZXRpbWWUk5RDCgfqBRgSDgIHoSCUaASMCHRpbWV6b25llJOUaASMCXRpbWVkZWx0YZSTlEsASwBLAIeUUpSFlFKUhpRSlEsCSwFOTk5OTk5OTowIYnVpbHRpbnOUjARkaWN0lJOUKVKUdJRSlC4=",
        CallRecord("1", AT, 2, 1),
    ),
    (
        "gASVrwAAAAAAAACMFnVubGltY2FsbF9hc3luYy5tb2RlbHOUjApDYWxsUmVjb3JklJOUKIwBMZSMCGRhdGV0aW1llIwIZGF0ZXRpbWWUk5RDCgfqBRgSDgIHoSCUaASMCHRpbWV6b25llJOUaASMCXRpbWVkZWx0YZSTlEsASwBLAIeUUpSFlFKUhpRSlEsCSwGMDCsxNDE1NTU1MDEwMJROTk5OTk5OfZSMBXF1ZXVllEsBc3SUUpQu",
        CallRecord("1", AT, 2, 1, "+14155550100", extra={"queue": 1}),
    ),
    (
        "gASVjAAAAAAAAACMFnVubGltY2FsbF9hc3luYy5tb2RlbHOUjARIb29rlJOUKYGUfZQojAJpZJSMBDhjNmWUjAZzZWNyZXSUjAd3aHNlY18xlIwFZXZlbnSUjApjYWxsLmVuZGVklIwKdGFyZ2V0X3VybJSME2h0dHBzOi8vZXhhbXBsZS5jb22UjAVleHRyYZR9lHViLg==",
        Hook("8c6e", "whsec_1", "call.ended", "https://example.com"),
    ),
]


@pytest.mark.parametrize(("text", "model"), PICKLES)
def test_pickles_of_earlier_releases_are_read(text: str, model: Any) -> None:
    assert pickle.loads(base64.b64decode(text)) == model  # noqa: S301 # made by hand


def test_a_model_matches_a_pattern() -> None:
    page = CdrPage(2, (RECORD, CallRecord("1", AT, 2, 1)), complete=True)
    match page:
        case CdrPage(count=2, calls=(CallRecord(id=first, src=str()), CallRecord("1", start, _, 1, None))):
            assert (first, start) == (RECORD.id, AT)
        case _:
            pytest.fail("no match")


def test_a_page_is_a_collection_of_its_calls() -> None:
    page = CdrPage(2, (RECORD, CallRecord("1", AT, 2, 1)), complete=True)
    assert (len(page), list(page)) == (2, list(page.calls))
    assert RECORD in page


def test_a_page_is_indexed_by_places_and_names() -> None:
    page = CdrPage(2, (RECORD, CallRecord("1", AT, 2, 1)), complete=True)
    assert (page[0], page[-1], page[:1], page["count"]) == (RECORD, page.calls[1], (RECORD,), 2)
    with pytest.raises(IndexError):
        page[2]


# --- cattrs and msgspec -----------------------------------------------------------------------------------------------


# Before release 26, cattrs cannot make a tuple of times.
@pytest.mark.parametrize("model", [model for model in PLAIN_MODELS if not isinstance(model, UnreadableRow)])
def test_a_default_converter_of_cattrs_takes_a_model_apart_and_puts_it_together(model: Any) -> None:
    converter = cattrs.Converter()
    assert converter.structure(converter.unstructure(model), type(model)) == model


@pytest.mark.parametrize("model", [model for model in PLAIN_MODELS + FULL_MODELS if not isinstance(model, Balance)])
def test_a_json_converter_of_cattrs_writes_and_reads_a_model(model: Any) -> None:
    converter = cattrs.preconf.json.make_converter()
    assert converter.loads(converter.dumps(model), type(model)) == model


@pytest.mark.parametrize("model", MODELS)
def test_msgspec_writes_the_names_of_the_fields(model: Any) -> None:
    body = msgspec.json.encode(model)
    assert msgspec.json.decode(body).keys() == attrs.fields_dict(type(model)).keys()
    if model in PLAIN_MODELS + FULL_MODELS:
        assert msgspec.json.decode(body, type=type(model)) == model
        assert msgspec.json.decode(to_json(model), type=type(model)) == model
        assert msgspec.convert(to_dict(model), type(model)) == model


# --- pydantic and FastAPI ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_pydantic_reads_and_writes_a_model(model: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(type(model))
    assert adapter.validate_python(model) is model
    assert adapter.validate_python(to_dict(model)) == adapter.validate_json(to_json(model)) == model
    assert adapter.dump_python(model, mode="json") == json.loads(adapter.dump_json(model)) == to_dict(model)
    assert adapter.validate_python(adapter.dump_python(model)) == model


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_the_json_schema_has_the_fields(model: Any, mode: Any) -> None:
    schema = TypeAdapter(type(model)).json_schema(mode=mode)
    schema = schema["$defs"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
    assert list(schema["properties"]) == list(attrs.fields_dict(type(model)))
    assert schema["title"] == type(model).__name__
    required = [each.name for each in attrs.fields(type(model)) if each.default is attrs.NOTHING]
    assert schema.get("required", []) == required


def test_the_json_schema_says_what_json_holds() -> None:
    assert TypeAdapter(Balance).json_schema()["properties"]["balance"]["type"] == "string"
    properties = TypeAdapter(CallRecord).json_schema()["properties"]
    assert properties["start_time"] == {"type": "string", "format": "date-time", "title": "Start Time"}
    assert properties["src"]["anyOf"] == [{"type": "string"}, {"type": "null"}]


def test_pydantic_names_the_field_that_is_wrong_and_coerces_nothing() -> None:
    page = {"count": "2", "calls": [{**to_dict(RECORD), "duration": "81", "queue": 1}], "complete": True}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(CdrPage).validate_python(page)
    assert [error["loc"] for error in caught.value.errors()] == [
        *[("count",), ("calls", 0, "duration"), ("calls", 0, "queue")]
    ]


@pytest.mark.slow
async def test_fastapi_answers_with_models_and_describes_them() -> None:
    app = fastapi.FastAPI()
    queued, balance = QueuedCall("f3c1", "queued"), MODELS[1]

    @app.post("/calls")
    async def call() -> QueuedCall:
        return queued

    @app.get("/records")
    async def records() -> list[CallRecord]:
        return [RECORD]

    @app.get("/short", response_model=CallRecord, response_model_include={"id"})
    async def short() -> Any:
        return RECORD

    @app.get("/balance", response_model=None)
    async def untyped() -> Any:
        return {"balance": balance}

    @app.post("/rated")
    async def rated(record: Annotated[CallRecord, fastapi.Body()]) -> CallRecord:
        return record

    paths = app.openapi()["paths"]
    answer = paths["/records"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["items"] == {"$ref": "#/components/schemas/CallRecord"}
    rated_record = {"json": to_dict(RECORD)}
    async with uvicorn_server(app) as url, aiohttp.ClientSession(url) as session:
        for method, path, sent, answered in [
            ("POST", "/calls", {}, to_dict(queued)),
            ("GET", "/records", {}, [to_dict(RECORD)]),
            ("GET", "/short", {}, {"id": RECORD.id}),
            ("GET", "/balance", {}, {"balance": to_dict(balance)}),
            ("POST", "/rated", rated_record, to_dict(RECORD)),
        ]:
            async with session.request(method, path, **sent) as response:  # type: ignore[arg-type] # of either kind
                assert (response.status, await response.json()) == (200, answered)
        async with session.post("/rated", json={"id": 1}) as response:
            assert response.status == 422


@pytest.mark.parametrize("model", MODELS)
def test_the_encoder_of_fastapi_writes_the_plain_form(model: Any) -> None:
    assert jsonable_encoder(model) == to_dict(model)
    assert jsonable_encoder([model]) == [to_dict(model)]


# --- pandas -----------------------------------------------------------------------------------------------------------


def test_pandas_has_a_column_for_each_field_and_whole_prices() -> None:
    frame = pd.DataFrame(map(to_dict, [RECORD, RECORD]))
    assert list(frame.columns) == list(to_dict(RECORD))
    assert frame["sell_price_cents"].dtype == "int64"


@pytest.mark.parametrize("records", [[RECORD], [RECORD, CallRecord("1", AT, 2, 1)], [CallRecord("1", AT, 2, 1)]])
def test_pandas_has_times_and_prices_that_may_be_missing(records: list[CallRecord]) -> None:
    types = {"start_time": "datetime64[us, UTC]", "sell_price_cents": "Int64"}
    frame = pd.DataFrame(map(to_dict, records)).astype(types)
    assert frame["start_time"].to_list() == [record.start_time for record in records]
    prices = [None if price is pd.NA else price for price in frame["sell_price_cents"]]
    assert prices == [record.sell_price_cents for record in records]
    assert str(frame["sell_price_cents"].dtype) == "Int64"


def test_the_secret_of_a_hook_is_written_by_every_tool() -> None:
    hook = Hook("1", "whsec_1", "call.ended", "https://example.com")
    for body in (to_json(hook), msgspec.json.encode(hook), TypeAdapter(Hook).dump_json(hook)):
        assert json.loads(body)["secret"] == "whsec_1"
