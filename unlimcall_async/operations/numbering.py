"""The country and the region that a phone number belongs to. Pure: no I/O; the library that knows them carries its tables.

The library is the extra `numbers`. It places a number and never rejects one, because its tables are as old as its release, and
numbering plans change.
"""

from __future__ import annotations

from attrs import frozen

from unlimcall_async import _arguments
from unlimcall_async._extras import of_extra

_NOWHERE = "001"  # the library's region for calling codes that belong to no country, for example +800


@frozen
class Place:
    """The country and the region that a phone number belongs to.

    Attributes:
        country: The code of the country (ISO 3166), or `None` if the number belongs to no country.
        region: The world numbering zone: the first digit of the calling code, with `"3"` for both of Europe's, 3 and 4. `"1"` is
            North America with much of the Caribbean, `"2"` Africa, `"5"` Central and South America. `"6"` is South-East Asia and
            Oceania, `"7"` Russia and Kazakhstan, `"8"` East Asia, `"9"` West, Central and South Asia. `None` if the number belongs
            to no country.
    """

    country: str | None
    region: str | None


def place_of(number: str) -> Place:
    """Return the place of a number in E.164 form.

    A number that the library's tables do not hold is placed in the main country of its calling code.

    Raises:
        ImportError: The extra `numbers` is not installed.
    """
    with of_extra("the country of a caller id", "numbers", "phonenumbers"):
        import phonenumbers  # noqa: PLC0415 # the extra may be missing, and only caller ids need it
    try:
        parsed = phonenumbers.parse(_arguments.text("number", number))
    except phonenumbers.NumberParseException:
        return Place(None, None)
    code = parsed.country_code
    if code is None:
        return Place(None, None)
    country = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(code)
    if country == _NOWHERE:
        return Place(None, None)
    zone = str(code)[0]
    # Both zones are Europe's.
    return Place(country, "3" if zone == "4" else zone)
