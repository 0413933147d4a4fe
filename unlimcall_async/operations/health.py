"""The health of the numbers of a pool, by their call records. Pure: no I/O.

A number whose reputation falls is answered less often, and hung up on sooner. That shows only in comparison with numbers that make
the same kind of calls. So each number is compared with the others of its country in the pool. And chance alone makes small counts
differ, so a verdict needs proof: the whole confidence interval of the number lies beyond the interval of the others. It must lie
beyond by a margin, because many calls prove even a difference that does not matter.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Final, Literal, TypeAlias

from attrs import define, frozen

from unlimcall_async import CallRecord, _arguments
from unlimcall_async.operations import _checks
from unlimcall_async.operations.caller_ids import CallerId, caller_ids
from unlimcall_async.operations.iteration import iterating
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
    """The health of one number, in comparison with the pool's other numbers of its country.

    Attributes:
        caller_id: The number.
        answered: The calls that were answered, out of all attempts.
        short: The short calls, out of those that were answered.
        baseline_answered: `answered` of the other numbers together.
        baseline_short: `short` of the other numbers together.
        verdict: `"suspect"` if the counts prove that the number does worse than the others. `"good"` if they do not. `"unknown"` if
            the number or the others have too few attempts.
        reasons: Why the number is suspect: `"answer_rate"`, `"short_calls"`, or both.
    """

    caller_id: CallerId
    answered: Share
    short: Share
    baseline_answered: Share
    baseline_short: Share
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()


class CallerIdHealth:
    """Counts the calls of caller ids, and reports the numbers that do worse than the others of their country.

        health = CallerIdHealth(pool.numbers)
        await health.read(client.cdrs.stream(week_ago))
        suspects = [number for number in health.report() if number.verdict == "suspect"]

    The caller id of a record is its `src` (reference: `GET /cdrs`). A verdict is advice: burn a number yourself, with
    `CallerIdPool.burn`.

    Args:
        numbers: The caller ids to watch.
        minimum: The fewest attempts for a verdict, of the number and of the others together. For short calls, the fewest answered
            calls.
        short_seconds: An answered call is short if it is billed for fewer seconds than these.
        margin: How much worse than the rate of the others a rate must be, as a share of theirs: 0.2 means a fifth.

    Attributes:
        ignored: The number of records whose `src` is another number, or missing.

    Raises:
        ValueError: `minimum` or `short_seconds` is below 1, or `margin` does not lie between 0 and 1.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self, numbers: Iterable[CallerId], *, minimum: int = 100, short_seconds: int = 6, margin: float = 0.2
    ) -> None:
        self.ignored: int = 0
        self._numbers = {caller_id.number: caller_id for caller_id in caller_ids(numbers)}
        self._counts = {number: _Counts() for number in self._numbers}
        self._minimum = _arguments.whole("minimum", minimum)
        self._short = _arguments.whole("short_seconds", short_seconds)
        self._margin = _checks.share("margin", margin)

    def add(self, record: CallRecord) -> None:
        """Count a record.

        Raises:
            TypeError: `record` is not a `CallRecord`.
        """
        counts = self._counts.get(_checks.record("record", record).src or "")
        if counts is None:
            self.ignored += 1
            return
        counts.attempts += 1
        if record.disposition is not None and record.disposition.upper() == ANSWERED:
            counts.answered += 1
            if record.billsec < self._short:
                counts.short += 1

    async def read(self, records: AsyncIterable[CallRecord]) -> None:
        """Count all records of a stream, and close its iterator at the end."""
        async with iterating(records) as iterator:
            async for record in iterator:
                self.add(record)

    def report(self) -> list[NumberHealth]:
        """Return the health of each number, in the order in which the numbers were given."""
        countries: dict[str | None, _Counts] = {}
        for number, caller_id in self._numbers.items():
            countries.setdefault(caller_id.country, _Counts()).add(self._counts[number])
        report = []
        for number, caller_id in self._numbers.items():
            own = self._counts[number]
            others = countries[caller_id.country].without(own)
            answered, short = Share(own.answered, own.attempts), Share(own.short, own.answered)
            base_answered, base_short = Share(others.answered, others.attempts), Share(others.short, others.answered)
            reasons: list[Reason] = []
            verdict: Verdict = "unknown"
            if self._enough(answered, base_answered):
                # The highest rate that the counts allow is below the lowest of the others; for short calls, the lowest is above.
                if answered.interval[1] < base_answered.interval[0] * (1 - self._margin):
                    reasons.append("answer_rate")
                if self._enough(short, base_short) and short.interval[0] > base_short.interval[1] * (1 + self._margin):
                    reasons.append("short_calls")
                verdict = "suspect" if reasons else "good"
            report.append(NumberHealth(caller_id, answered, short, base_answered, base_short, verdict, tuple(reasons)))
        return report

    def _enough(self, own: Share, others: Share) -> bool:
        return min(own.of, others.of) >= self._minimum

    def __repr__(self) -> str:
        attempts = sum(counts.attempts for counts in self._counts.values())
        return f"<{type(self).__name__} of {len(self._numbers)} numbers, {attempts} attempts>"
