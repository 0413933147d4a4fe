"""The names that a report shows, none of which is a phone number. Pure: no I/O.

A line, a country or a disposition is a text of the server. A line may be called by its number, and a report is a file that people
send on. So a name with as many digits as a phone number is replaced.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

# Seven digits or more with no letter between them: people and programs write many kinds of dashes, blanks and marks there. ITU-T
# E.164 has no shortest number; local numbers have six or seven.
_NUMBER: Final = re.compile(r"(?:\d[\W_]*){6,}\d")
# Characters of a name. Those of the reference have some 20.
_LONGEST: Final = 60


def shown_names(names: Iterable[str | None], nothing: str) -> Mapping[str | None, str]:
    """Return what a report shows for each name, all different.

    Args:
        names: The names, in the order in which replaced ones are counted.
        nothing: What stands for `None`, and for an empty text.
    """
    shown: dict[str | None, str] = {}
    taken: set[str] = set()
    hidden = 0
    for name in names:
        text = printable(name or "") or nothing
        # Raised, wide and circled digits are digits.
        if _NUMBER.search(unicodedata.normalize("NFKC", text)):
            hidden += 1
            text = f"(number {hidden})"
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}\u2026"
        # Two names may look the same, for example by their end.
        same, count = text, 1
        while text in taken:
            count += 1
            text = f"{same} ({count})"
        taken.add(text)
        shown[name] = text
    return shown


def printable(text: str) -> str:
    """Return a text with a mark in place of each character that cannot be seen, or cannot be written to a file."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
