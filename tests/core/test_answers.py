"""From an answer to the error that it stands for."""

from __future__ import annotations

import base64
import json
import pickle
import re
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from unlimcall_async.errors import (
    AccountNotProvisionedError,
    AgentNotFoundError,
    AgentNotProvisionedError,
    APIError,
    AuthenticationError,
    ConflictError,
    DialerRequiredError,
    EngineNotConfiguredError,
    InvalidInputError,
    InvalidRequestError,
    InvalidTimestampError,
    NotFoundError,
    OriginateFailedError,
    RateLimitedError,
    ResponseError,
    ServerError,
    SuspendedError,
    UnlimCallError,
    WindowOrderError,
    WindowTooWideError,
)
from unlimcall_async.http.answers import failure_of, raw_problem, retry_after
from unlimcall_async.http.endpoints import CREATE_CALL, CREATE_HOOK, DELETE_HOOK, ENDPOINTS, ME, Endpoint, endpoint_at
from unlimcall_async.http.messages import Authorization, RawResponse, build
from unlimcall_async.http.outcome import Sent, judge, outcome_of

NOW = datetime(2026, 5, 24, 18, 0, 0, tzinfo=UTC)
TOKEN = "unl_live_0123456789abcdefghijklm"

# The error codes of the reference, each with its status, and the class that the contract names.
DOCUMENTED: list[tuple[int, str, type[APIError]]] = [
    (400, "invalid_timestamp", InvalidTimestampError),
    (400, "till_must_be_after_from", WindowOrderError),
    (400, "window_too_wide", WindowTooWideError),
    (400, "invalid_input", InvalidInputError),
    (401, "unauthorized", AuthenticationError),
    (403, "suspended", SuspendedError),
    (404, "not_found", NotFoundError),
    (404, "ai_agent_not_found", AgentNotFoundError),
    (409, "account_not_provisioned", AccountNotProvisionedError),
    (409, "ai_agent_not_provisioned", AgentNotProvisionedError),
    (409, "dialer_required", DialerRequiredError),
    (500, "internal_error", ServerError),
    (502, "originate_failed", OriginateFailedError),
    (503, "engine_not_configured", EngineNotConfiguredError),
]
GROUPS: dict[int, type[APIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: SuspendedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitedError,
    **dict.fromkeys((500, 501, 502, 503, 504, 520, 599), ServerError),
    **dict.fromkeys((402, 405, 408, 413, 418, 422, 451, 499), APIError),
}


def failure(
    status: int, body: bytes = b"", endpoint: Endpoint = ME, headers: object = (), token: str = TOKEN
) -> UnlimCallError | None:
    request = build(URL("https://api.example/v1"), endpoint, endpoint.path)
    response = RawResponse(status, CIMultiDict(headers), body)  # type: ignore[arg-type] # any source of headers
    error = failure_of(request, response, Authorization(token), NOW)
    if error is not None:
        error.outcome_unknown = judge(endpoint, Sent.MAYBE_SENT, outcome_of(error)).outcome_unknown
    return error


def api_failure(status: int, body: bytes = b"", **more: Any) -> APIError:
    error = failure(status, body, **more)
    assert isinstance(error, APIError)
    return error


def written(value: object) -> bytes:
    return json.dumps(value).encode()


# --- classes --------------------------------------------------------------------------------------------------------

WITH_WORDS: dict[str, Callable[[str], bytes]] = {
    "error, detail": lambda code: written({"error": code, "detail": "In words."}),
    "error.code, error.message": lambda code: written({"error": {"code": code, "message": "In words."}}),
    "code, message": lambda code: written({"code": code, "message": "In words."}),
}
BARE: dict[str, Callable[[str], bytes]] = {
    "error": lambda code: written({"error": code}),
    "error.code": lambda code: written({"error": {"code": code}}),
    "code": lambda code: written({"code": code}),
    "json text": written,
    "plain text": lambda code: f"{code}\n".encode(),
    "html": lambda code: f"<!doctype html>\n<html><body><h1>{code}</h1></body></html>".encode(),
    "html title": lambda code: f"<html><head><TITLE>{code}</TITLE></head><body>Sorry!</body></html>".encode(),
}


@pytest.mark.parametrize(("status", "code", "kind"), DOCUMENTED)
def test_documented_codes_arrive_as_their_class_in_every_shape(status: int, code: str, kind: type[APIError]) -> None:
    for shape, write in (WITH_WORDS | BARE).items():
        body = write(code)
        error = api_failure(status, body)
        assert type(error) is kind, shape
        assert (error.status, error.code, error.body) == (status, code, body), shape
        assert shape in BARE or error.detail == "In words.", shape
        assert (error.method, error.path) == ("GET", "/me"), shape


@pytest.mark.parametrize(("status", "group"), GROUPS.items())
def test_what_is_not_documented_falls_to_the_group_of_its_status(status: int, group: type[APIError]) -> None:
    bodies = b"", b"{}", b"[]", b"null", b"7", b"Sorry", b"\xff", written({"code": "brand_new"})
    assert {body: type(api_failure(status, body)) for body in bodies} == dict.fromkeys(bodies, group)


@pytest.mark.rest_slow
@pytest.mark.parametrize(("home", "code"), [row[:2] for row in DOCUMENTED])
def test_a_code_that_disagrees_with_its_status_falls_to_the_group(home: int, code: str) -> None:
    strangers = {status: group for status, group in GROUPS.items() if min(status, 500) != min(home, 500)}
    for write in (WITH_WORDS | BARE).values():
        assert {status: type(api_failure(status, write(code))) for status in strangers} == strangers


def test_an_unknown_code_is_kept_with_the_words_of_the_server() -> None:
    error = api_failure(402, written({"error": {"code": "no_funds", "message": "Top up first."}}))
    assert (error.code, error.detail) == ("no_funds", "Top up first.")


def test_a_documented_code_counts_before_a_name_beside_it() -> None:
    error = api_failure(409, written({"error": "Conflict", "code": "dialer_required", "message": "Buy it."}))
    assert (type(error), error.code, error.detail) == (DialerRequiredError, "dialer_required", "Buy it.")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"Too many requests, slow down", "Too many requests, slow down"),
        (b"<html><head><title>502 Bad\nGateway</title></head><body>x</body></html>", "502 Bad Gateway"),
        (b"<h1>Gone &amp; lost</h1>\n<p>for good</p>", "Gone & lost for good"),
        (written({"error": "Something is odd"}), "Something is odd"),
        (b"", None),
    ],
)
def test_the_words_of_the_server_are_found(body: bytes, detail: str | None) -> None:
    assert api_failure(400, body).detail == detail


