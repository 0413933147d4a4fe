"""What a process has seen on a server of rate limits: by this, a server that has lost its memory is known from a new one."""

from __future__ import annotations

from attrs import define, field

from unlimcall_async.http.bucket import DAY


@define
class Memory:
    """What this process has seen on the server, in whichever event loop.

    Attributes:
        mark: The mark of the server; empty before the first answer.
        seen: When the process last asked for each bucket, by the monotonic clock.
        missed: Whether the process could not reach the server before it has seen a mark.
    """

    mark: str = ""
    seen: dict[str, float] = field(factory=dict)
    missed: bool = False

    def forget_old(self, now: float) -> None:
        """Forget what was seen a day ago. The server keeps a bucket for longer."""
        if any(at < now - DAY for at in self.seen.values()):
            self.seen = {key: at for key, at in self.seen.items() if at >= now - DAY}
        if not self.seen:
            self.mark = ""
