"""`client.cdrs`."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from unlimcall_async import _arguments
from unlimcall_async._codec import decode_page
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.messages import timestamp
from unlimcall_async.models import CdrPage


class Cdrs:
    """Call detail records (reference: `GET /cdrs`, scope `read:cdrs`)."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self, start: datetime | None = None, end: datetime | None = None, limit: int = 100) -> CdrPage:
        """Ask for one window, in one request.

        The answer holds at most `limit` rows, and nothing tells how to get the others: see `CdrPage.complete`.

        Args:
            start: The window's start, timezone-aware; `None` for 24 hours ago.
            end: The window's end, timezone-aware, at most 31 days after the start; `None` for now.
            limit: Rows, 1 to 1000.

        Raises:
            ValueError, TypeError: An argument is wrong; nothing was sent.
            WindowOrderError: `start` and `end` are the same.
            WindowTooWideError: The window exceeds 31 days.
            AccountNotProvisionedError: The account has no trunk yet.
            UnlimCallError: Any other failure.
        """
        first, last = _arguments.window(start, end)
        params = {"limit": str(_arguments.limit(limit))}
        if first is not None:
            params["from"] = timestamp(first)
        if last is not None:
            params["till"] = timestamp(last)
        return await self._caller.fetch(CDRS, partial(decode_page, limit=limit), params=params)
