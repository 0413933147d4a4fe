"""Tables as text. No I/O: the caller says how wide the terminal is.

rich measures a wide character as two cells, as terminals do. A pipe or a file gets each row as one line, however long.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from typing import Final, TypeAlias

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A text, or a text and its style in the words of rich. Texts must be `plain`.
Cell: TypeAlias = str | tuple[str, str]

# Columns of a pipe or a file: more than any line has.
_UNBOUNDED: Final = 1_000_000
# Cells: a column of shorter texts does not wrap as long as another can.
_SHORT: Final = 24
# Cells that are left to the columns that wrap: room for a word.
_WORD: Final = 12
# Spaces between two columns, one less in a narrow terminal.
_GAP: Final = 3
_ROOMY: Final = 80

# Spaces that end a line, and the codes of colours among them, which must stay.
_TRAILING: Final = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    width: int | None,
    sides: str = "",
    hints: Sequence[str] = (),
    indent: int = 0,
) -> str:
    """Return a table as lines, with the colours of a terminal.

    Args:
        head: The names of the columns; empty for a table without names.
        rows: The rows, which all have as many cells.
        width: The columns of the terminal; `None` for a pipe or a file.
        sides: `<` or `>` for each column; `<` for those behind the last.
        hints: What the user can do, for each row, or an empty text. The hint stands below the last text of its row, or behind it.
        indent: Spaces before each line.
    """
    longest = [max(map(_length, column)) for column in zip(*([head] if head else []), *rows, strict=True)]
    room = _UNBOUNDED if width is None else width - indent
    boxed = width is not None and bool(head)
    gap = _GAP if room >= _ROOMY else _GAP - 1
    short = [length <= _SHORT for length in longest]
    # In a very narrow terminal all columns wrap, so that no text is cut off.
    fits = sum(length + gap for length, is_short in zip(longest, short, strict=True) if is_short) + _WORD <= room
    # The line below the names is for terminals: a program that reads the rows has no use for it.
    made = Table(
        box=box.SIMPLE_HEAD if boxed else None,
        show_header=bool(head),
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        # A box has a space of its own between columns.
        padding=(0, gap - boxed, 0, 0),
        header_style="bold",
    )
    for number, is_short in enumerate(short):
        side = sides[number : number + 1] or "<"
        made.add_column(
            head[number] if head else "",
            justify="right" if side == ">" else "left",
            no_wrap=is_short and fits,
            overflow="fold",
        )
    for number, row in enumerate(rows):
        cells = [Text(cell) if isinstance(cell, str) else Text(*cell) for cell in row]
        if hints and hints[number]:
            hint = f" (hint: {hints[number]})" if width is None else f"\n{hints[number]}"
            cells[-1] = cells[-1] + Text(hint, "italic")
        made.add_row(*cells)
    return _rendered(made, room, indent)


def _length(cell: Cell) -> int:
    return cell_len(cell if isinstance(cell, str) else cell[0])


def _rendered(what: Table, width: int, indent: int) -> str:
    """Return what rich shows in so many columns, without the spaces at the end of lines."""
    written = io.StringIO()
    # `write_styled` takes the colours out where they do not belong. The environment decides nothing here.
    console = Console(
        file=written,
        width=max(width, 1),
        # Without a height, rich would take 80 columns for any terminal with TERM=dumb. A table has no height.
        height=25,
        force_terminal=True,
        color_system="standard",
        no_color=False,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        force_jupyter=False,
    )
    console.print(what, end="")
    text = _TRAILING.sub(r"\1", written.getvalue()).rstrip("\n")
    return textwrap.indent(text, " " * indent) + "\n"
