"""Many accounts over one pool of connections.

accounts    `Accounts`
listed      the tokens and URLs that were given, also in a file
options     the options of the clients
schedule    which account is worked on next (pure)
pull        the call records of all accounts, for one reader
each        any work for each account
errors      `AccountError`, and the group of them
"""

from __future__ import annotations

from unlimcall_async.accounts.accounts import Accounts
from unlimcall_async.accounts.errors import AccountError, AccountErrorGroup
from unlimcall_async.accounts.options import ClientOptions
from unlimcall_async.accounts.pull import AccountsProgress, AccountsPull

__all__ = [
    "AccountError",
    "AccountErrorGroup",
    "Accounts",
    "AccountsProgress",
    "AccountsPull",
    "ClientOptions",
]
