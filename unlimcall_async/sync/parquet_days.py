"""A folder of Parquet files, one for each account and UTC day, as Hive readers expect: `account=.../date=YYYY-MM-DD/calls.parquet`.

A file is replaced as a whole: it is written elsewhere, and takes its name in one step. So a reader always sees whole files. A piece
of time may span days, and the state is stored behind all of them. After a kill between two days, the next run asks the piece again,
and finds some days as they should be.

Some readers, for example polars, refuse a folder that holds any other file, hidden or not. So the state, the lock and the file that
is being written are in a hidden folder beside the folder. The state of an account counts only if the account's folder is there.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped] # as above

from unlimcall_async import _platform
from unlimcall_async._columns import SCHEMA
from unlimcall_async.cdrs.times import EPOCH, FIRST, LAST, to_datetime, to_micros
from unlimcall_async.sync.destination import Address, Stored, one_account
from unlimcall_async.sync.diff import Change
from unlimcall_async.sync.entries import ManifestEntry
from unlimcall_async.sync.errors import SyncConflictError, SyncDestinationError, SyncSchemaError
from unlimcall_async.sync.file_lock import locked, locked_by_itself
from unlimcall_async.sync.parquet_entries import DayEntries, Version
from unlimcall_async.sync.rows import COLUMNS, START, Row, start_of
from unlimcall_async.sync.threaded import ThreadedDestination

_NAMES: Final = SCHEMA.names

_ACCOUNT: Final = "account="
_STATE: Final = ".json"
_FILE: Final = "calls.parquet"
# What readers take for a missing value: Hive writes the first, and DuckDB 1 reads the second so, in any case.
_MISSING: Final = frozenset({"__HIVE_DEFAULT_PARTITION__", "NULL"})
# What the longest name of a file of an account adds to the account's.
_ENDING: Final = len(".0123456789ab.lock")
_DAY: Final = re.compile(r"date=\d{4}-\d\d-\d\d")
# Rows of a group, as in files of `write_parquet`: groups of some 20,000 rows and less make a file several times as large.
_GROUP_ROWS: Final = 100_000
_MICROSECOND: Final = timedelta(microseconds=1)


class ParquetDestination(ThreadedDestination):
    """A folder of Parquet files.

    Args:
        name: The name in messages.
        folder: The folder, which is made if it is not there.
    """

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self._root = folder
        # The folder of the account, and the hidden folder with the state and the file that is being written.
        self._folder = self._own = self._state = self._new = folder
        self._proofs = DayEntries(folder)
        # Which files the rows that were read last stand in, by day.
        self._seen = dict[date, Version]()

    # --- begin and end ------------------------------------------------------------------------------------------------

    def _open(self, account: str) -> str | None:
        if account.upper() in _MISSING:
            raise ValueError(f"account must not be {account}, which readers of such folders take for a missing value")
        name = self._find(account)
        if fault := _platform.name_fault(name):
            raise ValueError(f"account {account!r} cannot name a file: {fault}")
        with self._failures():
            self._own.mkdir(parents=True, exist_ok=True)
            _check_length(account, name, self._own)
        self._locks.append(locked(self.name, self._own, name, (account,)))
        with self._failures():
            if not self._folder.exists():
                self._state.unlink(missing_ok=True)  # of a folder that was removed
                self._proofs.remove()
                self._folder.mkdir(parents=True)
            self._check_folder(account)
            self._locks += locked_by_itself(self.name, self._folder, (account,))
            self._new.unlink(missing_ok=True)  # of a process that was killed
            self._proofs.settle_all(self._version)
            with suppress(FileNotFoundError):
                return self._state.read_text(encoding="utf-8")
            return None

    def _find(self, account: str) -> str:
        """Find the folders and files of an account, which need not be there. Return its name in theirs."""
        root, name = self._root.resolve(), quote(account, safe="")
        self._folder, self._own = root / f"{_ACCOUNT}{name}", root.with_name(f".{root.name}.unlimcall-sync")
        self._state, self._new = self._own / f"{name}{_STATE}", self._own / f"{name}.new"
        self._proofs = DayEntries(self._own / f"{name}.days")
        return name

    def _look(self, account: str | None) -> Stored:
        self._find("")
        with self._failures():
            names = [path.name.removesuffix(_STATE) for path in self._own.glob(f"*{_STATE}")]
            root = self._root.resolve()
            there = [unquote(name) for name in names if (root / f"{_ACCOUNT}{name}").is_dir()]
            account = one_account(there, account)
            self._find(account)
            # Before the entries: those that a sync stores meanwhile lie behind what the state says.
            state = self._state.read_text(encoding="utf-8")
            return Stored(account, state, self._entries(to_datetime(FIRST), to_datetime(LAST)))

    def _check_folder(self, account: str) -> None:
        """Check that no other account has the account's folder: file systems may take names for the same one.

        Raises:
            ValueError: It has.
        """
        own = self._folder.stat()
        with os.scandir(self._folder.parent) as entries:
            others = [entry for entry in entries if entry.name.startswith(_ACCOUNT) and entry.name != self._folder.name]
        for other in others:
            if os.path.samestat(own, Path(other).stat()):
                with suppress(OSError):  # the other account has rows
                    self._folder.rmdir()
                raise ValueError(
                    f"account {account!r} cannot have a folder of its own: {self._folder.name} and {other.name} are the same folder"
                )

    # --- a piece of time ----------------------------------------------------------------------------------------------

    def _entries(self, start: datetime, end: datetime) -> Sequence[ManifestEntry]:
        with self._failures():
            found = (each for day in self._proofs.days(start, end) for each in self._proofs.of(day, self._version(day)))
            return [each for each in found if start <= each.start < end]

    def _rows(self, start: datetime, end: datetime, most: int | None) -> Sequence[tuple[Address, Row]]:
        found = list[tuple[Address, Row]]()
        self._seen.clear()
        with self._failures():
            for day in self._days(start, end):
                self._seen[day] = self._version(day)
                left = None if most is None else most - len(found)
                if left == 0:
                    break
                with pq.ParquetFile(self._file(day)) as file:
                    self._check(day, file.schema_arrow)
                    found += _rows_within(file, day, to_micros(start), to_micros(end), left)
        return found

    def _days(self, start: datetime, end: datetime) -> list[date]:
        """Return the days of a range that have a file."""
        if start >= end:
            return []
        first, last = f"date={start.date().isoformat()}", f"date={(end - _MICROSECOND).date().isoformat()}"
        entries = (entry.name for entry in os.scandir(self._folder) if first <= entry.name <= last)
        names = sorted(name for name in entries if _DAY.fullmatch(name))
        days = (date.fromisoformat(name.removeprefix("date=")) for name in names)
        return [day for day in days if self._file(day).exists()]

    def _version(self, day: date) -> Version:
        """Return what tells a file from the one that it replaces, or `None` if the day has no file."""
        return _version(self._file(day))

    def _file(self, day: date) -> Path:
        return self._folder / f"date={day.isoformat()}" / _FILE

    def _check(self, day: date, schema: pa.Schema) -> None:
        """Check the columns of a file. Those of the user may stand behind the documented ones.

        Raises:
            SyncSchemaError: A documented column is missing, or of another type.
        """
        types = dict(zip(schema.names, schema.types, strict=True))
        lines = [
            f"{field.name} is {f'{types[field.name]}, and' if field.name in types else 'missing, and'} must be {field.type}"
            for field in SCHEMA
            if not _holds(types.get(field.name), field.type)
        ]
        if lines:
            raise SyncSchemaError(self.name, f"date={day.isoformat()}", lines)

    def _write(self, change: Change[Address], state: str | None) -> None:
        days = defaultdict[date, _DayChange](_DayChange)
        for row in change.inserted:
            days[start_of(row).date()].inserted.append(row)
        for (day, place), row in change.revised:
            days[day].revised[place] = row
        for day, place in change.removed:
            days[day].removed.append(place)
        outdated, entries = set(change.outdated), defaultdict[date, list[ManifestEntry]](list)
        for entry in change.entries:
            entries[entry.start.date()].append(entry)
        proven = {*entries, *(at.date() for at in outdated)}
        with self._failures():
            for day in sorted({*days, *proven}):
                left = [each for each in self._proofs.of(day, self._version(day)) if each.start not in outdated]
                own = sorted([*left, *entries[day]], key=lambda entry: entry.start)
                if day in days:
                    self._rewrite(day, days[day], own)
                else:
                    self._proofs.prepare(day, own, self._version(day))
                self._proofs.settle(day, self._version(day))
            if proven:
                self._proofs.sync()
            if state is not None:
                self._replace_state(state)

    def _rewrite(self, day: date, change: _DayChange, entries: Sequence[ManifestEntry]) -> None:
        """Replace the file of a day by one with a change, which has these entries."""
        path = self._file(day)
        if self._version(day) != self._seen.get(day):
            # The rows that are to change may stand elsewhere now.
            raise SyncConflictError(self.name, f"another program changed date={day.isoformat()}")
        count = 0
        if path.exists():
            with pq.ParquetFile(path) as file:
                count = self._write_new(file.schema_arrow, change.applied(file.iter_batches(_GROUP_ROWS)))
        else:
            count = self._write_new(SCHEMA, change.applied(()))
        self._proofs.prepare(day, entries, _version(self._new) if count else None)
        if count:
            path.parent.mkdir(exist_ok=True)
            self._new.replace(path)
            with suppress(OSError):  # the file has its name all the same
                _platform.sync_folder(path.parent)
        else:
            self._new.unlink()
            path.unlink(missing_ok=True)
            with suppress(OSError):  # the user's files are in the folder
                path.parent.rmdir()

    def _write_new(self, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
        """Write tables to the new file, and return how many rows they have."""
        schema = pa.schema([*SCHEMA, *(field.with_nullable(True) for field in schema if field.name not in _NAMES)])
        count, waiting, held = 0, list[pa.Table](), 0
        with self._new.open("wb") as target:
            with pq.ParquetWriter(target, schema, compression="zstd") as writer:
                for table in tables:
                    waiting.append(table.select([name for name in schema.names if name in table.column_names]))
                    held += table.num_rows
                    count += table.num_rows
                    if held >= _GROUP_ROWS:
                        writer.write_table(_as(schema, waiting), row_group_size=_GROUP_ROWS)
                        waiting, held = [], 0
                if held:
                    writer.write_table(_as(schema, waiting), row_group_size=_GROUP_ROWS)
            target.flush()
            os.fsync(target.fileno())
        return count

    def _replace_state(self, state: str) -> None:
        with self._new.open("w", encoding="utf-8") as target:
            target.write(state)
            target.flush()
            os.fsync(target.fileno())
        self._new.replace(self._state)
        with suppress(OSError):  # as above
            _platform.sync_folder(self._own)

    # --- failures -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise SyncDestinationError(self.name, reason or str(error).partition("\n")[0]) from error


def _check_length(account: str, name: str, folder: Path) -> None:
    """Check that the files of an account can have their names.

    Raises:
        ValueError: The names are too long.
    """
    longest = _platform.longest_name(folder) - _ENDING
    if len(name) > longest:
        raise ValueError(
            f"account is too long for the name of a folder: {account[:20]!r}... takes {len(name)} bytes there, "
            f"and may take {longest}"
        )


def _version(path: Path) -> Version:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class _DayChange:
    """What changes in the file of a day.

    Attributes:
        inserted: Rows to insert.
        revised: New contents, by the place of the row in the file.
        removed: The places of rows to leave out.
    """

    def __init__(self) -> None:
        self.inserted: list[Row] = []
        self.revised: dict[int, Row] = {}
        self.removed: list[int] = []

    def applied(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        """Iterate over the rows of the file with the change. A file that is sorted by start stays so."""
        self.inserted.sort(key=start_of)
        removed, begin, done = set(self.removed), 0, 0
        for batch in batches:
            table = _documented(pa.Table.from_batches([batch]))
            places = range(begin, begin + table.num_rows)
            begin += table.num_rows
            revised = [place for place in places if place in self.revised]
            left = [place - places.start for place in places if place not in removed and place not in self.revised]
            last = max(table["start_time"].cast(pa.int64()).to_pylist())
            upto = done
            while upto < len(self.inserted) and to_micros(start_of(self.inserted[upto])) < last:
                upto += 1
            if len(left) == table.num_rows and upto == done:
                yield table
                continue
            fresh = _table_of([self.revised[place] for place in revised])
            own = table.take(_places(place - places.start for place in revised)).drop_columns(_NAMES)
            for name in own.column_names:
                fresh = fresh.append_column(own.schema.field(name), own[name])
            pieces = [table.take(_places(left)), fresh, _table_of(self.inserted[done:upto])]
            done = upto
            yield pa.concat_tables(pieces, promote_options="default").sort_by("start_time")
        yield _table_of(self.inserted[done:])


def _rows_within(
    file: pq.ParquetFile, day: date, start: int, end: int, most: int | None
) -> list[tuple[tuple[date, int], Row]]:
    """Return the rows of a file that start in a range of microseconds, each with its place, the oldest first."""
    # The starts come first, and then only the groups of rows that have such a start.
    starts = file.read(columns=["start_time"])["start_time"].cast(pa.int64()).to_pylist()
    places = sorted((place for place, at in enumerate(starts) if start <= at < end), key=starts.__getitem__)[:most]
    wanted, rows, begin = set(places), dict[int, Row](), 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        own = [place - begin for place in range(begin, begin + count) if place in wanted]
        if own:
            table = _documented(file.read_row_group(group, columns=_NAMES)).select(_NAMES).take(_places(own))
            columns = [table[name] for name in _NAMES]
            columns[START] = columns[START].cast(pa.int64())
            values = [column.to_pylist() for column in columns]
            values[START] = [to_datetime(at) for at in values[START]]
            rows |= {begin + place: row for place, row in zip(own, zip(*values, strict=True), strict=True)}
        begin += count
    return [((day, place), rows[place]) for place in places]


def _holds(found: pa.DataType | None, wanted: pa.DataType) -> bool:
    """Return whether a type holds exactly the values of a documented one. Other libraries write texts with larger offsets."""
    return found in ({wanted, pa.large_string()} if wanted == pa.string() else {wanted})


def _documented(table: pa.Table) -> pa.Table:
    """Return a table with the documented types."""
    for field in SCHEMA:
        place = table.schema.get_field_index(field.name)
        if table.schema.field(place).type != field.type:
            table = table.set_column(place, field, table[field.name].cast(field.type))
    return table


def _places(places: Iterable[int]) -> pa.Array:
    return pa.array(places, pa.int64())


def _table_of(rows: Sequence[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    columns[START] = tuple(at - EPOCH for at in columns[START])
    arrays = [
        pa.array(values, pa.duration("us")).cast(pa.int64()).cast(field.type)
        if field.name == "start_time"
        else pa.array(values, field.type)
        for field, values in zip(SCHEMA, columns, strict=True)
    ]
    return pa.table(arrays, schema=SCHEMA)


def _as(schema: pa.Schema, tables: Sequence[pa.Table]) -> pa.Table:
    """Return tables as one, with the columns of a schema in its order. New rows have no value in a user's own columns."""
    joined = pa.concat_tables(tables, promote_options="default")
    for field in schema:
        if field.name not in joined.column_names:
            joined = joined.append_column(field, pa.nulls(joined.num_rows, field.type))
    return joined.select(schema.names).cast(schema)
