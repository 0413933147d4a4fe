"""The accounts that were given: their tokens and URLs, checked.

Tracebacks may show the variables of their frames. So an error is returned as a value by whatever holds a token, and raised by the
caller, which does not.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from unlimcall_async import _arguments, _secrets
from unlimcall_async._argument_kinds import file_path

_logger = logging.getLogger("unlimcall_async")

_SOURCES: Final = ("token_env", "token_file", "token")
_KEYS: Final = (*_SOURCES, "base_url")


class Token:
    """A token whose repr is masked."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self) -> str:
        """Return the token. Pass it on at once: no variable is to hold it."""
        return self._text

    def __repr__(self) -> str:
        return "<token ***>"


@frozen
class Listed:
    """An account that was given.

    Attributes:
        token: The token.
        base_url: The URL of the API for this account, or `None` for that of all.
        place: What messages call the account.
    """

    token: Token
    base_url: str | None = field(default=None, repr=False)  # a wrong one may hold a password
    place: str = field(default="", kw_only=True)


def listed(accounts: object) -> dict[str, Listed] | Exception:
    """Return the accounts of a mapping of names to tokens, or the error for what is wrong with it."""
    if not isinstance(accounts, Mapping):
        return TypeError(f"accounts must be a mapping of names to tokens, not {type(accounts).__name__}")
    if not accounts:
        return ValueError("accounts must not be empty")
    found = {}
    for given in accounts:
        name = _name(given)
        if isinstance(name, Exception):
            return name
        place = f"accounts[{name!r}]"
        problem = _arguments.token_problem(accounts[given], place)
        if problem is not None:
            return problem
        found[name] = Listed(Token(_arguments.text(place, accounts[given])), place=place)
    return found


def _name(name: object) -> str | Exception:
    try:
        text = _arguments.text("the name of an account", name)
    except (TypeError, ValueError) as error:
        return error.with_traceback(None)
    if _secrets.without_tokens(text) != text:
        # Names are in messages and logs.
        return ValueError("the name of an account must not be a token; accounts is a mapping of names to tokens")
    return text or ValueError("the name of an account must not be empty")


def listed_in(path: str | PathLike[str]) -> dict[str, Listed] | Exception:
    """Return the accounts of a TOML file, or the error for what is wrong with it."""
    file = file_path("path", path)
    try:
        content, warning = _secrets.read_bytes(file)
        tables = _tables(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return ValueError(f"{file}: it is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        # Its words only: newer Pythons keep the whole document in the error. The words may have the name of a table.
        return ValueError(f"{file}: it is not TOML: {_secrets.without_tokens(str(error))}")
    except ValueError as error:
        # A token that stands where a name was expected is not shown.
        said = _secrets.without_tokens(str(error))
        return ValueError(f"{file}: {said}" if str(file) not in said else said)
    if warning:
        _logger.warning("%s", warning)
    found = {}
    for name, table in tables.items():
        problem = _table_problem(name, table)
        account = problem or _account(file, name, table)
        if isinstance(account, str):
            return ValueError(_secrets.without_tokens(f"{file}: {account}"))
        found[name] = account
    return found


def _tables(text: str) -> dict[str, Any]:
    """Return the table of each account.

    Raises:
        ValueError: The text is not TOML, or has something else than accounts.
    """
    content = tomllib.loads(text)
    accounts = content.pop("accounts", {})
    if content:
        raise ValueError(
            f"{_key(next(iter(content)))} is unknown; the file has a table [accounts.NAME] for each account"
        )
    if not isinstance(accounts, dict) or not accounts:
        raise ValueError("the file has no accounts: write a table [accounts.NAME] for each")
    return accounts


def _key(*parts: str) -> str:
    """Return a key as TOML writes it."""
    return ".".join(part if part.isascii() and part.replace("-", "_").isidentifier() else repr(part) for part in parts)


def _table_problem(name: str, table: object) -> str | None:
    """Return what is wrong with the table of an account, or `None`."""
    place = _key("accounts", name)
    if not name or _secrets.without_tokens(name) != name:
        return f"the name of an account must not be {f'a token: {place}' if name else 'empty'}"
    if not isinstance(table, dict):
        return f"{place} must be a table, [{place}], with one of {', '.join(_SOURCES)}"
    if unknown := [key for key in table if key not in _KEYS]:
        return f"{place}: {_key(unknown[0])} is unknown; the keys are {', '.join(_KEYS)}"
    for key, value in table.items():
        if not isinstance(value, str) or not value.strip():
            return f"{place}.{key} must be a text{', and not empty' if isinstance(value, str) else f', not {_kind(value)}'}"
    given = [key for key in _SOURCES if key in table]
    if len(given) != 1:
        return f"{place} must have one of {', '.join(_SOURCES)}, and has {' and '.join(given) or 'none'}"
    return None


def _kind(value: object) -> str:
    kinds: dict[type, str] = {bool: "a boolean", int: "an integer", float: "a float", list: "an array", dict: "a table"}
    return kinds.get(type(value), "a time")


def _account(file: Path, name: str, table: Mapping[str, str]) -> Listed | str:
    """Return the account of a table, or what is wrong with its token."""
    key = next(key for key in _SOURCES if key in table)
    place = f"{_key('accounts', name)}.{key}"
    try:
        match key:
            case "token_env":
                given = os.environ.get(table[key], "")
                if not given.strip():
                    # Shown only if it looks like a name: it may be the token itself.
                    named = table[key] if re.fullmatch("[A-Z_][A-Z0-9_]*", table[key]) else "that it names"
                    return f"{place}: the environment variable {named} is not set, or is empty"
                token = Token(_secrets.sole(_secrets.bare(given), "the environment variable"))
            case "token_file":
                # Relative to the file that names it, so that both can be moved.
                text, warning = _secrets.read_file(file.parent / Path(table[key]).expanduser())
                token = Token(text)
                if warning:
                    _logger.warning("%s", warning)
            case _:
                token = Token(_secrets.sole(_secrets.bare(table[key]), "the text"))
    except ValueError as error:
        return f"{place}: {error}"
    except RuntimeError:  # of `expanduser`
        return f"{place}: the path begins with ~, and the home directory of that user is not known"
    return Listed(token, table.get("base_url"), place=f"{file}: {_key('accounts', name)}")
