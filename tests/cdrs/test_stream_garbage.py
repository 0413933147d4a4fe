"""A stream that is dropped is gone: it holds pages, and many streams may follow each other before garbage is collected."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime, timedelta

from tests.cdrs.raw_server import RawServer, evenly, served

START = datetime(2026, 5, 1, tzinfo=UTC)


async def test_a_stream_that_was_read_to_its_end_does_not_hold_itself() -> None:
    async with served(RawServer(evenly(1500, START, timedelta(hours=20)))) as client:
        stream = client.cdrs.stream(START, START + timedelta(days=1))
        async for _ in stream.batches():
            pass
        seen = weakref.ref(stream)
        gc.disable()
        try:
            del stream
            assert seen() is None
        finally:
            gc.enable()
