"""The destination that a URL names.

The URLs are those of SQLAlchemy: three slashes before a path that begins in the working directory, four before one that begins at
the root. A drive of Windows stands behind three: `sqlite:///C:/data/calls.db`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from unlimcall_async import _arguments
from unlimcall_async._extras import of_extra
from unlimcall_async._platform import name_fault
from unlimcall_async.sync.table import MANIFEST_TABLE, STATE_TABLE
from unlimcall_async.sync.threaded import ThreadedDestination

_FORMS: Final = "sqlite:///FILE, duckdb:///FILE, postgresql://USER@HOST/DATABASE or parquet:///FOLDER"

_DEFAULT_TABLE: Final = "cdrs"


def destination_at(url: str, table: str) -> ThreadedDestination:
    """Return the destination of a URL. Nothing is opened yet.

    Raises:
        ValueError: The URL is not one of a destination, or the name of the table is not valid. No message quotes a password.
        ImportError: The extra that the destination needs is not installed.
    """
    url, table = _arguments.text("destination", url), _table(table)
    scheme, colon, rest = url.partition("://")
    if not colon:
        raise ValueError(f"destination must be a URL like {_FORMS}")
    match scheme.lower():
        case "sqlite":
            from unlimcall_async.sync.sqlite import SqliteDestination  # noqa: PLC0415 # a sync loads one driver

            return SqliteDestination(url, _path(rest, "file"), table)
        case "duckdb":
            with of_extra("a sync into DuckDB", "duckdb", "duckdb"):
                from unlimcall_async.sync.duckdb import DuckDbDestination  # noqa: PLC0415 # as above

            return DuckDbDestination(url, _path(rest, "file"), table)
        case "parquet":
            if table != _DEFAULT_TABLE:
                raise ValueError("table is for databases: the folder is the table")
            with of_extra("a sync into Parquet files", "arrow", "pyarrow"):
                from unlimcall_async.sync.parquet_days import ParquetDestination  # noqa: PLC0415 # as above

            return ParquetDestination(url, _path(rest, "folder"))
        case "postgresql" | "postgres" | "postgresql+psycopg":
            with of_extra("a sync into PostgreSQL", "postgres", "psycopg"):
                from unlimcall_async.sync.postgres import PostgresDestination  # noqa: PLC0415 # as above

            return PostgresDestination(f"postgresql://{rest}", table)
    raise ValueError(f"destination must be a URL like {_FORMS}")


def _table(table: object) -> str:
    name = _arguments.text("table", table)
    if not name or "\0" in name:
        raise ValueError("table must be the name of a table")
    if name.casefold() in {STATE_TABLE, MANIFEST_TABLE}:
        raise ValueError(f"table must not be {name.casefold()}, which holds what a sync stores beside its tables")
    return name


def _path(rest: str, kind: str) -> Path:
    """Return the path of the file or folder of a URL, given what stands behind its two slashes."""
    if not rest.startswith("/"):
        raise ValueError(
            f"destination names a host, and a {kind} has none: "
            "write three slashes before a relative path, four before an absolute one"
        )
    path = rest[1:]
    if "?" in path or "#" in path:
        raise ValueError(f"destination takes no parameters behind the name of a {kind}")
    if path in {"", ":memory:"} or "\0" in path:
        raise ValueError(f"destination must name a {kind}")
    if fault := name_fault(Path(path).name):
        raise ValueError(f"destination must name a {kind}: {fault}")
    return Path(path)
