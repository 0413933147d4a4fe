"""Where a task finds the token of its account, and the URL of the server that shares the limits: on its executor."""

from __future__ import annotations

import os
from pathlib import Path

from unlimcall_async import _arguments
from unlimcall_async.spark.options import Options


def token_of(options: Options, account: str) -> str:
    """Return the token of an account.

    Raises:
        ValueError: The executor has no token of the account, or what it has is not a token.
    """
    # The frames of a traceback may be shown with their variables, so none that raises may hold the token.
    token, place = _from_file(options.token_dir, account) if options.token_dir else _from_variable(options, account)
    problem = _arguments.token_problem(token, f"the token of the account {account}, in {place},")
    if problem is not None:
        del token
        raise problem
    return token


def _from_variable(options: Options, account: str) -> tuple[str, str]:
    name = options.variables[account]
    place = f"the environment variable {name}"
    if name not in os.environ:
        raise ValueError(f"the executor has no token of the account {account}: {place} is not set there")
    return os.environ[name].strip(), place


def _from_file(folder: str, account: str) -> tuple[str, str]:
    path = Path(folder, account)
    try:
        # A byte that is no UTF-8 becomes a character that no token has. The error of a decoder would hold the bytes.
        return path.read_text(encoding="utf-8", errors="replace").strip(), f"the file {path}"
    except OSError as error:
        raise ValueError(f"the executor has no token of the account {account}: {path}: {error.strerror}") from None


def redis_url_of(options: Options) -> str | None:
    """Return the URL of the server that shares the limits; `None` if the options name no server.

    Raises:
        ValueError: The executor does not have the variable that holds the URL.
    """
    name = options.redis_url_env
    if name is None:
        return options.redis_url
    if not os.environ.get(name):
        raise ValueError(f"redis_url_env: the environment variable {name} is not set on the executor")
    return os.environ[name]
