"""`client.cdrs.verify`: a difference is named, and nothing else is."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import Any

import pytest
from attrs import evolve

from tests.cdrs.raw_server import RawRow, RawServer, row_text, served
from tests.proof import trials
from tests.proof.changes import Change
from unlimcall_async import AsyncClient, CallRecord, RateLimits
from unlimcall_async.proof import DayDigest, Manifest, Verification
from unlimcall_async.sandbox import Sandbox, SandboxCall

pytestmark = pytest.mark.own_rules

BEGIN, DAY, MONTH = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=1), timedelta(days=31)
END = BEGIN + 2 * MONTH
# The pages of these calls are short, and every 31 days a call starts at midnight, at a bound of the windows that are counted.
CALLS = [
    *(SandboxCall(id=f"{number}", start_time=BEGIN + number * timedelta(hours=7, minutes=1)) for number in range(200)),
    *(SandboxCall(id=f"midnight {month}", start_time=BEGIN + month * MONTH) for month in range(3)),
]
BOUNDS = [
    {"from_inclusive": first, "till_inclusive": last, "resolution": resolution}
    for first, last, resolution in itertools.product([True, False], [True, False], ["ms", "s"])
]


@asynccontextmanager
async def holding(calls: Sequence[SandboxCall], **settings: Any) -> AsyncIterator[AsyncClient]:
    async with Sandbox(**settings) as sandbox:
        sandbox.add_calls(calls)
        async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client:
            yield client


async def pulled(calls: Sequence[SandboxCall] = CALLS) -> list[CallRecord]:
    async with holding(calls) as client:
        return await client.cdrs.stream(BEGIN, END).to_list()


async def counted(calls: Sequence[SandboxCall], **settings: Any) -> Verification:
    """Verify by counts what was pulled from `CALLS`, on a server that holds other calls."""
    records = await pulled()
    async with holding(calls, **settings) as client:
        return await client.cdrs.verify(records, BEGIN, END, counts_only=True)


# Of rows of a table, for example.
NAMES: list[Any] = ["1", 7]


async def test_what_is_verified_is_checked_before_anything_is_sent() -> None:
    wrong: list[tuple[type[Exception], str, tuple[Any, ...]]] = [
        (TypeError, "CallRecord, not dict", ([{"id": "1"}], BEGIN, END)),
        (TypeError, "pulled must be a Manifest or call records, not str", (Manifest(BEGIN, END).to_json(),)),
        (TypeError, "not int", (7, BEGIN, END)),
        (ValueError, "start and end are needed", ([],)),
        (ValueError, "must be timezone-aware", ([CallRecord("1", datetime(2026, 3, 2), 1, 1)], BEGIN, END)),  # noqa: DTZ001 # the point
        (
            TypeError,
            r"id of records\[1\] must be a str, not int",
            ([CallRecord(name, BEGIN, 1, 1) for name in NAMES], BEGIN, END),
        ),
        (ValueError, r"records\[0\] starts at .* outside", ([CallRecord("1", END, 1, 1)], BEGIN, END)),
        (ValueError, "those of the manifest", (Manifest(BEGIN, END), BEGIN, END)),
    ]
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        for kind, words, arguments in wrong:
            with pytest.raises(kind, match=words):
                await client.cdrs.verify(*arguments)
        assert not sandbox.requests


# --- counts only ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
async def test_a_count_for_each_31_days_shows_that_nothing_came_or_went(bounds: dict[str, Any]) -> None:
    result = await counted(CALLS, count="matches", **bounds)
    assert (result.ok, result.differences) == (True, ())
    # Two windows, and two questions about bounds. If these are not as expected, the first window is asked again. A window that
    # begins a moment earlier for the sake of its bound is more than 31 days wide, and asked in two halves.
    requests = {(True, False): 4, (True, True): 5, (False, True): 5, (False, False): 7}
    assert result.requests == requests[bounds["from_inclusive"], bounds["till_inclusive"]]


@pytest.mark.slow
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("count", ["matches", "rows"])
@pytest.mark.parametrize("gone", ["20", "150"])
async def test_a_record_that_went_is_no_equal_count(gone: str, count: str, bounds: dict[str, Any]) -> None:
    result = await counted([call for call in CALLS if call.id != gone], count=count, **bounds)
    (difference,) = result.differences
    assert ([record.id for record in difference.missing], difference.added) == ([gone], ())


@pytest.mark.rest_slow
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("count", ["matches", "rows"])
async def test_a_record_that_came_is_no_equal_count(count: str, bounds: dict[str, Any]) -> None:
    late = SandboxCall(id="late", start_time=BEGIN + 3.1 * DAY)
    result = await counted([*CALLS, late], count=count, **bounds)
    (difference,) = result.differences
    assert ([record.id for record in difference.added], difference.missing) == (["late"], ())


async def test_only_the_day_on_which_the_count_differs_is_pulled() -> None:
    late = SandboxCall(id="late", start_time=BEGIN + 40.1 * DAY)
    records = await pulled()
    async with Sandbox(count="matches") as sandbox:
        sandbox.add_calls([*CALLS, late])
        async with AsyncClient(sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited()) as client:
            result = await client.cdrs.verify(records, BEGIN, END, counts_only=True)
        widest = max(len(request.query["limit"]) for request in sandbox.requests)
        full = [request for request in sandbox.requests if request.query["limit"] == "1000"]
    assert [difference.day for difference in result.differences] == [late.start_time.date()]
    assert result.requests == len(sandbox.requests)
    # The two questions about bounds, and the day.
    assert (len(full), widest) == (3, 4)


async def test_a_day_without_records_that_were_given_is_compared_too() -> None:
    async with holding(CALLS[:10], count="matches") as client:
        result = await client.cdrs.verify([], BEGIN, END, counts_only=True)
    assert result.days == len(result.differences) == len({call.start_time.date() for call in CALLS[:10]})


async def test_a_row_that_cannot_be_read_is_no_difference_by_counts() -> None:
    rows = [RawRow(at, row_text(at, "1")) for at in (BEGIN + DAY, BEGIN + 2 * DAY)]
    bad = RawRow(BEGIN + 3 * DAY, row_text(BEGIN + 3 * DAY, "2", billsec='"x"'))
    async with served(RawServer([*rows, bad])) as client:
        stream = client.cdrs.stream(BEGIN, END, unreadable="keep")
        records = await stream.to_list()
        by_manifest = await client.cdrs.verify(stream.manifest, counts_only=True)
        by_records = await client.cdrs.verify(records, BEGIN, END, counts_only=True)
    assert [(result.ok, len(result.unreadable)) for result in (by_manifest, by_records)] == [(True, 1)] * 2


@pytest.mark.parametrize("counts_only", [False, True])
@pytest.mark.parametrize(
    "at", [BEGIN, BEGIN + DAY / 2, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], ids=str
)
async def test_an_empty_range_is_as_it_was(at: datetime, *, counts_only: bool) -> None:
    async with holding(CALLS) as client:
        result = await client.cdrs.verify([], at, at, counts_only=counts_only)
    assert (result.ok, result.days, result.differences) == (True, 0, ())


@pytest.mark.parametrize("counts_only", [False, True])
async def test_a_range_shorter_than_the_api_can_name_has_its_records(*, counts_only: bool) -> None:
    records = [record for record in await pulled() if record.start_time == BEGIN]
    async with holding(CALLS, count="matches") as client:
        result = await client.cdrs.verify(records, BEGIN, BEGIN + timedelta(microseconds=1), counts_only=counts_only)
    assert (len(records), result.ok, result.days) == (2, True, 1)


async def test_the_last_days_of_all_can_be_counted() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    async with holding(CALLS, count="matches") as client:
        assert (await client.cdrs.verify([], last - MONTH, last, counts_only=True)).ok


# --- manifests that begin or end between two records of one instant -------------------------------------------------------

LEGS = [SandboxCall(id=f"leg {number}", start_time=BEGIN + 5 * DAY) for number in range(5)]


async def manifests_in_pieces(client: AsyncClient, cuts: Sequence[int], **options: Any) -> list[Manifest]:
    """Pull, stop behind each number of records, and go on. Return the manifests of the pieces."""
    pieces, resume, count = list[Manifest](), None, 0
    for cut in [*cuts, None]:
        stream = client.cdrs.stream(BEGIN, END, resume=resume, **options)
        async with stream:
            async for _ in stream:
                count += 1
                if count == cut:
                    break
        pieces.append(stream.manifest)
        resume = stream.checkpoint
    return pieces


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("counts_only", [False, True])
@pytest.mark.parametrize("hours", [0, 5], ids=["at midnight", "by day"])
@pytest.mark.parametrize("cuts", [[1, 2, 4], [3], [2, 3, 4, 5, 6]], ids=str)
async def test_each_piece_is_verified_with_just_its_own_records(
    cuts: list[int], hours: int, *, counts_only: bool, newest_first: bool
) -> None:
    legs = [evolve(leg, start_time=leg.start_time + timedelta(hours=hours)) for leg in LEGS]
    around = [SandboxCall(id="0", start_time=BEGIN), SandboxCall(id="9", start_time=END - DAY)]
    async with holding([*legs, *around], count="matches", till_inclusive=True) as client:
        pieces = await manifests_in_pieces(client, cuts, newest_first=newest_first)
    assert any(piece.held_at_end for piece in pieces)
    for piece in [*pieces, reduce(add, pieces)]:
        async with holding([*legs, *around], count="matches", till_inclusive=True) as client:
            result = await client.cdrs.verify(piece, counts_only=counts_only)
            assert (result.ok, result.days) == (True, len(piece.days))
    # A leg is in one piece, and its loss shows there and in the sum.
    async with holding([*legs[1:], *around], count="matches", till_inclusive=True) as client:
        results = [await client.cdrs.verify(piece, counts_only=counts_only) for piece in pieces]
        whole = await client.cdrs.verify(reduce(add, pieces), counts_only=counts_only)
    assert [result.ok for result in [*results, whole]].count(False) == 2
    assert [difference.day for difference in whole.differences] == [legs[0].start_time.date()]


# --- trials ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_trials_name_each_difference_and_nothing_else() -> None:
    tallies = trials.run(trials.SMALL)
    assert [tally.failed for tally in tallies] == [[], [], []]
    assert all(tally.trials.total() for tally in tallies)


def test_a_trial_that_went_wrong_is_told() -> None:
    record = CallRecord("1", BEGIN, 1, 1)
    change = Change("deleted", "", gone=(record,))
    assert not change.is_named_by([], with_records=False)
    tally = trials.Tally("core")
    tally.enter("deleted", f"{change}", passed=False)
    assert "1 trials, 1 failed" in tally.lines()[0]
    assert DayDigest.of(change.gone).records == 1
