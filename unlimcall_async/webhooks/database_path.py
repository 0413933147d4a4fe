"""The path of an SQLite database, checked before anything is opened."""

from __future__ import annotations

import errno
import os
import re
from os import PathLike, fspath
from pathlib import Path
from typing import Final

# The mounted file systems of this process, on Linux.
_MOUNTS: Final = Path("/proc/self/mountinfo")

# SQLite relies on locks, and with a WAL on shared memory, which these do not keep between machines, or not at all.
_NETWORK: Final = frozenset(
    {"afs", "ceph", "cifs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
    | {"fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
)


def absolute(path: object) -> str | None:
    """Return the absolute path of a database that can be opened and written, or made; `None` for a database in memory.

    Raises:
        TypeError: `path` is not a path.
        ValueError: `path` is empty, or leads to a network file system.
        OSError: The file or its directory does not exist, is of another kind, or cannot be written.
    """
    name = fspath(path) if isinstance(path, (str, PathLike)) else path
    if not isinstance(name, str):
        raise TypeError(f"path must be a path, not {type(path).__name__}")
    if name == ":memory:":
        return None
    if not name or "\0" in name:
        raise ValueError("path must not be empty or hold a null character")
    # Not normalised: after a symbolic link, `..` leads elsewhere.
    full = name if os.path.isabs(name) else os.path.join(os.getcwd(), name)  # noqa: PTH109, PTH117, PTH118 # as just said
    file, folder = Path(os.path.realpath(full)), Path(os.path.realpath(full)).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "path: the directory of the database does not exist", str(folder))
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, "path must be a file, not a directory", name)
    # SQLite writes its journal beside the file.
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "path: the directory of the database cannot be written", str(folder))
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, "path: the database cannot be read and written", name)
    try:
        kind = file_system(str(folder), _MOUNTS.read_text(errors="surrogateescape"))
    except OSError:  # not on Linux
        kind = ""
    if kind in _NETWORK:
        raise ValueError(
            f"path is on a network file system ({kind}), where SQLite cannot keep what is committed: use a local disk"
        )
    return full


def file_system(folder: str, mounts: str) -> str:
    """Return the type of the file system that holds a folder, by the text of `mountinfo`; empty if the text does not say."""
    found = ("", "")
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        # Spaces and backslashes in a path are written in octal.
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields.split(" ")[4])
        within = folder == point or folder.startswith(point.rstrip("/") + "/")
        # The longest path counts, and of two mounts on one path the later one.
        if within and len(point) >= len(found[0]):
            found = (point, rest.split(" ")[0])
    return found[1]
