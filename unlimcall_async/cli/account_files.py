"""The names of the files of many accounts. No I/O.

A name of an account may be any text, and a name of a file may not. So what some file system cannot hold, or a shell takes for
something else, is written as in a URL: `%2F` for a slash. Each name gives another file, and the name can be found from its file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from unlimcall_async._platform import is_device

# Letters, digits and these are left as they are.
_SAFE: Final = " @+,=-_."
# Bytes that a name may have in most file systems, less the endings of the files beside it.
_LONGEST: Final = 255 - len(".parquet.manifest.json.part")


def file_names(accounts: Iterable[str]) -> dict[str, str]:
    """Return the name of the file of each account, without an ending.

    Raises:
        ValueError: A name is too long, or two accounts differ in nothing but capitals, which some file systems do not tell apart.
    """
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    for account in accounts:
        name = quote(account, safe=_SAFE)
        # A dot hides a file, and a space at an end is lost on Windows.
        name = re.sub(r"^[. ]|[. ]$", lambda match: f"%{ord(match[0]):02X}", name)
        if is_device(name):
            name = f"%{ord(name[0]):02X}{name[1:]}"
        if len(name) > _LONGEST:
            raise ValueError(
                f"account {account[:40]!r}... cannot name a file: the name would have {len(name)} characters"
            )
        other = taken.setdefault(name.casefold(), account)
        if other != account:
            raise ValueError(f"accounts {other!r} and {account!r} differ in capitals alone, and so would their files")
        names[account] = name
    return names
