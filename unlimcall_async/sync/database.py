"""What the destinations in databases share: the one connection of a run, and its transactions.

A transaction may begin in one piece of work and end in a later one: `_rows` begins it, and `_write` ends it. If either fails, the
transaction is undone at once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, Protocol, TypeVar

from unlimcall_async.sync.threaded import ThreadedDestination


class Connection(Protocol):
    """What the connections of all drivers can do."""

    def close(self) -> None:
        """Undo a transaction that is open, and let go of the database."""


C = TypeVar("C", bound=Connection)


class DatabaseDestination(ThreadedDestination, Generic[C]):
    """A destination whose `_open` sets `_connection`, and `_account`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._account = ""
        self._connection: C | None = None

    @abstractmethod
    def _roll_back(self, connection: C) -> None:
        """Undo a transaction that is open. An error of the driver is passed over: the one before counts."""

    @abstractmethod
    def _failures(self) -> AbstractContextManager[None]:
        """Raise an error of the sync for each error of the driver in the block."""

    @contextmanager
    def _transaction(self) -> Iterator[C]:
        """Undo the transaction if the block fails."""
        connection = self._connection
        if connection is None:
            raise RuntimeError("the destination is not open")
        try:
            with self._failures():
                yield connection
        except BaseException:
            self._roll_back(connection)
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            super()._close()
