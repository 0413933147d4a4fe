"""Every argument is checked before a byte is sent, and the error names it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import pytest

from unlimcall_async import AsyncClient, RateLimit, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Sandbox

HOOK = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"

Act = Callable[[AsyncClient], Awaitable[object]]


def call(**changes: Any) -> Act:
    return lambda client: client.calls.create(**{"ai_agent_id": "27", "to_number": "+14155551234", **changes})


def hook(**changes: Any) -> Act:
    return lambda client: client.hooks.create(**{"event": "call.ended", "target_url": "https://x.example/", **changes})


def delete(hook_id: Any) -> Act:
    return lambda client: client.hooks.delete(hook_id)


def request(method: Any = "GET", path: Any = "/numbers", **kwargs: Any) -> Act:
    return lambda client: client.request(method, path, **kwargs)


REFUSED: list[tuple[Act, type[Exception], str]] = [
    (call(ai_agent_id="२७"), ValueError, "ai_agent_id must be ASCII digits"),
    (call(ai_agent_id=""), ValueError, "ai_agent_id must be ASCII digits"),
    (call(ai_agent_id="27\n"), ValueError, "ai_agent_id must be ASCII digits"),
    (call(ai_agent_id=27), TypeError, "ai_agent_id must be a str, not int"),
    *[
        (call(to_number=number), ValueError, "to_number must be in E.164 form")
        for number in (
            "14155551234",
            "+04155551234",
            "+1",
            "+1 415 555 1234",
            "+1415555123456789",
            "+\N{FULLWIDTH DIGIT ONE}415",
            "+1415\n",
            "",
        )
    ],
    (call(to_number=14155551234), TypeError, "to_number must be a str, not int"),
    (call(from_number="unknown"), ValueError, "from_number must be in E.164 form"),
    (call(metadata=[1]), TypeError, "metadata must be a mapping, not list"),
    (call(metadata={1: 2}), TypeError, "metadata must have str keys"),
    (call(metadata={"a": object()}), TypeError, "metadata cannot be written as JSON"),
    (call(metadata={"a": float("nan")}), ValueError, "metadata cannot be written as JSON"),
    (call(metadata={"a": "Caf\ud83d"}), ValueError, "metadata must not hold half of a surrogate pair"),
    (hook(event="call.began"), ValueError, "event must be one of call.ended"),
    (hook(event=None), TypeError, "event must be a str"),
    (hook(target_url="http://x.example/"), ValueError, "target_url must start with https://"),
    (hook(target_url="x.example"), ValueError, "target_url must start with https://"),
    (hook(target_url="https:///path"), ValueError, "target_url"),
    (
        hook(target_url="https://x.example/" + "a" * 495),
        ValueError,
        "target_url must have at most 512 characters, not 513",
    ),
    (hook(target_url="https://x.example/a b"), ValueError, "target_url must not contain spaces"),
    (hook(target_url=None), TypeError, "target_url must be a str"),
    (delete("7"), ValueError, "hook_id must be a UUID"),
    (delete(f"{{{HOOK}}}"), ValueError, "hook_id must be a UUID"),
    (delete(f"{HOOK}/../x"), ValueError, "hook_id must be a UUID"),
    (delete(None), TypeError, "hook_id must be a str"),
    (request(path="https://evil.example/me"), ValueError, "path must be a path below the base URL"),
    (request(path="//evil.example/me"), ValueError, "path must be a path below the base URL"),
    (request(path="me"), ValueError, "path must start with /"),
    (request(path="/../v2/me"), ValueError, r"path must not contain \. or \.\."),
    (request(path="/hooks/%2e%2E/me"), ValueError, r"path must not contain \. or \.\."),
    (request(path="/hooks/..%2Fme"), ValueError, r"path must not contain \. or \.\."),
    (request(path="/me?x=1"), ValueError, "pass params instead"),
    (request(path="/me\r\nX: 1"), ValueError, "path must not contain backslashes or control"),
    (request(path=None), TypeError, "path must be a str"),
    (request(method="get"), ValueError, "method must be one of"),
    (request(method="CONNECT"), ValueError, "method must be one of"),
    (request(params=["a"]), TypeError, "params must be a mapping"),
    (request(params={"a": None}), TypeError, "params must map str to str, int or float, not str to NoneType"),
    (request(params={1: "a"}), TypeError, "params must map str to str, int or float, not int to str"),
    (request(headers={"authorization": "Bearer x"}), ValueError, "headers must not hold authorization"),
    (request(headers={"User-Agent": "x"}), ValueError, "headers must not hold User-Agent"),
    (request(headers={"X": "a\r\nY: b"}), ValueError, "headers have a character"),
    (request(headers={"X": 1}), TypeError, "headers must map str to str, not str to int"),
    (request(method="POST", json={1, 2}), TypeError, "json cannot be written as JSON"),
    (request(method="POST", json=float("inf")), ValueError, "json cannot be written as JSON"),
]


@pytest.mark.parametrize(("act", "kind", "message"), REFUSED)
async def test_a_wrong_argument_is_named_and_nothing_is_sent(
    sandbox: Sandbox, client: AsyncClient, act: Act, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        await act(client)
    assert type(caught.value) is kind
    assert sandbox.requests == []
    assert client._caller.pool._transport is None, "not even a pool was opened"


@pytest.mark.parametrize("number", ["+12", "+141555512345678"])
async def test_numbers_of_every_length_are_taken(sandbox: Sandbox, client: AsyncClient, number: str) -> None:
    await client.calls.create(ai_agent_id="27", to_number=number)
    assert sandbox.originated[0].to_number == number


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"token": 5}, TypeError, "token must be a str"),
        ({"token": "a b"}, ValueError, "token must be visible ASCII"),
        ({"base_url": "http://app.unlimcall.com/api/v1"}, ValueError, "base_url: plain http"),
        ({"allow_plain_http": "no"}, TypeError, "allow_plain_http must be a bool, not str"),
        ({"base_url": "http://localhost.evil.example"}, ValueError, "base_url: plain http"),
        ({"base_url": "http://2130706433"}, ValueError, "base_url: plain http"),
        ({"base_url": "http://10.0.0.1"}, ValueError, "base_url: plain http"),
        ({"base_url": "ftp://example.com"}, ValueError, "base_url must be an absolute http"),
        ({"base_url": "/api/v1"}, ValueError, "base_url must be an absolute http"),
        ({"base_url": "https://example.com/?a=1"}, ValueError, "base_url must not have a query"),
        ({"base_url": f"https://{'a' * 64}.example"}, ValueError, "base_url is not a valid URL"),
        ({"base_url": "https://a..b"}, ValueError, "base_url is not a valid URL"),
        ({"base_url": "https://xn--a"}, ValueError, "base_url is not a valid URL"),
        ({"base_url": 5}, TypeError, "base_url must be a str"),
        ({"timeout": 0}, ValueError, "timeout must be a finite number of seconds above 0"),
        ({"timeout": float("inf")}, ValueError, "timeout must be a finite"),
        ({"timeout": "30"}, TypeError, "timeout must be a number of seconds"),
        ({"max_wait": -1}, ValueError, "max_wait must be a finite number of seconds, 0 or more"),
        ({"max_wait": float("nan")}, ValueError, "max_wait must be a finite"),
        ({"max_wait": 10**400}, ValueError, "max_wait must be a finite"),
        ({"max_wait": True}, TypeError, "max_wait must be a number of seconds"),
        ({"retry": 3}, TypeError, "retry must be a RetryPolicy, not int"),
        ({"rate_limits": {"cdrs": 60}}, TypeError, "rate_limits must be a RateLimits, not dict"),
        ({"max_connections": 0}, ValueError, "max_connections must be 1 or more"),
    ],
)
def test_a_wrong_option_is_named(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        AsyncClient(**{"token": "unl_test_token", **arguments})


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: RateLimit(0), ValueError, "per_minute must be 1 or more"),
        (lambda: RateLimit(1.5), TypeError, "per_minute must be an int"),  # type: ignore[arg-type] # wrong on purpose
        (lambda: RateLimit(60, per_day=0), ValueError, "per_day must be 1 or more"),
        (lambda: RateLimit(60, burst=61), ValueError, "burst must not be above per_minute"),
        (lambda: RateLimits(cdrs=60), TypeError, "cdrs must be a RateLimit or None"),  # type: ignore[arg-type] # on purpose
        (lambda: RetryPolicy(delays=(1, -1)), ValueError, r"delays\[1\] must be finite and not negative"),
        (lambda: RetryPolicy(jitter=2), ValueError, "jitter must be a share from 0 to 1"),
        (lambda: RetryPolicy(max_retry_after=float("nan")), ValueError, "max_retry_after must be finite"),
        (lambda: RetryPolicy(on_give_up=AsyncMock()), TypeError, "on_give_up must be a plain function"),
        (lambda: RetryPolicy(on_give_up=3), TypeError, "on_give_up must be a plain function"),  # type: ignore[arg-type] # on purpose
    ],
)
def test_a_wrong_setting_is_named(make: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80", "http://127.8.8.8", "http://[::1]:80", "http://localhost", "https://x.example"]
)
def test_plain_http_is_allowed_to_this_machine(url: str) -> None:
    AsyncClient("unl_test_token", base_url=url)


async def test_plain_http_is_allowed_elsewhere_on_request(sandbox: Sandbox) -> None:
    url = sandbox.url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 # an address that reaches this machine and is no loopback one
    async with AsyncClient(sandbox.token, base_url=url, allow_plain_http=True) as client:
        await client.me()


@pytest.mark.parametrize("ending", ["", "/", "//"])
async def test_the_path_of_the_base_url_is_kept(sandbox: Sandbox, ending: str) -> None:
    async with AsyncClient(sandbox.token, base_url=sandbox.url + ending) as client:
        await client.me()
    assert sandbox.requests[0].path == "/api/v1/me"


async def test_a_large_body_is_sent_without_a_warning(sandbox: Sandbox, client: AsyncClient) -> None:
    await client.calls.create(ai_agent_id="27", to_number="+14155551234", metadata={"notes": "x" * 2_000_000})
    assert len(sandbox.originated) == 1