@pytest.mark.parametrize("detail", [{"field": "limit"}, ["a", 1, None], 7, 2.5, 2**64, -(2**70), True])
def test_words_that_are_no_text_are_given_as_json(detail: object) -> None:
    assert json.loads(api_failure(400, written({"code": "invalid_input", "detail": detail})).detail or "") == detail


def test_long_words_are_cut() -> None:
    assert len(api_failure(400, written({"code": "invalid_input", "detail": "word " * 10_000})).detail or "") <= 500
    assert len(api_failure(400, b"word " * 10_000).detail or "") <= 500


@pytest.mark.parametrize("body", [b"", b"{", written({"error": "invalid_input"})])
@pytest.mark.parametrize(
    "endpoint", [*ENDPOINTS, endpoint_at("GET", "/numbers"), endpoint_at("POST", "/numbers")], ids=str
)
def test_only_the_documented_status_is_a_success(endpoint: Endpoint, body: bytes) -> None:
    documented = {"GET": {200}, "POST": {200, 201}, "DELETE": {204}}[endpoint.method]
    for status in range(200, 300):
        error = failure(status, body, endpoint)
        if status in documented or endpoint.path == "(other)":
            assert error is None
        else:
            assert isinstance(error, ResponseError)
            assert (error.status, error.where) == (status, "status")
            # Of a read that is not JSON at all, the next response may be good.
            assert error.garbled == (endpoint.method == "GET" and body in {b"", b"{"})


