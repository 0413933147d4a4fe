"""`GET /cdrs` over HTTP; the selection itself is held against an oracle in `test_calls`."""

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest

from unlimcall_async.sandbox import Sandbox, SandboxCall
from unlimcall_async.sandbox.settings import Order

from .support import NOON, Visitor, at, call_at

DAY = 24 * 60 * 60


async def test_a_row_is_written_as_in_the_reference(visitor: Visitor, sandbox: Sandbox) -> None:
    start = datetime(2026, 5, 24, 20, 14, 2, tzinfo=timezone(timedelta(hours=2)))
    sandbox.add_calls([SandboxCall(id="1747852442.42", start_time=start)])

    reply = await visitor.get("/cdrs", **{"from": "2026-05-24T00:00:00Z", "till": "2026-05-25T00:00:00Z"})

    assert reply.json() == {
        "count": 1,
        "calls": [
            {
                "id": "1747852442.42",
                "startTime": "2026-05-24T18:14:02.000Z",
                "duration": 81,
                "billsec": 81,
                "src": "+14155550100",
                "dst": "+442071838750",
                "disposition": "ANSWERED",
                "sipUsername": "unl_001",
                "sellPriceCents": 34,
                "currency": "USD",
                "country": "United Kingdom",
                "did": None,
            }
        ],
    }


async def test_every_field_of_a_row_can_be_set_and_others_added(visitor: Visitor, sandbox: Sandbox) -> None:
    row = SandboxCall(
        id="a",
        start_time=NOON + timedelta(milliseconds=7),
        duration=0,
        billsec=0,
        src=None,
        dst="+4930123456",
        disposition="NO ANSWER",
        sip_username=None,
        sell_price_cents=None,
        currency="EUR",
        country="Germany",
        did="+4930999",
        extra={"recording": {"url": None}},
    )
    sandbox.add_calls([row])

    reply = await visitor.get("/cdrs", **{"from": at(), "till": at(1)})

    assert sandbox.calls == (row,)
    assert reply.json()["calls"] == [
        {
            "id": "a",
            "startTime": "2026-05-24T12:00:00.007Z",
            "duration": 0,
            "billsec": 0,
            "src": None,
            "dst": "+4930123456",
            "disposition": "NO ANSWER",
            "sipUsername": None,
            "sellPriceCents": None,
            "currency": "EUR",
            "country": "Germany",
            "did": "+4930999",
            "recording": {"url": None},
        }
    ]


def test_a_row_that_the_api_could_not_have_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="start_time must be timezone-aware"):
        SandboxCall(id="a", start_time=NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="whole number of milliseconds"):
        SandboxCall(id="a", start_time=NOON + timedelta(microseconds=1))
    with pytest.raises(ValueError, match="extra may not replace documented fields: did, src"):
        SandboxCall(id="a", start_time=NOON, extra={"src": 1, "did": 2, "new": 3})


async def test_without_bounds_the_last_day_is_asked(visitor: Visitor, sandbox: Sandbox) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    hours = {"yesterday": -25, "today": -23, "tomorrow": 1}
    sandbox.add_calls(SandboxCall(id=name, start_time=now + timedelta(hours=h)) for name, h in hours.items())

    assert await visitor.ids() == ["today"]
    assert await visitor.ids(**{"from": (now - timedelta(hours=26)).isoformat()}) == ["today", "yesterday"]
    assert await visitor.ids(till=(now + timedelta(hours=2)).isoformat()) == ["tomorrow", "today"]


async def test_the_default_of_from_is_a_day_before_now_whatever_till_is(visitor: Visitor) -> None:
    assert (await visitor.get("/cdrs", till=at(0))).error == (400, "till_must_be_after_from")


