"""Much text on standard output, while the event loop goes on.

Whoever reads a pipe may be slow, or stop for a while, as a pager does. A write that waits for him holds up the whole loop: requests
that are under way would time out although their answers are there, and neither Ctrl-C nor SIGTERM would end the command. So nothing
is written before there is room for it.
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Iterator
from typing import Final

from unlimcall_async.cli.formats import encoded
from unlimcall_async.cli.output import write_bytes

# As much as a pipe takes at once when it says that it has room, in this system or, by POSIX, in any.
PIECE: Final = 512 if sys.platform == "win32" else select.PIPE_BUF


async def pour(text: str) -> None:
    """Write on standard output as `write` does, and wait for its reader. Cancelled, it leaves whole lines.

    Raises:
        BrokenPipeError: Nobody reads any longer.
        UnwritableError: It cannot be written.
    """
    for piece in pieces(encoded(text)):
        await _room()
        write_bytes(piece)


def pieces(content: bytes, most: int = PIECE) -> Iterator[bytes]:
    """Give whole lines, as many at a time as `most` bytes hold; one that is longer comes by itself, and waits as a whole."""
    start = 0
    while start < len(content):
        end = content.rfind(b"\n", start, start + most) + 1 or content.find(b"\n", start) + 1 or len(content)
        yield content[start:end]
        start = end


async def _room() -> None:
    """Wait until a piece can be written at once."""
    descriptor = _descriptor()
    if descriptor is None:
        return
    # A file always has room, and a pipe without a reader too: the write tells. Neither comes to the loop, which takes no files.
    while not select.select([], [descriptor], [], 0)[1]:
        await _signalled(descriptor)


def _descriptor() -> int | None:
    """Give what standard output writes to; `None` where it cannot be asked whether it has room."""
    if sys.platform == "win32" or sys.stdout is None:
        return None
    try:
        return sys.stdout.fileno()
    except OSError:  # replaced by something in memory
        return None


async def _signalled(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    room = asyncio.Event()
    loop.add_writer(descriptor, room.set)
    try:
        await room.wait()
    finally:
        loop.remove_writer(descriptor)
