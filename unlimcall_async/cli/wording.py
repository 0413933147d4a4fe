"""Values as text: for people, and as JSON for programs. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from unlimcall_async import StreamStats
from unlimcall_async.cli.formats import text_of


def fields_of(model: Any) -> dict[str, Any]:
    """Return the fields of a model of the package. `extra` is among them only if the API sent undocumented fields."""
    fields = {name: getattr(model, name) for name in attrs.fields_dict(type(model))}
    if not fields["extra"]:
        del fields["extra"]
    return fields


def json_line(value: Any) -> str:
    """Return a value as JSON in one line. Money and times are text, because a number in JSON would be read as a float."""
    return json.dumps(value, ensure_ascii=False, default=text_of) + "\n"


def cell(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return plain(json.dumps(dict(value), ensure_ascii=False, default=text_of))
    return plain(value if isinstance(value, str) else text_of(value))


def plain(text: str) -> str:
    """Replace each character that a terminal could take for a command: names and error texts come from the server."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


# What messages of the package offer by `ssl`, an argument for which the command has no option.
_PYTHON: Final = re.compile(r"(, or|:) pass ssl=( with one)?")


def without_python(text: str) -> str:
    """Return a message of the package without the argument that it offers and the command does not have."""
    return _PYTHON.sub("", text)


# All that is not ASCII, and the control characters but for tabs and the ends of lines.
_SUSPECT: Final = re.compile(r"\r(?!\n)|[^\t\n\r -~]")
# What `click.style` writes.
_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]*m)")


def visible(text: str) -> str:
    """Return a text for a terminal. What the terminal could take for a command becomes the character's escape in JSON.

    Such are control characters, characters that change the direction of text, and others that cannot be seen. JSON means the same
    as before.
    """
    return _SUSPECT.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    # JSON's escapes are units of UTF-16. Text from JSON may hold half a surrogate pair.
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def visible_in_colour(text: str) -> str:
    """Return a text of the command itself for a terminal, as `visible` does, with its colours."""
    return "".join(piece if _COLOUR.fullmatch(piece) else visible(piece) for piece in _COLOUR.split(text))


# What stands for the blocks of a bar, which few encodings have: those of half a column and more, and the others.
_BLOCKS: Final = str.maketrans(dict.fromkeys("█▉▊▋▌", "#") | dict.fromkeys("▍▎▏", "-"))


def in_encoding(text: str, encoding: str) -> str:
    """Return a text with another character for each one that an encoding lacks: `#` and `-` in a bar, `?` elsewhere."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_BLOCKS).encode(encoding, "replace").decode(encoding)
    return text


def many(count: int, one: str, more: str) -> str:
    """Return a number with its noun, in the singular or the plural."""
    return f"{count:,} {one if count == 1 else more}"


def share(part: int, whole: int) -> str:
    """Return a share in per cent; `-` if there is no whole."""
    return f"{part / whole:.1%}" if whole else "-"


def size(length: int) -> str:
    """Return a length in bytes, or in megabytes from 0.1 MB on."""
    return f"{length / 1e6:,.1f} MB" if length >= 100_000 else f"{length:,} bytes"


def wait_of_each(stats: StreamStats) -> float:
    """Return the seconds that a request waited for the rate limit, on average. Several wait at once, so a sum would mislead."""
    return stats.waited_s / max(stats.requests + stats.retries, 1)
