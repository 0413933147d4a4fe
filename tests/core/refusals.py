"""Values that callers pass in, and the refusal that a wrong one must get."""

from __future__ import annotations

import enum
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

UUID = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"
MOMENT = datetime(2026, 5, 24, tzinfo=UTC)
NAN, ENDLESS = float("nan"), float("inf")


class Text(str):
    """A str of a caller's own."""

    __slots__ = ()


class Options(str, enum.Enum):  # noqa: UP042 # what it is about: its str() is not its text
    """An enumeration of a caller's own."""

    NUMBER = "+14155551234"
    AGENT = "27"
    EVENT = "call.ended"
    HOOK = UUID
    TARGET = "https://example.com/hooks"
    METHOD = "DELETE"
    PATH = "/numbers"


def refused(name: str, check: Callable[[], object], kind: type[Exception] = ValueError) -> str:
    """Require a refusal that begins with the argument's name, and give all that a log would show of it."""
    with pytest.raises(kind) as caught:
        check()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(name)
    return "".join([*traceback.format_exception(caught.value), repr(caught.value)])