READ, WRITE = endpoint_at("GET", "/numbers"), endpoint_at("POST", "/numbers")


@pytest.mark.parametrize(
    ("endpoint", "status", "kind", "body", "faulty"),
    [
        # Documented: JSON, in any case.
        *((endpoint, 200, "application/json", b"{}", False) for endpoint in (ME, CREATE_CALL, READ, WRITE)),
        *((endpoint, 200, kind, b"", True) for endpoint in (ME, CREATE_CALL) for kind in ("", "application/json")),
        (CREATE_CALL, 201, "application/json", b"", True),
        *((endpoint, 200, "text/html; charset=utf-8", b"<p>", True) for endpoint in (ME, CREATE_CALL, READ, WRITE)),
        *((endpoint, 200, "application/json", b'{"a": ', True) for endpoint in (ME, CREATE_CALL, READ, WRITE)),
        (DELETE_HOOK, 204, "", b"", False),
        (DELETE_HOOK, 404, "text/html", b"not_found", False),
        # What an undocumented path answers is not known.
        (READ, 200, "text/csv", b"a,b", False),
        (READ, 200, "", b"hello", False),
        (READ, 200, "application/vnd.unlimcall.v1+json", b"hello", True),
        (READ, 200, "", b"", True),
        (READ, 204, "", b"", False),
        *((WRITE, status, "", b"", False) for status in (200, 201, 202, 204)),
        (endpoint_at("HEAD", "/me"), 200, "application/json", b"", False),
        (endpoint_at("HEAD", "/me"), 200, "text/html", b"", False),
    ],
    ids=str,
)  # fmt: skip
def test_a_raw_body_that_cannot_be_the_apis_is_faulty(
    endpoint: Endpoint, status: int, kind: str, body: bytes, faulty: bool
) -> None:
    response = RawResponse(status, CIMultiDict({"Content-Type": kind}), body)
    error = raw_problem(build(URL("https://api.example"), endpoint, endpoint.path), response)
    assert (error is not None) is faulty
    if error is not None:
        assert (error.where, error.garbled) == ("body", endpoint.method == "GET")


@pytest.mark.parametrize("status", [0, 100, 101, 199, 300, 301, 302, 303, 304, 307, 308, 399, 600, 999, -1])
def test_redirects_and_odd_statuses_are_response_errors(status: int) -> None:
    for endpoint in ENDPOINTS:
        error = failure(
            status, written({"error": "not_found"}), endpoint, {"Location": "https://me:evil@other.example/evil?evil"}
        )
        assert isinstance(error, ResponseError)
        assert (error.status, error.where) == (status, "status")
        assert (error.method, error.path) == (endpoint.method, endpoint.path)
        assert error.outcome_unknown == (endpoint.method == "POST")
        assert "evil" not in f"{error} {error!r}"


# --- was it done? ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [*(row[:2] for row in DOCUMENTED), *((status, None) for status in GROUPS)])
def test_the_outcome_is_unknown_where_a_post_met_a_failing_server(status: int, code: str | None) -> None:
    body = written({"error": code} if code else {})
    unknown = {endpoint for endpoint in ENDPOINTS if api_failure(status, body, endpoint=endpoint).outcome_unknown}
    # By the reference these two say that no call was placed.
    refused = code in {"originate_failed", "engine_not_configured"}
    doubtful = status >= 500 or status in {408, 425, 499}
    assert unknown == ({CREATE_CALL, CREATE_HOOK} if doubtful and not refused else set())


# --- headers and the token ------------------------------------------------------------------------------------------


def test_headers_compare_without_case_and_keep_their_repetitions() -> None:
    error = api_failure(400, headers=[("X-Request-Id", "r1"), ("Set-Cookie", "a"), ("set-cookie", "b")])
    twin: APIError = pickle.loads(pickle.dumps(error))  # noqa: S301 # made right here
    for headers in (error.headers, twin.headers):
        assert headers["x-request-ID"] == "r1"
        assert [value for name, value in headers.items() if name.lower() == "set-cookie"] == ["a", "b"]


