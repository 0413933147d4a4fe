"""The shapes that an error body may have; which one the real API uses, the reference does not say."""

from typing import Any

import pytest

from unlimcall_async.sandbox import Sandbox, Status
from unlimcall_async.sandbox.settings import ErrorShape

from .support import Visitor

DETAIL = "Upstream <& snapshot"


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("flat", {"error": "originate_failed", "detail": DETAIL}),
        ("nested", {"error": {"code": "originate_failed", "message": DETAIL}}),
        ("code_message", {"code": "originate_failed", "message": DETAIL}),
    ],
)
async def test_a_shape_in_json(visitor: Visitor, sandbox: Sandbox, shape: ErrorShape, body: Any) -> None:
    sandbox.settings.error_shape = shape
    sandbox.account.originate_error = DETAIL

    reply = await visitor.call()

    assert reply.status == 502
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reply.json() == body


async def test_plain_text(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.error_shape = "text"
    sandbox.account.originate_error = DETAIL

    reply = await visitor.call()

    assert (reply.status, reply.text) == (502, "originate_failed: Upstream <& snapshot")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_an_html_page(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.error_shape = "html"
    sandbox.account.originate_error = DETAIL

    reply = await visitor.call()

    assert reply.status == 502
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>502 Bad Gateway</h1><p>originate_failed: Upstream &lt;&amp; snapshot</p>" in reply.text


async def test_the_shape_holds_for_every_error(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.error_shape = "code_message"
    sandbox.inject(Status(418, code="teapot"), "agents")

    assert (await visitor.get("/numbers")).json()["code"] == "not_found"
    assert (await visitor.ask("POST", "/me")).json()["code"] == "method_not_allowed"
    assert (await visitor.ask("GET", "/me", token="x")).json()["code"] == "unauthorized"
    assert (await visitor.get("/cdrs", limit="0")).json()["code"] == "invalid_input"
    assert (await visitor.get("/agents")).json()["code"] == "teapot"


async def test_headers_of_an_error_stay_in_every_shape(visitor: Visitor, sandbox: Sandbox) -> None:
    shapes: list[ErrorShape] = ["flat", "nested", "code_message", "text", "html"]
    for shape in shapes:
        sandbox.settings.error_shape = shape

        assert (await visitor.ask("POST", "/me")).headers["Allow"] == "GET"
