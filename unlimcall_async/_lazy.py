"""Modules that are imported when they are first used, and not with the module that names them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class LazyModule:
    """A module that is imported when one of its attributes is first asked for.

    A type checker takes the name from an import under `TYPE_CHECKING`. Annotations may use it, too: `typing.get_type_hints`
    evaluates an annotation in the module of its function, so the name must be there.
    """

    __slots__ = ("_module", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            # Tools ask any object for such names, and those of a module are of no use to an annotation.
            raise AttributeError(attribute)
        # Not taken from `sys.modules`, where another thread may find the module before it is whole.
        self._module = self._module or import_module(self._name)
        return getattr(self._module, attribute)

    def __repr__(self) -> str:
        return f"<lazy module {self._name}>"
