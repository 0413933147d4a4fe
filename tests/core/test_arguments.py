"""What callers pass in: what is taken, what is refused, and that a refusal names the argument but no secret."""

from __future__ import annotations

import enum
import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from unlimcall_async import _arguments as arguments

UUID = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"
FULLWIDTH = str.maketrans("0123456789", "".join(chr(0xFF10 + digit) for digit in range(10)))
ARABIC = str.maketrans("0123456789", "".join(chr(0x0660 + digit) for digit in range(10)))


class Text(str):
    """A str of a caller's own."""

    __slots__ = ()


class Options(str, enum.Enum):  # noqa: UP042 # what it is about: its str() is not its text
    """An enumeration of a caller's own."""

    NUMBER = "+14155551234"
    AGENT = "27"
    EVENT = "call.ended"
    HOOK = UUID
    TARGET = "https://example.com/hooks"
    METHOD = "DELETE"
    PATH = "/numbers"


Check = Callable[[Any], object]

# Each check of a text, its argument's name, and a good value.
TEXTS: dict[str, tuple[Check, str]] = {
    "to_number": (lambda value: arguments.number("to_number", value), "+14155551234"),
    "from_number": (lambda value: arguments.number("from_number", value), "+442071838750"),
    "ai_agent_id": (arguments.agent_id, "27"),
    "event": (arguments.event, "call.ended"),
    "hook_id": (arguments.hook_id, UUID),
    "target_url": (arguments.target_url, "https://example.com/hooks"),
    "method": (arguments.method, "DELETE"),
    "path": (arguments.path, "/numbers"),
}


def refused(name: str, check: Callable[[], object], kind: type[Exception] = ValueError) -> str:
    """Require a refusal that begins with the argument's name, and give all that a log would show of it."""
    with pytest.raises(kind) as caught:
        check()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(name)
    return "".join([*traceback.format_exception(caught.value), repr(caught.value)])


@pytest.mark.parametrize("name", TEXTS)
def test_a_good_text_comes_back_as_it_is(name: str) -> None:
    check, good = TEXTS[name]
    assert check(good) == good


@pytest.mark.parametrize("name", TEXTS)
def test_a_str_of_a_subclass_is_taken_for_its_text(name: str) -> None:
    check, good = TEXTS[name]
    for value in (Text(good), *(member for member in Options if member.value == good)):
        taken = check(value)
        assert isinstance(taken, str)
        assert f"{taken}" == str.__str__(taken) == good


@pytest.mark.parametrize("value", [None, 27, 2.7, True, b"27", ["27"], URL("https://example.com"), Decimal(27)])
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_text_is_a_type_error(name: str, value: object) -> None:
    shown = refused(name, lambda: TEXTS[name][0](value), TypeError)
    assert type(value).__name__ in shown


@pytest.mark.parametrize(
    "spoil", ["{}\n", "\n{}", "{} ", " {}", "{}\x00", "{}\r\nX-Evil: 1", "{}\u2028", "{}\ud800", "\ufeff{}"]
)
@pytest.mark.parametrize("name", TEXTS)
def test_a_stray_character_is_refused(name: str, spoil: str) -> None:
    check, good = TEXTS[name]
    if name == "path" and spoil == "{} ":
        assert check(f"{good} ") == f"{good} "  # it is quoted
    else:
        refused(name, lambda: check(spoil.format(good)))


# --- phone numbers, ids, events -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["+14155551234", "+49", "+123456789012345", "+998901234567"])
def test_numbers_in_e164_are_taken(value: str) -> None:
    assert arguments.number("to_number", value) == value


BAD_NUMBERS = [
    "", "+", "+1", "+0", "+0442071838750", "442071838750", "00442071838750", "++442071838750", "+44 20 7183 8750",
    "+44-20-7183-8750", "+442071838CALL", "+4420718387501234", "tel:+442071838750", "+442071838750;ext=1",
    "+4420718387.50", "+44_2071838750", "-442071838750", "+442071838750".translate(FULLWIDTH),
    "+442071838750".translate(ARABIC), "\uff0b442071838750", "+44207183875\u00b2",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=ascii)
