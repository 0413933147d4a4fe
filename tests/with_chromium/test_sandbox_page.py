"""The page of the sandbox on which the API can be tried, in a real browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from yarl import URL

from unlimcall_async.sandbox import Sandbox


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(browser: Any, unlimcall_sandbox: Sandbox, complaints: list[str]) -> Any:
    opened = browser.new_page()
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(str(URL(unlimcall_sandbox.url).with_path("/")))
    return opened


def send(page: Any, operation: str, **fields: str) -> tuple[str, Any]:
    """Send the form of an operation, and return the status and the body that the page then shows."""
    box = page.locator("details").filter(has=page.get_by_text(operation, exact=True))
    if box.get_attribute("open") is None:
        box.locator("summary").click()
    for name, value in fields.items():
        box.get_by_label(name).fill(value)
    with page.expect_response(lambda _: True):
        box.get_by_role("button").click()
    shown = box.locator("pre").filter(has_text="\n")
    shown.wait_for()
    status, _, body = shown.inner_text().partition("\n\n")
    return status, json.loads(body) if body else None


def test_each_endpoint_can_be_tried(page: Any, unlimcall_sandbox: Sandbox, complaints: list[str]) -> None:
    for operation in ("GET /me", "GET /balance", "GET /cdrs", "GET /agents", "POST /calls"):
        assert send(page, operation)[0] == "200 OK", operation
    assert [call.ai_agent_id for call in unlimcall_sandbox.originated] == ["27"]
    _, hook = send(page, "POST /hooks")
    assert send(page, "DELETE /hooks/{id}", id=hook["id"]) == ("204 No Content", None)
    assert not complaints
    # What was asked is what the forms say, and nothing else, such as an icon.
    assert len(unlimcall_sandbox.requests) == 7
    assert unlimcall_sandbox.requests[2].query == {}


def test_parameters_are_sent_and_refusals_are_shown(page: Any, unlimcall_sandbox: Sandbox) -> None:
    status, body = send(page, "GET /cdrs", limit="0")
    assert (status, body["error"]) == ("400 Bad Request", "invalid_input")
    assert unlimcall_sandbox.requests[-1].query == {"limit": "0"}


def test_what_the_server_says_is_shown_as_text(page: Any, unlimcall_sandbox: Sandbox) -> None:
    unlimcall_sandbox.account.company_name = "<img src=x onerror=document.title=1>"
    assert send(page, "GET /me")[1]["companyName"] == unlimcall_sandbox.account.company_name
    assert page.locator("img").count() == 0
