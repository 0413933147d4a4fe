"""The options of the clients of many accounts. One of them may hold a password."""

from __future__ import annotations

from ssl import SSLContext
from typing import TYPE_CHECKING, TypedDict

from unlimcall_async import _arguments
from unlimcall_async._lazy import LazyModule
from unlimcall_async.accounts.listed import Listed
from unlimcall_async.client import AsyncClient
from unlimcall_async.http.observer import Observer
from unlimcall_async.http.rate_limits import RateLimits
from unlimcall_async.http.retry import RetryPolicy
from unlimcall_async.shared.limits import SharedRateLimits

if TYPE_CHECKING:
    import aiohttp
else:
    aiohttp = LazyModule("aiohttp")


class ClientOptions(TypedDict, total=False):
    """The options of `AsyncClient`, but for its token."""

    base_url: str | None
    timeout: float
    max_wait: float | None
    retry: RetryPolicy | None
    rate_limits: RateLimits | SharedRateLimits | None
    max_connections: int
    session: aiohttp.ClientSession | None
    allow_plain_http: bool
    proxy: str | None
    ssl: SSLContext | None
    observer: Observer | None


class Options:
    """The options of all clients, one of which may hold a password. Its repr is masked."""

    __slots__ = ("_given",)

    def __init__(self, given: ClientOptions) -> None:
        self._given = given

    def client(self, account: Listed, default_url: str | None = None) -> AsyncClient | Exception:
        """Return a client of an account, or the error for an option that is wrong."""
        given: ClientOptions = {**self._given}
        if (url := account.base_url or default_url) is not None:
            given["base_url"] = url
        try:
            return AsyncClient(account.token.text(), **given)
        except (TypeError, ValueError) as error:
            return error.with_traceback(None)

    def url_problem(self, account: Listed) -> Exception | None:
        """Return the error for the account's own URL, or `None` if it is right."""
        plain = self._given.get("allow_plain_http", False)
        try:
            _arguments.base_url(account.base_url, allow_plain_http=plain)
        except (TypeError, ValueError) as error:
            return type(error)(f"{account.place}: {error}")
        return None

    def __repr__(self) -> str:
        return "<options of AsyncClient>"


def valid(client: AsyncClient | Exception) -> AsyncClient:
    """Return the client, or raise the error that stands in its place."""
    if isinstance(client, Exception):
        raise client
    return client
