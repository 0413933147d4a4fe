"""What is appended to a file is on the disk afterwards, or is not in the file at all."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import BinaryIO


def append(file: BinaryIO, text: bytes) -> None:
    """Append a text to a file that is open for appending. The text is on the disk when this function returns.

    Not by the methods of the file: a file object keeps what it could not write, for example because the disk is full, and writes it
    in front of the next text, or as it is closed.

    Raises:
        OSError: The text cannot be written. The file holds what it held, if it can be cut to its length.
    """
    # At its end, a file object has nothing in memory of the bytes before.
    length = file.seek(0, os.SEEK_END)
    descriptor = file.fileno()
    try:
        left = memoryview(text)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):  # the first error is the one that counts
            os.ftruncate(descriptor, length)
        raise
    finally:
        # The file object does not know that the file has grown.
        file.seek(0, os.SEEK_END)
