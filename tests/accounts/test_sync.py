"""A table of many accounts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq  # type: ignore[import-untyped] # it has no types
import pytest

from tests.accounts.support import END, START, AccountsServer, accounts_of, rows
from unlimcall_async import AuthenticationError
from unlimcall_async.accounts import AccountErrorGroup

SIZES = {f"acme {number}": 30 * number for number in range(6)}


def held(scheme: str, path: Path) -> dict[str, int]:
    """Return how many rows a table has of each account."""
    question = "SELECT account, count(*) FROM cdrs GROUP BY account"
    if scheme == "parquet":
        column = pq.read_table(path, columns=["account"])["account"].to_pylist()
        return {name: column.count(name) for name in set(column)}
    with closing(sqlite3.connect(path) if scheme == "sqlite" else duckdb.connect(str(path))) as database:
        return dict(database.execute(question).fetchall())


@pytest.mark.rest_slow
@pytest.mark.parametrize("scheme", ["sqlite", "duckdb", "parquet"])
async def test_a_table_holds_each_account_under_its_name(scheme: str, tmp_path: Path) -> None:
    server = AccountsServer({name: rows(name, size) for name, size in SIZES.items()})
    path = tmp_path / "calls"
    async with accounts_of(server) as accounts:
        results = await accounts.sync(f"{scheme}:///{path}", START, end=END, at_once=4)
        assert {name: result.inserted for name, result in results.items()} == SIZES
        assert list(results) == list(SIZES)
        server.rows["acme 3"].pop()
        again = await accounts.sync(f"{scheme}:///{path}", None, end=END, at_once=4)
    assert {name: result.removed for name, result in again.items() if result.removed} == {"acme 3": 1}
    assert held(scheme, path) == {name: size for name, size in {**SIZES, "acme 3": 89}.items() if size}


async def test_the_failure_of_one_account_stops_no_other(tmp_path: Path) -> None:
    server = AccountsServer({"a": rows("a", 3), "b": rows("b", 4)})
    seen = set()
    async with accounts_of(server, "revoked") as accounts:
        with pytest.raises(AccountErrorGroup, match="1 of 3 accounts failed: 'revoked'") as caught:
            await accounts.sync(
                f"sqlite:///{tmp_path / 'calls.db'}", START, end=END, on_progress=lambda name, _: seen.add(name)
            )
    assert {name: result.inserted for name, result in caught.value.results.items()} == {"a": 3, "b": 4}
    assert isinstance(caught.value.errors[0].__cause__, AuthenticationError)
    assert {"a", "b"} <= seen


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"destination": "mysql://calls"}, "destination must be a URL like"),
        ({"destination": 7}, "destination must be a str"),
        ({"lookback": timedelta(-1)}, "lookback must not be negative"),
        ({"start": END, "end": START}, "start"),
        ({"table": ""}, "table must be the name of a table"),
        ({"at_once": 0}, "at_once must be 1 or more"),
    ],
)
async def test_wrong_arguments_are_refused_before_anything_is_asked(given: dict[str, Any], message: str) -> None:
    server = AccountsServer({"a": []})
    async with accounts_of(server) as accounts:
        with pytest.raises((ValueError, TypeError), match=message):
            await accounts.sync(**{"destination": "sqlite:///none.db", "start": START, **given})
    assert not server.requests
