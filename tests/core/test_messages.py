"""The table of endpoints, the requests that are built of it, and the answer as it came."""

from __future__ import annotations

import copy
import pickle
import pprint
import reprlib
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr
from yarl import URL

from unlimcall_async import __version__
from unlimcall_async._arguments import base_url
from unlimcall_async.errors import ResponseError
from unlimcall_async.http.endpoints import CDRS, CREATE_CALL, DELETE_HOOK, ENDPOINTS, ME, Endpoint, endpoint_at
from unlimcall_async.http.messages import Authorization, RawResponse, Request, build, timestamp

BASE = URL("https://app.unlimcall.com/api/v1")
TOKEN = "unl_live_0123456789abcdefghijklm"
UUID = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"

# --- endpoints ------------------------------------------------------------------------------------------------------

# The reference's list: method, path, scope; then the contract's: may be repeated, bucket, statuses of success.
REFERENCE = [
    ("GET", "/me", None, True, "me", {200}),
    ("GET", "/balance", "read:balance", True, "balance", {200}),
    ("GET", "/cdrs", "read:cdrs", True, "cdrs", {200}),
    ("GET", "/agents", "read:agents", True, "agents", {200}),
    ("POST", "/calls", "write:calls", False, "calls", {200, 201}),
    ("POST", "/hooks", "write:hooks", False, "hooks", {200, 201}),
    ("DELETE", "/hooks/{id}", "write:hooks", True, "hooks", {204}),
]


def test_the_table_is_that_of_the_reference() -> None:
    assert [attrs.astuple(endpoint) for endpoint in ENDPOINTS] == REFERENCE


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
@pytest.mark.parametrize("written", ["{}", "{}/"])
def test_a_documented_endpoint_is_found_by_its_path(endpoint: Endpoint, written: str) -> None:
    path = written.format(endpoint.path.replace("{id}", UUID))
    assert endpoint_at(endpoint.method, path) is endpoint


@pytest.mark.parametrize("path", ["/%63alls", "/call%73", "/calls/", "/calls//"])
def test_no_spelling_of_calls_makes_it_repeatable_or_free(path: str) -> None:
    assert endpoint_at("POST", path) is CREATE_CALL


@pytest.mark.parametrize(
    ("method", "path", "pattern", "bucket"),
    [
        ("HEAD", "/me", "/me", "me"),
        ("PUT", "/cdrs", "/cdrs", "cdrs"),
        ("GET", "/calls", "/calls", "calls"),
        ("GET", "/hooks", "/hooks", "hooks"),
        ("PATCH", "/balance", "/balance", "balance"),
        ("POST", "/agents", "/agents", "agents"),
        ("GET", f"/hooks/{UUID}", "/hooks/{id}", "hooks"),
        ("PATCH", f"/hooks/{UUID}", "/hooks/{id}", "hooks"),
        ("DELETE", "/calls", "/calls", "calls"),
    ],
)
def test_another_method_draws_on_the_bucket_of_its_path(method: str, path: str, pattern: str, bucket: str) -> None:
    endpoint = endpoint_at(method, path)
    assert (endpoint.method, endpoint.path, endpoint.bucket) == (method, pattern, bucket)


