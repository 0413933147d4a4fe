"""The params, headers, JSON and metadata that callers pass in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from tests.core.refusals import ENDLESS, MOMENT, NAN, Options, Text, refused
from unlimcall_async import _arguments as arguments


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
    "value",
    [None, True, 7, 1.5, "x", "caf\u00e9 \U0001f600", [], [1, {"a": None}], {"a": {"b": (1, 2)}}, {}],
    ids=ascii,
)
def test_json_may_be_what_json_can_hold(value: object) -> None:
    assert arguments.encoded("json", value) == json.dumps(value, ensure_ascii=False).encode()


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def circular() -> object:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        *(NAN, ENDLESS, -ENDLESS, [NAN], {"a": [ENDLESS]}, nested(100_000), circular()),
        *("Caf\ud83d", {"\ude00": 1}, [[{"a": "\ud83d\ude00"}]]),  # which no reader of this package takes
    ],
    ids=lambda _: "",
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
