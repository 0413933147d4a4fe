"""How the numbers of a pool do, by their call records. Pure: no I/O.

A number whose reputation goes down is answered less, and hung up on sooner. That shows only against numbers that make the same
kind of calls, so each is compared with the others of its country in the pool; and only with enough calls, so a verdict is given
on what the counts prove, not on what they suggest: the whole interval of the number lies beyond that of the others, and by a
margin, because a difference of no importance is proven too where there are enough calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from contextlib import aclosing
from typing import Final, Literal, TypeAlias

from attrs import define, frozen

from unlimcall_async import CallRecord
from unlimcall_async.operations import _arguments
from unlimcall_async.operations.caller_ids import CallerId, caller_ids
from unlimcall_async.operations.reading import each
from unlimcall_async.operations.shares import Share

Verdict: TypeAlias = Literal["unknown", "good", "suspect"]
Reason: TypeAlias = Literal["answer_rate", "short_calls"]

ANSWERED: Final = "ANSWERED"


@define
class _Counts:
    attempts: int = 0
    answered: int = 0
    short: int = 0

    def add(self, other: _Counts) -> None:
        self.attempts += other.attempts
        self.answered += other.answered
        self.short += other.short

    def without(self, other: _Counts) -> _Counts:
        return _Counts(self.attempts - other.attempts, self.answered - other.answered, self.short - other.short)


@frozen
class NumberHealth:
    """How a number does.

    Attributes:
        caller_id: The number.
        answered: Calls that were answered, out of all attempts.
        short: Short calls, out of those that were answered.
        baseline_answered: The same as `answered`, of the pool's other numbers of the same country.
        baseline_short: The same as `short`, of those.
        verdict: `"suspect"` if it does worse than the others beyond doubt; `"good"` if not; `"unknown"` if there are too few
            attempts, of it or of the others, to tell.
        reasons: For what it is suspect: `"answer_rate"`, `"short_calls"`, or both.
    """

    caller_id: CallerId
    answered: Share
    short: Share
    baseline_answered: Share
    baseline_short: Share
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()


class CallerIdHealth:
    """Counts the calls of caller ids, and tells which do worse than the others.

        health = CallerIdHealth(pool.numbers)
        await health.read(client.cdrs.stream(week_ago))
        for number in health.report(): ...

    The caller id of a record is its `src`. Its verdicts are advice: to burn a number is left to the user.

    Args:
        numbers: The caller ids to watch.
        minimum: How many attempts it takes, of a number and of the others, for a verdict; and how many answered calls, for one on
            short calls.
        short_seconds: An answered call that is billed for fewer seconds is short.
        margin: How much worse than the others' a rate must be, as a share of it.

    Attributes:
        ignored: Records of other numbers, or of none.

    Raises:
        ValueError, TypeError: An argument is wrong.
    """

    def __init__(
        self, numbers: Iterable[CallerId], *, minimum: int = 100, short_seconds: int = 6, margin: float = 0.2
    ) -> None:
        self.ignored: int = 0
        self._numbers = {caller_id.number: caller_id for caller_id in caller_ids(numbers)}
        self._counts = {number: _Counts() for number in self._numbers}
        self._minimum = _arguments.whole("minimum", minimum)
        self._short = _arguments.whole("short_seconds", short_seconds)
        self._margin = _arguments.share("margin", margin)

    def add(self, record: CallRecord) -> None:
        """Count a record."""
        counts = self._counts.get(_arguments.record("record", record).src or "")
        if counts is None:
            self.ignored += 1
            return
        counts.attempts += 1
        if record.disposition is not None and record.disposition.upper() == ANSWERED:
            counts.answered += 1
            counts.short += record.billsec < self._short

    async def read(self, records: AsyncIterable[CallRecord]) -> None:
        """Count all records of a stream."""
        async with aclosing(each(records)) as following:
            async for record in following:
                self.add(record)

    def report(self) -> list[NumberHealth]:
        """Tell how each number does, in the order in which they were given."""
        countries: dict[str | None, _Counts] = {}
        for number, caller_id in self._numbers.items():
            countries.setdefault(caller_id.country, _Counts()).add(self._counts[number])
        return [
            self._health(caller_id, self._counts[number], countries[caller_id.country].without(self._counts[number]))
            for number, caller_id in self._numbers.items()
        ]

    def _health(self, caller_id: CallerId, own: _Counts, others: _Counts) -> NumberHealth:
        answered, short = Share(own.answered, own.attempts), Share(own.short, own.answered)
        base_answered, base_short = Share(others.answered, others.attempts), Share(others.short, others.answered)
        reasons: list[Reason] = []
        if self._enough(answered, base_answered):
            if answered.interval[1] < base_answered.interval[0] * (1 - self._margin):
                reasons.append("answer_rate")
            if self._enough(short, base_short) and short.interval[0] > base_short.interval[1] * (1 + self._margin):
                reasons.append("short_calls")
            verdict: Verdict = "suspect" if reasons else "good"
        else:
            verdict = "unknown"
        return NumberHealth(caller_id, answered, short, base_answered, base_short, verdict, tuple(reasons))

    def _enough(self, own: Share, others: Share) -> bool:
        return min(own.of, others.of) >= self._minimum

    def __repr__(self) -> str:
        attempts = sum(counts.attempts for counts in self._counts.values())
        return f"<{type(self).__name__} of {len(self._numbers)} numbers, {attempts} attempts>"
