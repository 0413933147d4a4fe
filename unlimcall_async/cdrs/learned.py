"""What a client and its views have learned of the server: shared by all pages, streams and follows, and made at their first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from unlimcall_async._lazy import LazyModule

if TYPE_CHECKING:
    from unlimcall_async import _pages
    from unlimcall_async.cdrs.planner import known_server
else:
    # Many clients never ask for call records.
    _pages = LazyModule("unlimcall_async._pages")
    known_server = LazyModule("unlimcall_async.cdrs.planner.known_server")


class Learned:
    """What a client and its views have learned of the server."""

    @cached_property
    def decoder(self) -> _pages.PageDecoder:
        """The decoder of pages: what it learns from one page serves all later pages."""
        return _pages.PageDecoder()

    @cached_property
    def server(self) -> known_server.KnownServer:
        """What streams have proven of the server."""
        return known_server.KnownServer()
