"""No phone call is ever placed twice; whatever may be repeated, is."""

from __future__ import annotations

import asyncio

import pytest

from unlimcall_async import (
    APIError,
    AsyncClient,
    AuthenticationError,
    EngineNotConfiguredError,
    NotFoundError,
    OriginateFailedError,
    QueuedCall,
    RateLimitedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.sandbox import (
    Close,
    Fault,
    Garbage,
    Html,
    Processed,
    Redirect,
    ResetAfter,
    ResetBefore,
    Sandbox,
    Stall,
    Status,
    Truncate,
)

# The waits behind a 429 and the timeouts of stalled answers pass in no time.
pytestmark = pytest.mark.looptime

IN_DOUBT: list[Fault] = [
    ResetBefore(),
    ResetAfter(),
    Close(),
    Stall(),
    Stall(after_headers=True),
    Truncate(),
    Garbage(),
    Html(200),
    Html(502),
    Processed(500),
    Processed(502),
    Processed(503),
    Processed(504),
    Status(500),
    Status(502),
    Status(503),
    Status(500, code="internal_error"),
    Status(200, body="{}"),
    Redirect("http://127.0.0.1:9/"),
]
PASSING: list[Fault] = [
    ResetBefore(),
    ResetAfter(),
    Close(),
    Truncate(),
    Garbage(),
    Html(502),
    Processed(502),
    Status(500),
    Status(502),
    Status(503),
    Status(429),
]


@pytest.fixture
def hasty(client: AsyncClient) -> AsyncClient:
    """The client, with a time limit that a stall uses up soon."""
    return client.with_options(timeout=0.1)


async def place(client: AsyncClient) -> QueuedCall:
    return await client.calls.create(ai_agent_id="27", to_number="+14155551234")


@pytest.mark.parametrize("fault", IN_DOUBT, ids=repr)
async def test_a_call_in_doubt_is_sent_once_and_said_to_be_in_doubt(
    sandbox: Sandbox, hasty: AsyncClient, fault: Fault
) -> None:
    sandbox.inject(fault, times=None)
    with pytest.raises(UnlimCallError) as caught:
        await place(hasty)
    assert len(sandbox.requests) == 1
    assert len(sandbox.originated) <= 1
    assert caught.value.outcome_unknown
    assert "may have taken effect" in str(caught.value)


@pytest.mark.parametrize("fault", [f for f in IN_DOUBT if not isinstance(f, Processed)], ids=repr)
async def test_a_subscription_in_doubt_is_sent_once(sandbox: Sandbox, hasty: AsyncClient, fault: Fault) -> None:
    sandbox.inject(fault, times=None)
    with pytest.raises(UnlimCallError) as caught:
        await hasty.hooks.create(event="call.ended", target_url="https://example.com/")
    assert len(sandbox.requests) == 1
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_raw_request_that_http_does_not_call_idempotent_is_sent_once(
    sandbox: Sandbox, client: AsyncClient, method: str
) -> None:
    sandbox.inject(ResetBefore(), times=None)
    with pytest.raises(TransportError) as caught:
        await client.request(method, "/numbers", json={})
    assert (len(sandbox.requests), caught.value.outcome_unknown) == (1, True)


async def test_a_call_that_was_refused_for_the_rate_is_placed_later(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(429), times=3)
    await place(client)
    assert (len(sandbox.requests), len(sandbox.originated)) == (4, 1)


async def test_a_call_that_is_refused_for_the_rate_again_and_again_was_not_placed(
    sandbox: Sandbox, client: AsyncClient
) -> None:
    sandbox.inject(Status(429), times=None)
    with pytest.raises(RateLimitedError) as caught:
        await place(client.with_options(retry=RetryPolicy(delays=(0,), rate_limited_for=1.5)))
    assert (len(sandbox.requests), caught.value.outcome_unknown) == (3, False)


async def test_a_429_before_a_doubt_does_not_make_the_call_repeatable(sandbox: Sandbox, client: AsyncClient) -> None:
    sandbox.inject(Status(429), times=1)
    sandbox.inject(ResetAfter(), times=None)
    with pytest.raises(TransportError) as caught:
        await place(client)
    assert (len(sandbox.requests), len(sandbox.originated), caught.value.outcome_unknown) == (2, 1, True)


async def test_a_call_that_found_no_server_was_not_placed(sandbox: Sandbox, client: AsyncClient) -> None:
    given_up: list[UnlimCallError] = []
    await sandbox.stop()
    with pytest.raises(TransportError, match="no connection") as caught:
        await place(client.with_options(retry=RetryPolicy(delays=(0,), on_give_up=given_up.append)))
    assert (caught.value.outcome_unknown, caught.value.category) == (False, "network")
    assert given_up == [caught.value]


async def test_a_call_that_found_no_server_at_first_is_placed_once(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await sandbox.stop()
    caplog.set_level("INFO", "unlimcall_async")
    call = asyncio.create_task(place(client.with_options(retry=RetryPolicy(delays=(0,) * 1000))))
    while not caplog.records:  # noqa: ASYNC110 # a log record sets no event
        await asyncio.sleep(0)
    await sandbox.start()
    await call
    assert len(sandbox.originated) == len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("state", "kind"),
    [({"originate_error": "busy"}, OriginateFailedError), ({"engine": False}, EngineNotConfiguredError)],
)
async def test_a_code_that_no_retry_mends_is_not_retried_and_not_in_doubt(
    sandbox: Sandbox, client: AsyncClient, state: dict[str, object], kind: type[APIError]
) -> None:
    for name, value in state.items():
        setattr(sandbox.account, name, value)
    with pytest.raises(kind) as caught:
        await place(client)
    assert (len(sandbox.requests), caught.value.outcome_unknown) == (1, False)


@pytest.mark.parametrize("fault", PASSING, ids=repr)
@pytest.mark.parametrize("times", [1, 3])
async def test_a_read_survives_what_passes(sandbox: Sandbox, client: AsyncClient, fault: Fault, times: int) -> None:
    sandbox.inject(fault, times=times)
    assert (await client.me()).customer_id == "1042"
    assert len(sandbox.requests) == times + 1


# A 429 is waited out.
@pytest.mark.parametrize("fault", [fault for fault in PASSING if fault != Status(429)], ids=repr)
async def test_a_read_is_given_up_after_four_attempts_and_never_one_more(
    sandbox: Sandbox, client: AsyncClient, fault: Fault
) -> None:
    # A fresh connection and one that is kept alive: aiohttp would silently send a GET twice on either.
    await client.me()
    sandbox.inject(fault, times=None)
    given_up: list[UnlimCallError] = []
    policy = RetryPolicy(delays=(0, 0, 0), on_give_up=given_up.append)
    with pytest.raises(UnlimCallError) as caught:
        await client.with_options(retry=policy).me()
    assert len(sandbox.requests) == 1 + 4
    assert given_up == [caught.value]
    assert not caught.value.outcome_unknown


async def test_a_stalled_read_is_tried_again(sandbox: Sandbox, hasty: AsyncClient) -> None:
    sandbox.inject(Stall(), times=1)
    sandbox.inject(Stall(after_headers=True), times=1)
    await hasty.me()
    assert len(sandbox.requests) == 3


async def test_a_read_that_stays_stalled_times_out(sandbox: Sandbox, hasty: AsyncClient) -> None:
    sandbox.inject(Stall(), times=None)
    with pytest.raises(RequestTimeoutError, match=r"no answer within 0\.1 s") as caught:
        await hasty.with_options(retry=RetryPolicy(delays=(0,))).me()
    assert (len(sandbox.requests), caught.value.outcome_unknown, caught.value.category) == (2, False, "network")


async def test_what_can_not_pass_is_not_given_up_but_failed(sandbox: Sandbox, client: AsyncClient) -> None:
    given_up: list[UnlimCallError] = []
    sandbox.account.suspended = True
    with pytest.raises(APIError):
        await client.with_options(retry=RetryPolicy(on_give_up=given_up.append)).me()
    assert (given_up, len(sandbox.requests)) == ([], 1)


async def test_an_alarm_that_fails_does_not_hide_the_error(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    def alarm(_error: UnlimCallError) -> None:
        raise LookupError("no pager")

    sandbox.inject(Status(500), times=None)
    with pytest.raises(ServerError):
        await client.with_options(retry=RetryPolicy(delays=(), on_give_up=alarm)).me()
    assert "on_give_up raised LookupError" in caplog.messages
    assert "no pager" not in caplog.text


@pytest.mark.parametrize("encoding", [None, "gzip"])
@pytest.mark.parametrize("more", [0, 100])
@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [(401, AuthenticationError, 1), (404, NotFoundError, 1), (429, RateLimitedError, 1), (503, ServerError, 1)],
)
async def test_a_refusal_counts_though_its_body_is_broken(
    sandbox: Sandbox,
    client: AsyncClient,
    status: int,
    kind: type[APIError],
    requests: int,
    more: int,
    encoding: str | None,
) -> None:
    headers = {"Content-Length": str(5 + more)} | ({"Content-Encoding": encoding} if encoding else {})
    sandbox.inject(Status(status, body="dummy", headers=headers), times=None)
    with pytest.raises(kind) as caught:
        await place(client.with_options(timeout=0.1, retry=RetryPolicy(delays=(0,), rate_limited_for=0)))
    assert (len(sandbox.requests), caught.value.outcome_unknown) == (requests, status == 503)


@pytest.mark.parametrize("fault", [ResetAfter(), Truncate(), Processed(502)], ids=repr)
async def test_a_hook_that_was_removed_by_an_attempt_whose_answer_was_lost_is_removed(
    sandbox: Sandbox, client: AsyncClient, fault: Fault
) -> None:
    hook = await client.hooks.create(event="call.ended", target_url="https://example.com/")
    sandbox.inject(fault)
    await client.hooks.delete(hook.id)
    assert not sandbox.hooks[hook.id].enabled
    assert [request.status for request in sandbox.requests][-1] == 404


@pytest.mark.parametrize("fault", [None, Status(429)], ids=repr)
async def test_a_hook_that_was_gone_before_is_not_found(
    sandbox: Sandbox, client: AsyncClient, fault: Fault | None
) -> None:
    if fault is not None:
        sandbox.inject(fault)
    with pytest.raises(APIError) as caught:
        await client.hooks.delete("8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31")
    assert caught.value.code == "not_found"
