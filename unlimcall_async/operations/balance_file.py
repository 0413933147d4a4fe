"""Appends balances to a file."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from unlimcall_async._platform import OPEN_FLAGS
from unlimcall_async.operations.balances import KeptBalance

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | OPEN_FLAGS


def append(path: Path, balance: KeptBalance) -> None:
    """Append a balance to a file that only its owner can read. The line is on the disk when this function returns.

    A kill leaves the line out, or cuts the line off. The next line begins anew, so one line at most is lost.

    Raises:
        OSError: The file cannot be written.
    """
    with os.fdopen(os.open(path, _FLAGS, 0o600), "r+b", buffering=0) as file:
        line = balance.to_json().encode() + b"\n"
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        # A disk that becomes full takes a part of the line, without an error. Another process may write before the rest is written.
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
