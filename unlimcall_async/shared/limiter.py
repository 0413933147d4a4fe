"""One process's queue in front of a bucket that processes share."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final

from unlimcall_async.http.bucket import MARGIN
from unlimcall_async.http.limiter import Limiter
from unlimcall_async.http.rate_limits import MINUTE, RateLimit
from unlimcall_async.shared.errors import LimiterUnavailableError
from unlimcall_async.shared.outlook import Answer, SharedOutlook
from unlimcall_async.shared.server import OutageError, Server

# Seconds. A grant counts from the moment at which the server has made it. If the process is busy, or the server far away, and the
# request goes out so much later, the API might count one too many within a span. So the process gives the grant back and asks for
# another, a few times. The last one it uses, and tells the server that the grant counts from then on.
_LATE: Final = MARGIN / 2
_TRIES: Final = 3
# Reports that are kept while the server does not answer. Each try adds one or two, so the oldest are minutes old. A grant whose
# report is lost counts for a span, and a pause of minutes is mostly over.
_MOST_REPORTS: Final = 1000
# Seconds: the shortest wait.
_TICK: Final = 0.001
# Seconds that the last reports may take when the client is closed.
_LAST_REPORTS: Final = 1.0


class SharedLimiter(Limiter):
    """The queue of this process in front of a bucket that processes share. Only its head asks the server.

    Args:
        limit: The limit, `None` for no limit.
        bucket: The name of the bucket on the server.
        server: Returns the server, as the running event loop reaches it.
    """

    def __init__(self, limit: RateLimit | None, bucket: str, server: Callable[[], Server]) -> None:
        self._shared = SharedOutlook(limit)
        super().__init__(limit, self._shared)
        self._bucket = bucket
        self._server = server
        # Names of waiters and grants begin with it: other processes have others.
        self._process = os.urandom(8).hex()
        self._named_at = -math.inf
        # What the server has still to learn.
        self._reports = list[tuple[str, str, float]]()
        self._reporting: asyncio.Task[None] | None = None
        # Grants that were used late, of which the server has still to learn, and which were not given back.
        self._late = set[str]()
        self._given_back = asyncio.Event()
        # Whether the head of the queue waits for the time that the server has named.
        self._asleep = False
        self._accepted_at = -math.inf
        self._refused_at = -math.inf

    def is_idle(self) -> bool:
        """Return whether nothing waits, and the server knows of all that has happened."""
        return super().is_idle() and not self._reports

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _soonest(self, party: Hashable, now: float) -> float:
        # The head that sleeps has asked, and may sleep for a minute. Otherwise the head will ask, and send others away.
        return super()._soonest(party, now) if self._asleep else now

    def _too_late(self) -> Exception:
        return self._server().unavailable() or super()._too_late()

    async def _take(self, slots: asyncio.Semaphore, party: Hashable) -> float:  # noqa: ARG002 # as in a local limiter
        """Wait as the head of the queue, and take a token and a slot. The token is taken last, as in a local limiter."""
        waiter, tries = self._name(self._new_time()), 0
        try:
            while True:
                try:
                    taken_at = await self._ask(slots, waiter)
                except OutageError:
                    self._bound_waits()
                    await self._recover()
                    continue
                if taken_at is None:
                    self._send_away(_now())
                    await self._until_ready()
                    continue
                if _now() - taken_at <= _LATE:
                    return taken_at
                tries += 1
                if tries == _TRIES:
                    self._late.add(name := self._name(taken_at))
                    self._report("late", name)
                    return taken_at
                slots.release()
                self._reports.append(("give_back", self._name(taken_at), 0))
        except BaseException:
            self._report("leave", waiter)
            raise

    async def _ask(self, slots: asyncio.Semaphore, waiter: str) -> float | None:
        """Take a slot, and ask for a token. Return the time that names the token, or `None` if neither was taken."""
        await slots.acquire()
        asked_at = self._new_time()
        try:
            answer = await self._decide(waiter, self._name(asked_at))
        except BaseException:
            slots.release()
            # The server may have granted the request, and its answer was lost.
            self._report("give_back", self._name(asked_at))
            raise
        if answer.granted:
            return asked_at
        slots.release()
        return None

    async def _until_ready(self) -> None:
        self._given_back.clear()
        self._asleep = True
        try:
            # The server hears of each waiter once a minute.
            async with asyncio.timeout(min(max(_TICK, self._shared.ready_at() - _now()), MINUTE)):
                await self._given_back.wait()
        except TimeoutError:
            pass
        finally:
            self._asleep = False

    async def _recover(self) -> None:
        try:
            await self._server().recover()
        except LimiterUnavailableError:
            # Those behind have no better chance, and each of them would wait for an answer in its turn.
            for waiter in self._queue.in_order()[1:]:
                if waiter.scope is not None:
                    waiter.scope.reschedule(_now())
            raise

    def _bound_waits(self) -> None:
        """End the waits that have a bound when it is reached, because nobody knows when the server will answer."""
        for waiter in self._queue.in_order():
            if waiter.scope is not None and waiter.scope.when() is None and waiter.latest < math.inf:
                waiter.scope.reschedule(waiter.latest)

    def give_back(self, taken_at: float) -> None:
        """Put the token of a request that was never sent back into the bucket."""
        name = self._name(taken_at)
        self._late.discard(name)
        self._report("give_back", name)

    # --- what the API says --------------------------------------------------------------------------------------------

    def dense(self) -> bool:
        """Return whether requests of all processes go out so fast that the API may have too many, or it has just had too many."""
        return self._shared.streak > 0 or self._shared.dense(self._accepted_at, _now())

    async def refused(self, granted_at: float, seconds: float) -> int:
        """Slow all processes down. Return how many rounds of refusals there were since the API last accepted a request."""
        streak = self._shared.streak
        counted = granted_at <= self._refused_at
        self._refused_at = _now()
        # With the same question: the caller may be cancelled before it asks another one.
        self._reports.append(("pause", "", seconds))
        if not await self._tell("refused", self._name(granted_at)):
            self._shared.streak = streak + (0 if counted else 1)
        self._send_away(_now())
        return self._shared.streak

    def accepted(self, granted_at: float) -> None:
        """Take note that the API has not refused a request. The server learns of it with the next question, if a pace holds."""
        self._accepted_at = now = _now()
        if self._shared.streak or self._shared.rate(now) is not None:
            self._reports.append(("accepted", self._name(granted_at), 0))
        self._shared.streak = 0

    def failed(self, granted_at: float) -> None:
        """Do nothing: further attempts of a call that has failed make requests dense only if other requests are accepted."""

    async def pause(self, seconds: float) -> None:
        """Grant no token to any process for so many seconds."""
        now = _now()
        await self._tell("pause", "", seconds)
        self._shared.pause(now + seconds)
        self._send_away(now)

    # --- the server ---------------------------------------------------------------------------------------------------

    async def _decide(self, waiter: str = "", grant: str = "") -> Answer:
        """Ask the server, and report to it."""
        reports, self._reports = self._reports, []
        try:
            answer = await self._server().decide(self._bucket, self.limit, waiter, grant, reports)
        except BaseException:
            # To report something twice does no harm. But a grant that was given back meanwhile must not come back by an old report.
            kept = [each for each in reports if each[0] != "late" or each[1] in self._late]
            self._reports = (kept + self._reports)[-_MOST_REPORTS:]
            raise
        self._late.difference_update(name for kind, name, _ in reports if kind == "late")
        self._shared.heard(answer, _now())
        return answer

    async def _tell(self, kind: str, name: str, seconds: float = 0) -> bool:
        """Report something at once. If the server does not answer, it learns of it later. Return whether it has."""
        self._reports.append((kind, name, seconds))
        try:
            await self._decide()
        except (OutageError, LimiterUnavailableError):
            return False
        except asyncio.CancelledError:
            self._start_reporting()
            raise
        return True

    def _report(self, kind: str, name: str) -> None:
        """Report something soon. The caller may be about to end, so it cannot wait."""
        self._reports.append((kind, name, 0))
        self._start_reporting()

    def _start_reporting(self) -> None:
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.create_task(self._report_all())

    async def _report_all(self) -> None:
        # A server that does not answer learns of the rest with the next question.
        with suppress(OutageError, LimiterUnavailableError):
            while self._reports:
                await self._decide()
            self._given_back.set()

    async def aclose(self) -> None:
        """Wait until the server knows what is given back, but not for long."""
        if self._reporting is not None:
            await asyncio.wait([self._reporting], timeout=_LAST_REPORTS)
            self._reporting.cancel()
            await asyncio.wait([self._reporting])

    # --- names --------------------------------------------------------------------------------------------------------

    def _new_time(self) -> float:
        """Return the present, or a time just behind it that no name of this limiter has yet."""
        self._named_at = max(_now(), math.nextafter(self._named_at, math.inf))
        return self._named_at

    def _name(self, at: float) -> str:
        return f"{self._process}:{at!r}"


def _now() -> float:
    return asyncio.get_running_loop().time()
