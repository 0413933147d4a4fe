"""Receivers on a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
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
    async with SQLiteStore(tmp_path / "seen.db") as store:
        yield store


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
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
