"""Checks of arguments by their kind: a flag, the path of a file, a number of things, an object with methods.

Pure: no I/O. As in `_arguments`, a check returns the value to use, or raises `TypeError` or `ValueError` with the name of the
argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def flag(name: str, value: object) -> bool:
    """Require a `bool`. Any other value is refused, because `"no"` would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value


def file_path(name: str, value: Any) -> Path:
    """Require the path of a file: a `str`, or an object that stands for one, for example a `Path`."""
    try:
        path = Path(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, not {type(value).__name__}") from None
    # A `Path` of it is the folder in which the program runs. For example, a variable of the environment is empty.
    if isinstance(value, str) and not value:
        raise ValueError(f"{name} must not be empty")
    if "\0" in str(path):
        raise ValueError(f"{name} must not hold a null character")
    return path


def many(name: str, values: Iterable[T], kind: type[T]) -> Iterable[T]:
    """Require an iterable that is not a single text. Its elements, which are to be of this class, are not looked at."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be an iterable of {kind.__name__}, not {type(values).__name__}")
    return values


def all_of(name: str, values: Iterable[T], kind: type[T]) -> list[T]:
    """Require an iterable whose elements are of this class. Return them as a list."""
    taken = list(many(name, values, kind))
    for each in taken:
        if not isinstance(each, kind):
            raise TypeError(f"{name} must hold {kind.__name__} only, not {type(each).__name__}")
    return taken


def require_methods(name: str, value: object, kind: str, *methods: str) -> None:
    """Require an object with these methods. `kind` says in words what has them."""
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise TypeError(f"{name} must be {kind}, not {type(value).__name__}, which has no method {method}")
