"""Made-up traffic: what every kind promises, and what makes each one what it is."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.sandbox import SandboxCall, TrafficKind, generate_traffic
from unlimcall_async.sandbox.calls import call_json
from unlimcall_async.sandbox.markets import MARKETS, OUTCOMES, OWN_NUMBERS, load, utc_offset

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
KINDS: tuple[TrafficKind, ...] = get_args(TrafficKind)
SECOND = timedelta(seconds=1)

every_kind = pytest.mark.parametrize("kind", KINDS)


def traffic(kind: TrafficKind, calls: int = 3000, seed: int = 0) -> list[SandboxCall]:
    return generate_traffic(calls, start=START, end=END, seed=seed, kind=kind)


def microseconds(least: int, most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(least, most).map(lambda us: timedelta(microseconds=us))


def second(row: SandboxCall) -> datetime:
    return row.start_time.replace(microsecond=0)


def shared(values: Iterable[object]) -> int:
    """Return how many values are there more than once."""
    return sum(count for count in Counter(values).values() if count > 1)


def fullest(rows: list[SandboxCall], step: timedelta, largest: int) -> float:
    """Return the share of the rows that lies in the `largest` fullest spans of this length."""
    spans = Counter((row.start_time - START) // step for row in rows)
    return sum(count for _, count in spans.most_common(largest)) / len(rows)


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


def test_every_number_is_in_e164() -> None:
    numbers = [*OWN_NUMBERS, *(number for market in MARKETS for number in market.numbers)]

    assert len(numbers) > 5000
    assert all(re.fullmatch(r"\+[1-9][0-9]{9,12}", number) for number in numbers)
    assert "+14155550100" in numbers


def test_an_id_begins_with_the_second_of_its_first_leg_and_does_not_sort_as_text() -> None:
    rows = traffic("call_centre")
    first: dict[str, datetime] = {}
    for row in rows:
        first[row.id] = min(row.start_time, first.get(row.id, row.start_time))

    assert all(int(name.split(".")[0]) == int(start.timestamp()) for name, start in first.items())
    sequence = sorted(first, key=lambda name: int(name.split(".")[1]))
    assert [first[name] for name in sequence] == sorted(first.values())
    assert len({int(name.split(".")[1]) for name in first}) == len(first)


def test_calls_are_heavy_tailed() -> None:
    answered = sorted(row.billsec for row in traffic("uniform", 20_000) if row.billsec)

    assert 50 < answered[len(answered) // 2] < 90
    assert 3600 < answered[-1] <= 5 * 3600
    assert OUTCOMES[0].seconds(0.0, 1 - 2**-53) == (5 * 3600 + 2, 5 * 3600)


def test_a_call_centre_keeps_its_hours() -> None:
    rows = traffic("call_centre", 5000)
    weekend = sum(row.start_time.weekday() >= 5 for row in rows) / len(rows)
    assert 0 < weekend < 0.08  # an even rhythm has 0.28

    def busy(country: str, day: date, hour: int) -> int:
        """How many calls there were in this hour of UTC in the ten days from this one."""
        return sum(
            row.country == country and row.start_time.hour == hour and 0 <= (row.start_time.date() - day).days < 10
            for row in many
        )

    many = traffic("call_centre", 30_000)
    # Germany opens at eight by its own clocks, which change on 29 March.
    assert busy("Germany", date(2026, 3, 16), 6) < busy("Germany", date(2026, 3, 16), 8) / 5
    assert busy("Germany", date(2026, 4, 6), 6) > busy("Germany", date(2026, 4, 6), 8) / 5
    # Lunch.
    assert busy("Germany", date(2026, 3, 16), 11) < busy("Germany", date(2026, 3, 16), 9)


def test_a_call_centre_has_ties_and_some_calls_of_several_legs() -> None:
    rows = traffic("call_centre", 10_000)

    assert shared(row.start_time for row in rows) > 500
    assert 0.04 < shared(row.id for row in rows) / len(rows) < 0.15
    assert shared((row.start_time, row.id) for row in rows) > 50
    assert sum(row.start_time.microsecond == 0 for row in rows) > 1000  # the dialers' calls


def test_ties_are_groups_that_fit_on_a_page() -> None:
    for calls, end in [(20_000, END), (20_000, START + timedelta(seconds=25))]:
        rows = generate_traffic(calls, start=START, end=end, kind="ties")
        by_second = Counter(map(second, rows))
        assert 700 < max(by_second.values()) < 900
        assert 50 < max(Counter(row.start_time for row in rows).values()) < 900
    assert shared(row.start_time for row in traffic("ties")) > 1000
    assert shared(second(row) for row in traffic("ties")) > 2500


def test_legs_share_ids_and_some_of_them_their_start() -> None:
    rows = traffic("legs")

    assert shared(row.id for row in rows) > 2000
    assert shared((row.start_time, row.id) for row in rows) > 800


def test_bursts_hold_nearly_everything() -> None:
    assert fullest(traffic("bursts"), timedelta(minutes=20), 600) > 0.98  # of 4392 such spans
    assert fullest(traffic("uniform"), timedelta(minutes=20), 600) < 0.5


def test_sparse_traffic_is_silent_for_long() -> None:
    times = sorted(row.start_time for row in traffic("sparse"))

    silences = sorted(later - earlier for earlier, later in pairwise([START, *times, END]))
    assert sum(silences[-13:], timedelta()) > (END - START) * 0.98


def test_growth_grows() -> None:
    rows = traffic("growth")
    quarters = Counter((row.start_time - START) * 4 // (END - START) for row in rows)

    assert quarters[0] < quarters[1] < quarters[2] < quarters[3]
    assert quarters[3] > len(rows) / 2


def test_campaigns_begin_steeply_and_are_of_unequal_size() -> None:
    rows = traffic("campaigns")

    assert fullest(rows, timedelta(hours=1), 122) > 0.85  # two hours a day
    days = Counter(row.start_time.date() for row in rows).most_common()
    assert days[0][1] > 4 * days[len(days) // 2][1]
    peak = Counter(
        row.start_time.replace(second=0, microsecond=0) for row in rows if row.start_time.date() == days[0][0]
    )
    assert max(peak.values()) > days[0][1] / 15


@pytest.mark.parametrize(
    ("summer", "winter", "place"),
    [
        (date(2026, 3, 8), date(2026, 3, 7), 0),
        (date(2026, 10, 31), date(2026, 11, 1), 0),
        (date(2026, 3, 29), date(2026, 3, 28), 3),
        (date(2026, 10, 24), date(2026, 10, 25), 4),
        (date(2026, 4, 4), date(2026, 4, 5), -1),
        (date(2026, 10, 4), date(2026, 10, 3), -1),
        (date(2021, 10, 30), date(2021, 10, 31), 4),  # the last Sunday is the last day
    ],
    ids=str,
)
def test_clocks_are_changed_on_the_right_day(summer: date, winter: date, place: int) -> None:
    market = MARKETS[place]

    assert utc_offset(market, summer) - utc_offset(market, winter) == timedelta(hours=1)
    assert utc_offset(market, winter) == timedelta(hours=market.hours_from_utc)


def test_no_half_hour_of_the_week_is_without_calls() -> None:
    assert all(load(weekday, half_hour) > 0 for weekday in range(7) for half_hour in range(48))


def test_what_cannot_be_made_is_refused() -> None:
    second_later = START + SECOND
    with pytest.raises(ValueError, match="kind must be one of call_centre, uniform,"):
        generate_traffic(1, start=START, end=END, kind="chaos")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="calls must not be negative"):
        generate_traffic(-1, start=START, end=END)
    with pytest.raises(ValueError, match="start and end must be timezone-aware"):
        generate_traffic(1, start=START, end=END.replace(tzinfo=None))
    with pytest.raises(ValueError, match="end must be after start"):
        generate_traffic(1, start=START, end=START)
    with pytest.raises(ValueError, match="the range is too short"):
        generate_traffic(851, start=START, end=second_later, kind="ties")
    assert len(generate_traffic(850, start=START, end=second_later, kind="ties")) == 850
