"""Generated traffic: what every kind promises; when the calls of each kind start is in `test_start_times`."""

import hashlib
import re
from datetime import datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.sandbox import TrafficKind, generate_traffic
from unlimcall_async.sandbox.calls import call_json
from unlimcall_async.sandbox.markets import MARKETS, OUTCOMES, OWN_NUMBERS

from .support import END, START, shared, traffic

KINDS: tuple[TrafficKind, ...] = get_args(TrafficKind)
SECOND = timedelta(seconds=1)

every_kind = pytest.mark.parametrize("kind", KINDS)


def microseconds(least: int, most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(least, most).map(lambda us: timedelta(microseconds=us))


@pytest.mark.rest_slow
@every_kind
def test_rows_are_as_many_as_asked_inside_the_range_and_in_order_of_their_ends(kind: TrafficKind) -> None:
    rows = traffic(kind)

    assert len(rows) == 3000
    assert all(START <= row.start_time < END for row in rows)
    ends = [row.start_time + row.duration * SECOND for row in rows]
    assert ends == sorted(ends)
    assert [row.start_time for row in rows] != sorted(row.start_time for row in rows)


@given(
    st.sampled_from(KINDS),
    st.integers(0, 40),
    microseconds(-(10**15), 2 * 10**15),
    microseconds(2_000_000, 10**12),
    st.integers(0, 9),
)
def test_any_range_takes_any_number_of_rows(
    kind: TrafficKind, calls: int, since: timedelta, length: timedelta, seed: int
) -> None:
    start = datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=2))) + since
    rows = generate_traffic(calls, start=start, end=start + length, seed=seed, kind=kind)

    assert len(rows) == calls
    assert all(start <= row.start_time < start + length for row in rows)


def test_the_range_may_be_a_single_millisecond() -> None:
    for kind in KINDS:
        if kind != "ties":
            rows = generate_traffic(9, start=START, end=START + timedelta(milliseconds=1), kind=kind)
            assert {row.start_time for row in rows} == {START}


@every_kind
def test_the_same_arguments_give_the_same_rows_and_another_seed_others(kind: TrafficKind) -> None:
    assert traffic(kind, 300) == traffic(kind, 300)
    assert traffic(kind, 300) != traffic(kind, 300, seed=1)


def test_the_rows_are_the_same_on_every_version_of_python() -> None:
    """A change of the generator may change the digest, deliberately; another Python may not."""
    text = "".join(str(call_json(row)) for kind in KINDS for row in traffic(kind, 200))

    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "dd75c782add6c1bb"


@every_kind
def test_a_row_is_one_that_a_provider_could_have_written(kind: TrafficKind) -> None:
    rows = traffic(kind, 1000)
    own, others = set(OWN_NUMBERS), {number for market in MARKETS for number in market.numbers}
    prices = {market.country: market.cents_per_minute for market in MARKETS}

    for row in rows:
        caller, called = (others, own) if row.did else (own, others)
        assert row.src in caller or (row.did and row.src is None)
        assert row.dst in called
        assert row.did in {None, row.dst}
        assert row.duration >= row.billsec >= 0
        assert (row.billsec > 0) == (row.disposition == "ANSWERED")
        minutes = -(-row.billsec // 60)
        if row.country and row.sell_price_cents is not None:
            assert row.sell_price_cents == minutes * prices[row.country]
        assert re.fullmatch(r"[0-9]{10}\.[0-9]+", row.id)
    assert {row.disposition for row in rows} == {"ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION"}
    assert {market.country for market in MARKETS} <= {row.country for row in rows}
    assert {None} < {row.did for row in rows}
    assert {None} < {row.sip_username for row in rows}
    assert {None} < {row.sell_price_cents for row in rows}


def test_an_id_begins_with_the_second_of_its_first_leg_and_does_not_sort_as_text() -> None:
    rows = traffic("call_centre")
    first: dict[str, datetime] = {}
    for row in rows:
        first[row.id] = min(row.start_time, first.get(row.id, row.start_time))

    assert all(int(name.split(".")[0]) == int(start.timestamp()) for name, start in first.items())
    sequence = sorted(first, key=lambda name: int(name.split(".")[1]))
    assert [first[name] for name in sequence] == sorted(first.values())
    assert len({int(name.split(".")[1]) for name in first}) == len(first)


@pytest.mark.slow
def test_calls_are_heavy_tailed() -> None:
    answered = sorted(row.billsec for row in traffic("uniform", 20_000) if row.billsec)

    assert 50 < answered[len(answered) // 2] < 90
    assert 3600 < answered[-1] <= 5 * 3600
    assert OUTCOMES[0].seconds(0.0, 1 - 2**-53) == (5 * 3600 + 2, 5 * 3600)


@pytest.mark.slow
def test_a_call_centre_has_ties_and_some_calls_of_several_legs() -> None:
    rows = traffic("call_centre", 10_000)

    assert shared(row.start_time for row in rows) > 500
    assert 0.04 < shared(row.id for row in rows) / len(rows) < 0.15
    assert shared((row.start_time, row.id) for row in rows) > 50
    assert sum(row.start_time.microsecond == 0 for row in rows) > 1000  # the dialers' calls


def test_legs_share_ids_and_some_of_them_their_start() -> None:
    rows = traffic("legs")

    assert shared(row.id for row in rows) > 2000
    assert shared((row.start_time, row.id) for row in rows) > 800


def test_what_cannot_be_made_is_refused() -> None:
    second_later = START + SECOND
    with pytest.raises(ValueError, match="kind must be one of call_centre, uniform,"):
        generate_traffic(1, start=START, end=END, kind="chaos")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="calls must not be negative"):
        generate_traffic(-1, start=START, end=END)
    with pytest.raises(ValueError, match="end must be timezone-aware"):
        generate_traffic(1, start=START, end=END.replace(tzinfo=None))
    with pytest.raises(ValueError, match="end must be after start"):
        generate_traffic(1, start=START, end=START)
    with pytest.raises(ValueError, match="the range is too short"):
        generate_traffic(851, start=START, end=second_later, kind="ties")
    assert len(generate_traffic(850, start=START, end=second_later, kind="ties")) == 850
