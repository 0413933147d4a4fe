"""The settings of a user, from the file `config.toml` in the platform's folder for settings. No I/O.

    tz = "Europe/Berlin"
    concurrency = 8
    rate_limits = { cdrs = 120 }

    [profiles.acme]
    base_url = "https://acme.example.com/api/v1"

A profile's settings take the place of those at the top, one by one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, fields, frozen

from unlimcall_async import RateLimits

# The most requests a minute that a `RateLimit` takes.
MOST_REQUESTS: Final = 10**9

# The names of files hold the name of a profile.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
DEFAULT_PROFILE: Final = "default"


@frozen
class Settings:
    """What a profile sets; `None` for what it does not.

    Attributes:
        base_url: The URL of the API.
        allow_plain_http: Whether plain http to another machine is allowed.
        timeout: Seconds for each attempt.
        concurrency: How many requests of a pull may be under way at once.
        tz: The time zone of times without an offset.
        rate_limits: Requests a minute, by endpoint.
    """

    base_url: str | None = None
    allow_plain_http: bool = False
    timeout: float | None = None
    concurrency: int | None = None
    tz: str | None = None
    rate_limits: Mapping[str, int] = field(factory=dict)


def is_profile_name(name: str) -> bool:
    """Return whether a profile can have this name."""
    return _NAME.fullmatch(name) is not None


def settings_in(text: str, profile: str) -> tuple[Settings, bool]:
    """Return the settings of a profile, and whether the file names the profile.

    Raises:
        ValueError: The text is not TOML, or a setting is wrong. The message names the setting.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not TOML: {error}") from None
    profiles = content.pop("profiles", {})
    if not isinstance(profiles, dict):
        raise ValueError("profiles must be tables, like [profiles.acme]")  # noqa: TRY004 # of a file, not of an argument
    own = profiles.get(profile, {})
    # All of them are checked, so that a mistake shows when it is made.
    for name, table in profiles.items():
        where = f"profiles.{name}"
        if not isinstance(table, dict) or not is_profile_name(name):
            raise ValueError(f"{where} must be a table, with a name of letters, digits, dots, dashes and underscores")
        _check(table, f"{where}.")
    _check(content, "")
    return Settings(**{**content, **own}), profile in profiles


def _check(table: Mapping[str, Any], prefix: str) -> None:
    kinds: dict[str, tuple[tuple[type, ...], str]] = {
        "base_url": ((str,), "a text"),
        "allow_plain_http": ((bool,), "true or false"),
        "timeout": ((int, float), "a number of seconds above 0"),
        "concurrency": ((int,), "a whole number from 1 on"),
        "tz": ((str,), "the name of a time zone"),
        "rate_limits": ((dict,), "a table of requests a minute, like { cdrs = 120 }"),
    }
    for name, value in table.items():
        if name not in kinds:
            raise ValueError(f"{prefix}{name} is not a setting; the settings are {', '.join(kinds)}, profiles")
        types, wanted = kinds[name]
        wrong = type(value) not in types or (type(value) in {int, float} and not 0 < value < float("inf"))
        if wrong:
            raise ValueError(f"{prefix}{name} must be {wanted}")
    endpoints = [attribute.name for attribute in fields(RateLimits)]
    for name, value in table.get("rate_limits", {}).items():
        if name not in endpoints:
            raise ValueError(f"{prefix}rate_limits.{name}: the endpoint must be one of {', '.join(endpoints)}")
        if type(value) is not int or not 1 <= value <= MOST_REQUESTS:
            raise ValueError(f"{prefix}rate_limits.{name} must be a whole number from 1 to {MOST_REQUESTS}")