def everything_in(error: APIError) -> str:
    shown = [str(error), repr(error), *traceback.format_exception(error)]
    return " ".join([*shown, *map(repr, error.args), *map(repr, vars(error).values())])


ECHOES: dict[str, bytes] = {
    **{shape: write(TOKEN) for shape, write in (WITH_WORDS | BARE).items()},
    "detail": written({"error": "unauthorized", "detail": f"no such token: {TOKEN}, {TOKEN}"}),
    "nested detail": written({"error": {"code": "unauthorized", "message": {"header": f"Bearer {TOKEN}"}}}),
    "other field": written({"error": "unauthorized", "request": {"headers": [f"Bearer {TOKEN}"]}}),
    "prose": f"no such token: {TOKEN}".encode(),
    "title": f"<title>{TOKEN}</title>".encode(),
    "invalid utf-8": b"\xff\xfe" + TOKEN.encode() + b"\xff",
    **{f"across the cut of {n}": written({"code": "unauthorized", "detail": "." * n + TOKEN}) for n in (470, 480, 499)},
    # However much of a page is read, a token that stands where the reading ends is not read in part.
    **{f"{2**n} bytes of markup": b"<p>" * (2**n // 3 - 5) + TOKEN.encode() for n in range(9, 18)},
    **{f"prose across the cut of {n}": b"." * n + TOKEN.encode() for n in (470, 480, 499)},
}


ESCAPED = "unl_live_01-23/45+67=89.abcdefghij~k"
SPELLINGS: dict[str, str] = {
    "JSON, lower case": "".join(f"\\u{ord(char):04x}" for char in ESCAPED),
    "JSON, upper case": "".join(f"\\u{ord(char):04X}" for char in ESCAPED),
    "JSON, the special ones": re.sub(r"[^\w]", lambda char: f"\\u{ord(char[0]):04x}", ESCAPED),
    "JSON, a slash": ESCAPED.replace("/", "\\/"),
    "JSON in JSON": json.dumps(json.dumps(ESCAPED)).replace("/", "\\\\/"),
    "JSON in JSON, escaped": "".join(f"\\\\u{ord(char):04x}" for char in ESCAPED),
    "every second one": "".join(f"\\u{ord(char):04x}" if n % 2 else char for n, char in enumerate(ESCAPED)),
    "URL": quote(ESCAPED, safe=""),
    "URL, lower case": quote(ESCAPED, safe="").lower(),
    "URL, twice": quote(quote(ESCAPED, safe=""), safe=""),
    "HTML": "".join(f"&#{ord(char)};" for char in ESCAPED),
    "HTML, hexadecimal": "".join(f"&#x{ord(char):X};" for char in ESCAPED),
    "capitals": ESCAPED.upper(),
    "hexadecimal": ESCAPED.encode().hex(),
    **{
        f"base64 behind {before!r}": base64.b64encode(f"{before}{ESCAPED}{after}".encode()).decode()
        for before, after in [("", ""), ("Bearer ", ""), ("a", "b"), ("ab", "cd"), ("user:", ":x")]
    },
    "base64 for URLs": base64.urlsafe_b64encode(f"??>{ESCAPED}".encode()).decode(),
    "Python, C": "".join(f"\\x{ord(char):02x}" for char in ESCAPED),
    "cut off": ESCAPED[:20],
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("around", ['{"error": "unauthorized", "detail": "%s"}', "<p>%s", "%s"])
def test_so_is_one_in_another_spelling(spelling: str, around: str) -> None:
    body = (around % spelling if spelling != ESCAPED[:20] else around.partition("%s")[0] + spelling).encode()
    error = api_failure(401, body, token=ESCAPED, headers={"X-Echo": spelling})
    for text in (error.body.decode(), error.headers["x-echo"], str(error.detail)):
        assert "***" in text
        assert spelling[8:20] not in text


@pytest.mark.parametrize(
    ("echo", "struck_out"),
    [
        (f"{ESCAPED[:20]}...", "***..."),
        (f"...{ESCAPED[-16:]}", "...***"),
        (f"{ESCAPED[:12]}*****{ESCAPED[-12:]}", "***********"),
        (f"{ESCAPED[:18]}\n{ESCAPED[18:]}", "***\n***"),
        (f"<b>{ESCAPED[:15]}</b>", "<b>***</b>"),
        (f"{ESCAPED[5:25]} and {ESCAPED[:9]}", f"*** and {ESCAPED[:9]}"),
    ],
)
def test_so_is_a_part_of_one(echo: str, struck_out: str) -> None:
    error = api_failure(401, echo.encode(), token=ESCAPED, headers={"X-Echo": echo.replace("\n", " ")})
    assert error.body.decode() == struck_out
    assert error.headers["x-echo"] == struck_out.replace("\n", " ")
    for part in (ESCAPED[:12], ESCAPED[-12:]):
        assert part not in everything_in(error)


@pytest.mark.slow
# The characters of a bearer token (RFC 6750, 2.1).
@given(st.from_regex(r"[A-Za-z0-9._~+/-]{8,60}=*", fullmatch=True), st.data())
def test_no_mixture_of_spellings_hides_a_token(token: str, data: st.DataObject) -> None:
    ways: list[Callable[[str], str]] = [
        str,
        lambda c: f"\\u{ord(c):04x}",
        lambda c: f"\\u{ord(c):04X}",
        lambda c: f"%{ord(c):02x}",
        lambda c: f"&#{ord(c)};",
    ]
    spelling = "".join(data.draw(st.sampled_from(ways))(char) for char in token)
    assert Authorization(token).struck_out(f"<{spelling}>") == "<***>"


@pytest.mark.slow
def test_a_hostile_text_is_searched_in_no_time() -> None:
    authorization = Authorization(ESCAPED)
    for text in ("\\" * 300_000, "%25" * 300_000, "&#0000" * 300_000, ESCAPED[:-1] * 10_000, "u" * 300_000):
        before = time.process_time()
        authorization.struck_out(text)
        assert time.process_time() - before < 2


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [401, 418, 500])
def test_a_token_that_is_echoed_is_struck_out(status: int, echo: str) -> None:
    error = api_failure(status, ECHOES[echo], headers={"X-Echo": f"Bearer {TOKEN}", "Location": f"/?t={TOKEN}"})
    # Not even its beginning: cut in two it is still a secret.
    assert TOKEN[:12] not in everything_in(error)
    assert error.headers["x-echo"] == "Bearer ***"


def test_what_is_not_the_token_stays_as_it_came() -> None:
    body = written({"error": "unauthorized", "detail": "unl_live_ is how tokens begin"}) + b"\x00\xff"
    assert api_failure(401, body).body == body
    assert api_failure(401, TOKEN.encode() + b"\xff").body == b"***\xff"


# --- hostile bodies -------------------------------------------------------------------------------------------------

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["not_found", TOKEN])
)
names = st.sampled_from(["error", "code", "detail", "message", "type"]) | st.text(max_size=3)
documents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4))
markup = st.lists(st.sampled_from(["<", ">", "<title", "</title>", "&#", "&amp;", "not_found", "\n", "é"])).map("".join)
bodies = st.binary() | documents.map(written) | markup.map(str.encode)


