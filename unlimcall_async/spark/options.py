"""The options of the data source, read and checked on the driver, before Spark starts a task.

Pure: no I/O, no clock. Spark keeps options in plans and pickles, so no option may hold a secret. Options tell where executors find
one. A message never quotes the value of an option that may be a secret by mistake.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Final

from attrs import frozen

from unlimcall_async import _arguments
from unlimcall_async._platform import name_fault
from unlimcall_async._spans import span
from unlimcall_async._urls import url_of

# The default of `RateLimits`, and the low end of what the operations guide expects.
_PER_MINUTE: Final = 60
# A limit is divided by four, if a stream runs with speculation: see `ranges`.
_LEAST_PER_MINUTE: Final = 4
_TOKEN: Final = "UNLIMCALL_TOKEN"  # noqa: S105 # the name of a variable
_BY_ACCOUNT: Final = "account"
_BY_DAY: Final = "day"

_NAMES: Final = (
    *("accounts", "start", "end", "settle", "token_env", "token_dir", "base_url", "partition", "per_minute"),
    *("redis_url", "redis_url_env"),
)
# A hundred years: further back than any call.
_LONGEST: Final = timedelta(days=36_525)
# Words in the names of options that would hold a secret.
_SECRET: Final = re.compile(r"token|secret|password|passwd|credential|authorization|bearer|api_?key")
# Capitals alone: a token that was passed in place of the name is refused, because tokens have small letters.
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
# What no file's name holds.
_NO_FILE: Final = re.compile(r"[/\\\x00]")
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_OTHERS: Final = re.compile(r"[^A-Za-z0-9]")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@frozen
class Options:
    """What to read, and how.

    Attributes:
        accounts: The names of the accounts.
        start: The start of the time to read.
        end: Its end; `None` for now less `settle` in a batch, and for a stream that goes on.
        settle: How far to stay behind now; `None` if the option is not given.
        variables: The environment variable with the token of each account; empty if tokens are in files.
        token_dir: The folder with a file for each account; `None` if tokens are in variables.
        base_url: The URL of the API; `None` for what a client takes.
        partition: The length of a partition; `None` for one partition an account.
        per_minute: The requests a minute that the API allows an account.
        redis_url: The URL of the server that shares the limits, or `None`.
        redis_url_env: The environment variable with that URL, or `None`.
    """

    accounts: tuple[str, ...]
    start: datetime
    end: datetime | None
    settle: timedelta | None
    variables: Mapping[str, str]
    token_dir: str | None
    base_url: str | None
    partition: timedelta | None
    per_minute: int
    redis_url: str | None
    redis_url_env: str | None

    @property
    def shares_limits(self) -> bool:
        """Whether a server shares the limits among all tasks."""
        return self.redis_url is not None or self.redis_url_env is not None


def read_options(given: Mapping[str, str]) -> Options:
    """Read options by their names. Spark does not keep the case of the names.

    Raises:
        ValueError: An option is missing, unknown or not valid.
    """
    given = {name.lower(): text for name, text in given.items()}
    _check_names(given)
    accounts = _accounts(_required(given, "accounts"))
    start = _time("start", _required(given, "start"))
    end = _time("end", given["end"]) if "end" in given else None
    _arguments.window(start, end)
    if "base_url" in given:
        _arguments.base_url(given["base_url"], allow_plain_http=False)
    return Options(
        accounts=accounts,
        start=start,
        end=end,
        settle=_span("settle", given["settle"]) if "settle" in given else None,
        variables={} if "token_dir" in given else _variables(given.get("token_env", _TOKEN), accounts),
        token_dir=_token_dir(given["token_dir"], accounts) if "token_dir" in given else None,
        base_url=given.get("base_url"),
        partition=_partition(given.get("partition", _BY_ACCOUNT)),
        per_minute=_per_minute(given.get("per_minute", str(_PER_MINUTE))),
        redis_url=_redis_url(given["redis_url"]) if "redis_url" in given else None,
        redis_url_env=_variable("redis_url_env", given["redis_url_env"]) if "redis_url_env" in given else None,
    )


def _check_names(given: Mapping[str, str]) -> None:
    unknown = sorted(given.keys() - set(_NAMES))
    for name in unknown:
        if _SECRET.search(name):
            raise ValueError(
                f"{name} is not an option: Spark would keep the secret in plans and logs. Name the variable that holds the token "
                "in token_env, or the folder of files with tokens in token_dir; executors read them"
            )
    if unknown:
        raise ValueError(f"unknown options: {', '.join(unknown)}; the options are {', '.join(_NAMES)}")
    for one, other in (("token_env", "token_dir"), ("redis_url", "redis_url_env")):
        if one in given and other in given:
            raise ValueError(f"{one} and {other} exclude each other")


def _required(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise ValueError(f"the option {name} is missing")
    return given[name]


def _accounts(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ValueError("accounts must be names separated by commas, and none of them may be empty")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ValueError(f"accounts has {twice[0]} twice")
    return names


def _variables(prefix: str, accounts: tuple[str, ...]) -> dict[str, str]:
    """Return the environment variable with the token of each account."""
    prefix = _variable("token_env", prefix)
    if len(accounts) == 1:
        return {accounts[0]: prefix}
    owners = dict[str, str]()
    for account in accounts:
        name = f"{prefix}_{_OTHERS.sub('_', account).upper()}"
        if (other := owners.setdefault(name, account)) != account:
            raise ValueError(
                f"the accounts {other} and {account} would have one token, in the variable {name}; use token_dir"
            )
    return {account: name for name, account in owners.items()}


def _variable(option: str, name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(
            f"{option} must be the name of an environment variable, of capitals, digits and underscores, and not its value"
        )
    return name


def _token_dir(folder: str, accounts: tuple[str, ...]) -> str:
    if not PurePath(folder).is_absolute():
        raise ValueError("token_dir must be the absolute path of a folder on each executor")
    for account in accounts:
        if account in {".", ".."} or _NO_FILE.search(account):
            raise ValueError(f"token_dir: the account {account!r} cannot be the name of a file")
        if fault := name_fault(account):
            raise ValueError(f"token_dir: the account {account!r} cannot be the name of a file: {fault}")
    return folder


def _time(option: str, text: str) -> datetime:
    text = text.strip()
    try:
        read = datetime.fromisoformat(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except ValueError:
        raise ValueError(
            f"{option} must be a date, which begins at midnight in UTC, or a date and a time with an offset, "
            f"such as 2026-05-24T18:00:00Z; {text!r} is not"
        ) from None
    return _arguments.utc(option, read)


def _span(option: str, text: str) -> timedelta:
    try:
        length = span(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
    if length > _LONGEST:
        raise ValueError(f"{option}: {text!r} is too long")
    return length


def _partition(text: str) -> timedelta | None:
    if text == _BY_ACCOUNT:
        return None
    if text == _BY_DAY:
        return timedelta(days=1)
    length = _span("partition", text)
    if not length:
        raise ValueError("partition must be account, day, or a span of time above zero")
    return length


def _per_minute(text: str) -> int:
    if not _DIGITS.fullmatch(text) or int(text) < _LEAST_PER_MINUTE:
        raise ValueError(f"per_minute must be a whole number of requests, {_LEAST_PER_MINUTE} or more")
    return int(text)


def _redis_url(text: str) -> str:
    try:
        url = url_of(text)
    except ValueError:
        raise ValueError("redis_url is not a valid URL") from None
    names = {name.lower() for name in url.query}
    if url.user is not None or url.password is not None or "username" in names or any(map(_SECRET.search, names)):
        raise ValueError(
            "redis_url must not hold credentials, which Spark would keep in plans and logs: name the variable that holds the URL "
            "on each executor in redis_url_env"
        )
    return text
