"""The error of shared rate limits."""

from __future__ import annotations

from typing import ClassVar

from attrs import define

from unlimcall_async._error_root import Category, UnlimCallError


@define(eq=False, slots=False)
class LimiterUnavailableError(UnlimCallError):
    """The server that holds the rate limits does not answer, or refuses what it is asked. The request to the API was not sent.

    Attributes:
        server: The host and the port of the server, or the path of its socket.
        reason: What went wrong.
    """

    _category: ClassVar[Category] = "network"

    server: str
    reason: str

    def __str__(self) -> str:
        return f"the server of the rate limits at {self.server} {self.reason}"
