"""Checks of what a user sets on the sandbox, as validators of attrs. Each raises with the name of the argument and the reason.

Pure: no I/O. The validators of attrs itself put a description of the attribute into their messages, and compare a value of a wrong
type before they name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any, TypeAlias, TypeVar

from attrs import Attribute

Check: TypeAlias = Callable[[Any, "Attribute[Any]", Any], None]
T = TypeVar("T")


def one_of(*allowed: str | None) -> Check:
    """Return a check that the value is one of these."""
    names = ", ".join("None" if each is None else each for each in allowed)

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise ValueError(f"{attribute.alias} must be one of {names}, not {value!r}")

    return check


def instance(kind: type) -> Check:
    """Return a check that the value is of this class."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise TypeError(f"{attribute.alias} must be of type {kind.__name__}, not {type(value).__name__}")

    return check


def number(*, at_least: float = -inf, above: float = -inf, at_most: float = inf, below: float | None = None) -> Check:
    """Return a check that the value is a number within these bounds. Without a bound above, infinity is a number, too."""
    bounds = {
        f"{at_least:g} or more": at_least > -inf,
        f"above {above:g}": above > -inf,
        f"{at_most:g} or less": at_most < inf,
        "finite" if below == inf else f"below {below}": below is not None,
    }
    words = " and ".join(bound for bound, holds in bounds.items() if holds)

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise TypeError(f"{attribute.alias} must be a number, not {type(value).__name__}")
        # What is not a number (NaN) fails every comparison.
        if not (at_least <= value <= at_most and (above == -inf or above < value) and (below is None or value < below)):
            raise ValueError(f"{attribute.alias} must be {words}, not {value!r}")

    return check


def whole(*, at_least: int) -> Check:
    """Return a check that the value is a whole number of `at_least` or more."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{attribute.alias} must be an int, not {type(value).__name__}")
        if value < at_least:
            raise ValueError(f"{attribute.alias} must be {at_least} or more, not {value}")

    return check


def all_of(name: str, values: Iterable[T], kind: type[T]) -> list[T]:
    """Return the values as a list. Require each of them to be of this class, and `values` not to be a single text."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be an iterable of {kind.__name__}, not {type(values).__name__}")
    taken = list(values)
    for each in taken:
        if not isinstance(each, kind):
            raise TypeError(f"{name} must hold {kind.__name__} only, not {type(each).__name__}")
    return taken


def require_address(host: object, port: object) -> None:
    """Require a host and a port on which a server can listen, as far as that is known before it tries."""
    if not isinstance(host, str):
        raise TypeError(f"host must be a str, not {type(host).__name__}")
    if not host:  # which would be every address of this machine
        raise ValueError("host must not be empty: name the address to listen on, for example 127.0.0.1")
    if not isinstance(port, int) or isinstance(port, bool):
        raise TypeError(f"port must be an int, not {type(port).__name__}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be from 0 to 65535, not {port}")


def require_duration(value: object) -> None:
    """Require the seconds of a call that a record can have. Clients hold a whole number in 64 bits, and refuse a larger one."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"duration must be an int, not {type(value).__name__}")
    if not 0 <= value < 2**63:
        raise ValueError("duration must not be negative, or have more than 63 bits")
