"""Texts that a spreadsheet would take for a formula."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cli.formulas import guarded, is_formula

# What a spreadsheet may drop before it looks at a cell, in pieces.
UNSEEN = ["", " ", "\n", "\r\n", "\t", "\0", "\x0b", "\xa0", "\u200b", "\ufeff", "\u2028", "\u3000", "\x85", "\u202e"]
STARTS = [
    "=",
    "+",
    "-",
    "@",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "\ufe66",
    "\ufe62",
    "\ufe63",
    "\ufe6b",
    "\u2212",
    "\u207a",
]


@given(st.lists(st.sampled_from(UNSEEN), max_size=4).map("".join), st.sampled_from(STARTS), st.text(max_size=5))
def test_nothing_in_front_hides_a_formula(unseen: str, start: str, rest: str) -> None:
    assert guarded(f"{unseen}{start}SUM(1){rest}").startswith("'")


@pytest.mark.parametrize("text", ["\0", "\n", "\r", "\t", "\x1b[31mred", "\nAlice"])
def test_no_text_begins_with_what_a_spreadsheet_drops(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        *("+14155550100", "+1 (415) 555-0100", "+49 (0)30/123456", "+1.415.555.0100", "+1\u00a0415\u2011555\u20110100"),
        *(
            "+(1) 415",
            "-150",
            "0",
            "anonymous",
            "",
            " Alice",
            "\u00d6sterreich",
            "'s-Hertogenbosch",
            "17.10",
            "a=b",
            "'",
        ),
    ],
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize("text", ["-2+3", "+1+cmd|'/C calc'!A0", "+A1", "+1E5", "-(1)", "+1;2", "+1,2", "+\uff11"])
def test_what_only_begins_like_a_number_does_not(text: str) -> None:
    assert guarded(text) == f"'{text}"


ANY = st.text(st.sampled_from("'=+-@1 \t\0A(") | st.characters(), max_size=8)


def freed(cell: str) -> str:
    """As the page tells a program to read a cell."""
    bare = cell[1:]
    return bare if cell.startswith("'") and guarded(bare) == cell else cell


@given(ANY)
def test_the_apostrophe_can_be_taken_away_again(text: str) -> None:
    assert freed(guarded(text)) == text


@given(ANY)
def test_what_is_not_guarded_begins_with_a_letter_a_digit_or_a_sign_that_does_nothing(text: str) -> None:
    if guarded(text) != text or not (seen := text.strip()):
        return
    plain = unicodedata.normalize("NFKC", seen)
    assert plain[0] not in "=@"
    if plain[0] in "+-":
        assert re.fullmatch(r"[^A-Za-z=@|!;,]+", plain)
    assert not is_formula(text) or text[0] in "+-"
