"""Long waits, as lines on standard error: a command that waits without a word looks like one that hangs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from weakref import WeakSet

from unlimcall_async import AsyncClient, LimitState
from unlimcall_async._progress_words import span, time_of
from unlimcall_async.cli.output import note

# Seconds: a wait that is worth a line, and the time between two looks.
LONG: Final = 20.0
_LOOK: Final = 1.0
# Seconds: a wait for the network that a person notices. The shortest that the client makes by itself is 0.9.
_NOTICED: Final = 0.5


# The clients of the command. There is one at a time.
clients: WeakSet[AsyncClient] = WeakSet()


@asynccontextmanager
async def told_waits() -> AsyncIterator[None]:
    """Write a line for each long wait of the command's clients meanwhile, and for each wait after a failure of the network.

    A log that is on has a line for each wait already.
    """
    if log_is_on():
        yield
        return
    task = asyncio.create_task(_tell())
    try:
        with _told_retries():
            yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def log_is_on() -> bool:
    """Return whether the log of the client is on, by `$UNLIMCALL_LOG`."""
    return logging.getLogger("unlimcall_async").isEnabledFor(logging.INFO)


@contextmanager
def _told_retries() -> Iterator[None]:
    """Have the client log its waits for the network meanwhile, which are at INFO."""
    logger = logging.getLogger("unlimcall_async")
    own, wanted = logger.level, logger.getEffectiveLevel()

    def is_told(record: logging.LogRecord) -> bool:
        return record.levelno >= wanted or getattr(record, "network_wait_s", 0.0) >= _NOTICED

    logger.setLevel(min(wanted, logging.INFO))
    logger.addFilter(is_told)
    try:
        yield
    finally:
        logger.removeFilter(is_told)
        logger.setLevel(own)


async def _tell() -> None:
    waits = Waits()
    while True:
        await asyncio.sleep(_LOOK)
        for client in clients:
            for name, state in client.limits().items():
                if (line := waits.line(name, state, datetime.now(UTC))) is not None:
                    note(line)


class Waits:
    """The waits that were written. No I/O."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def line(self, name: str, state: LimitState, now: datetime) -> str | None:
        """Return the line for a long wait, once for each wait.

        Args:
            name: The name of the limit.
            state: Its state.
            now: The time.
        """
        if not state.waiting or state.next_in_s < LONG:
            return None
        until = now + timedelta(seconds=state.next_in_s)
        written = self._until.get(name)
        # A wait may become longer meanwhile.
        if written is not None and until < written + timedelta(seconds=LONG):
            return None
        self._until[name] = until
        return f"Waiting for the rate limit of {name} until {time_of(until, now)} ({span(state.next_in_s)})."
