"""What a sync needs of the place that it writes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.rows import Row

# How a destination finds a row again that it has returned: any value that has a hash.
Address: TypeAlias = Any


class Destination(Protocol):
    """A table of call records, with the state of the sync beside it.

    A class of your own needs a name and these five methods, which are awaited one after the other. A row is a tuple of the values
    of the columns that `unlimcall_async.sync.COLUMNS` names, in their order: text, `None`, integers of 64 bits, and a start as an
    aware datetime.

    A sync begins with `open` and ends with `close`, whatever comes between. For each piece of time it calls `rows`, and then either
    `write` or `close`. What `rows` has returned must still hold when `write` follows. So a database begins its transaction in
    `rows`.
    """

    @property
    def name(self) -> str:
        """The name of the destination in messages, without a password."""
        ...

    async def open(self, account: str) -> str | None:
        """Prepare the table for an account, and return the state that was stored last for it; `None` before the first.

        Raises:
            SyncBusyError: Another run has this table and account open.
            SyncSchemaError: The table differs from the documented one.
        """
        ...

    def unfit(self, rows: Sequence[Row]) -> Sequence[tuple[int, str, str]]:
        """Return the rows that the destination cannot hold: the place of each in `rows`, the column, and the reason."""
        ...

    async def rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        """Begin a transaction, and return the rows of the account in `[start, end)`, each with its address.

        Args:
            start: The start of the piece of time.
            end: Its end.
            most: How many rows to return at most, the oldest first; `None` for all.
        """
        ...

    async def write(self, change: Change[Address], state: str | None) -> None:
        """Write a change and the new state in one transaction: both, or neither. A state of `None` stays as it is.

        Raises:
            SyncConflictError: The rows have changed since `rows` returned them. The sync calls `rows` again.
        """
        ...

    async def close(self) -> None:
        """Undo a transaction that was begun and not written, and let go of everything that `open` took. Also after a failure."""
        ...
