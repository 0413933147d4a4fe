"""Values of subclasses of builtin types, as pendulum, pandas, numpy and enumerations make them: with behaviour of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn


def _raise(*_args: object, **_more: object) -> NoReturn:
    raise AttributeError("the package relied on a method that a subclass may replace")


class Odd:
    """The result of arithmetic with a disguised value: neither a time nor a span."""


# Of any type, because they stand in place of methods of the builtin types.
_refuse: Any = _raise
_odd: Any = lambda *_args: Odd()  # noqa: E731 # as just said


class OwnTime(datetime):
    """A time like that of pendulum: its differences are of another type, and its texts are its own."""

    __sub__ = __rsub__ = __add__ = __radd__ = _odd
    isoformat = astimezone = replace = timestamp = _refuse

    def __str__(self) -> str:
        return "some time"

    __repr__ = __str__

    def __format__(self, _form: str) -> str:
        return "some time"


class OwnSpan(timedelta):
    """A span like that of pendulum: its attributes count otherwise."""

    days = seconds = microseconds = property(_odd)
    __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __truediv__ = __floordiv__ = _odd
    total_seconds = _refuse


class OwnText(str):
    """A text like a member of an enumeration, or like a secret that hides itself."""

    __slots__ = ()
    __getitem__ = __contains__ = __iter__ = __add__ = __radd__ = _odd
    encode = lower = upper = _refuse

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __format__(self, _form: str) -> str:
        return "***"


class OwnWhole(int):
    """A whole number with texts and arithmetic of its own."""

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __truediv__ = __neg__ = _odd

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__


class OwnReal(float):
    """A number with texts and arithmetic of its own."""

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __truediv__ = __neg__ = _odd

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__


class OwnBytes(bytes):
    """Bytes that show others than they hold."""

    def __bytes__(self) -> bytes:
        return b"***"

    __add__ = _refuse


def disguised(value: Any) -> Any:  # noqa: PLR0911 # a list of cases, one for each type
    """Return the same value, of a subclass of its type."""
    match value:
        case bool() | None:
            return value
        case datetime():
            return OwnTime.combine(value.date(), value.time(), tzinfo=value.tzinfo)
        case timedelta():
            return OwnSpan(microseconds=value // timedelta(microseconds=1))
        case str():
            return OwnText(value)
        case int():
            return OwnWhole(value)
        case float():
            return OwnReal(value)
        case bytes():
            return OwnBytes(value)
        case list():
            return [disguised(each) for each in value]
        case dict():
            return {disguised(key): disguised(each) for key, each in value.items()}
    raise AssertionError(f"no disguise for {type(value).__name__}")


def plain(value: Any) -> Any:
    """Return the value as it is."""
    return value


MAY = datetime(2026, 5, 24, 18, 14, 2, 123456, tzinfo=UTC)
