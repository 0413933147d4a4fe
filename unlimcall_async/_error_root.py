"""The root of the error tree, and the error that checkpoints raise.

The two stand apart from `errors`, because errors hold checkpoints, and checkpoints raise an error. Users import them from `errors`.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

Category: TypeAlias = Literal["application", "provider", "network"]


def in_a_line(text: str) -> str:
    """Return words of the server fit for a log and a terminal: in one line, and without control characters."""
    return "".join(each if each.isprintable() else "\ufffd" for each in " ".join(text.split()))


class UnlimCallError(Exception):
    """The base class of all errors of the package."""

    __module__ = "unlimcall_async.errors"  # where users, tracebacks and pickles find the class

    _category: ClassVar[Category] = "application"
    outcome_unknown: bool = False

    @property
    def category(self) -> Category:
        """Who is to blame: `"application"` (the caller), `"provider"` (the API) or `"network"` (no response came)."""
        return self._category


class CheckpointError(UnlimCallError, ValueError):
    """The checkpoint is not valid, is of another version, or does not fit the range that was asked for."""

    __module__ = "unlimcall_async.errors"  # as above

    _category: ClassVar[Category] = "application"
