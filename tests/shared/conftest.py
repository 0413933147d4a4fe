"""A Valkey server for all tests of a process, empty for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.shared.servers import valkey_server


@pytest.fixture(scope="session")
def valkey_port() -> Iterator[int]:
    with valkey_server() as server:
        yield server.port


@pytest.fixture
def valkey(valkey_port: int) -> Iterator[Redis]:
    with Redis(port=valkey_port) as connection:
        connection.flushall()
        yield connection


@pytest.fixture
def url(valkey: Redis) -> str:
    return f"redis://127.0.0.1:{valkey.connection_pool.connection_kwargs['port']}"
