"""Reading from somebody else's stream, and leaving it cleanly."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import TypeVar

T = TypeVar("T")


async def each(source: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Give each item, and in the end close the iterator that this has opened, where it can be closed."""
    iterator = aiter(source)
    try:
        async for item in iterator:
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
