"""The description of the API: valid, complete by the reference's tables, true of the sandbox, and served by it. And the page."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from yarl import URL

from unlimcall_async.http.answers import BY_CODE
from unlimcall_async.http.endpoints import ENDPOINTS
from unlimcall_async.sandbox import DEFAULT_TOKEN, SCOPES, EventType, Sandbox, SandboxCall, sample_payload
from unlimcall_async.sandbox.events import EVENTS

from .openapi import DESCRIPTION, STORED, as_json, codes, operations, resolved
from .receiving import Receiver, subscribed
from .support import A_CALL, NOON, OPERATIONS, Reply, Visitor, at

# What each endpoint may answer beside the tables of the reference, as the description says of itself.
EVERYWHERE = {401: {"unauthorized"}, 403: {"suspended"}, 429: {"rate_limited"}}

# The tables of error codes of the reference. Of `GET /cdrs`, `invalid_input` is the description's own.
REFUSALS: dict[tuple[str, str], dict[int, set[str]]] = {
    ("GET", "/me"): {},
    ("GET", "/balance"): {500: {"internal_error"}},
    ("GET", "/cdrs"): {
        400: {"invalid_timestamp", "till_must_be_after_from", "window_too_wide"} | {"invalid_input"},
        409: {"account_not_provisioned"},
    },
    ("GET", "/agents"): {},
    ("POST", "/calls"): {
        400: {"invalid_input"},
        404: {"ai_agent_not_found"},
        409: {"ai_agent_not_provisioned", "account_not_provisioned", "dialer_required"},
        502: {"originate_failed"},
        503: {"engine_not_configured"},
    },
    ("POST", "/hooks"): {400: {"invalid_input"}},
    ("DELETE", "/hooks/{id}"): {400: {"invalid_input"}, 404: {"not_found"}},
}

DESCRIBED = {(method, path): operation for method, path, operation in operations()}


def check(schema: Mapping[str, Any], value: object) -> None:
    """Require a value that the schema accepts."""
    # References of the schema lead into the components of the description.
    whole = {**schema, "components": DESCRIPTION["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


def parts(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield each object of the description."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


# --- the description by itself ------------------------------------------------------------------------------------------


def test_the_sandbox_holds_the_description_of_the_docs() -> None:
    assert STORED.read_text(encoding="utf-8") == as_json(), "run python -m tests.sandbox.openapi"


def test_every_reference_has_its_target_and_every_schema_is_valid() -> None:
    for part in parts(DESCRIPTION):
        assert resolved(part) is not None
        if "schema" in part:
            Draft202012Validator.check_schema(part["schema"])
    for schema in DESCRIPTION["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named = [operation["operationId"] for part in ("paths", "webhooks") for *_, operation in operations(part)]
    assert len({*named}) == len(named) == 12


def test_every_component_is_used() -> None:
    used = {part["$ref"] for part in parts(DESCRIPTION) if "$ref" in part}
    kinds = {kind: names for kind, names in DESCRIPTION["components"].items() if kind != "securitySchemes"}
    assert used == {f"#/components/{kind}/{name}" for kind, names in kinds.items() for name in names}


def test_every_example_fits_its_schema() -> None:
    for part in parts(DESCRIPTION):
        for example in part.get("examples", ()) if "type" in part else ():
            check(part, example)
        if "example" in part:
            check(part["schema"], part["example"])
    for code, example in DESCRIPTION["components"]["examples"].items():
        assert example["value"]["error"] == code
        check({"$ref": "#/components/schemas/Error"}, example["value"])


# --- against the reference and the client -------------------------------------------------------------------------------


def test_the_endpoints_are_those_of_the_client() -> None:
    assert DESCRIBED.keys() == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    for endpoint in ENDPOINTS:
        operation = DESCRIBED[endpoint.method, endpoint.path]
        (scheme,) = operation.get("security", DESCRIPTION["security"])
        assert scheme == {"bearer": [] if endpoint.scope is None else [endpoint.scope]}, endpoint
        # 201 is what a POST may have by HTTP; the reference has 200.
        assert {status for status in operation["responses"] if status < "300"} == {str(min(endpoint.success or ()))}
    assert {
        *re.findall(r"`(\w+:\w+)`", DESCRIPTION["components"]["securitySchemes"]["bearer"]["description"])
    } == SCOPES


def test_the_error_codes_are_those_of_the_reference() -> None:
    for key, refusals in REFUSALS.items():
        responses = DESCRIBED[key]["responses"]
        assert {int(status): codes(response) for status, response in responses.items() if status >= "300"} == {
            **EVERYWHERE,
            **refusals,
        }, key
    assert DESCRIPTION["components"]["examples"].keys() == {*BY_CODE, "rate_limited"}


# --- against the sandbox ------------------------------------------------------------------------------------------------


def fits(reply: Reply, method: str, path: str) -> tuple[int, str]:
    """Require a response as the description has it, and return its status and error code."""
    response = resolved(DESCRIBED[method, path]["responses"][str(reply.status)])
    if "content" not in response:
        assert not reply.text
        return reply.status, ""
    kind, body = reply.headers["Content-Type"].partition(";")[0], reply.json()
    check(response["content"][kind]["schema"], body)
    if reply.status < 300:
        return reply.status, ""
    assert body["error"] in codes(response)
    return reply.status, body["error"]


async def test_successes_fit(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.add_calls([SandboxCall(id="1", start_time=NOON), SandboxCall(id="2", start_time=NOON, did="+14155550100")])
    hook = (await visitor.ask("POST", "/hooks", json=OPERATIONS[5][3])).json()["id"]
    for method, path, _, body in OPERATIONS[:-1]:
        query = {"from": at(-1), "till": at(1)} if path == "/cdrs" else None
        assert fits(await visitor.ask(method, path, json=body, params=query), method, path) == (200, ""), path
    assert fits(await visitor.ask("DELETE", f"/hooks/{hook}"), "DELETE", "/hooks/{id}") == (204, "")


# What is so of the account, and the request.
REFUSED: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    ({"balance_fails": True}, "GET", "/balance", {}),
    ({}, "GET", "/cdrs", {"params": {"from": "yesterday"}}),
    ({}, "GET", "/cdrs", {"params": {"from": at(), "till": at()}}),
    ({}, "GET", "/cdrs", {"params": {"from": at(), "till": at(32 * 86_400)}}),
    ({}, "GET", "/cdrs", {"params": {"limit": "0"}}),
    ({"provisioned": False}, "GET", "/cdrs", {}),
    ({}, "POST", "/calls", {"data": "not JSON"}),
    ({}, "POST", "/calls", {"json": {**(A_CALL or {}), "aiAgentId": "999"}}),
    ({}, "POST", "/calls", {"json": {**(A_CALL or {}), "aiAgentId": "28"}}),
    ({"provisioned": False}, "POST", "/calls", {"json": A_CALL}),
    ({"dialer": False}, "POST", "/calls", {"json": A_CALL}),
    ({"originate_error": "SIP 503"}, "POST", "/calls", {"json": A_CALL}),
    ({"engine": False}, "POST", "/calls", {"json": A_CALL}),
    ({}, "POST", "/hooks", {"json": {"event": "call.begun", "target_url": "https://example.com"}}),
    ({}, "DELETE", "/hooks/7", {}),
    ({}, "DELETE", "/hooks/8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31", {}),
]


async def test_refusals_fit_and_each_listed_code_is_met(visitor: Visitor, sandbox: Sandbox) -> None:
    met = set()
    for states, method, path, options in REFUSED:
        usual = {name: getattr(sandbox.account, name) for name in states}
        for name, value in states.items():
            setattr(sandbox.account, name, value)
        template = "/hooks/{id}" if path.startswith("/hooks/") else path
        met.add((method, template, *fits(await visitor.ask(method, path, **options), method, template)))
        for name, value in usual.items():
            setattr(sandbox.account, name, value)
    assert met == {
        (*key, status, code)
        for key, refusals in REFUSALS.items()
        for status, names in refusals.items()
        for code in names
    }


async def test_what_holds_for_every_endpoint_fits(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.rate_limits = dict.fromkeys(("me", "balance", "cdrs", "agents", "calls", "hooks"), 1)
    for key in DESCRIBED:
        method, path = key[0], key[1].replace("{id}", "7")
        assert fits(await visitor.ask(method, path, token="unl_test_nobody"), *key) == (401, "unauthorized")
        token = sandbox.add_token(SCOPES)
        sandbox.account.suspended = True
        assert fits(await visitor.ask(method, path, token=token), *key) == (403, "suspended")
        sandbox.account.suspended = False
        assert fits(await visitor.ask(method, path, token=token), *key) == (429, "rate_limited")


@pytest.mark.parametrize("shape", ["nested", "code_message"])
async def test_the_other_forms_of_an_error_fit(visitor: Visitor, sandbox: Sandbox, shape: Any) -> None:
    sandbox.settings.error_shape = shape
    check({"$ref": "#/components/schemas/Error"}, (await visitor.ask("DELETE", "/hooks/7")).json())


@pytest.mark.parametrize("event", EVENTS)
async def test_deliveries_fit(visitor: Visitor, receiver: Receiver, sandbox: Sandbox, event: EventType) -> None:
    await subscribed(visitor, event)
    sandbox.deliver(event)
    await sandbox.delivered()
    (arrival,) = receiver.arrivals

    operation = DESCRIPTION["webhooks"][event]["post"]
    (signature,) = map(resolved, operation["parameters"])
    check(signature["schema"], arrival.headers[signature["name"]])
    body = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
    check(body, arrival.json())
    # No field is required, so a schema without any would fit, too. The sample has the fields that the reference names.
    described = {name for part in [body, *map(resolved, body.get("allOf", ()))] for name in part.get("properties", ())}
    assert described == {"eventId", *sample_payload(event)}


# --- served -----------------------------------------------------------------------------------------------------------


async def test_the_description_is_served_for_this_sandbox(visitor: Visitor, sandbox: Sandbox) -> None:
    async with visitor.session.get(URL(sandbox.url).with_path("/openapi.json")) as response:
        served = await response.json()
    # Not production, where a tool that reads the description would place calls.
    assert served.pop("servers") == [{"url": URL(sandbox.url).path, "description": "This sandbox"}]
    assert served == {name: value for name, value in DESCRIPTION.items() if name != "servers"}
    assert not sandbox.requests  # which are those of the API


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_the_page_is_served_and_loads_nothing(visitor: Visitor, sandbox: Sandbox, path: str) -> None:
    async with visitor.session.get(URL(sandbox.url).with_path(path)) as response:
        page = await response.text()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; connect-src 'self';")
    assert "://" not in page
    assert DEFAULT_TOKEN in page


async def test_a_token_of_the_users_own_is_not_on_the_page() -> None:
    async with (
        Sandbox(token="unl_test_mine") as sandbox,
        aiohttp.ClientSession() as session,
        session.get(URL(sandbox.url).with_path("/")) as response,
    ):
        assert "unl_test_mine" not in await response.text()


async def test_only_reading_asks_for_the_description(visitor: Visitor, sandbox: Sandbox) -> None:
    url = URL(sandbox.url).with_path("/openapi.json")
    async with visitor.session.head(url) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with visitor.session.post(url) as response:
        assert (response.status, (await response.json())["error"]) == (404, "not_found")