def test_other_numbers_are_refused_and_not_shown(value: str) -> None:
    shown = refused("from_number", lambda: arguments.number("from_number", value))
    assert len(value) < 3 or value not in shown


@pytest.mark.parametrize("value", ["27", "0", "007", "9" * 40])
def test_agent_ids_are_ascii_digits(value: str) -> None:
    assert arguments.agent_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1",
        "+27",
        "2.7",
        "1e3",
        "1_0",
        "0x1b",
        "twenty",
        "27".translate(FULLWIDTH),
        "27".translate(ARABIC),
        "2\u00b2",
    ],
    ids=ascii,
)
def test_other_agent_ids_are_refused(value: str) -> None:
    refused("ai_agent_id", lambda: arguments.agent_id(value))


ALLOWED_EVENTS = ["call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed"]


@pytest.mark.parametrize("value", ALLOWED_EVENTS)
def test_the_events_of_the_reference_are_allowed(value: str) -> None:
    assert arguments.event(value) == value


@pytest.mark.parametrize("value", ["", "call", "Call.Ended", "call.completed", "call.ended,dnc.added", "*"])
def test_other_events_are_refused_with_the_list_of_those_allowed(value: str) -> None:
    shown = refused("event", lambda: arguments.event(value))
    assert all(allowed in shown for allowed in ALLOWED_EVENTS)


@pytest.mark.parametrize("value", [UUID, UUID.upper(), "00000000-0000-0000-0000-000000000000"])
def test_hook_ids_are_uuids(value: str) -> None:
    assert arguments.hook_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", "27", UUID[:-1], f"{UUID}0", UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}", UUID.replace("8", "g"),
        f"../{UUID}", f"{UUID}/..", UUID.translate(FULLWIDTH), UUID.replace("-", "_"), "8c6e3b7a2-d4f-4f9c-9e1a-7b0c5a8f2d31",
    ],
    ids=ascii,
)  # fmt: skip
def test_other_hook_ids_are_refused(value: str) -> None:
    refused("hook_id", lambda: arguments.hook_id(value))


# --- URLs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com",
        "https://example.com:8443/hooks?account=1&x=%20#top",
        "https://[2001:db8::1]/",
        "https://b\u00fccher.example/",
        "https://example.com/".ljust(512, "x"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_target_urls_are_https(value: str) -> None:
    assert arguments.target_url(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", "https://", "https:///hooks", "https://?x", "https://:443/", "http://example.com", "ftp://example.com",
        "//example.com", "example.com", "https:example.com", "https:/example.com", "javascript:alert(1)",
        "https://example.com:99999/", "https://[::1", "https://example.com/a b", "https://exam\tple.com/",
        "https://example.com/".ljust(513, "x"),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_other_target_urls_are_refused(value: str) -> None:
    refused("target_url", lambda: arguments.target_url(value))


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("https://app.unlimcall.com/api/v1", "https://app.unlimcall.com/api/v1"),
        ("https://app.unlimcall.com/api/v1/", "https://app.unlimcall.com/api/v1"),
        ("https://app.unlimcall.com/api/v1//", "https://app.unlimcall.com/api/v1"),
        ("https://app.unlimcall.com", "https://app.unlimcall.com"),
        ("https://app.unlimcall.com/", "https://app.unlimcall.com"),
        ("HTTPS://APP.unlimcall.com/API", "https://app.unlimcall.com/API"),
        ("https://proxy.example/a%2Fb/c%20d", "https://proxy.example/a%2Fb/c%20d"),
        ("https://proxy.example:8443/v1", "https://proxy.example:8443/v1"),
        (URL("https://app.unlimcall.com/api/v1/"), "https://app.unlimcall.com/api/v1"),
    ],
    ids=str,
)
def test_a_base_url_keeps_its_path(value: str | URL, taken: str) -> None:
    assert str(arguments.base_url(value, allow_plain_http=False)) == taken


LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1:8080",
    "127.1.2.3",
    "127.255.255.254",
    "[::1]",
    "[::1]:8080",
    "localhost",
    "LocalHost:80",
]
REMOTE = [
    "app.unlimcall.com", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example/localhost", "2130706433",
    "0x7f000001", "0177.0.0.1", "127.1", "126.0.0.1", "128.0.0.1", "0.0.0.0", "10.0.0.1", "192.168.0.1", "[::]", "[::2]",  # noqa: S104 # hosts to refuse
    "[fe80::1]", "notlocalhost", "localhost-evil.example",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_plain_http_may_go_to_this_machine(host: str) -> None:
    assert arguments.base_url(f"http://{host}/v1", allow_plain_http=False).scheme == "http"


@pytest.mark.parametrize("host", REMOTE)
def test_plain_http_to_another_machine_must_be_allowed(host: str) -> None:
    assert "allow_plain_http" in refused(
        "base_url", lambda: arguments.base_url(f"http://{host}", allow_plain_http=False)
    )
    assert arguments.base_url(f"http://{host}", allow_plain_http=True).scheme == "http"
    assert arguments.base_url(f"https://{host}", allow_plain_http=False).scheme == "https"


@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        "", "/api/v1", "app.unlimcall.com", "app.unlimcall.com:443", "//app.unlimcall.com", "https://", "https:///api",
        "ftp://app.unlimcall.com", "file:///etc/passwd", "ws://localhost", "https://app.unlimcall.com?x=1",
        "https://app.unlimcall.com/#top", "https://user@app.unlimcall.com", "https://user:pw@app.unlimcall.com",
        "https://:pw@app.unlimcall.com", "http://127.0.0.1@evil.example", "http://localhost:80@evil.example",
        "https://app.unlimcall.com:99999", "https://app.unlimcall.com:port", "https://[::1",
    ],
)  # fmt: skip
def test_other_base_urls_are_refused(value: str, allow: bool) -> None:
    refused("base_url", lambda: arguments.base_url(value, allow_plain_http=allow))


@pytest.mark.parametrize("value", [None, 1, b"https://app.unlimcall.com", ["https://app.unlimcall.com"]])
def test_a_base_url_is_a_text_or_a_url(value: object) -> None:
    refused("base_url", lambda: arguments.base_url(value, allow_plain_http=True), TypeError)


@pytest.mark.parametrize(
    "value",
    [
        "/", "/numbers", "/numbers/", "/hooks/27", "/a.b/..c/d../...", "/a b", "/a%20b", "/a%2Bb", "/a%3Fb", "/a:b@c;d,e=f",
        "/caf\u00e9", "/%", "/%zz", "/%252e%252e/x",
    ],
    ids=ascii,
)  # fmt: skip
def test_paths_below_the_base_are_taken(value: str) -> None:
    assert arguments.path(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", "numbers", "https://evil.example/", "HTTPS://evil.example", "//evil.example", "/x/https://evil.example", "?x",
        "/numbers?limit=1", "/numbers?", "/numbers#top", "/..", "/../admin", "/hooks/../../admin", "/hooks/..", "/.", "/./x",
        "/x/.", "/%2e%2e/admin", "/%2E%2e/admin", "/.%2e/admin", "/hooks%2f..%2f..%2fadmin", "/hooks/%2e%2e%2fadmin",
        "/%2e", "/..\\admin", "/x\\..\\y", "/%5c%5cevil.example", "/..%5cadmin", "/x\r\nX-Evil: 1", "/x%0d%0aX-Evil:%201",
        "/x%00", "/\x7f", "/\u0085",
    ],
    ids=ascii,
)  # fmt: skip
def test_paths_that_leave_the_base_are_refused(value: str) -> None:
    refused("path", lambda: arguments.path(value))


