"""The countries of generated traffic."""

import re
from datetime import date, timedelta

from unlimcall_async.sandbox.markets import MARKETS, OWN_NUMBERS, load, utc_offset


def test_every_number_is_in_e164() -> None:
    numbers = [*OWN_NUMBERS, *(number for market in MARKETS for number in market.numbers)]

    assert len(numbers) > 5000
    assert all(re.fullmatch(r"\+[1-9][0-9]{9,12}", number) for number in numbers)
    assert "+14155550100" in numbers


def test_clocks_are_changed_on_the_right_day() -> None:
    for summer, winter, place in [
        (date(2026, 3, 8), date(2026, 3, 7), 0),
        (date(2026, 10, 31), date(2026, 11, 1), 0),
        (date(2026, 3, 29), date(2026, 3, 28), 3),
        (date(2026, 10, 24), date(2026, 10, 25), 4),
        (date(2026, 4, 4), date(2026, 4, 5), -1),
        (date(2026, 10, 4), date(2026, 10, 3), -1),
        (date(2021, 10, 30), date(2021, 10, 31), 4),  # the last Sunday is the last day
    ]:
        market = MARKETS[place]

        assert utc_offset(market, summer) - utc_offset(market, winter) == timedelta(hours=1), summer
        assert utc_offset(market, winter) == timedelta(hours=market.hours_from_utc), winter


def test_no_half_hour_of_the_week_is_without_calls() -> None:
    assert all(load(weekday, half_hour) > 0 for weekday in range(7) for half_hour in range(48))
