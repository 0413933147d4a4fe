"""Iteration over an asynchronous source of the user's, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def iterating(source: AsyncIterable[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """Return the iterator of a source for the block, and close the iterator after the block if it has `aclose`."""
    iterator = aiter(source)
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
