"""Tables: in a terminal of any width, in a pipe, and with wide characters."""

from __future__ import annotations

import re
from typing import Any

import pytest
from click import unstyle
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from unlimcall_async.cli import output
from unlimcall_async.cli.tables import table

ROWS = [["日本", "1,234"], ["Zürich", "5"], ["Ελλάδα", "67"]]


def lines_of(*arguments: Any, **options: Any) -> list[str]:
    return unstyle(table(*arguments, **options)).splitlines()


def test_numbers_stand_below_each_other_beside_wide_characters() -> None:
    shown = lines_of(["country", "calls"], ROWS, width=None, sides="<>")
    assert shown == ["country   calls", "日本      1,234", "Zürich        5", "Ελλάδα       67"]
    assert {cell_len(line) for line in shown} == {15}


def test_a_terminal_has_a_line_below_the_names() -> None:
    shown = lines_of(["country", "calls"], ROWS, width=60, sides="<>")
    assert set(shown[1].strip()) == {"─"}
    assert len(shown) == 5


@pytest.mark.parametrize("term", ["xterm", "dumb"])
@pytest.mark.parametrize("width", [200, 80, 60, 40, 20])
def test_nothing_is_wider_than_the_terminal_and_nothing_is_lost(
    width: int, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    rows = [["connection", "failed", "no connection " * 5], ["読み取り", "ok", "東京" * 30]]
    shown = lines_of(["check", "result", "what was found"], rows, width=width, hints=["is it online?", ""])
    assert max(map(cell_len, shown)) <= width
    letters = re.sub(r"[\s─]", "", "".join(shown))
    expected = "".join("".join(row) for row in [["check", "result", "whatwasfound"], *rows]) + "isitonline?"
    assert sorted(letters) == sorted(expected.replace(" ", ""))


def test_a_pipe_gets_a_line_for_each_row() -> None:
    shown = lines_of(["check", "text"], [["a", "word " * 500], ["b", ""]], width=None, hints=["do this", ""])
    assert len(shown) == 3
    assert shown[1].endswith("word  (hint: do this)")


def test_no_line_ends_in_spaces_and_an_indent_counts() -> None:
    shown = lines_of([], ROWS, width=None, indent=4)
    assert shown == ["    日本     1,234", "    Zürich   5", "    Ελλάδα   67"]
    assert all(cell_len(line) <= 20 for line in lines_of([], [["x" * 50]], width=20, indent=4))


@given(st.lists(st.text(st.characters(categories=["L", "N", "S", "P"])), min_size=1), st.integers(1, 100))
def test_texts_are_not_read_as_anything_else(texts: list[str], width: int) -> None:
    markup = [[text, "[red]x[/red] :smile:"] for text in texts]
    shown = table(["a", "b"], markup, width=None)
    assert shown.count("[red]x[/red] :smile:") == len(texts)
    table(["a", "b"], markup, width=width)


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_show_them(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "60", "NO_COLOR": "", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(output, "at_terminal", lambda: True)
    output.write_table(["a", "b"], [[("x", "red"), "y"]])
    shown = capfd.readouterr().out
    assert ("\x1b[31mx" in shown, "\x1b" in shown) == (coloured, coloured)
