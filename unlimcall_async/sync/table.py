"""The table of call records in SQL: its columns, how it is made, and how a table that is there differs from it.

Pure: no I/O. What is different between databases is a `Dialect`. All else stands here once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from attrs import field, frozen

from unlimcall_async.sync.rows import ACCOUNT, COLUMNS, Kind

# The table that holds the state of each table and account.
STATE_TABLE: Final = "unlimcall_sync"
# The table that holds the entries of their manifests.
MANIFEST_TABLE: Final = "unlimcall_sync_manifest"

ALL_COLUMNS: Final = (ACCOUNT, *COLUMNS)

_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


@frozen
class Dialect:
    """What a database calls its types.

    Attributes:
        types: The type of each kind of column.
        accepted: Further types that hold exactly the same values.
        ignores_case: Whether names that differ in case alone are the same name.
    """

    types: Mapping[Kind, str]
    accepted: Mapping[Kind, frozenset[str]] = field(factory=dict)
    ignores_case: bool = True

    def is_right(self, kind: Kind, found: str) -> bool:
        """Return whether a column of this type holds the values of a kind."""
        return found.casefold() in {self.types[kind].casefold(), *self.accepted.get(kind, ())}

    def folded(self, name: str) -> str:
        """Return a text that is the same for all spellings of a name. Databases take letters beyond ASCII as they are."""
        return name.translate(_LOWER) if self.ignores_case else name


@frozen
class Found:
    """A column of a table that is there.

    Attributes:
        name: Its name.
        type: Its type, as the database writes it.
        not_null: Whether each row must have a value.
        filled: Whether a row that names no value gets one, or `None` may stand there.
        generated: Whether the database computes its values.
    """

    name: str
    type: str
    not_null: bool = False
    filled: bool = False
    generated: bool = False


def quoted(*names: str) -> str:
    """Return a name, with the names that it belongs to before it, as SQL writes any name."""
    return ".".join('"{}"'.format(name.replace('"', '""')) for name in names)


def names(*, before: str = "", after: str = "") -> str:
    """Return the names of all columns as a list in SQL, each between two texts."""
    return ", ".join(f"{before}{quoted(column.name)}{after}" for column in ALL_COLUMNS)


def create_table(table: str, dialect: Dialect) -> str:
    """Return the statement that makes the table, given its quoted name."""
    columns = (
        f"{quoted(column.name)} {dialect.types[column.kind]}{' NOT NULL' if column.required else ''}"
        for column in ALL_COLUMNS
    )
    return f"CREATE TABLE {table} ({', '.join(columns)})"


def create_state_table(table: str, dialect: Dialect, *, key: bool = True) -> str:
    """Return the statement that makes the table of states, with or without a key, unless it is there, given its quoted name."""
    text = dialect.types["text"]
    columns = f"table_name {text} NOT NULL, account {text} NOT NULL, state {text} NOT NULL"
    return f"CREATE TABLE IF NOT EXISTS {table} ({columns}{', PRIMARY KEY (table_name, account)' if key else ''})"


def create_manifest_table(table: str, dialect: Dialect, *, key: bool = True) -> str:
    """Return the statement that makes the table of manifests, with or without a key, unless it is there, given its quoted name.

    `begins` is the start of an entry, in microseconds since 1970.
    """
    text, integer = dialect.types["text"], dialect.types["integer"]
    columns = f"table_name {text} NOT NULL, account {text} NOT NULL, begins {integer} NOT NULL, entry {text} NOT NULL"
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({columns}{', PRIMARY KEY (table_name, account, begins)' if key else ''})"
    )


def differences(columns: Iterable[Found], dialect: Dialect) -> list[str]:
    """Return how the columns of a table differ from the documented ones, as far as that matters."""
    found = {dialect.folded(column.name): column for column in columns}
    lines = list[str]()
    for column in ALL_COLUMNS:
        there = found.pop(column.name, None)
        wanted = dialect.types[column.kind]
        if there is None:
            lines.append(f"{column.name} is missing, and must be {wanted}")
        elif there.generated:
            lines.append(f"{column.name} is generated, and must be written")
        elif not dialect.is_right(column.kind, there.type):
            lines.append(f"{column.name} is {there.type or 'without a type'}, and must be {wanted}")
        elif there.not_null and not column.required:
            lines.append(f"{column.name} is NOT NULL, and may be empty in a call record")
    lines += [
        f"{column.name} is not a documented column, is NOT NULL, and has no default"
        for column in found.values()
        if column.not_null and not column.filled and not column.generated
    ]
    return lines
