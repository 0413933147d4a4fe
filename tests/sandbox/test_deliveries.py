"""The rules of delivery, without a network: signature, schedule, what counts as a failure."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlimcall_async.sandbox import DeliveryAttempt, Envelope, Subscription, WebhookSettings
from unlimcall_async.sandbox.deliveries import Delivery, counted, may_be_retried, retry_delay, sign
from unlimcall_async.sandbox.events import new_event

HOUR = 3600.0
HOOK = Subscription("h1", "call.ended", "https://example.com/", "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01")
EVENT = new_event("call.ended", {}, occurred_at=datetime(2026, 5, 24, tzinfo=UTC), event_id="e1", envelope=Envelope())


def attempted(status: int | None = None, error: Any = None) -> DeliveryAttempt:
    attempt = Delivery("h1", EVENT).attempt(HOOK, WebhookSettings(), now=0.0)
    attempt.status, attempt.error = status, error
    return attempt


def timestamp(attempt: DeliveryAttempt) -> int:
    return int(attempt.signature.removeprefix("t=").partition(",")[0])


def test_the_signature_is_what_openssl_computes() -> None:
    # printf '1779646442.{"event":...}' | openssl dgst -sha256 -hmac whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01
    body = '{"event":"call.ended","eventId":"e1","phone":"+14155551234","note":"Zürich"}'.encode()

    assert sign(body, HOOK.secret, 1779646442) == (
        "t=1779646442,v1=47c6e0c2542385565cfc6140ef84fb164238a7529b021fd5041b8730865234a2"
    )


def test_an_answer_delivers_or_fails_for_ever_or_is_retried() -> None:
    for status in (200, 201, 204, 299):
        assert attempted(status).delivered, status
    for status in (199, 300, 301, 307, 400, 404, 410, 429, 499):
        assert (attempted(status).delivered, may_be_retried(attempted(status))) == (False, False), status
    for status in (500, 502, 503, 599):
        assert (attempted(status).delivered, may_be_retried(attempted(status))) == (False, True), status
    for error, retried in {"timeout": True, "connection": True, "no route": False}.items():
        attempt = attempted(error=error)
        assert (attempt.delivered, may_be_retried(attempt)) == (False, retried), error


def ages(first_delay: float) -> list[float]:
    """The ages of all attempts of a delivery that never succeeds."""
    delivery, found = Delivery("h1", EVENT), list[float]()
    while True:
        found.append(delivery.attempt(HOOK, WebhookSettings(), now=0.0).age)
        delay = retry_delay(delivery, first_delay)
        if delay is None:
            return found
        delivery.waited(delay, left_out=0.0)


def test_retries_double_their_distance_for_up_to_24_hours() -> None:
    assert ages(60.0) == [0, 60, 180, 420, 900, 1860, 3780, 7620, 15300, 30660, 61380]
    assert ages(20 * HOUR) == [0, 20 * HOUR]
    assert ages(24 * HOUR) == [0, 24 * HOUR]
    assert ages(24 * HOUR + 1) == [0]


@settings(deadline=None)
@given(st.floats(1.0, 30 * HOUR))
def test_no_retry_comes_after_24_hours_and_none_is_left_out_before(first_delay: float) -> None:
    times = ages(first_delay)
    delays = [after - before for before, after in pairwise(times)]

    assert times[-1] <= 24 * HOUR
    assert times[-1] + first_delay * 2 ** len(delays) > 24 * HOUR
    assert delays == pytest.approx([first_delay * 2**number for number in range(len(delays))])


@settings(deadline=None)
@given(st.lists(st.sampled_from([200, 204, 301, 400, 410, 500, "timeout", "connection", "no route"]), max_size=60))
def test_ten_failures_in_a_row_disable(outcomes: list[int | str]) -> None:
    hook, row, disabled = HOOK, 0, False
    for outcome in outcomes:
        hook = counted(hook, attempted(outcome) if isinstance(outcome, int) else attempted(error=outcome))

        if outcome != "no route":
            row = 0 if outcome in {200, 204} else row + 1
        disabled = disabled or row >= 10
        assert hook.failures == row
        assert hook.enabled is not disabled


def headers(settings: WebhookSettings, *waits: tuple[float, float]) -> list[int]:
    """The `t` of each attempt: one at 1000.9, and one after each wait of so many seconds, so many of which passed."""
    delivery, now = Delivery("h1", EVENT), 1000.9
    found = [timestamp(delivery.attempt(HOOK, settings, now=now))]
    for seconds, passed in waits:
        delivery.waited(seconds, left_out=seconds - passed)
        now += passed
        found.append(timestamp(delivery.attempt(HOOK, settings, now=now)))
    return found


def test_each_attempt_is_dated_by_itself_or_all_by_the_first() -> None:
    assert headers(WebhookSettings(resign=True), (60, 60), (120, 120)) == [1000, 1060, 1180]
    assert headers(WebhookSettings(resign=False), (60, 60), (120, 120)) == [1000, 1000, 1000]


def test_a_kept_signature_is_as_old_as_on_the_accelerated_clock() -> None:
    accelerated = WebhookSettings(resign=False)
    # By the real clock it is 1000.9 still, 1001.9 and 1003.9.
    assert headers(accelerated, (20 * HOUR, 0)) == [1000, 1000 - 72000]
    assert headers(accelerated, (60, 1), (120, 2)) == [1000, 1000 - 59, 1000 - 59 - 118]


def test_a_kept_signature_stays_the_same_where_that_is_wanted() -> None:
    assert headers(WebhookSettings(resign=False, clock="real"), (60, 1), (120, 2)) == [1000, 1000, 1000]


def test_what_was_left_out_does_not_age_a_new_signature() -> None:
    assert headers(WebhookSettings(resign=True), (60, 1), (120, 2)) == [1000, 1001, 1003]


def test_a_repeat_goes_on_from_the_delivery_before_it() -> None:
    delivery = Delivery("h1", EVENT)
    settings = WebhookSettings(resign=False)
    first = delivery.attempt(HOOK, settings, now=1000.0)
    delivery.waited(60.0, left_out=60.0)

    again = delivery.repeated().attempt(HOOK, settings, now=1001.0)

    assert (again.number, again.event_id, again.body) == (1, first.event_id, first.body)
    assert timestamp(again) == 940
