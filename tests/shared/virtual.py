"""The script of shared limits on a real server, at any time that a test likes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from importlib.resources import files

from attrs import define, field
from redis import Redis

from unlimcall_async import RateLimit
from unlimcall_async.shared.outlook import UNLIMITED, Answer

EPOCH = 1_800_000_000
SOURCE = files("unlimcall_async.shared").joinpath("bucket.lua").read_text()
CLOCK = "redis.call('TIME')"
INFO = "redis.call('INFO', 'server')"


def virtual(source: str) -> str:
    """Return the script as it is if the keys `time` and `info` say what time the server has, and since when it runs."""
    assert source.count(CLOCK) == source.count(INFO) == 1
    return source.replace(CLOCK, "{redis.call('GET', 'time'), 0}").replace(INFO, "redis.call('GET', 'info')")


class VirtualServer:
    """A bucket whose server shows the time that a test sets. All times are seconds from the start of the test."""

    def __init__(self, connection: Redis, limit: RateLimit | None) -> None:
        connection.flushall()
        self._redis = connection
        self._script = connection.register_script(virtual(SOURCE))
        self.limit = limit
        self.last: Answer
        self.started(0, "1")

    def started(self, now: float, run: str) -> None:
        """Have the server started at a time."""
        self._run, self._up_since = run, now

    def decide(
        self,
        now: float,
        waiter: str = "",
        grant: str = "",
        reports: list[tuple[str, str, float]] | None = None,
        *,
        mark: str = "",
        seen: bool = False,
        missed: bool = False,
    ) -> Answer:
        limit = self.limit
        limits = (0, 0, UNLIMITED) if limit is None else (limit.per_minute, limit.per_day or 0, limit.at_once())
        info = f"run_id:{ord(self._run):x}\r\nuptime_in_seconds:{int(now - self._up_since)}\r\n"
        self._redis.mset({"time": f"{EPOCH + now:.6f}", "info": info})
        flat = [part for report in reports or [] for part in report]
        self.last = Answer.of(
            self._script(
                keys=["mark", "grants", "state", "waiters", "alive"],
                args=[*limits, waiter, grant, mark, f"mark at {now}", int(seen), int(missed), *flat],
            )
        )
        return self.last

    def grant(self, now: float, waiter: str) -> tuple[float, str]:
        """Ask as often as the server says, and return the time and the name of the grant."""
        for number in range(1000):
            answer = self.decide(now, waiter, f"{waiter}:{number}")
            if answer.granted:
                return now, f"{waiter}:{number}"
            now += answer.wait
        raise AssertionError(f"{waiter} is told to wait for ever")


@define
class Crowd:
    """Processes that use one bucket.

    Attributes:
        server: The server.
        granted: The times of the grants, and who got them.
        asked: How many times each was asked.
    """

    server: VirtualServer
    granted: list[tuple[float, int]] = field(factory=list)
    waited: list[float] = field(factory=list)
    questions: int = 0

    def run(
        self, until: float, processes: dict[int, Iterator[float]], late: Callable[[], float], dies: set[int]
    ) -> None:
        """Run processes, each of which makes its next request after so many seconds; one that dies never asks a second time.

        Args:
            until: When all end.
            processes: The gaps between the requests of each process.
            late: Returns how late a process wakes.
            dies: The processes that are killed while they wait for the first time.
        """
        numbers = itertools.count()
        events = [(next(gaps), next(numbers), process, "", 0.0) for process, gaps in processes.items()]
        heapq.heapify(events)
        while events and events[0][0] < until:
            now, _, process, waiter, since = heapq.heappop(events)
            if not waiter:
                waiter, since = f"{process}:{next(numbers)}", now
            answer = self.server.decide(now, waiter, f"{process}:{next(numbers)}")
            self.questions += 1
            if not answer.granted:
                if process not in dies:
                    heapq.heappush(events, (now + min(answer.wait, 60) + late(), next(numbers), process, waiter, since))
                continue
            self.granted.append((now, process))
            self.waited.append(now - since)
            gap = next(processes[process], None)
            if gap is not None:
                heapq.heappush(events, (now + gap, next(numbers), process, "", 0.0))

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.granted]


def most_in(span: float, times: list[float]) -> int:
    """Count the times of the span, ends included, that holds the most. The fullest span begins at one of them."""
    return max((sum(start <= at <= start + span for at in times) for start in times), default=0)
