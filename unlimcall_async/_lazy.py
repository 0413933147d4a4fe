"""Modules that are slow to import, and that only annotations name: they are imported when a tool asks for the annotations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from attrs import frozen


@frozen
class LazyModule:
    """A module that is imported when one of its attributes is first asked for.

    `typing.get_type_hints` evaluates an annotation in the module of its function. So the name must be there, also if type checkers
    take it from an import under `TYPE_CHECKING`.
    """

    name: str

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            # Tools ask any object for such names, and those of a module are of no use to an annotation.
            raise AttributeError(attribute)
        return getattr(import_module(self.name), attribute)
