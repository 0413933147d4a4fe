"""The ranges of tasks: they tile the time, and all that may send within a minute stay within the limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.spark.options import read_options
from unlimcall_async.spark.ranges import Attempt, pace_of, pieces_of

SPANS = st.sampled_from(["account", "day", "1s", "7m", "6h", "31d", "5217w"])
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 # it gets one
PER_MINUTE = st.integers(4, 500)


@given(TIMES, TIMES, SPANS, PER_MINUTE, st.booleans(), st.booleans())
def test_ranges_tile_the_time(
    start: datetime, end: datetime, partition: str, per_minute: int, streams: bool, shared: bool
) -> None:
    options = {"accounts": "a", "start": "2020-01-01", "partition": partition, "per_minute": str(per_minute)}
    asked = read_options(options | ({"redis_url": "redis://127.0.0.1"} if shared else {}))
    pieces, longer = pieces_of(asked, "a", start, end, streams=streams)
    assert bool(pieces) == (start < end)
    assert all(piece.start < piece.end for piece in pieces)
    assert all(first.end == second.start for first, second in pairwise(pieces))
    assert not pieces or (pieces[0].start, pieces[-1].end) == (start, end)
    wanted = timedelta.max if asked.partition is None else asked.partition
    assert longer or all(piece.end - piece.start <= wanted for piece in pieces)
    # The length is the same for all but the last.
    assert len({piece.end - piece.start for piece in pieces[:-1]}) <= 1


@given(TIMES, SPANS, PER_MINUTE, st.booleans(), st.booleans())
def test_what_may_send_within_a_minute_stays_within_the_limit(
    start: datetime, partition: str, per_minute: int, streams: bool, speculation: bool
) -> None:
    asked = read_options(
        {"accounts": "a", "start": "2020-01-01", "partition": partition, "per_minute": str(per_minute)}
    )
    pieces, _ = pieces_of(asked, "a", start, start + timedelta(days=400), streams=streams)
    paces = [pace_of(piece, Attempt(0, speculation)) for piece in pieces]
    copies, batches = 1 + speculation, 1 + streams
    assert all(pace >= 1 for pace, _ in paces)
    assert sum(pace for pace, _ in paces) * copies * batches <= per_minute


def test_one_partition_has_all_of_the_limit() -> None:
    asked = read_options({"accounts": "a", "start": "2026-01-01"})
    (piece,), longer = pieces_of(asked, "a", asked.start, asked.start + timedelta(days=365))
    assert (pace_of(piece, Attempt(0, speculation=False)), longer) == ((60, 0.0), False)


def test_a_later_attempt_waits_until_the_earlier_ones_do_not_count() -> None:
    asked = read_options({"accounts": "a", "start": "2026-01-01"})
    (piece,), _ = pieces_of(asked, "a", asked.start, asked.start + timedelta(days=1))
    assert pace_of(piece, Attempt(1, speculation=False)) == (60, 61.0)
