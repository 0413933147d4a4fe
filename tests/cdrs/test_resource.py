"""The options of `client.cdrs` are checked, and the error names the wrong one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.cdrs.matrix import END, START
from unlimcall_async import AsyncClient, CheckpointError
from unlimcall_async.sandbox import Sandbox

NAIVE = datetime(2026, 5, 1)  # noqa: DTZ001 # that is the point
MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")

Act = Callable[[AsyncClient], Awaitable[object]]


def listing(*arguments: Any) -> Act:
    return lambda client: client.cdrs.list(*arguments)


@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        (listing(NAIVE, JUNE), ValueError, "start must be timezone-aware"),
        (listing(MAY, NAIVE), ValueError, "end must be timezone-aware"),
        (listing(date(2026, 5, 1)), TypeError, "start must be a datetime, not date"),
        (listing("2026-05-01"), TypeError, "start must be a datetime, not str"),
        (listing(None, 1_777_000_000), TypeError, "end must be a datetime, not int"),
        (listing(JUNE, MAY), ValueError, "start must not be after end"),
        # By the wall clock the first is before the second; the hour between is told twice.
        (
            listing(
                datetime(2026, 11, 1, 1, 10, fold=1, tzinfo=NEW_YORK), datetime(2026, 11, 1, 1, 20, tzinfo=NEW_YORK)
            ),
            ValueError,
            "start must not be after end",
        ),
        (listing(datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))), ValueError, "start is out of range"),
        (listing(MAY, JUNE, 0), ValueError, "limit must be from 1 to 1000, not 0"),
        (listing(MAY, JUNE, 1001), ValueError, "limit must be from 1 to 1000, not 1001"),
        (listing(MAY, JUNE, True), TypeError, "limit must be an int, not bool"),
        (listing(MAY, JUNE, 10.0), TypeError, "limit must be an int, not float"),
    ],
)
async def test_a_wrong_argument_of_a_single_page_is_named_and_nothing_is_sent(
    sandbox: Sandbox, client: AsyncClient, act: Act, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        await act(client)
    assert type(caught.value) is kind
    assert sandbox.requests == []
    assert client._caller.pool._transport is None, "not even a pool was opened"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"concurrency": 0}, ValueError, "concurrency must be 1 or more"),
        ({"page_size": 1001}, ValueError, "page_size must be from 1 to 1000"),
        ({"settle": -timedelta(1)}, ValueError, "settle must not be negative"),
        ({"settle": 3}, TypeError, "settle must be a timedelta"),
        ({"strategy": "guess"}, ValueError, "strategy must be one of auto, divide"),
        ({"newest_first": 1}, TypeError, "newest_first must be a bool"),
        ({"resume": "x"}, TypeError, "resume must be a Checkpoint"),
        ({"start": END + timedelta(1)}, ValueError, "start must not be after end"),
        ({"start": datetime(2026, 1, 1)}, ValueError, "start must be timezone-aware"),  # noqa: DTZ001 # on purpose
    ],
    ids=str,
)
async def test_a_wrong_option_of_a_stream_is_named(
    client: AsyncClient, options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        client.cdrs.stream(**{"start": START, "end": END, **options})  # type: ignore[arg-type] # wrong on purpose


async def test_the_end_is_read_once_and_stays_behind(client: AsyncClient) -> None:
    before = datetime.now(UTC)
    stream = client.cdrs.stream(START, settle=timedelta(hours=3))
    assert before <= stream.end + timedelta(hours=3) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "changes",
    [{"start": START + timedelta(days=1)}, {"end": END + timedelta(days=1)}, {"newest_first": True}],
    ids=str,
)
async def test_a_checkpoint_of_something_else_is_refused(client: AsyncClient, changes: dict[str, object]) -> None:
    resume = client.cdrs.stream(START, END).checkpoint
    arguments = {"start": START, "end": END, **changes}
    with pytest.raises(CheckpointError, match="another range or direction: from 2"):
        client.cdrs.stream(**arguments, resume=resume)  # type: ignore[arg-type] # of mixed types


async def test_a_follow_and_a_stream_accept_only_their_own_checkpoints(client: AsyncClient) -> None:
    stream, follow = client.cdrs.stream(START, END), client.cdrs.follow(START)
    with pytest.raises(CheckpointError, match="of a stream"):
        client.cdrs.follow(START, resume=stream.checkpoint)
    with pytest.raises(CheckpointError, match="of a follow"):
        client.cdrs.stream(START, END, resume=follow.checkpoint)
    with pytest.raises(CheckpointError, match="another start"):
        client.cdrs.follow(START + timedelta(minutes=1), resume=follow.checkpoint)
    with pytest.raises(CheckpointError, match="checkpoint of"):
        type(follow.checkpoint).from_json(stream.checkpoint.to_json())


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("start", START.replace(tzinfo=None), ValueError),
        ("start", "2026-01-01", TypeError),
        ("interval", timedelta(0), ValueError),
        ("interval", -timedelta(minutes=1), ValueError),
        ("interval", 30, TypeError),
        ("lookback", -timedelta(minutes=1), ValueError),
        ("lookback", 7200, TypeError),
        ("resume", "{}", TypeError),
    ],
)
async def test_a_wrong_option_of_a_follow_is_named(
    client: AsyncClient, name: str, value: object, error: type[Exception]
) -> None:
    arguments = {"start": START, name: value}
    with pytest.raises(error, match=name):
        client.cdrs.follow(**arguments)  # type: ignore[arg-type] # wrong on purpose
