"""A day of calls of which 5 % lose their event, and a quarter of an hour in which all do: what sweeps find, against the truth."""

from __future__ import annotations

import pytest

from tests.operations.ended import HOUR, simulated, swept_over

pytestmark = pytest.mark.own_rules


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "hours", "numbers", "every"),
    [(1000, 2.0, 200, 120), (3000, 4.0, 100, 120)],
)
def test_each_dropped_call_is_found_by_the_next_sweep(count: int, hours: float, numbers: int, every: float) -> None:
    outage = (hours / 4 * HOUR, hours / 4 * HOUR + HOUR / 4)
    calls = simulated(count, hours * HOUR, seed=2, numbers=numbers, outage=outage)
    outcome = swept_over(calls, (hours + 2) * HOUR, every=every, start_above=0.1, end_below=0.08)
    lost = sum(call.arrives is None for call in calls)
    assert len(outcome.reconciler.missed) == lost
    assert sum(outcome.not_found) == 0
    assert outcome.wrong / (count - lost) < 0.001
    # Events that are on their way at the time, or belong to a record that is still to come.
    assert max(outcome.too_many) <= 1
    started = [at for at, alert in outcome.alerts if alert.state == "started"]
    assert len(started) == 1
    assert outage[0] < started[0] <= outage[0] + 600
    assert [alert.state for _, alert in outcome.alerts] == ["started", "ended"]
