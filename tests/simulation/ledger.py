"""What the server of the shared limits has decided, and what has become of it: the oracle of all processes together."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Self

from attrs import define, field, frozen

from tests.simulation.process import Process
from unlimcall_async.shared.outlook import Answer

_SPAN: Final = 60.0


@frozen
class Question:
    """What a process has asked the server.

    Attributes:
        at: The loop's time.
        clock: The time of the server.
        bucket: The bucket.
        asker: The process.
        waiter: The name under which it waits; empty if it only reports.
        grant: The name of the grant that it would have.
        seen_mark: The mark that it has seen on the server before, or an empty text.
        had_outage: Whether it could not reach the server before it has seen a mark.
        reports: Kinds and names of what it reports.
    """

    at: float
    clock: float
    bucket: str
    asker: Process | None
    waiter: str
    grant: str
    seen_mark: str
    had_outage: bool
    reports: Sequence[tuple[str, str]]

    @classmethod
    def of(
        cls, keys: Sequence[bytes], arguments: Sequence[bytes], asker: Process | None, at: float, clock: float
    ) -> Self:
        """Return the question that a call of the script is."""
        bucket = keys[1].decode().removeprefix("{unlimcall}:").removesuffix(":grants")
        waiter, grant, seen_mark, _new_mark, _seen_bucket, had_outage, *reports = (
            each.decode() for each in arguments[3:]
        )
        told = list(zip(reports[::3], reports[1::3], strict=True))
        return cls(at, clock, bucket, asker, waiter, grant, seen_mark, had_outage == "1", told)


@frozen
class _Grant:
    """When a request was granted, to which process, and since when the server knew of the grants before it."""

    at: float
    owner: Process | None
    known_since: float


@frozen
class _Send:
    """A request by the name of its grant: when it was sent, by the longest clock, when it was granted, and to which process."""

    name: str
    at: float
    granted_at: float
    owner: Process | None


@define(eq=False)
class Ledger:
    """The decisions of the server of the limits, and the requests that were sent.

    Attributes:
        reach: Called with each hard state.
        skipped: By how many seconds the clock of the server was set forward: a span is shorter by as much.
    """

    reach: Callable[[str], None]
    skipped: float = 0.0
    _granted: dict[str, _Grant] = field(factory=dict)
    _settled: set[str] = field(factory=set)
    _sends: defaultdict[str, list[_Send]] = field(factory=lambda: defaultdict(list))
    # Per bucket: since when a pause is known to the server, and until when it lasts.
    _pauses: dict[str, tuple[float, float]] = field(factory=dict)
    _pausers: dict[str, Process | None] = field(factory=dict)
    _waiting: dict[tuple[str, str], Process | None] = field(factory=dict)
    _mark: str = ""
    _latest: float = -math.inf
    # When the server last forgot all, and whether nobody has told it so since.
    _forgot_at: float = -math.inf
    _unnoticed: bool = False

    # --- the server ---------------------------------------------------------------------------------------------------

    def decided(self, question: Question, answer: Answer, waiters: set[str]) -> None:
        """Take note of a decision, and of the waiters of the bucket that are left."""
        self._compare_marks(question, answer)
        if question.clock < self._latest:
            self.reach("the clock of the server of the limits has gone back")
        self._latest = question.clock
        for kind, name in question.reports:
            self._note(question, kind, name)
        place = question.bucket, question.waiter
        if answer.granted:
            known_since = self._forgot_at if self._unnoticed else -math.inf
            self._granted[question.grant] = _Grant(question.at, question.asker, known_since)
            self._waiting.pop(place, None)
        elif question.waiter:
            self._waiting[place] = question.asker
            if answer.paused > 0 and self._pausers.get(question.bucket) is not question.asker:
                self.reach("a 429 of one process stops another")
        for bucket, waiter in [*self._waiting]:
            if bucket == question.bucket and waiter not in waiters:
                owner = self._waiting.pop((bucket, waiter))
                if owner is not None and not owner.alive:
                    self.reach("the place of a dead process in the queue runs out")

    def _note(self, question: Question, kind: str, name: str) -> None:
        match kind:
            case "give_back":
                self._settled.add(name)
            case "leave":
                self._waiting.pop((question.bucket, name), None)
            case "pause":
                self._pausers[question.bucket] = question.asker
            case _:
                pass

    def _compare_marks(self, question: Question, answer: Answer) -> None:
        is_new, self._mark = answer.mark != self._mark, answer.mark
        if question.seen_mark not in {"", answer.mark}:
            self.reach("a process notices that the server of the limits has forgotten")
            self._unnoticed = False
        elif is_new and question.had_outage and not question.seen_mark:
            self.reach("a process that was late cannot tell whether the server of the limits is new")
            self._unnoticed = False
        elif answer.granted and self._unnoticed:
            self.reach("a server of the limits that has forgotten is taken for a new one")

    def forgets(self, now: float) -> None:
        """The server has forgotten all. Nobody can tell who has not used it before, until one who has asks."""
        self._forgot_at, self._unnoticed = now, bool(self._granted)
        self._waiting.clear()
        self.forgets_some(now)

    def forgets_some(self, now: float) -> None:
        """The server may have forgotten what was last: then all wait for a span, but not for longer."""
        latest = now + self.skipped + _SPAN
        self._pauses = {bucket: (since, min(until, latest)) for bucket, (since, until) in self._pauses.items()}

    # --- the clients --------------------------------------------------------------------------------------------------

    def sends(self, bucket: str, name: str, now: float, per_minute: int | None) -> str | None:
        """Take note of a request that is sent. Return what is wrong with it."""
        grant, at = self._granted.get(name), now + self.skipped
        if grant is None:
            return "was sent without a grant"
        self._settled.add(name)
        sends = self._sends[bucket]
        sends.append(_Send(name, at, grant.at, grant.owner))
        since, until = self._pauses.get(bucket, (math.inf, 0.0))
        if grant.known_since <= since < grant.at and at < until - 0.001:
            return f"was granted and sent {until - at:.1f} s before the end of a pause"
        first = bisect.bisect_right(sends, at - _SPAN, key=lambda send: send.at)
        recent = [send for send in sends[first:] if send.granted_at >= grant.known_since]
        if per_minute is not None and len(recent) > per_minute:
            return f"is number {len(recent)} in a minute, and the limit of all processes is {per_minute}"
        if len(recent) == per_minute and len({send.owner for send in recent}) > 1:
            self.reach("processes use up the limit of a minute together")
        return None

    def was_not_sent(self, bucket: str, name: str) -> None:
        """Take note that the request of a grant was not sent after all."""
        self._sends[bucket] = [send for send in self._sends[bucket] if send.name != name]

    def pauses(self, bucket: str, begins: float, known: float, seconds: float) -> None:
        """Take note of a pause that began at a time, and that the server knows since another."""
        since, until = self._pauses.get(bucket, (known, 0.0))
        if self._unnoticed and since < self._forgot_at:
            until = 0.0  # the server has forgotten that pause, and nobody has told it so
        self._pauses[bucket] = known, max(until, begins + self.skipped + seconds)

    def is_granted(self, name: str) -> bool:
        """Return whether the server has made this grant."""
        return name in self._granted

    def close(self) -> None:
        """Count the grants that nobody has used, because their process was killed."""
        for name, grant in self._granted.items():
            if name not in self._settled and grant.owner is not None and not grant.owner.alive:
                self.reach("a process dies with a grant that it has not used")