@settings(deadline=None)
@given(st.integers(400, 599), bodies, st.sampled_from(ENDPOINTS))
def test_any_body_gives_an_api_error_and_nothing_else(status: int, body: bytes, endpoint: Endpoint) -> None:
    error = api_failure(status, body, endpoint=endpoint)
    group = ServerError if status >= 500 else GROUPS.get(status, APIError)
    assert isinstance(error, group)
    assert error.status == status
    assert error.code is None or isinstance(error.code, str)
    assert error.detail is None or 0 < len(error.detail) <= 500
    assert TOKEN not in everything_in(error)


@pytest.mark.rest_slow
@pytest.mark.parametrize("around", [("", ""), ('{"detail":', "}"), ('{"error":{"message":', "}}")])
def test_nesting_of_any_depth_gives_an_api_error(around: tuple[str, str]) -> None:
    first, last = around
    # Every depth from what all parsers take to what none does: writing it again may reach less deep than reading it.
    for depth in (*range(850, 1010), 100_000):
        api_failure(400, f"{first}{'[' * depth}{']' * depth}{last}".encode())


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e99999999999999999999", "9" * 4300, "9" * 4301, "9" * 10_000])
def test_numbers_beyond_all_bounds_give_an_api_error(number: str) -> None:
    api_failure(400, f'{{"code": {number}, "detail": {number}}}'.encode())


