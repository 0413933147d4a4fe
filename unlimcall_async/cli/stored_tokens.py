"""The tokens that `unlimcall login` stores, one for each profile: in the system's keyring, or in a file for its owner alone.

A token is stored with the URL of the server that has accepted it, and is never sent to another one.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

import click
from attrs import field, frozen

from unlimcall_async import _json
from unlimcall_async.cli.files import exists, read_kept, store
from unlimcall_async.cli.output import UnusableError, unusable, unwritable

_SERVICE: Final = "unlimcall"


@frozen
class StoredToken:
    """A token that was stored.

    Attributes:
        token: The token.
        base_url: The URL of the server that has accepted it.
        place: Where it is stored, for people.
    """

    token: str = field(repr=False)
    base_url: str
    place: str


def folder() -> Path:
    """Return the platform's folder for the settings of this command."""
    return Path(click.get_app_dir(_SERVICE))


def read(profile: str) -> StoredToken | None:
    """Return the token of a profile, or `None`.

    Raises:
        UnusableError: The file of the token cannot be used.
    """
    path = _path(profile)
    if (content := read_kept(path)) is not None:
        return _stored(content.decode(errors="replace"), str(path))
    if (keyring := _keyring()) is None:
        return None
    try:
        text = keyring.get_password(_SERVICE, profile)
    except Exception:  # noqa: BLE001 # each backend has its own; a keyring that is locked or gone has no token
        return None
    return None if text is None else _stored(text, "the keyring")


def write(profile: str, token: str, base_url: str, *, to_file: bool) -> str:
    """Store the token of a profile, and return where it is, for people.

    Raises:
        UnusableError: The file cannot be written, or an older one cannot be removed.
    """
    text = json.dumps({"token": token, "base_url": base_url})
    keyring = None if to_file else _keyring()
    if keyring is not None:
        try:
            keyring.set_password(_SERVICE, profile, text)
        except Exception:  # noqa: BLE001 # as above; the file is there for this case
            keyring = None
    path = _path(profile)
    if keyring is not None:
        with unusable("remove", path):
            path.unlink(missing_ok=True)  # an older token, which would be read first
        return "the keyring"
    with unwritable(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    store(path, text)
    return str(path)


def remove(profile: str) -> bool:
    """Remove the token of a profile. Return whether there was one.

    Raises:
        UnusableError: The token cannot be removed.
    """
    path = _path(profile)
    there = exists(path)
    with unusable("remove", path):
        path.unlink(missing_ok=True)
    if (keyring := _keyring()) is not None:
        stored = None
        try:
            stored = keyring.get_password(_SERVICE, profile)
            if stored is not None:
                keyring.delete_password(_SERVICE, profile)
        except Exception as error:  # noqa: BLE001 # as above
            # A keyring that shows nothing has no token to any command. One that keeps a token that it shows has.
            if stored is not None:
                raise UnusableError(
                    f"the keyring does not remove the token of profile {profile} ({type(error).__name__}); "
                    "unlock the keyring, or remove the entry `unlimcall` there"
                ) from None
        return there or stored is not None
    return there


def _path(profile: str) -> Path:
    return folder() / "tokens" / f"{profile}.json"


def _stored(text: str, place: str) -> StoredToken:
    try:
        content = _json.read(text)
        token, base_url = content["token"], content["base_url"]
    except (_json.JsonError, LookupError, TypeError):
        token = base_url = None
    if not isinstance(token, str) or not isinstance(base_url, str):
        raise UnusableError(f"{place} does not hold a token of this command; log in again: unlimcall login")
    return StoredToken(token, base_url, place)


def _keyring() -> ModuleType | None:
    """Return the library `keyring`, if it is installed and has a keyring to store in."""
    try:
        keyring = import_module("keyring")  # optional, and slow to import
        # The library's own mark for a backend that cannot be used is a priority below 1.
        usable = keyring.get_keyring().priority >= 1
    except Exception:  # noqa: BLE001 # not installed, or without a service that it could talk to
        return None
    return keyring if usable else None
