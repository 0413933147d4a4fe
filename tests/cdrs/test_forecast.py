"""Forecasts: the hours of the week, and which estimate windows are cut by."""

from __future__ import annotations

import random

import pytest

from unlimcall_async.cdrs.planner.density import Sample
from unlimcall_async.cdrs.planner.forecast import GROUP, Forecast, Rhythm
from unlimcall_async.cdrs.times import SECOND, Range

pytestmark = pytest.mark.own_rules

PAGE = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def office_hours(day: int, calls: int) -> list[int]:
    """Return the starts of calls of a day, from nine to five; none on every sixth and seventh day."""
    chance = random.Random(day)
    return [] if day % 7 >= 5 else sorted(day * DAY + 9 * HOUR + chance.randrange(8 * HOUR) for _ in range(calls))


def test_hours_of_the_week_are_expected_as_they_were() -> None:
    rhythm = Rhythm()
    for day in range(28):
        rhythm.learn(Range(day * DAY, (day + 1) * DAY), office_hours(day, 400))
    monday, sunday = Range(28 * DAY, 29 * DAY), Range(34 * DAY, 35 * DAY)
    assert rhythm.expect(monday) == pytest.approx(400, rel=0.15)
    assert rhythm.expect(sunday) < 100
    night, noon = (Range(28 * DAY + hour * HOUR, 28 * DAY + (hour + 1) * HOUR) for hour in (3, 12))
    assert rhythm.expect(night) < 0.2 * rhythm.expect(noon)


def test_a_week_has_the_weight_of_its_length() -> None:
    rhythm = Rhythm()
    assert not rhythm.known
    rhythm.learn(Range(0, DAY), office_hours(0, 50))
    assert rhythm.weight(Range(3 * HOUR, 3 * HOUR + 7 * DAY)) == pytest.approx(7 * DAY)


@pytest.mark.slow
def test_traffic_that_is_alike_week_by_week_needs_no_samples_and_bursts_do() -> None:
    even, wild = Forecast(PAGE), Forecast(PAGE)
    chance = random.Random(3)
    for part in range(60):
        wanted = Range(part * DAY, (part + 1) * DAY)
        for forecast, calls in ((even, 800), (wild, chance.choice((1, 5, 4000)))):
            if (prediction := forecast.predict(wanted, None)) is not None:
                forecast.learn(prediction, calls)
            forecast.note(wanted, sorted(wanted.start + chance.randrange(DAY) for _ in range(calls)))
    (_, of_even), (_, of_wild) = even.best(None) or (None, 0), wild.best(None) or (None, 0)
    assert even.is_good
    assert 0.8 * PAGE < of_even < PAGE
    assert not wild.is_good
    assert of_wild == GROUP * PAGE


def test_nothing_is_forecast_before_anything_was_read_and_a_fine_sample_says_most() -> None:
    forecast = Forecast(PAGE)
    assert forecast.best(None) is None
    forecast.note(Range(0, DAY), list(range(0, DAY, HOUR)))
    assert forecast.best(None) is not None
    assert forecast.best(Sample(list(range(100)), 1.2, 0.0)) is None


def test_a_forecast_goes_on_if_every_estimate_was_far_off() -> None:
    forecast, wanted = Forecast(PAGE), Range(0, DAY)
    sample = Sample(list(range(0, DAY, DAY // PAGE)), 8.0, 0.0)
    forecast.note(wanted, list(range(0, DAY, DAY // PAGE)))
    prediction = forecast.predict(wanted, sample)
    assert prediction is not None
    for _ in range(60):
        forecast.learn(prediction, 100 * PAGE)
    assert not forecast.is_good
    _, to_ask = forecast.best(None) or (None, 0)
    assert to_ask == GROUP * PAGE


def test_growth_is_expected_to_go_on_if_many_days_are_asked_ahead() -> None:
    forecast, rhythm, ahead = Forecast(PAGE), Rhythm(), 16
    days, calls = (
        [Range(day * DAY, (day + 1) * DAY) for day in range(130)],
        [round(80 * 1.02**day) for day in range(130)],
    )
    asked = [forecast.predict(day, None) for day in days[:ahead]]
    for day, count, later in zip(days, calls, days[ahead:], strict=False):
        asked.append(forecast.predict(later, None))
        if (prediction := asked.pop(0)) is not None:
            forecast.learn(prediction, count)
        for each in (forecast.note, rhythm.learn):
            each(day, range(day.start, day.end, DAY // count))
    estimate, to_ask = forecast.best(None) or (None, 0)
    assert estimate is not None
    assert forecast.is_good
    assert 0.7 * PAGE < to_ask < PAGE
    assert estimate(days[-1]) == pytest.approx(calls[-1], rel=0.2)
    assert rhythm.expect(days[-1]) < 0.7 * calls[-1]


def test_an_estimate_is_judged_by_what_it_said_when_a_range_was_asked() -> None:
    forecast, days = Forecast(PAGE), [Range(day * DAY, (day + 1) * DAY) for day in range(90)]
    forecast.note(days[0], range(0, DAY, DAY // 100))
    # All days are asked while a tenth of their calls are expected.
    asked = [forecast.predict(day, None) for day in days[1:]]
    for prediction in asked:
        assert prediction is not None
        forecast.learn(prediction, PAGE)
        forecast.note(prediction.range, range(prediction.range.start, prediction.range.end, DAY // PAGE))
    assert not forecast.is_good
