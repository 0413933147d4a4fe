"""The offsets of a stream: no account goes back, and the range of each batch stands in its two offsets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.spark.offsets import first_offset, next_offset, settled, time_of
from unlimcall_async.spark.options import read_options

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.datetimes(datetime(2025, 12, 31), datetime(2026, 1, 5), timezones=st.just(UTC))  # noqa: DTZ001 # it gets one
ACCOUNTS = st.lists(st.sampled_from("abc"), min_size=1, unique=True).map(",".join)


@given(st.lists(st.tuples(ACCOUNTS, TIMES), min_size=1, max_size=8), st.none() | TIMES.filter(lambda at: at >= START))
def test_batches_tile_the_time_of_each_account(runs: list[tuple[str, datetime]], end: datetime | None) -> None:
    """Clocks jump, and accounts come and go."""
    options = {"start": START.isoformat()} | ({} if end is None else {"end": end.isoformat()})
    known = first_offset(read_options(options | {"accounts": runs[0][0]}))
    for accounts, now in runs:
        asked = read_options(options | {"accounts": accounts})
        after = json.loads(json.dumps(next_offset(known, asked, settled(now, timedelta(0)))))
        for account, text in after.items():
            if account not in known:
                assert time_of(text) == START
            elif account not in accounts:
                assert text == known[account]
            else:
                until = now.replace(microsecond=0) if end is None else min(now.replace(microsecond=0), end)
                assert time_of(text) == max(time_of(known[account]), until)
        assert known.keys() <= after.keys()
        known = after


def test_an_offset_is_far_enough_behind_and_in_whole_seconds() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    assert settled(now, timedelta(hours=2)) == datetime(2026, 1, 1, 10, tzinfo=UTC)


def test_settle_is_no_longer_than_the_calendar() -> None:
    with pytest.raises(ValueError, match="settle must not reach back beyond the year 1"):
        settled(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=740_000))


def test_an_offset_that_does_not_move_is_the_same_text() -> None:
    asked = read_options({"accounts": "b,a", "start": "2026-01-01T00:00:00.25+00:00"})
    first = first_offset(asked)
    assert json.dumps(first) == '{"b": "2026-01-01T00:00:00.250000Z", "a": "2026-01-01T00:00:00.250000Z"}'
    assert json.dumps(next_offset(first, asked, START)) == json.dumps(first)