ODD_PATHS = [
    "/",
    "/numbers",
    "/invoices/+14155551234",
    "/ME",
    "/me/x",
    "/mex",
    "/hooks/a/b",
    "/hooksx/a",
    "/cdrs%3F",
    "/(other)",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("path", ODD_PATHS)
def test_a_path_that_is_not_documented_has_no_bucket_and_is_not_named(method: str, path: str) -> None:
    # It may hold a phone number, and the endpoint's path is what logs show.
    assert endpoint_at(method, path) == Endpoint(method, "(other)", None, method not in {"POST", "PATCH"}, None)


@pytest.mark.parametrize("path", ["/me", "/hooks", f"/hooks/{UUID}", "/numbers"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_post_and_patch_are_never_repeatable(method: str, path: str) -> None:
    assert not endpoint_at(method, path).repeatable


# --- building -------------------------------------------------------------------------------------------------------


def at(path: str, base: str = "https://app.unlimcall.com/api/v1", **more: Any) -> Request:
    return build(base_url(base, allow_plain_http=False), ME, path, **more)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://app.unlimcall.com", "https://app.unlimcall.com/me"),
        ("https://app.unlimcall.com/", "https://app.unlimcall.com/me"),
        ("https://app.unlimcall.com/api/v1", "https://app.unlimcall.com/api/v1/me"),
        ("https://app.unlimcall.com/api/v1/", "https://app.unlimcall.com/api/v1/me"),
        ("http://127.0.0.1:8080/a%2Fb", "http://127.0.0.1:8080/a%2Fb/me"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x/me"),
    ],
)
def test_a_path_goes_below_that_of_the_base(base: str, url: str) -> None:
    assert str(at("/me", base).url) == url


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/hooks/27", "/hooks/27"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2Bb", "/a%2Bb"),
        ("/a+b", "/a+b"),
        ("/a%3Fb%23c", "/a%3Fb%23c"),
        ("/100%", "/100%25"),
        ("/%2525", "/%2525"),
        ("/caf\u00e9/\u260e", "/caf%C3%A9/%E2%98%8E"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/a:b@c", "/a:b@c"),
        ("/x/", "/x/"),
        ("/", "/"),
    ],
    ids=ascii,
)
def test_a_path_is_quoted_once(path: str, sent: str) -> None:
    request = at(path)
    assert request.url.raw_path == f"/api/v1{sent}"
    assert (request.url.host, request.url.raw_query_string, request.path) == ("app.unlimcall.com", "", path)


def test_a_plus_and_a_colon_survive_the_query() -> None:
    query = at("/cdrs", params={"from": "2026-05-23T00:00:00+00:00", "number": "+14155551234"}).url.raw_query_string
    assert "+" not in query  # a server reads it as a blank
    assert dict(parse_qsl(query)) == {"from": "2026-05-23T00:00:00+00:00", "number": "+14155551234"}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["&", "=", "#", "%", "%20", ";", "?", "/", " "]
)


@given(st.dictionaries(texts, texts, max_size=4))
def test_any_query_arrives_as_it_was_given(params: dict[str, str]) -> None:
    url = at("/cdrs", params=params).url
    assert dict(parse_qsl(url.raw_query_string, keep_blank_values=True, strict_parsing=bool(params))) == params
    assert (url.raw_path, url.raw_fragment) == ("/api/v1/cdrs", "")
    assert str(url).isascii()


@pytest.mark.parametrize("params", [None, {}])
def test_without_params_there_is_no_query(params: dict[str, str] | None) -> None:
    assert str(at("/me", params=params).url) == "https://app.unlimcall.com/api/v1/me"


def test_every_request_names_the_version_of_the_api_and_the_client() -> None:
    request = at("/me", headers={"X-Request-Id": "r1"})
    assert request.headers == {
        "Accept": "application/vnd.unlimcall.v1+json",
        "User-Agent": f"unlimcall-async/{__version__}",
        "X-Request-Id": "r1",
    }
    assert request.body is None


def test_a_body_is_said_to_be_json() -> None:
    request = build(BASE, CREATE_CALL, "/calls", body=b"{}")
    assert (request.body, request.headers["Content-Type"]) == (b"{}", "application/json")


def test_the_method_is_that_of_the_endpoint() -> None:
    assert [build(BASE, endpoint, endpoint.path).method for endpoint in ENDPOINTS] == [row[0] for row in REFERENCE]


def test_a_request_shows_neither_numbers_nor_headers() -> None:
    params = {"number": "+14155551234"}
    request = build(BASE, CDRS, "/cdrs", params=params, body=b"+14155551234", headers={"X-Secret": "s3cret"})
    assert "4155551234" not in repr(request)
    assert "s3cret" not in repr(request)
    assert "/cdrs" in repr(request)


