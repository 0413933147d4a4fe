"""Figures of the package's shape, for each folder and for all: `python -m tests.measures`, or with `--json` for programs.

A figure shows where to look. None of them is a goal by itself: a page that reads well may miss any of them.

- helpers called once: functions and methods whose name begins with one underscore and stands exactly once in their module, as a
  name or as an attribute, beside their definition. The share is of all functions and methods.
- comments: comments for each 100 lines that are not blank. Docstrings are not comments.
- function length: lines from `def` to the last line, docstring included. Decorators are not counted.
- one importer: modules that at most one other module of the package imports. `__init__` modules are not counted, because each is
  the door of its package, but their imports are. Programs start at the modules that have no importer, for example `__main__`.
- vague verbs: docstrings that begin with Give, Let, Say, See, Take or Tell.
- pulled in: what `cdrs/stream.py` imports in the package, directly or through other modules. Imports are read as in
  `tests/test_architecture.py`: anywhere in a file, also for types only. `stream.py` itself and `__init__` modules are not counted.

`BEFORE` holds the figures of commit 5a3e641, for comparison.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

import attrs

PACKAGE = Path(__file__).parents[1] / "unlimcall_async"
STREAM = "cdrs.stream"
VAGUE_VERB = re.compile(r"(Give|Let|Say|See|Take|Tell)\b")


@attrs.frozen
class Module:
    """One file of the package, read and parsed."""

    name: str
    is_package: bool
    lines: tuple[str, ...]
    tree: ast.Module
    comments: int

    @property
    def folder(self) -> str:
        """The first folder below the package, or `.` for a file in the package itself."""
        first, _, rest = self.name.partition(".")
        return first if rest or (self.is_package and first) else "."

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    @property
    def helpers_called_once(self) -> list[str]:
        uses = Counter(
            node.id if isinstance(node, ast.Name) else node.attr
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Name | ast.Attribute)
        )
        private = [function.name for function in self.functions if re.match("_[^_]", function.name)]
        return [name for name in private if uses[name] == 1]

    @property
    def docstrings(self) -> list[str]:
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        texts = [ast.get_docstring(node) for node in ast.walk(self.tree) if isinstance(node, documented)]
        return [text for text in texts if text]

    @property
    def imports(self) -> set[str]:
        """All that the module imports, anywhere in it: modules, and names in modules."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        return found


@attrs.frozen
class Figures:
    """The figures of one folder, or of the whole package."""

    modules: int
    lines: int
    functions: int
    helpers_called_once: int
    comments_per_100_lines: float
    function_median: float
    function_90th_percentile: int
    at_most_one_importer: int
    vague_verbs: int


@attrs.frozen
class PulledIn:
    """What one module imports, directly or not."""

    modules: int
    lines: int


BEFORE = Figures(129, 12_951, 1_118, 301, 3.3, 6, 15, 51, 178)
BEFORE_PULLED_IN = PulledIn(36, 5_197)


def read_package(root: Path = PACKAGE) -> dict[str, Module]:
    """Return the modules of a package by their names, which leave out the name of the package itself."""
    modules = {}
    for path in sorted(root.rglob("*.py")):
        is_package = path.name == "__init__.py"
        parts = (path.parent if is_package else path.with_suffix("")).relative_to(root).parts
        name, text = ".".join(parts), path.read_text()
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = sum(token.type == tokenize.COMMENT for token in tokens)
        modules[name] = Module(name, is_package, tuple(text.splitlines()), ast.parse(text), comments)
    return modules


def import_graph(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Return for each module the other modules of the package that it imports, without `__init__` modules."""
    targets = {f"{PACKAGE.name}.{name}": name for name, module in modules.items() if not module.is_package}
    return {
        name: {targets[imported] for imported in module.imports & targets.keys()} - {name}
        for name, module in modules.items()
    }


def pulled_in(modules: Mapping[str, Module], start: str = STREAM) -> PulledIn:
    """Return how many modules, and how many lines, a module imports directly or through other modules."""
    graph = import_graph(modules)
    found, new = set[str](), graph[start]
    while new:
        found |= new
        new = set().union(*(graph[name] for name in new)) - found
    found -= {start}
    return PulledIn(len(found), sum(len(modules[name].lines) for name in found))


def few_importers(modules: Mapping[str, Module]) -> set[str]:
    """Return the modules that at most one other module imports."""
    importers = Counter(name for imported in import_graph(modules).values() for name in imported)
    return {name for name, module in modules.items() if not module.is_package and importers[name] <= 1}


def figures_of(modules: Iterable[Module], few: set[str]) -> Figures:
    """Return the figures of some modules; `few` names the modules of the whole package that have at most one importer."""
    modules = list(modules)
    functions = [function for module in modules for function in module.functions]
    lengths = sorted((function.end_lineno or 0) - function.lineno + 1 for function in functions) or [0]
    lines = sum(bool(line.strip()) for module in modules for line in module.lines)
    return Figures(
        modules=len(modules),
        lines=lines,
        functions=len(functions),
        helpers_called_once=sum(len(module.helpers_called_once) for module in modules),
        comments_per_100_lines=round(100 * sum(module.comments for module in modules) / max(lines, 1), 1),
        function_median=median(lengths),
        function_90th_percentile=lengths[len(lengths) * 9 // 10],
        at_most_one_importer=sum(module.name in few for module in modules),
        vague_verbs=sum(bool(VAGUE_VERB.match(text)) for module in modules for text in module.docstrings),
    )


def figures_by_folder(modules: Mapping[str, Module]) -> dict[str, Figures]:
    """Return the figures of each folder by its name, and of the whole package under `all`."""
    few, folders = few_importers(modules), sorted({module.folder for module in modules.values()})
    return {
        **{folder: figures_of([m for m in modules.values() if m.folder == folder], few) for folder in folders},
        "all": figures_of(modules.values(), few),
    }


def table(rows: Mapping[str, Figures]) -> str:
    """Return the figures as text, one folder a line."""
    heads = (
        "",
        "modules",
        "lines",
        "functions",
        "once",
        "share",
        "comments",
        "median",
        "p90",
        "1 importer",
        "vague verbs",
    )
    cells = [heads] + [
        (
            *(name, str(row.modules), str(row.lines), str(row.functions), str(row.helpers_called_once)),
            *(f"{row.helpers_called_once / max(row.functions, 1):.0%}", f"{row.comments_per_100_lines:.1f}"),
            *(f"{row.function_median:g}", str(row.function_90th_percentile), str(row.at_most_one_importer)),
            str(row.vague_verbs),
        )
        for name, row in rows.items()
    ]
    return "\n".join(line[0].ljust(11) + " ".join(cell.rjust(11) for cell in line[1:]) for line in cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.measures", description="Print figures of the package's shape."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    modules = read_package()
    folders, stream = figures_by_folder(modules), pulled_in(modules)
    if as_json:
        now = {"folders": {name: attrs.asdict(row) for name, row in folders.items()}, "pulled_in": attrs.asdict(stream)}
        before = {"folders": {"all": attrs.asdict(BEFORE)}, "pulled_in": attrs.asdict(BEFORE_PULLED_IN)}
        print(json.dumps({"now": now, "before": before}, indent=2))
        return
    print(table({**folders, "before": BEFORE}))
    print(
        f"\ncdrs/stream.py pulls in {stream.modules} modules of {stream.lines:,} lines"
        f" (before: {BEFORE_PULLED_IN.modules} of {BEFORE_PULLED_IN.lines:,})"
    )


if __name__ == "__main__":
    main()
