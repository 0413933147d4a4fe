"""The measures, of a package small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import measures
from tests.measures import Figures, PulledIn

pytestmark = pytest.mark.own_rules

SOURCES = {
    "__init__.py": '"""Map."""\nfrom unlimcall_async.top import Top\n',
    "top.py": """
from unlimcall_async.room.shelf import book


class Top:
    \"\"\"Tell nothing.\"\"\"

    def read(self):
        # The one comment.
        return self._page() + book()

    def _page(self):
        return _helper() + _helper()


def _helper():
    return 1
""",
    "room/__init__.py": "",
    "room/shelf.py": "from unlimcall_async.room import paper\n\n\ndef book():\n    return paper.SIZE\n",
    "room/paper.py": "SIZE = 1\n",
    "__main__.py": "import unlimcall_async.top\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "unlimcall_async" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "unlimcall_async"


def test_the_figures_of_a_small_package(package: Path) -> None:
    figures = measures.figures_by_folder(measures.read_package(package))
    assert figures == {
        ".": Figures(3, 13, 3, 1, 7.7, 2, 3, 1, 1),
        "room": Figures(3, 4, 1, 0, 0.0, 2, 2, 2, 0),
        "all": Figures(6, 17, 4, 1, 5.9, 2, 3, 3, 1),
    }


def test_what_a_module_pulls_in(package: Path) -> None:
    modules = measures.read_package(package)
    assert measures.pulled_in(modules, "top") == PulledIn(2, 6)
    assert measures.pulled_in(modules, "room.paper") == PulledIn(0, 0)


def test_the_table_has_a_line_for_each_folder(package: Path) -> None:
    folders = measures.figures_by_folder(measures.read_package(package))
    lines = measures.table(folders).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [*folders]
    assert folders.keys() == {".", "room", "all"}
