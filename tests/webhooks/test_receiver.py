"""What a receiver answers, and what its handlers get to see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.webhooks.oracle import NOW, OTHER_SECRET, SECRET, event_body, headers, signature
from unlimcall_async.webhooks import (
    CallEnded,
    CallTransferred,
    Claim,
    Event,
    MemoryStore,
    ReceiverStats,
    SeenStore,
    Standing,
    UnknownEvent,
    WebhookReceiver,
)

MakeReceiver = Callable[..., WebhookReceiver]
BODY = event_body(callId="call_1")


def events_of(receiver: WebhookReceiver, kind: type[Event] = Event) -> list[Event]:
    """Have the receiver's events collected."""
    events: list[Event] = []
    receiver.on(kind)(events.append)
    return events


async def status_of(receiver: WebhookReceiver, body: bytes = BODY, given: Mapping[str, str] | None = None) -> int:
    status, _ = await receiver.handle(body, headers(body) if given is None else given)
    return status


async def test_a_delivery_is_handled_once_and_answered_200_each_time(
    make_receiver: MakeReceiver, store: SeenStore
) -> None:
    receiver = make_receiver(store=store)
    events = events_of(receiver)
    assert [await status_of(receiver) for _ in range(5)] == [200] * 5
    assert [event.id for event in events] == ["evt_1"]
    assert await status_of(receiver, event_body("evt_2")) == 200
    assert [event.id for event in events] == ["evt_1", "evt_2"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"X-Unlimcall-Signature": ""},
        {"X-Unlimcall-Signature": "t=1"},
        {"X-Unlimcall-Signature": signature(BODY, OTHER_SECRET)},
        {"X-Unlimcall-Signature": signature(BODY, OTHER_SECRET, 0)},
        {"X-Unlimcall-Signature": signature(BODY + b" ")},
        CIMultiDict([("X-Unlimcall-Signature", signature(BODY)), ("X-Unlimcall-Signature", signature(BODY))]),
    ],
)
async def test_a_stranger_gets_one_answer_whatever_he_tries(receiver: WebhookReceiver, given: Any) -> None:
    events = events_of(receiver)
    assert await receiver.handle(BODY, given) == (401, b"signature refused")
    assert events == []


@pytest.mark.parametrize("name", ["X-Unlimcall-Signature", "x-unlimcall-signature", "X-UNLIMCALL-SIGNATURE"])
@pytest.mark.parametrize("kind", [dict, CIMultiDict])
async def test_the_headers_name_may_be_in_any_case(receiver: WebhookReceiver, name: str, kind: Any) -> None:
    assert await status_of(receiver, given=kind({"Host": "example.com", name: signature(BODY)})) == 200


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (0, 200),
        (20 * 3600, 200),
        (25 * 3600, 200),
        (25 * 3600 + 1, 503),
        (10**8, 503),
        (-300, 200),
        (-301, 503),
        (-(10**8), 503),
    ],
)
async def test_a_genuine_delivery_is_accepted_for_25_hours_and_never_refused_for_good(
    receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture, age: int, status: int
) -> None:
    events = events_of(receiver)
    assert await status_of(receiver, given=headers(BODY, at=NOW - age)) == status
    assert len(events) == (status == 200)
    assert ("is the clock of this machine right?" in caplog.text) == (status == 503)
    # Who has no secret gets a final answer, whatever the time.
    assert await status_of(receiver, given=headers(BODY, OTHER_SECRET, NOW - age)) == 401


@pytest.mark.parametrize("error", [30 * 3600, -30 * 3600, 86_400 * 365, -400])
async def test_a_clock_that_is_wrong_loses_nothing(make_receiver: MakeReceiver, error: float) -> None:
    now = NOW + error
    receiver = make_receiver(clock=lambda: now)
    events = events_of(receiver)
    assert [await receiver.handle(BODY, headers(BODY)) for _ in range(2)] == [(503, b"not now, try again")] * 2
    now = NOW  # the clock is put right
    assert await status_of(receiver) == 200
    assert len(events) == 1


async def test_what_is_signed_and_no_event_is_refused_for_good(receiver: WebhookReceiver) -> None:
    for body in (b"", b"{}", b"[]", b"\xff"):
        assert await status_of(receiver, body) == 400


