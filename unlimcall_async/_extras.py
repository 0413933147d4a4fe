"""The error for a package that is missing because its extra is not installed.

The package that raises the error is installed itself. So pip installs the extra of that very release, also if the release came from
a clone or a wheel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def needs_extra(user: str, extra: str) -> str:
    """Return the message of what needs an extra."""
    return f"{user} needs the extra `{extra}`: pip install 'unlimcall-async[{extra}]'"


@contextmanager
def of_extra(user: str, extra: str, *packages: str) -> Iterator[None]:
    """Raise an error that names the extra if an import of the block finds one of the extra's packages missing.

    Args:
        user: What needs the packages, as the reader of the message calls it.
        extra: The extra.
        packages: The packages of the extra, by the names under which they are imported. A missing package of another name is an
            error of its own: the installation of a package is damaged.

    Raises:
        ImportError: A package is missing. Its name is in `name`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        raise ImportError(needs_extra(user, extra), name=error.name) from None
