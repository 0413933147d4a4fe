"""What a notebook shows of streams and pages. No I/O.

Texts come from the server and from whoever calls, so every one is escaped, and cut if it is long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

# Rows of a table: as many as fit on a screen.
MOST_ROWS: Final = 20
# Characters of a cell. A name or a number is shorter.
_LONGEST: Final = 120


def facts(title: str, values: Mapping[str, object]) -> str:
    """Return a title, and a table of names and values."""
    rows = "".join(f"<tr><th>{cell(name)}</th><td>{cell(value)}</td></tr>" for name, value in values.items())
    return f"<div><b>{cell(title)}</b><table>{rows}</table></div>"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]], more: int) -> str:
    """Return a title, a table, and how many more rows there are."""
    names = "".join(f"<th>{cell(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell(value)}</td>' for value in row)}</tr>" for row in rows)
    end = f"<div>and {more:,} more</div>" if more else ""
    return f"<div><b>{cell(title)}</b><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>{end}</div>"


def cell(value: object) -> str:
    """Return a value as people read it, escaped."""
    from html import escape  # noqa: PLC0415 # it brings a table of all entities, and few programs run in a notebook

    if value is None:
        return ""
    text = value.isoformat(" ") if isinstance(value, datetime) else str(value)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\u2026"
    # What cannot be seen may change the direction of the text behind it.
    return escape("".join(character if character.isprintable() else "\ufffd" for character in shown))