segments = st.sampled_from(
    ["..", ".", "%2e", "%2E", "%2f", "/", "\\", "%5c", "a", "%61", "%", "25", ";", "\u2024", "\uff0e", " "]
)


@given(st.lists(segments, max_size=8).map(lambda parts: "/" + "".join(parts)))
def test_no_path_that_is_taken_leads_out_of_the_base(path: str) -> None:
    try:
        taken = arguments.path(path)
    except ValueError:
        return
    url = URL(f"https://api.example/api/v1{taken}")
    assert url.host == "api.example"
    assert url.raw_path.startswith("/api/v1/")


@pytest.mark.parametrize("value", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_methods_are_in_capitals(value: str) -> None:
    assert arguments.method(value) == value
    refused("method", lambda: arguments.method(value.lower()))


@pytest.mark.parametrize("value", ["", "CONNECT", "TRACE", "GET /", "G\u0395T", "*"], ids=ascii)
def test_other_methods_are_refused(value: str) -> None:
    refused("method", lambda: arguments.method(value))


# --- times ----------------------------------------------------------------------------------------------------------


class Autumn(tzinfo):
    """A zone whose clocks go back from 3 to 2 o'clock on 25 October 2026."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        wall = moment.replace(tzinfo=None)
        back = datetime(2026, 10, 25, 2)  # noqa: DTZ001 # a wall clock's time
        summer = wall < back or (wall < back + timedelta(hours=1) and not moment.fold)
        return timedelta(hours=2 if summer else 1)

    def dst(self, moment: datetime | None) -> timedelta:
        return self.utcoffset(moment) - timedelta(hours=1)

    def tzname(self, _moment: datetime | None) -> str:
        return "autumn"


AUTUMN = Autumn()


def at(hour: int, minute: int, fold: int = 0) -> datetime:
    return datetime(2026, 10, 25, hour, minute, tzinfo=AUTUMN, fold=fold)


def test_times_are_given_in_utc() -> None:
    taken = arguments.utc(
        "start", datetime(2026, 5, 24, 18, 14, 2, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    )
    assert taken.isoformat() == "2026-05-24T12:44:02.123456+00:00"
    assert taken.tzinfo is UTC


def test_a_window_is_ordered_by_real_time_where_the_clock_went_back() -> None:
    early, late = at(2, 45), at(2, 15, fold=1)
    assert late < early  # so Python compares two times of one zone: by the wall clock
    assert arguments.window(early, late) == (
        datetime(2026, 10, 25, 0, 45, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 15, tzinfo=UTC),
    )
    refused("start", lambda: arguments.window(late, early))


MOMENT = datetime(2026, 5, 24, tzinfo=UTC)
SAME = MOMENT.astimezone(timezone(timedelta(hours=-8)))


@pytest.mark.parametrize(
    "window",
    [
        (None, None),
        (MOMENT, None),
        (None, MOMENT),
        (MOMENT, MOMENT),
        (MOMENT, SAME),
        (SAME, MOMENT + timedelta(days=99)),
    ],
)
def test_a_window_may_be_open_or_empty(window: tuple[datetime | None, datetime | None]) -> None:
    assert arguments.window(*window) == window


def test_a_window_in_the_wrong_order_is_refused() -> None:
    refused("start", lambda: arguments.window(MOMENT + timedelta(microseconds=1), SAME))


class Unsure(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, _moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


NAIVE = [datetime(2026, 5, 24), datetime.min, datetime.max, MOMENT.replace(tzinfo=Unsure())]  # noqa: DTZ001, DTZ901 # naive on purpose
OUT_OF_RANGE = [
    datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
]


@pytest.mark.parametrize("value", [*NAIVE, *OUT_OF_RANGE], ids=str)
def test_naive_times_and_those_beyond_the_calendar_are_refused(value: datetime) -> None:
    refused("start", lambda: arguments.window(value, None))
    refused("end", lambda: arguments.window(None, value))


@pytest.mark.parametrize("value", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=str)
def test_the_edges_of_the_calendar_are_taken(value: datetime) -> None:
    assert arguments.utc("start", value) == value


@pytest.mark.parametrize("value", ["2026-05-24T00:00:00Z", 1747852442, 1.5, date(2026, 5, 24), timedelta(days=1), True])
def test_what_is_no_time_is_a_type_error(value: object) -> None:
    refused("start", lambda: arguments.window(value, None), TypeError)
    refused("end", lambda: arguments.window(None, value), TypeError)


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 100, 1000])
def test_a_limit_is_from_1_to_1000(value: int) -> None:
    assert arguments.limit(value) == value


@pytest.mark.parametrize("value", [0, -1, 1001, 10**9])
def test_another_limit_is_refused(value: int) -> None:
    refused("limit", lambda: arguments.limit(value))


@pytest.mark.parametrize("value", [None, True, 1.0, 100.5, "100", Decimal(100)])
def test_a_limit_is_an_int(value: object) -> None:
    refused("limit", lambda: arguments.limit(value), TypeError)


@pytest.mark.parametrize("value", [1, 0.001, 30.0, 86400])
def test_seconds_are_any_finite_number_above_0(value: float) -> None:
    assert arguments.seconds("timeout", value) == value


@pytest.mark.parametrize(
    "value", [0, 0.0, -1, -0.5, float("inf"), float("-inf"), float("nan"), 10**400], ids=lambda v: str(v)[:9]
)
def test_other_seconds_are_refused(value: float) -> None:
    refused("timeout", lambda: arguments.seconds("timeout", value))


@pytest.mark.parametrize("value", [None, True, False, "30", Decimal(30), timedelta(seconds=30)])
def test_seconds_are_a_number(value: object) -> None:
    refused("timeout", lambda: arguments.seconds("timeout", value), TypeError)


def test_whole_numbers_have_a_least_value() -> None:
    assert [arguments.whole("n", 1), arguments.whole("n", 0, at_least=0), arguments.whole("n", 8, at_least=8)] == [
        1,
        0,
        8,
    ]
    refused("n", lambda: arguments.whole("n", 0))
    refused("n", lambda: arguments.whole("n", 7, at_least=8))


@pytest.mark.parametrize("value", [None, True, 1.0, "1"])
def test_whole_numbers_are_ints(value: object) -> None:
    refused("n", lambda: arguments.whole("n", value), TypeError)


# --- params, headers, JSON ------------------------------------------------------------------------------------------


class Pairs(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __init__(self, **items: Any) -> None:
        self._items = items

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (None, {}),
        ({}, {}),
        ({"a": "x", "b": 7, "c": 1.5, "": ""}, {"a": "x", "b": "7", "c": "1.5", "": ""}),
        (Pairs(a=1), {"a": "1"}),
        ({"a": Options.EVENT, "b": Text("x")}, {"a": "call.ended", "b": "x"}),
    ],
)
def test_params_are_given_as_text(value: object, taken: dict[str, str]) -> None:
    assert arguments.params(value) == taken
    assert [f"{item}" for item in arguments.params(value).values()] == list(taken.values())


@pytest.mark.parametrize(
    "value", ["a=b", [("a", "b")], 7, {"a": None}, {"a": True}, {"a": [1]}, {"a": b"x"}, {1: "x"}, {None: "x"}]
)
def test_other_params_are_a_type_error(value: object) -> None:
    refused("params", lambda: arguments.params(value), TypeError)


@pytest.mark.parametrize("value", [None, {}, Pairs(), MappingProxyType({})])
def test_headers_may_be_none(value: object) -> None:
    assert arguments.headers(value) == {}


def test_harmless_headers_are_taken() -> None:
    harmless = {"X-Request-Id": "r 1\t2", "Accept-Language": "", "x_y!#$%&'*+.^`|~": "\u00e9", "If-None-Match": '"abc"'}
    assert arguments.headers(harmless) == harmless
    assert arguments.headers(Pairs(x="1")) == {"x": "1"}


# What `build` and the transport write themselves: given twice, in two spellings, it would be sent twice.
RESERVED = [
    "Authorization", "Accept", "User-Agent", "Content-Type", "Host", "Content-Length", "Transfer-Encoding", "Connection",
]  # fmt: skip


@pytest.mark.parametrize("change", [str, str.lower, str.upper, str.swapcase])
@pytest.mark.parametrize("name", RESERVED)
def test_headers_that_the_client_sets_are_refused_in_any_case(name: str, change: Callable[[str], str]) -> None:
    refused("headers", lambda: arguments.headers({"X-Fine": "1", change(name): "x"}))


@pytest.mark.parametrize(
    "bad", ["\r\nX-Evil: 1", "\n", "\r", "\x00", "\x0b", "\x7f", "\u2028", "\u0100", "\ud800"], ids=ascii
)
def test_headers_cannot_be_injected(bad: str) -> None:
    refused("headers", lambda: arguments.headers({"X-Fine": f"1{bad}"}))
    refused("headers", lambda: arguments.headers({f"X-Fine{bad}": "1"}))


@pytest.mark.parametrize(
    "name", ["", " ", "X Y", "X:", ":path", "X(Y)", "caf\u00e9", "Authorization ", " Authorization"], ids=ascii
)
def test_header_names_are_tokens(name: str) -> None:
    refused("headers", lambda: arguments.headers({name: "1"}))


@pytest.mark.parametrize("value", ["X: 1", [("X", "1")], {"X": 1}, {"X": None}, {"X": b"1"}, {b"X": "1"}, {1: "1"}])
def test_other_headers_are_a_type_error(value: object) -> None:
    refused("headers", lambda: arguments.headers(value), TypeError)


@pytest.mark.parametrize(
    "value", [None, True, 7, 1.5, "x", "\ud800", [], [1, {"a": None}], {"a": {"b": (1, 2)}}, {}], ids=ascii
)
def test_json_may_be_what_json_can_hold(value: object) -> None:
    assert arguments.encoded("json", value) == json.dumps(value).encode()


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def circular() -> object:
    value: list[object] = []
    value.append(value)
    return value


NAN, ENDLESS = float("nan"), float("inf")


@pytest.mark.parametrize(
    "value", [NAN, ENDLESS, -ENDLESS, [NAN], {"a": [ENDLESS]}, nested(100_000), circular()], ids=lambda _: ""
)
def test_json_that_would_not_be_read_back_is_refused(value: object) -> None:
    refused("json", lambda: arguments.encoded("json", value))
    refused("metadata", lambda: arguments.encoded("metadata", {"a": value}))


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"x", Decimal(1), MOMENT, {"a": object()}, {(1, 2): 3}], ids=lambda _: ""
)
def test_what_json_does_not_know_is_a_type_error(value: object) -> None:
    refused("json", lambda: arguments.encoded("json", value), TypeError)
    refused("metadata", lambda: arguments.encoded("metadata", {"a": value}), TypeError)


@pytest.mark.parametrize("value", [{}, {"a": 1, "b": {"c": [None]}}, Pairs(a="x"), MappingProxyType({"a": 1})])
def test_metadata_is_an_object(value: Mapping[str, Any]) -> None:
    assert arguments.metadata(value) == dict(value)


@pytest.mark.parametrize("value", [None, "x", 7, [], [("a", 1)], {1: "x"}, {None: "x"}, {"a": 1, 2: "x"}])
def test_other_metadata_is_a_type_error(value: object) -> None:
    refused("metadata", lambda: arguments.metadata(value), TypeError)


# --- secrets --------------------------------------------------------------------------------------------------------

TOKEN = "unl_live_0123456789abcdefghijklm"


@pytest.mark.parametrize("value", [TOKEN, "x", "!~", "abc/def+ghi="])
def test_a_token_is_visible_ascii(value: str) -> None:
    assert arguments.token_problem(value) is None


@pytest.mark.parametrize(
    "value",
    ["", " ", f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN} x", f"{TOKEN}\r\nX-Evil: 1", f"{TOKEN}\u00e9", f"{TOKEN}\x7f"],
    ids=ascii,
)
def test_another_token_is_refused_and_not_shown(value: str) -> None:
    problem = arguments.token_problem(value)
    assert isinstance(problem, ValueError)
    assert str(problem).startswith("token")
    assert TOKEN not in repr(problem)


@pytest.mark.parametrize("value", [None, 7, TOKEN.encode(), [TOKEN]])
def test_a_token_is_a_text(value: object) -> None:
    problem = arguments.token_problem(value)
    assert isinstance(problem, TypeError)
    assert str(problem).startswith("token")
    assert TOKEN not in repr(problem)


PHONE = "+442071838750"
SECRET = "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01"


def base(value: str) -> URL:
    return arguments.base_url(value, allow_plain_http=False)


MISTAKES: dict[str, tuple[str, str, Callable[[], object]]] = {
    "a number with a blank": ("to_number", PHONE, lambda: arguments.number("to_number", f"{PHONE} ")),
    "a number as a list": ("to_number", PHONE, lambda: arguments.number("to_number", [PHONE])),
    "a number as the agent": ("ai_agent_id", PHONE, lambda: arguments.agent_id(PHONE)),
    "a number without its plus as the limit": ("limit", PHONE[1:], lambda: arguments.limit(PHONE[1:])),
    "the secret as the id of a hook": ("hook_id", SECRET, lambda: arguments.hook_id(SECRET)),
    "the token as the id of a hook": ("hook_id", TOKEN, lambda: arguments.hook_id(TOKEN)),
    "the target as the event": ("event", "pass", lambda: arguments.event("https://user:pass@example.com")),
    "the path as the method": ("method", PHONE, lambda: arguments.method(f"/lookup/{PHONE}")),
    "credentials in a target": ("target_url", "pass", lambda: arguments.target_url("http://user:pass@example.com")),
    "credentials in a bad target": ("target_url", "pass", lambda: arguments.target_url("https://user:pass@example.com:99999")),
    "credentials in a base": ("base_url", "pass", lambda: base("https://user:pass@example.com")),
    "credentials in a bad base": ("base_url", "pass", lambda: base("https://user:pass@example.com:99999")),
    "credentials for plain http": ("base_url", "pass", lambda: base("http://user:pass@example.com")),
    "a token in a base": ("base_url", TOKEN, lambda: base(f"https://example.com/?t={TOKEN}")),
    "credentials in a path": ("path", "pass", lambda: arguments.path("https://user:pass@example.com/me")),
    "a number in a query": ("path", PHONE, lambda: arguments.path(f"/lookup?number={PHONE}")),
    "a number in params": ("params", PHONE, lambda: arguments.params({"number": [PHONE]})),
    "a token in a header's value": ("headers", TOKEN, lambda: arguments.headers({"X-Token": f"{TOKEN}\n"})),
    "a token in a header's name": ("headers", TOKEN, lambda: arguments.headers({f"X-Token: {TOKEN}": ""})),
    "a token in Authorization": ("headers", TOKEN, lambda: arguments.headers({"Authorization": f"Bearer {TOKEN}"})),
    "a number in metadata": ("metadata", PHONE, lambda: arguments.encoded("metadata", {"number": {PHONE}})),
    "a number as metadata": ("metadata", PHONE, lambda: arguments.metadata(PHONE)),
    "a number in JSON": ("json", PHONE, lambda: arguments.encoded("json", {"number": PHONE, (PHONE,): 1})),
    "a number beside NaN": ("json", PHONE, lambda: arguments.encoded("json", {PHONE: NAN})),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_refusal_names_the_argument_and_hides_the_secret(mistake: str) -> None:
    name, secret, check = MISTAKES[mistake]
    with pytest.raises((TypeError, ValueError)) as caught:
        check()
    assert str(caught.value).startswith(name)
    # As a log would show it, without the lines of source, which hold the mistake itself.
    assert secret not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
