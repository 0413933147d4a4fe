"""Where a phone number belongs. Pure: the library that knows has its tables with it.

The library is the extra `numbers`. It places a number, and never rejects one: its tables are of its release's day, and numbering
plans change.
"""

from __future__ import annotations

from attrs import frozen

_NOWHERE = "001"  # the library's word for calling codes that belong to no country, as +800


@frozen
class Place:
    """Where a number belongs.

    Attributes:
        country: The country's code (ISO 3166), or `None` where it has none.
        region: The world numbering zone: the first digit of its calling code, with Europe's two, 3 and 4, as `"3"`. So `"1"` is
            North America with much of the Caribbean, `"2"` Africa, `"5"` Central and South America, `"6"` South-East Asia and
            Oceania, `"7"` Russia and Kazakhstan, `"8"` East Asia, `"9"` West, Central and South Asia. `None` where it has none.
    """

    country: str | None
    region: str | None


def place_of(number: str) -> Place:
    """Place a number in E.164 form.

    A number that the library's tables do not hold is placed in the main country of its calling code.

    Raises:
        ImportError: The extra `numbers` is not installed.
    """
    try:
        import phonenumbers  # noqa: PLC0415 # the extra may be missing, and only this needs it
    except ModuleNotFoundError as error:
        raise ImportError(
            "Caller ids need the extra `numbers`: python -m pip install 'unlimcall-async[numbers]'", name=error.name
        ) from error
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return Place(None, None)
    code = parsed.country_code
    if code is None:
        return Place(None, None)
    country = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(code)
    if country == _NOWHERE:
        return Place(None, None)
    zone = str(code)[0]
    return Place(country, "3" if zone == "4" else zone)
