"""Check a built site: `python .ci/site.py SITE`. The reference and `llms-full.txt` have all public names."""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.util.inventory import InventoryFile

import unlimcall_async

site = Path(sys.argv[1])
listed = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
documented = {name for kind, names in listed.items() if kind.startswith("py:") for name in names}
text = (site / "llms-full.txt").read_text()


def public_modules() -> Iterator[ModuleType]:
    """Return the modules that say which names are public."""
    yield unlimcall_async
    for found in pkgutil.walk_packages(unlimcall_async.__path__, "unlimcall_async."):
        if not re.search(r"\._", found.name):
            module = importlib.import_module(found.name)
            if hasattr(module, "__all__"):
                yield module


def letters(some: str) -> str:
    """Return a text without what a translation to plain text changes: spaces, line ends and quotes."""
    return re.sub(r"\W", "", some)


def missing(places: list[str], value: Any) -> str | None:
    """Return what the site lacks of a value that has a name in several modules."""
    place = next((place for place in places if place in documented), None)
    if place is None:
        return "is not in the reference"
    if not re.search(rf"\b{re.escape(place)}\b", text):
        return "is not in llms-full.txt"
    is_ours = inspect.isroutine(value) or (inspect.isclass(value) and value.__module__.startswith("unlimcall_async"))
    docstring = inspect.getdoc(value) if is_ours else None
    if docstring and letters(docstring.splitlines()[0]) not in words:
        return "is in llms-full.txt without its docstring"
    return None


words = letters(text)
modules = list(public_modules())
failures = 0
for module in modules:
    for name in module.__all__:
        value = getattr(module, name)
        others = [other for other in modules if name in other.__all__ and getattr(other, name) is value]
        if problem := missing([f"{other.__name__}.{name}" for other in others], value):
            print(f"{module.__name__}.{name} {problem}")
            failures += 1
sys.exit(failures > 0)