def test_a_request_can_be_sent_again_but_not_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        build(BASE, DELETE_HOOK, f"/hooks/{UUID}").path = "/me"  # type: ignore[misc] # that is the point


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 5, 23, tzinfo=UTC), "2026-05-23T00:00:00Z"),
        (datetime(2026, 5, 23, 23, 59, 59, tzinfo=UTC), "2026-05-23T23:59:59Z"),
        (datetime(2026, 5, 23, 1, 2, 3, 500_000, tzinfo=UTC), "2026-05-23T01:02:03.500Z"),
        (datetime(2026, 5, 23, 1, 2, 3, 1_000, tzinfo=UTC), "2026-05-23T01:02:03.001Z"),
        (datetime(2026, 5, 23, 1, 2, 3, 1, tzinfo=UTC), "2026-05-23T01:02:03.000001Z"),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_written_as_the_reference_does(moment: datetime, written: str) -> None:
    assert timestamp(moment) == written


@given(st.datetimes(timezones=st.just(UTC)))
def test_no_time_loses_anything(moment: datetime) -> None:
    assert datetime.fromisoformat(timestamp(moment)) - moment == timedelta(0)


# --- the token and the answer ---------------------------------------------------------------------------------------


def test_authorization_is_sent_but_not_shown() -> None:
    authorization = Authorization(TOKEN)
    header = authorization.header()
    assert (header, str(header), header.encode()) == (f"Bearer {TOKEN}",) * 2 + (b"Bearer " + TOKEN.encode(),)
    for shown in (authorization, header):
        assert TOKEN[:8] not in f"{shown!r} {shown} {[shown]} { ({'Authorization': shown}) }"
        assert TOKEN[:8] not in f"{reprlib.repr(shown)} {reprlib.repr([shown])} {pprint.pformat([shown], width=20)}"
    assert TOKEN[:8] not in f"{header:.40} {header[:40]} {header[7:]} {''.join(header)} {header[::-1]}"


def test_a_long_token_is_not_shown_by_tools_that_cut_long_texts() -> None:
    long = "unl_live_" + "0123456789" * 20
    for shown in (Authorization(long), Authorization(long).header()):
        tree = pretty_repr({"headers": {"Authorization": shown}}, max_string=80)
        assert "unl_live" not in tree


def test_an_answer_is_given_as_it_came_and_hides_its_content() -> None:
    answer = RawResponse(200, {"X-Number": "+14155551234"}, b'{"number": "+14155551234"}')
    assert answer.json() == {"number": "+14155551234"}
    assert "4155551234" not in repr(answer)
    assert "26 bytes" in repr(answer)
    assert pickle.loads(pickle.dumps(answer)) == copy.copy(answer) == answer  # noqa: S301 # made right here


@pytest.mark.parametrize(
    ("body", "value"), [(b"{}", {}), (b" [1, 2.5, null] ", [1, 2.5, None]), (b'"x"', "x"), (b"0", 0), (b"false", False)]
)
def test_an_answer_may_be_any_json(body: bytes, value: object) -> None:
    assert RawResponse(200, {}, body).json() == value


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>+14155551234</html>", b'{"a": ', b'{"number": "+14155551234"} x', b"NaN", b"\xff", b'"\xff"', b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000, b"\xef\xbb\xbf{}", b"9" * 5000 + b"x",
    ],
    ids=lambda body: repr(body[:9]),
)  # fmt: skip
def test_an_answer_that_is_no_json_is_a_response_error(body: bytes) -> None:
    with pytest.raises(ResponseError) as caught:
        RawResponse(502, {}, body).json()
    assert (caught.value.status, caught.value.where) == (502, "body")
    assert "4155551234" not in "".join(traceback.format_exception(caught.value))
