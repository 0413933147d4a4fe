"""The errors of a sync."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from attrs import define, field

from unlimcall_async._error_root import Category, UnlimCallError


@define(eq=False, slots=False)
class SyncBusyError(UnlimCallError):
    """Another run syncs the same table and account at this moment, or another process has a DuckDB file open.

    Attributes:
        destination: The destination, without a password.
        reason: Who has it.
    """

    _category: ClassVar[Category] = "application"

    destination: str
    reason: str

    def __str__(self) -> str:
        return f"{self.destination} is busy: {self.reason}"


def _lines(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(lines)


@define(eq=False, slots=False)
class SyncSchemaError(UnlimCallError, ValueError):
    """The table is not one that a sync can write to. Nothing was written.

    Attributes:
        destination: The destination, without a password.
        table: The name of the table.
        differences: What differs, a line for each column.
    """

    _category: ClassVar[Category] = "application"

    destination: str
    table: str
    differences: Sequence[str] = field(converter=_lines)

    def __str__(self) -> str:
        found = "; ".join(self.differences)
        return f"the table {self.table} in {self.destination} differs from the documented one: {found}"


@define(eq=False, slots=False)
class SyncDestinationError(UnlimCallError):
    """The destination failed, for example because its disk is full. The table holds what it held before this piece of time.

    The next run goes on from there.

    Attributes:
        destination: The destination, without a password.
        reason: What happened.
    """

    _category: ClassVar[Category] = "application"

    destination: str
    reason: str

    def __str__(self) -> str:
        return f"{self.destination}: {self.reason}"


class SyncConflictError(SyncDestinationError):
    """Another program has changed rows between the moment when they were read and that when they were to be written.

    A sync reads the rows again, some times, before the error reaches its caller.
    """
