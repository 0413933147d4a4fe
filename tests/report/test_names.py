"""The names of a report: all different, none a phone number, and none that could do harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.report.names import shown_names

pytestmark = pytest.mark.own_rules

NUMBERS = [
    *("+14155550100", "+44 20 7946 0812", "(030) 1234-567", "0049/30/1234567", "trunk 4155550100", "415.555.0100"),
    *("+1_415_555_0100", "1,415,555,0100", "[415] 555:0100", "+1%20415%20555%200100"),
    # A hyphen that does not break, a dash, a dot in the middle, marks of direction, and digits of other kinds.
    *("415\u2011555\u20110100", "415\u2013555\u20130100", "415\u00b7555\u00b70100", "415\u200e555\u200e0100"),
    *(
        "\uff14\uff11\uff15\uff15\uff15\uff15\uff10",
        "\u2074\u00b9\u2075\u2075\u2075\u2075\u2070",
        "\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
    ),
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_replaced(number: str) -> None:
    assert shown_names(["a", number], "(none)") == {"a": "a", number: "(number 1)"}


@pytest.mark.parametrize("name", ["unl_001", "Desk 12", "2026-05", "United Kingdom", "SIP 503", "line-123456"])
def test_any_other_name_is_shown(name: str) -> None:
    assert shown_names([name], "(none)") == {name: name}


@given(st.lists(st.none() | st.text() | st.sampled_from(NUMBERS), unique=True))
def test_names_stay_apart_and_can_be_written(names: list[str | None]) -> None:
    shown = shown_names(names, "(none)")
    assert list(shown) == names
    assert len(set(shown.values())) == len(names)
    assert all(text and text.isprintable() and len(text) < 80 for text in shown.values())
    assert not any(number in text for text in shown.values() for number in NUMBERS)