@pytest.mark.parametrize("piece", ["<", "<title>", "<title", "</title", "&", "&#", " ", "<a", "[", "{", '"', "é"])
def test_a_large_body_is_read_in_no_time(piece: str) -> None:
    body = (piece * (80_000 // len(piece))).encode()
    started = time.process_time()
    api_failure(502, body)
    # It takes milliseconds, or minutes where the time grows with the square of the size.
    assert time.process_time() - started < 1


# --- Retry-After ----------------------------------------------------------------------------------------------------

IN_TWO_MINUTES = "Sun, 24 May 2026 18:02:00 GMT"
LONG_AGO = "Sun, 24 May 1998 18:02:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 120\t", 120),
        ("1.5", 1.5),
        ("86400", 86400),
        ("999999999", 999_999_999),
        (IN_TWO_MINUTES, 120),
        ("Sun, 24 May 2026 20:02:00 +0200", 120),
        ("Sunday, 24-May-26 18:02:00 GMT", 120),
        ("Sun May 24 18:02:00 2026", 120),
        (LONG_AGO, 0),
        ("9999999999", 1e9),
        ("Thu, 24 May 2063 18:02:00 GMT", 1e9),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("+5", None),
        ("1e3", None),
        ("5 s", None),
        ("5, 6", None),
        ("nan", None),
        ("inf", None),
        ("\uff15", None),
        ("1_0", None),
        ("0x10", None),
        ("Sun, 31 Feb 2026 18:02:00 GMT", None),
        ("Sun, 24 May 2026 18:02:00 +99999999999999999999", None),
        ("Sun, 24 May 99999 18:02:00 GMT", None),
        ("2026-05-24T18:02:00Z", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(CIMultiDict({"retry-after": value}), NOW) == seconds
    assert api_failure(429, headers={"Retry-After": value}).retry_after == seconds
    assert api_failure(503, headers={"Retry-After": value}).retry_after == seconds


def test_without_retry_after_there_is_none() -> None:
    assert api_failure(429).retry_after is None


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Sun, 24 May 2026 18:01:30 GMT", 30),
        ("Sun, 24 May 2026 18:02:00 GMT", 0),
        ("Sun, 24 May 2026 19:00:00 GMT", 0),
        ("Sat, 23 May 2026 18:02:00 GMT", 86400),
        ("yesterday", 120),
        ("", 120),
    ],
)
def test_a_date_is_compared_with_the_clock_of_the_server(date: str, seconds: float) -> None:
    assert retry_after(CIMultiDict({"Retry-After": IN_TWO_MINUTES, "Date": date}), NOW) == seconds
    assert retry_after(CIMultiDict({"Retry-After": "7", "Date": date}), NOW) == 7


header_values = (
    st.text(max_size=20)
    | st.integers(0, 10**400).map(str)
    | st.from_regex(
        r"(Sun, )?[0-9]{1,2} (May|Foo|12) [0-9]{1,6} [0-9]{1,2}:[0-9]{1,3}(:[0-9]{2})? ?([+-][0-9]{1,6}|GMT|Z)?",
        fullmatch=True,
    )
)


@settings(deadline=None)
@given(header_values, st.none() | header_values)
def test_no_header_breaks_the_reading_of_retry_after(value: str, date: str | None) -> None:
    seconds = retry_after(CIMultiDict({"Retry-After": value} | ({} if date is None else {"Date": date})), NOW)
    assert seconds is None or 0 <= seconds <= 1e9
