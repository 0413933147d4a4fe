"""Texts that a spreadsheet would take for a formula. No I/O.

A spreadsheet that opens CSV runs a cell that begins with `=`, `+`, `-` or `@`, and some of their variants. It may drop blanks and
characters that cannot be seen first. A caller chooses the name that he shows, so such a text gets an apostrophe in front.

The apostrophe can be taken away again: a text that already has apostrophes before its formula gets one more.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Texts that begin like a formula, and are a number. Without a letter in them, the worst that they can become is another number.
_NUMBER: Final = re.compile(r"-?[0-9]+|\+[0-9(][0-9 \u00a0().\u2010-\u2013/-]*")
_STARTERS: Final = frozenset("=+-@\u2212")


def guarded(text: str) -> str:
    """Return the text, with an apostrophe in front if a spreadsheet may take the text for a formula."""
    return f"'{text}" if is_formula(text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """Return the text that `guarded` has returned this text for."""
    bare = text.removeprefix("'")
    return bare if guarded(bare) == text else text


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet may take the text for a formula, or drop characters at its start."""
    if text.isalnum():
        return False
    bare = text.lstrip("'")
    if bare and unicodedata.category(bare[0]) == "Cc":
        return True
    for character in bare:
        # Blanks, line ends, and what cannot be seen.
        if unicodedata.category(character)[0] in "ZC":
            continue
        # Wide, small and raised forms become the plain characters.
        return unicodedata.normalize("NFKC", character)[0] in _STARTERS
    return False