async def test_timestamps_in_iso_forms_are_understood(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.add_calls([call_at("before", -0.001), call_at("noon")])
    for noon in [
        "2026-05-24T12:00:00Z",
        "2026-05-24T12:00:00.000Z",
        "2026-05-24T12:00:00.000999Z",  # finer than a millisecond: cut off
        "2026-05-24T12:00Z",
        "2026-05-24T14:00:00+02:00",
        "2026-05-24T06:30:00.0-05:30",
        "2026-05-24T14:00:00+0200",
        "2026-05-24T12:00:00",  # no offset: UTC
    ]:
        assert await visitor.ids(**{"from": noon, "till": at(1)}) == ["noon"], noon
        assert await visitor.ids(**{"from": at(-1), "till": noon}) == ["before"], noon


async def test_a_bare_date_is_midnight_utc(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.add_calls([call_at("before", -DAY / 2 - 0.001), call_at("midnight", -DAY / 2)])

    assert await visitor.ids(**{"from": "2026-05-24", "till": "2026-05-25"}) == ["midnight"]


async def test_what_is_no_timestamp_is_refused(visitor: Visitor) -> None:
    for text in [
        *("", "now", "0", "1747852442", "24.05.2026", "2026-05-24 12:00:00Z", "2026-W21-7", "20260524T120000Z"),
        *("2026-02-30T00:00:00Z", "2026-05-24T25:00:00Z", "2026-05-24T12:00:00 02:00", "2026-05-24T12:00:00ZZ"),
        *("2026-05-24T12:00:00Z\n", "٢٠٢٦-05-24T12:00:00Z", "2026-05-24T12:00:00+99:00", "0000-01-01T00:00:00Z"),
    ]:
        for bound in ["from", "till"]:
            reply = await visitor.get("/cdrs", **{bound: text})

            assert reply.error == (400, "invalid_timestamp"), text
            assert bound in reply.json()["detail"]


async def test_the_ends_of_the_calendar_are_timestamps(visitor: Visitor) -> None:
    assert await visitor.ids(**{"from": "0001-01-01T00:00:00+14:00", "till": "0001-01-02"}) == []
    assert await visitor.ids(**{"from": "9999-12-31T00:00:00Z", "till": "9999-12-31T23:59:59-12:00"}) == []


async def test_a_window_without_length_is_refused(visitor: Visitor) -> None:
    for till in [0, -0.001, -DAY]:
        reply = await visitor.get("/cdrs", **{"from": at(), "till": at(till)})

        assert reply.error == (400, "till_must_be_after_from"), till


async def test_a_window_holds_31_days_and_no_more(visitor: Visitor) -> None:
    assert (await visitor.get("/cdrs", **{"from": at(), "till": at(31 * DAY)})).status == 200
    assert (await visitor.get("/cdrs", **{"from": at(), "till": at(31 * DAY + 0.001)})).error == (
        400,
        "window_too_wide",
    )


async def test_a_limit_that_is_no_positive_integer_is_refused(visitor: Visitor) -> None:
    arabic_five = "\u0665"
    for limit in ["0", "-1", "x", "", "1.0", "1e2", "1_0", " 5", "+5", arabic_five, "1" * 5000]:
        assert (await visitor.get("/cdrs", limit=limit)).error == (400, "invalid_input"), limit


async def test_an_account_without_a_trunk_has_no_records(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.account.provisioned = False

    assert (await visitor.get("/cdrs")).error == (409, "account_not_provisioned")
    # Higher up in the reference's table.
    assert (await visitor.get("/cdrs", till="x")).error == (400, "invalid_timestamp")


async def test_a_page_holds_100_rows_by_default_and_1000_at_most(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.order = "oldest_first"
    sandbox.add_calls(call_at(str(number), number) for number in range(1100))
    window = {"from": at(), "till": at(2000)}

    assert await visitor.ids(**window) == [str(number) for number in range(100)]
    assert await visitor.ids(**window, limit="3") == ["0", "1", "2"]
    assert len(await visitor.ids(**window, limit="1000")) == 1000
    assert len(await visitor.ids(**window, limit="1001")) == 1000
    assert len(await visitor.ids(**window, limit="999999999999")) == 1000
    sandbox.settings.cap = 5000  # a higher cap lifts no documented maximum
    assert len(await visitor.ids(**window, limit="1100")) == 1000


async def test_a_lower_cap_than_the_documented_one_can_be_set(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.settings.cap = 3
    sandbox.add_calls(call_at(str(number), number) for number in range(5))

    assert await visitor.ids(**{"from": at(), "till": at(10)}, limit="1000") == ["4", "3", "2"]
    assert await visitor.ids(**{"from": at(), "till": at(10)}, limit="2") == ["4", "3"]


async def test_count_is_of_the_rows_or_of_the_matches(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.add_calls(call_at(str(number), number) for number in range(5))
    window = {"from": at(), "till": at(4), "limit": "2"}

    assert (await visitor.get("/cdrs", **window)).json()["count"] == 2
    sandbox.settings.count = "matches"
    assert (await visitor.get("/cdrs", **window)).json()["count"] == 4


async def test_rows_come_in_the_order_of_the_setting(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.add_calls([call_at("b", 2), call_at("a", 1), call_at("c", 3), call_at("a again", 1)])
    pages = {}
    for order in get_args(Order):
        sandbox.settings.order = order
        pages[order] = await visitor.ids(**{"from": at(), "till": at(10)})

    assert pages["newest_first"] == ["c", "b", "a again", "a"]
    assert pages["oldest_first"] == ["a", "a again", "b", "c"]
    assert pages["insertion"] == ["b", "a", "c", "a again"]
    assert sorted(pages["arbitrary"]) == ["a", "a again", "b", "c"]


@pytest.mark.parametrize(
    ("from_inclusive", "till_inclusive", "expected"),
    [
        (True, False, ["0", "0.001"]),
        (True, True, ["0", "0.001", "1"]),
        (False, False, ["0.001"]),
        (False, True, ["0.001", "1"]),
    ],
)
async def test_bounds_are_inclusive_or_not(
    visitor: Visitor, sandbox: Sandbox, from_inclusive: bool, till_inclusive: bool, expected: list[str]
) -> None:
    sandbox.settings.order = "oldest_first"
    sandbox.settings.from_inclusive, sandbox.settings.till_inclusive = from_inclusive, till_inclusive
    sandbox.add_calls(call_at(str(seconds), seconds) for seconds in (-0.001, 0, 0.001, 1, 1.001))

    assert await visitor.ids(**{"from": at(0), "till": at(1)}) == expected


@pytest.mark.parametrize(
    ("from_inclusive", "till_inclusive", "expected"),
    [
        (True, False, ["1", "1.9", "2"]),
        (True, True, ["1", "1.9", "2", "3", "3.9"]),
        (False, False, ["2"]),
        (False, True, ["2", "3", "3.9"]),
    ],
)
async def test_a_resolution_of_a_second_floors_bounds_and_times(
    visitor: Visitor, sandbox: Sandbox, from_inclusive: bool, till_inclusive: bool, expected: list[str]
) -> None:
    sandbox.settings.order = "oldest_first"
    sandbox.settings.resolution = "s"
    sandbox.settings.from_inclusive, sandbox.settings.till_inclusive = from_inclusive, till_inclusive
    sandbox.add_calls(call_at(str(seconds), seconds) for seconds in (0.999, 1, 1.9, 2, 3, 3.9, 4))

    assert await visitor.ids(**{"from": at(1.5), "till": at(3.5)}) == expected


async def test_rows_added_while_running_are_seen_at_once(visitor: Visitor, sandbox: Sandbox) -> None:
    window = {"from": at(), "till": at(10)}
    assert await visitor.ids(**window) == []
    for number in range(3):
        sandbox.add_calls([call_at(str(number), number)])
        assert len(await visitor.ids(**window)) == number + 1


async def test_unknown_parameters_are_ignored_and_the_first_of_two_counts(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.add_calls([call_at("a"), call_at("b")])
    query = [("from", at()), ("till", at(1)), ("limit", "1"), ("limit", "x"), ("cursor", "abc")]

    reply = await visitor.ask("GET", "/cdrs", params=query)

    assert reply.json()["count"] == 1
    assert sandbox.requests[-1].query == {"from": at(), "till": at(1), "limit": "1", "cursor": "abc"}
