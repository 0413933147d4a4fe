"""The one parser of URLs that come from outside: arguments, variables of the environment, responses. Pure: no I/O."""

from __future__ import annotations

from yarl import URL


def url_of(value: str | URL) -> URL:
    """Return a URL. Whatever the text is, no other exception than a `ValueError` is raised.

    Raises:
        ValueError: The text is not a URL. The error does not quote the text, which may hold credentials.
    """
    try:
        return URL(value)
    # yarl raises an IndexError if a bracket stands before the `@` and no host behind it.
    except (ValueError, IndexError):
        raise ValueError("the text is not a valid URL") from None
