"""Where numbers belong, and what happens without the library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unlimcall_async.operations import CallerId, Place, place_of

PLACES = {
    "+14155550100": Place("US", "1"),
    "+14165550199": Place("CA", "1"),
    "+12425550100": Place("BS", "1"),
    "+442079460812": Place("GB", "3"),
    "+441481960194": Place("GG", "3"),
    "+493023125000": Place("DE", "3"),
    "+33199001000": Place("FR", "3"),
    "+61255501000": Place("AU", "6"),
    "+551123456789": Place("BR", "5"),
    "+77011234567": Place("KZ", "7"),
    "+27110000000": Place("ZA", "2"),
    # In no table: the main country of the calling code.
    "+447700900123": Place("GB", "3"),
    "+10000000": Place("US", "1"),
    # Of no country: freephone and satellite.
    "+80012345678": Place(None, None),
    "+870123456789": Place(None, None),
    # Not even a calling code.
    "+999": Place(None, None),
    "+12": Place(None, None),
}


@pytest.mark.parametrize(("number", "place"), PLACES.items(), ids=PLACES)
def test_a_number_has_its_place(number: str, place: Place) -> None:
    assert place_of(number) == place


def test_a_caller_id_serves_its_own_country_unless_told_otherwise() -> None:
    assert CallerId("+442079460812") == CallerId("+442079460812", "GB", None)
    assert CallerId("+442079460812", "IE").country == "IE"
    assert CallerId("+442079460812", None).country is None


def run(program: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 # ours


@pytest.mark.slow
def test_the_library_is_loaded_when_it_is_needed_and_not_before() -> None:
    loaded = "print('phonenumbers' in sys.modules)"
    steps = (
        "import sys, unlimcall_async.operations as o",
        loaded,
        "o.CallerId('+12', 'US')",
        loaded,
        "o.place_of('+12')",
        loaded,
    )
    assert run("; ".join(steps)).split() == ["False", "False", "True"]
