"""The times of polls, by clocks of which none can be trusted alone.

Pure: no I/O, and time is an argument.
"""

from __future__ import annotations

from unlimcall_async.cdrs.times import MILLISECOND, SECOND, floor


class PollClock:
    """The times of polls, by clocks of which none can be trusted alone.

    The wall clock of this machine may be set at any moment. Spans go by the event loop's clock, so a wall clock that was set back
    does not make a follow wait. Nothing is known of the time that is still to come by the server's clock: see `Tail.limit`.
    """

    def __init__(self) -> None:
        # A time in microseconds, and the event loop's time in seconds at that moment: of the latest poll, and of the server.
        self._latest: tuple[int, float] | None = None
        self._server: tuple[int, float] | None = None

    def begin(self, wall: int, at: float) -> int:
        """Return the time up to which a poll asks that begins now."""
        now = wall if self._latest is None else max(wall, _later(self._latest, at))
        self._latest = now, at
        return now

    def note_server(self, server: int, at: float) -> None:
        """Record the server's time at a time of the event loop."""
        self._server = server, at
        if self._latest is not None and _later(self._latest, at) > server:
            # The wall clock was ahead. Once it is right again, the follow goes by it.
            self._latest = server, at

    def server_at(self, at: float) -> int | None:
        """Return the server's time at a time of the event loop, or `None` if no response has told the time."""
        return None if self._server is None else _later(self._server, at)

    def real(self, now: int, at: float) -> int:
        """Return the time by the server's clock, or by this machine's if that is earlier."""
        server = self.server_at(at)
        return now if server is None else min(now, server)


def _later(known: tuple[int, float], at: float) -> int:
    moment, then = known
    return moment + floor(int((at - then) * SECOND), MILLISECOND)
