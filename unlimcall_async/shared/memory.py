"""What a process has seen on a server of rate limits: by this, a server that has lost its memory is known from a new one."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from attrs import define, field

from unlimcall_async.http.rate_limits import DAY


@define
class Memory:
    """What this process has seen on the server, in whichever event loop and thread.

    Attributes:
        mark: The mark of the server; empty before the first answer.
        seen: When the process last asked for each bucket, by the monotonic clock: the oldest first.
        missed: Whether the process could not reach the server since it last had an answer.
    """

    mark: str = ""
    seen: OrderedDict[str, float] = field(factory=OrderedDict)
    missed: bool = False
    _lock: Lock = field(factory=Lock, repr=False)

    def heard(self, mark: str, bucket: str, now: float) -> None:
        """Take note of an answer."""
        with self._lock:
            self.mark, self.missed = mark, False
            self.seen[bucket] = now
            self.seen.move_to_end(bucket)

    def forget_old(self, now: float) -> None:
        """Forget what was seen a day ago. The server keeps a bucket for longer."""
        with self._lock:
            # The order of the times spares a look at all of them, of which there may be thousands.
            while self.seen and next(iter(self.seen.values())) < now - DAY:
                self.seen.popitem(last=False)
            if not self.seen:
                self.mark = ""
