"""Receivers on a clock that stands still."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.oracle import NOW, SECRET
from unlimcall_async.webhooks import MemoryStore, SeenStore, SQLiteStore, WebhookReceiver


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SeenStore]:
    """Each store that comes with the package."""
    if request.param == "memory":
        yield MemoryStore()
        return
    # A commit to a WAL waits for the disk once. The tests of SQLite's other journals are in `test_sqlite.py`.
    with closing(sqlite3.connect(tmp_path / "seen.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    async with SQLiteStore(tmp_path / "seen.db") as store:
        yield store


@pytest.fixture
def make_receiver() -> Callable[..., WebhookReceiver]:
    def make(**options: Any) -> WebhookReceiver:
        return WebhookReceiver(SECRET, **{"clock": lambda: NOW, **options})

    return make


@pytest.fixture
def receiver(make_receiver: Callable[..., WebhookReceiver]) -> WebhookReceiver:
    return make_receiver()
