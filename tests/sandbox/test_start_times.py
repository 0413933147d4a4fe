"""What makes each kind of traffic the kind that it is: when its calls start."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from unlimcall_async.sandbox import SandboxCall, generate_traffic

from .support import END, START, shared, traffic


def second(row: SandboxCall) -> datetime:
    return row.start_time.replace(microsecond=0)


def fullest(rows: list[SandboxCall], step: timedelta, largest: int) -> float:
    """Return the share of the rows that lies in the `largest` fullest spans of this length."""
    spans = Counter((row.start_time - START) // step for row in rows)
    return sum(count for _, count in spans.most_common(largest)) / len(rows)


@pytest.mark.slow
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


@pytest.mark.slow
def test_ties_are_groups_that_fit_on_a_page() -> None:
    for calls, end in [(20_000, END), (20_000, START + timedelta(seconds=25))]:
        rows = generate_traffic(calls, start=START, end=end, kind="ties")
        by_second = Counter(map(second, rows))
        assert 700 < max(by_second.values()) < 900
        assert 50 < max(Counter(row.start_time for row in rows).values()) < 900
    assert shared(row.start_time for row in traffic("ties")) > 1000
    assert shared(second(row) for row in traffic("ties")) > 2500


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
