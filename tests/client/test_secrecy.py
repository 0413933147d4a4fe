"""The token is found nowhere: in no repr, log record, error, chain of errors, or traceback that shows variables."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
import pytest
from rich.traceback import Traceback

from tests.selection import covering
from unlimcall_async import APIError, AsyncClient, RateLimits, RetryPolicy, TransportError
from unlimcall_async.sandbox import (
    Close,
    Fault,
    Garbage,
    Html,
    Redirect,
    ResetBefore,
    Sandbox,
    Stall,
    Status,
    Truncate,
)

# Longer than what tools show of a text: they cut it, and so show the part of a masked text that a repr would hide.
SECRET = "unl_live_f1nd-m3-1f-y0u-c4n-" + "0123456789" * 8
START = SECRET[:20]
FAULTS: list[Fault] = [
    Status(400, code="invalid_input"),
    Status(500),
    Status(429),
    Status(200, body="{}"),
    Status(200, body="no JSON"),
    Html(),
    Redirect("http://127.0.0.1:9/"),
    ResetBefore(),
    Close(),
    Truncate(),
    Garbage(),
    Stall(),
    Stall(after_headers=True),
]


def in_colours(error: BaseException) -> str:
    """Return what rich shows of the variables of an error's frames, those of aiohttp and asyncio included.

    The source of the frames is left out: to colour the source takes nearly all the time.
    """
    trace = Traceback.extract(
        type(error), error, error.__traceback__, show_locals=True, locals_hide_dunder=False, locals_hide_sunder=False
    )
    variables = [(frame.locals or {}) for stack in trace.stacks for frame in stack.frames]
    return "\n".join(f"{name} = {value}" for each in variables for name, value in each.items())


def frames_and_errors(error: BaseException) -> str:
    """All that can be shown of an error: itself, its chain, and every frame with its variables."""
    shown = [repr(error), str(error), repr(error.args), repr(vars(error))]
    shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    shown.append(in_colours(error))
    for further in (error.__cause__, error.__context__):
        if further is not None:
            shown.append(frames_and_errors(further))
    return "\n".join(shown)


@pytest.fixture
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.records:
        assert START not in f"{record.getMessage()} {record.args!r} {vars(record)!r}"


def raised_by_call(client: AsyncClient) -> Awaitable[object]:
    return client.calls.create(ai_agent_id="27", to_number="+14155551234")


def named(value: Fault | Callable[..., object]) -> str:
    """Return the id of a parameter. The repr of a function differs between two processes."""
    return repr(value) if isinstance(value, Fault) else value.__name__


@pytest.mark.parametrize(("fault", "act"), covering(FAULTS, [AsyncClient.me, raised_by_call], together=1), ids=named)
@pytest.mark.usefixtures("nothing_logged")
async def test_no_failure_shows_it(
    sandbox: Sandbox, fault: Fault, act: Callable[[AsyncClient], Awaitable[object]]
) -> None:
    sandbox.add_token(["write:calls"], SECRET)
    sandbox.inject(fault, times=None)
    retry = RetryPolicy(delays=(0,), rate_limited_for=0)
    async with AsyncClient(SECRET, base_url=sandbox.url, retry=retry, timeout=0.2) as client:
        with pytest.raises(Exception) as caught:  # noqa: PT011 # whichever it is
            await act(client)
        assert START not in frames_and_errors(caught.value)
        assert START.encode() not in pickle.dumps(caught.value)
        assert START not in f"{client!r} {vars(client)!r} {client._caller!r}"


@pytest.mark.usefixtures("nothing_logged")
async def test_no_failure_to_connect_shows_it(silent_port: tuple[int, asyncio.Event]) -> None:
    port, _ = silent_port
    retry = RetryPolicy(delays=())
    for url in (
        f"https://127.0.0.1:{port}",
        "http://127.0.0.1:9",
        "https://127.0.0.1:9",
        "https://no.such.host.invalid",
    ):
        async with AsyncClient(SECRET, base_url=url, retry=retry, timeout=0.2) as client:
            with pytest.raises(TransportError) as caught:
                await client.me()
            assert START not in frames_and_errors(caught.value)
            assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("fault", [Stall(), Stall(after_headers=True)], ids=repr)
async def test_no_cancellation_shows_it(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.add_token(["write:calls"], SECRET)
    sandbox.inject(fault)
    async with AsyncClient(SECRET, base_url=sandbox.url) as client:
        call = asyncio.ensure_future(raised_by_call(client))
        while not sandbox.requests:  # noqa: ASYNC110 # what is waited for sets no event
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
        assert START not in frames_and_errors(caught.value)


async def test_a_server_that_echoes_it_is_silenced(sandbox: Sandbox) -> None:
    sandbox.inject(
        Status(400, body=f'{{"error": "x {SECRET}"}}', headers={"X-Echo": f"Bearer {SECRET}", f"X-{SECRET}": "1"})
    )
    async with AsyncClient(SECRET, base_url=sandbox.url) as client:
        with pytest.raises(APIError) as caught:
            await client.me()
    error = caught.value
    assert (error.detail, error.headers["x-echo"], error.body) == ("x ***", "Bearer ***", b'{"error": "x ***"}')
    assert START not in frames_and_errors(error)


async def test_a_short_one_is_silenced_too_and_spares_the_words_around_it(sandbox: Sandbox) -> None:
    sandbox.inject(Status(400, body='{"error": "invalid_input", "detail": "not ours: t"}'))
    async with AsyncClient("t", base_url=sandbox.url) as client:
        with pytest.raises(APIError) as caught:
            await client.me()
    assert (caught.value.code, caught.value.detail) == ("invalid_input", "not ours: ***")


@pytest.mark.parametrize(
    "bad",
    [f"{SECRET}\n", f" {SECRET}", f"{SECRET}é", SECRET.encode(), [SECRET]],
    ids=["line", "space", "accent", "bytes", "list"],
)
def test_a_token_that_is_refused_is_not_shown(bad: object) -> None:
    with pytest.raises((TypeError, ValueError), match="token") as caught:
        AsyncClient(bad)  # type: ignore[arg-type] # wrong on purpose
    # This test's own frame holds the token, rightly; what the package adds is looked at.
    own = caught.value.with_traceback(caught.tb.tb_next)
    assert START not in frames_and_errors(own)


@pytest.mark.parametrize("changes", [{"timeout": -1}, {"base_url": "nowhere"}, {"retry": 3}, {"max_connections": 0}])
def test_another_argument_that_is_refused_does_not_show_the_token(changes: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(changes))) as caught:
        AsyncClient(SECRET, **changes)  # type: ignore[arg-type] # wrong on purpose
    assert START not in frames_and_errors(caught.value)


def test_credentials_in_the_base_url_are_refused_and_not_shown() -> None:
    for url in (f"https://me:{SECRET}@example.com", f"https://{SECRET}@example.com:99999"):
        with pytest.raises(ValueError, match="base_url") as caught:
            AsyncClient("unl_test_token", base_url=url)
        assert START not in str(caught.value)


async def test_the_debug_mode_of_the_loop_does_not_show_it(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    sandbox.add_token([], SECRET)
    async with AsyncClient(SECRET, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client:
        await client.me()
        with suppress(APIError):
            await client.balance()
    assert any(record.name == "asyncio" for record in caplog.records)
    assert START not in caplog.text


async def test_numbers_and_bodies_are_not_logged(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "unlimcall_async")
    sandbox.inject(Status(500, body="+14155551234"), times=1)
    with pytest.raises(APIError):
        await client.request("GET", "/numbers/+14155551234")
    assert "GET (other) will be tried again in 0.0 s, after 500" in caplog.messages
    assert "4155551234" not in caplog.text


async def test_a_handed_in_session_does_not_show_it(sandbox: Sandbox) -> None:
    sandbox.inject(ResetBefore(), times=None)
    async with aiohttp.ClientSession() as session:
        client = AsyncClient(SECRET, base_url=sandbox.url, session=session, retry=RetryPolicy(delays=()))
        with pytest.raises(TransportError) as caught:
            await client.me()
        await client.aclose()
    assert START not in frames_and_errors(caught.value)


def test_the_search_itself_finds_a_token() -> None:
    def leak(token: str) -> None:
        raise LookupError(len(token))

    with pytest.raises(LookupError) as caught:
        leak(SECRET)
    assert START in frames_and_errors(caught.value)
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("called", [False, True])
async def test_no_pickle_or_copy_holds_the_token(
    client: AsyncClient, way: Callable[[object], object], called: bool
) -> None:
    if called:
        await client.me()
    with pytest.raises(TypeError, match="an AsyncClient cannot be pickled or copied"):
        way(client)
    with pytest.raises(TypeError, match="a CdrStream cannot be pickled or copied: store its checkpoint"):
        way(client.cdrs.stream(datetime(2026, 1, 1, tzinfo=UTC)))
