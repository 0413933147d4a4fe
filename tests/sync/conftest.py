"""Each destination in turn. The PostgreSQL server is one for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sync.places import DuckDb, ParquetDays, Place, Postgres, Sqlite, postgres_server


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "parquet"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "postgres":
        return Postgres(request.getfixturevalue("postgres_url"))
    places: dict[str, type[Sqlite | DuckDb | ParquetDays]] = {
        "sqlite": Sqlite,
        "duckdb": DuckDb,
        "parquet": ParquetDays,
    }
    return places[request.param](tmp_path)
