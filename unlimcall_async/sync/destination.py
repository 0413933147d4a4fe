"""What a sync needs of the place that it writes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias, runtime_checkable

from attrs import frozen

from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.entries import ManifestEntry
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


@runtime_checkable
class ManifestDestination(Destination, Protocol):
    """A destination that also keeps the manifest of the table: `read_manifest` returns what its entries add up to.

    A class of your own that has `entries` is one. Then `write` gets entries with the change. In the transaction of the rows, it
    removes the entries that begin at the times of `change.outdated`, and then stores those of `change.entries`.
    """

    async def entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        """Return the entries of the account that begin in `[start, end)`, by time. Called before `rows`, in no transaction."""
        ...


@frozen
class Stored:
    """What is stored beside a table for an account, as it was at one moment.

    Attributes:
        account: The account.
        state: The state of the sync.
        entries: The entries of the manifest, by time.
    """

    account: str
    state: str
    entries: Sequence[ManifestEntry]


def one_account(accounts: Sequence[str], account: str | None, table: str | None = None) -> str:
    """Return the account of a table to read.

    Args:
        accounts: The accounts that have been synced into the table.
        account: The one that is wanted, or `None` for the only one.
        table: The name of the table; `None` for a folder, which is one table.

    Raises:
        ValueError: It is not there, or there are several.
    """
    if account is None and len(accounts) == 1:
        return accounts[0]
    if account in accounts:
        return str(account)
    if not accounts:
        raise ValueError(f"no sync has written {'anything' if table is None else f'table {table!r}'} there")
    there = ", ".join(map(repr, sorted(accounts)[:10]))
    if account is None:
        raise ValueError(f"account is missing, and several were synced there: {there}")
    raise ValueError(f"no sync has written account {account!r} there; synced were: {there}")