async def test_a_body_over_the_cap_is_refused_unread(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(max_body=len(BODY))
    assert await status_of(receiver) == 200
    assert await status_of(receiver, BODY + b" ") == 413


async def test_handlers_are_called_by_class(receiver: WebhookReceiver) -> None:
    ended, transferred = events_of(receiver, CallEnded), events_of(receiver, CallTransferred)
    unknown, every = events_of(receiver, UnknownEvent), events_of(receiver)
    for kind in ("call.ended", "call.transferred", "brand.new"):
        assert await status_of(receiver, event_body(kind, kind)) == 200
    assert [len(events) for events in (ended, transferred, unknown, every)] == [1, 1, 1, 3]


async def test_an_event_without_a_handler_is_answered_200(receiver: WebhookReceiver) -> None:
    assert await status_of(receiver) == 200


async def test_a_repeat_may_be_written_otherwise(receiver: WebhookReceiver) -> None:
    events = events_of(receiver)
    for attempt in range(3):
        assert await status_of(receiver, event_body("evt_1", attempt=attempt)) == 200
    assert [event.extra for event in events] == [{"attempt": 0}]


async def test_without_an_id_the_body_stands_in(receiver: WebhookReceiver) -> None:
    events = events_of(receiver)
    for call in ("1", "2", "1"):
        body = event_body(None, callId=call)
        assert await status_of(receiver, body) == 200
        assert await status_of(receiver, body, headers(body, at=NOW - 60)) == 200
    assert len(events) == 2


async def test_one_id_under_two_types_is_two_events(receiver: WebhookReceiver) -> None:
    events = events_of(receiver)
    for kind in ("dnc.added", "lead.completed", "dnc.added"):
        assert await status_of(receiver, event_body("contact_5", kind)) == 200
    assert [event.type for event in events] == ["dnc.added", "lead.completed"]


async def test_all_handlers_run_and_all_run_again_if_one_failed(make_receiver: MakeReceiver, store: SeenStore) -> None:
    receiver, called = make_receiver(store=store), list[str]()

    @receiver.on(CallEnded)
    async def first(_event: CallEnded) -> None:
        called.append("first")
        if len(called) < 4:
            raise KeyError

    @receiver.on(Event)
    def second(_event: Event) -> None:
        called.append("second")

    assert [await status_of(receiver) for _ in range(4)] == [500, 500, 200, 200]
    assert called == ["first", "second"] * 3


class BrokenStore(MemoryStore):
    """Fails at one of its steps, after or before it was taken."""

    def __init__(self, step: str, error: BaseException, *, done: bool) -> None:
        super().__init__()
        self.step, self.error, self.done = step, error, done

    async def claim(self, claim: Claim, now: float) -> Standing:
        if self.step == "claim" and not self.done:
            raise self.error
        standing = await super().claim(claim, now)
        if self.step == "claim":
            raise self.error
        return standing

    async def confirm(self, claim: Claim, now: float) -> None:
        if self.step in {"confirm", "release"}:
            raise self.error
        await super().confirm(claim, now)

    async def release(self, claim: Claim) -> None:
        if self.step == "release":
            raise self.error
        await super().release(claim)


@pytest.mark.parametrize("error", [OSError("disk full"), asyncio.CancelledError(), SystemExit(), KeyboardInterrupt()])
@pytest.mark.parametrize(("step", "status"), [("claim", 503), ("confirm", 500), ("release", 500)])
@pytest.mark.parametrize("done", [True, False])
async def test_a_store_that_fails_has_the_event_come_again(
    make_receiver: MakeReceiver, step: str, status: int, error: BaseException, *, done: bool
) -> None:
    store = BrokenStore(step, error, done=done)
    receiver = make_receiver(store=store)
    assert await status_of(receiver) == status
    if step != "release":  # a claim that cannot be released has to run out
        store.step = ""
        assert await status_of(receiver) == 200


async def test_a_cancelled_delivery_can_come_again_wherever_it_was(
    make_receiver: MakeReceiver, store: SeenStore
) -> None:
    receiver = make_receiver(store=store)
    completed = []

    @receiver.on(CallEnded)
    async def slow(event: CallEnded) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        completed.append(event.id)

    for steps in range(40):
        body = event_body(f"evt_{steps}")
        delivery = asyncio.create_task(receiver.handle(body, headers(body)))
        for _ in range(steps):
            await asyncio.sleep(0)
        delivery.cancel()
        await asyncio.wait([delivery])
        assert await status_of(receiver, body) == 200
        assert set(completed) == {f"evt_{n}" for n in range(steps + 1)}


async def test_a_cancellation_that_comes_out_of_a_handler_goes_through(receiver: WebhookReceiver) -> None:
    delivery = asyncio.create_task(receiver.handle(BODY, headers(BODY)))

    @receiver.on(CallEnded)
    def cancel(_event: CallEnded) -> None:
        delivery.cancel()  # reaches the task where it awaits next: in the other handler

    @receiver.on(CallEnded)
    async def wait(_event: CallEnded) -> None:
        await asyncio.sleep(0)

    await asyncio.wait([delivery])
    assert delivery.cancelled()


async def test_a_secret_is_replaced_without_losing_a_delivery(receiver: WebhookReceiver) -> None:
    events = events_of(receiver)
    old, new = headers(BODY), headers(BODY, OTHER_SECRET)
    assert await status_of(receiver, given=new) == 401
    with receiver.rotating():
        assert await status_of(receiver, given=new) == 503
        assert await status_of(receiver, given={}) == 401
        receiver.add_secret(OTHER_SECRET)
        receiver.add_secret(OTHER_SECRET)
    assert [await status_of(receiver, given=given) for given in (new, old)] == [200, 200]
    receiver.remove_secret(SECRET)
    assert [await status_of(receiver, given=given) for given in (new, old)] == [200, 401]
    assert len(events) == 1


async def test_the_receiver_counts_what_became_of_its_deliveries(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver(max_body=200)
    assert receiver.stats == ReceiverStats(0, 0, 0, {})
    fails = [True, False]

    @receiver.on(Event)
    def handle(event: Event) -> None:
        if fails.pop(0):
            raise RuntimeError(event.id)

    body = event_body()
    deliveries: list[tuple[bytes, Any]] = [
        *[(body, headers(body))] * 4,
        (body, {}),
        (body, {"X-Unlimcall-Signature": "nonsense"}),
        (body, headers(body, OTHER_SECRET)),
        (body, headers(body, at=NOW - 10**6)),
        (body, headers(body, at=NOW + 10**6)),
        (body, headers(body, OTHER_SECRET) | {"Content-Length": "7"}),
        (b"no event", headers(b"no event")),
        (b"x" * 201, headers(b"x" * 201)),
    ]
    for each in deliveries:
        await receiver.handle(*each)
    reasons = ["missing", "malformed", "mismatch", "too_old", "in_future", "altered", "no_event", "too_large"]
    assert receiver.stats == ReceiverStats(handled=1, seen=2, failed=1, refused=dict.fromkeys(reasons, 1))


async def test_a_delivery_that_is_cancelled_has_no_outcome(receiver: WebhookReceiver) -> None:
    begun = asyncio.Queue[Event]()

    @receiver.on(Event)
    async def wait(event: Event) -> None:
        await begun.put(event)
        await asyncio.Event().wait()

    delivery = asyncio.create_task(receiver.handle(BODY, headers(BODY)))
    await begun.get()
    delivery.cancel()
    await asyncio.wait([delivery])
    assert receiver.stats == ReceiverStats(0, 0, 0, {})


def test_the_last_secret_stays(receiver: WebhookReceiver) -> None:
    for secret in (SECRET, OTHER_SECRET):
        with pytest.raises(ValueError, match="secret must be one of several") as caught:
            receiver.remove_secret(secret)
        assert secret not in str(caught.value)


def test_a_secret_that_no_hook_has_is_refused_at_once(receiver: WebhookReceiver) -> None:
    for change in (receiver.add_secret, receiver.remove_secret):
        with pytest.raises(ValueError, match=r"^secret must be visible ASCII"):
            change(f"{OTHER_SECRET}\n")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"secrets": []}, ValueError, "secrets must hold"),
        ({"secrets": ""}, ValueError, "secrets must be visible ASCII"),
        ({"secrets": f"{SECRET}\n"}, ValueError, "secrets must be visible ASCII"),
        ({"secrets": None}, TypeError, "secrets must be"),
        ({"max_body": 0}, ValueError, "max_body must be 1 or more"),
        ({"max_body": "1"}, TypeError, "max_body must be an int"),
        ({"handler_timeout": 0}, ValueError, "handler_timeout must be a finite number of seconds above 0"),
        ({"handler_timeout": -1.0}, ValueError, "handler_timeout must be a finite number of seconds above 0"),
        ({"handler_timeout": float("nan")}, ValueError, "handler_timeout must be a finite number of seconds above 0"),
        ({"handler_timeout": True}, TypeError, "handler_timeout must be a number of seconds, not bool"),
        ({"handler_timeout": "60"}, TypeError, "handler_timeout must be a number of seconds, not str"),
        ({"body_timeout": 0}, ValueError, "body_timeout must be a finite number of seconds above 0"),
        ({"body_timeout": float("inf")}, ValueError, "body_timeout must be a finite number of seconds above 0"),
        ({"body_timeout": timedelta(seconds=30)}, TypeError, "body_timeout must be a number of seconds, not timedelta"),
        ({"body_timeout": False}, TypeError, "body_timeout must be a number of seconds, not bool"),
        (
            {"store": {}},
            TypeError,
            "store must be an object with the methods of SeenStore, not dict, which has no method claim",
        ),
        ({"clock": 5}, TypeError, "clock must be a plain function without arguments"),
        ({"on_failing": 5}, TypeError, "on_failing must be a plain function"),
        ({"on_failing": asyncio.sleep}, TypeError, "on_failing must be a plain function"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        WebhookReceiver(**{"secrets": SECRET, **options})


@pytest.mark.parametrize("kind", [None, int, "call.ended", CallEnded(type="call.ended")])
def test_on_takes_a_class_of_events(receiver: WebhookReceiver, kind: Any) -> None:
    with pytest.raises(TypeError, match="on takes a class of events"):
        receiver.on(kind)


@pytest.mark.parametrize("body", ["text", None, 5])
async def test_a_body_that_is_not_bytes_is_a_type_error(receiver: WebhookReceiver, body: Any) -> None:
    with pytest.raises(TypeError, match="body must be bytes"):
        await receiver.handle(body, {})


def test_the_repr_tells_the_state_and_hides_the_secret(receiver: WebhookReceiver) -> None:
    receiver.on(Event)(print)
    assert repr(receiver) == "<WebhookReceiver 1 secrets, 1 handlers, <MemoryStore 0 seen, 0 claimed>>"


async def test_the_log_says_where_and_what_kind_but_no_number(
    receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "unlimcall_async")

    @receiver.on(CallEnded)
    async def look_up(event: CallEnded) -> None:
        raise LookupError(event.phone)

    body = event_body("evt_1", phone="+14155551234")
    assert await status_of(receiver, body) == 500
    assert await status_of(receiver, body, headers(body, OTHER_SECRET)) == 401
    assert await status_of(receiver, b'{"phone":"+14155551234"}') == 400
    assert "look_up failed on a CallEnded: LookupError" in caplog.text
    assert "test_receiver.py" in caplog.text
    assert "no signature of the delivery" in caplog.text
    assert "4155551234" not in caplog.text
    assert SECRET not in caplog.text


_header_values = st.one_of(
    st.text(max_size=60), st.builds(signature, st.just(BODY), st.just(SECRET), st.text(max_size=5))
)


@given(
    body=st.one_of(st.binary(max_size=80), st.just(BODY)),
    given_headers=st.dictionaries(st.one_of(st.text(max_size=9), st.just("x-unlimcall-signature")), _header_values),
    genuine=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_handle_answers_whatever_comes(
    receiver: WebhookReceiver, body: bytes, given_headers: dict[str, str], *, genuine: bool
) -> None:
    if genuine:
        given_headers = {**given_headers, **headers(body)}
        given_headers.pop("x-unlimcall-signature", None)
    status, text = await receiver.handle(body, given_headers)
    assert status in ({200, 400} if genuine else {401, 503})
    assert text.isascii()
