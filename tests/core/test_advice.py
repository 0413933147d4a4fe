"""What is advised about responses that do not look like the API's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict
from yarl import URL

from unlimcall_async import APIError, ResponseError
from unlimcall_async.http.answers import failure_of, unusable
from unlimcall_async.http.endpoints import CREATE_CALL, ME, Endpoint, endpoint_at
from unlimcall_async.http.messages import Authorization, RawResponse, build

PAGE = b"<!doctype html><html><title>Not here</title></html>"
RIGHT = "https://api.corp.example/api/v1"


def answered(
    status: int,
    body: bytes = b"",
    base_url: str = RIGHT,
    endpoint: Endpoint = ME,
    headers: dict[str, str] | None = None,
) -> APIError | ResponseError:
    request = build(URL(base_url), endpoint, endpoint.path.replace("(other)", "/numbers"))
    response = RawResponse(status, CIMultiDict(headers or {}), body)
    error = failure_of(request, response, Authorization("unl_live_t0ken"), datetime(2026, 1, 1, tzinfo=UTC))
    error = error or unusable(request, response, "body", "expected JSON")
    assert (f"({error.hint})" in str(error)) == bool(error.hint)
    return error


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"404: Not Found", PAGE, b'{"detail": "Not Found"}', b'{"error": "no_such_route"}'),
        b'{"error": "not_found", "detail": "There is nothing at this path."}',
    ],
)
def test_a_404_under_a_url_without_the_base_path_names_the_path(body: bytes) -> None:
    for base_url in ("https://api.corp.example", "https://api.corp.example/api/v2", "https://api.corp.example/api/v11"):
        hint = answered(404, body, base_url).hint
        assert hint == "the base URL has no /api/v1: https://api.corp.example/api/v1 may be meant"


@pytest.mark.parametrize(
    ("status", "body", "base_url", "endpoint", "words"),
    [
        (404, PAGE, RIGHT, ME, "the base URL names another server"),
        (404, b"", "https://gateway.example/unlimcall/api/v1", ME, "the base URL names another server"),
        (404, PAGE, RIGHT, endpoint_at("GET", "/numbers"), "the API may not have this path"),
        (403, PAGE, RIGHT, ME, "a proxy or a firewall on the way may have sent it"),
        (405, PAGE, RIGHT, CREATE_CALL, "a proxy or a firewall on the way may have sent it"),
        (407, b"", RIGHT, ME, "a proxy on the way wants a user name and a password"),
        (400, PAGE, "http://127.0.0.1:8443/api/v1", ME, "does 127.0.0.1:8443 speak https? the base URL says http"),
        (200, PAGE, RIGHT, ME, "this is a web page"),
        (200, PAGE, "https://www.corp.example", ME, "https://www.corp.example/api/v1 may be meant"),
        (201, PAGE, RIGHT, CREATE_CALL, "this is a web page"),
    ],
)
def test_what_seems_to_come_from_elsewhere(
    status: int, body: bytes, base_url: str, endpoint: Endpoint, words: str
) -> None:
    assert words in answered(status, body, base_url, endpoint).hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"error": "not_found"}'),
        (404, b'{"error": {"code": "ai_agent_not_found"}}'),
        (401, b""),
        (401, b'{"error": "unauthorized"}'),
        (403, b"suspended"),
        (429, PAGE),
        (502, PAGE),
        (400, b'{"error": "invalid_input"}'),
        (400, b'{"error": "a_code_of_next_year"}'),
        (400, b'{"message": "words alone"}'),
    ],
)
def test_what_the_api_may_have_sent_itself_has_no_hint(status: int, body: bytes) -> None:
    assert answered(status, body).hint == ""
    assert answered(status, body, "http://127.0.0.1:8443/api/v1").hint == "", "no server that speaks TLS answers so"


@pytest.mark.parametrize(
    ("base_url", "location", "words"),
    [
        (RIGHT, "https://login.example:8443/x?next=me", "the server points to https://login.example:8443: is"),
        (RIGHT, "https://login.example:443/x", "the server points to https://login.example: is"),
        (RIGHT, "//me:secret@login.example", "the server points to https://login.example: is"),
        (RIGHT, "/login?token=secret", "the server points to another path: is the base URL right?"),
        ("https://api.corp.example", "/login", "https://api.corp.example/api/v1 may be meant"),
        ("http://api.corp.example/api/v1", "https://api.corp.example/api/v1/me", "write https:// in the base URL"),
        (RIGHT, "", "the server points to another path"),
        (RIGHT, "https://[", "is the base URL right?"),
        (RIGHT, "https://me[secret]@", "is the base URL right?"),
        (RIGHT, "mailto:secret", "is the base URL right?"),
        (RIGHT, "https://unl_live_t0ken.example", "https://***.example"),
    ],
)
def test_a_redirect_says_where_to_by_its_host_alone(base_url: str, location: str, words: str) -> None:
    error = answered(307, b"", base_url, headers={"Location": location})
    assert words in error.hint
    for secret in ("secret", "t0ken", "next", "login?"):
        assert secret not in str(error)
