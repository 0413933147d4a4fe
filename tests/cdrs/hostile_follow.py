"""Follows while the clocks jump, without a server and without a clock: `run` runs a case, and judges it.

The wall clock of the machine may be set at any moment, in either direction. The server's clock is right, and each answer says its
time in whole seconds. A record appears up to `lookback` after its start. Each must be handed out once, however the clocks and the
process fare.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

from attrs import define, evolve, frozen

from tests.cdrs.hostile import check
from tests.cdrs.simulated import record
from unlimcall_async import CallRecord, Checkpoint
from unlimcall_async.cdrs.follow_checkpoint import FollowCheckpoint
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.poll_clock import PollClock
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, floor

MINUTE, DAY = 60 * SECOND, 86_400 * SECOND


@frozen
class Poll:
    """A poll: when it begins, how long its first answer takes, how wrong the wall clock is, and whether the process ends then.

    Attributes:
        at: When the poll begins by the server's clock, in microseconds.
        takes: How long its first answer takes.
        off: The time here less the true time.
        most: How many records the reader takes before it leaves.
        dies: Whether another process goes on.
    """

    at: int
    takes: int
    off: int
    most: int
    dies: bool


@frozen
class FollowCase:
    """A follow from a start: when each record starts and appears, and the polls.

    `legs` says of each record how many before it are legs of the same call, and when it is rated again, if it ever is.
    """

    start: int
    lookback: int
    records: tuple[tuple[int, int], ...]
    polls: tuple[Poll, ...]
    budget: int | None
    legs: tuple[tuple[int, int | None], ...] = ()

    def written(self, place: int, now: int) -> CallRecord:
        """Return a record as the server has it at a time."""
        if not self.legs:
            return record(self.records[place][0], place)
        leg, rated = self.legs[place]
        changes = {} if rated is None or now < rated else {"sell_price_cents": 7, "disposition": "ANSWERED"}
        return record(self.records[place][0], place - leg, dst=str(leg), **changes)


@define
class FollowStory:
    """What happened in a case: how many polls had a wall clock that was wrong by more than 30 seconds."""

    jumps: int = 0


def make_follow_case(chance: random.Random, *, rated_again: bool = False) -> FollowCase:
    """Make a case from chance; its records may be rated again, and be legs of calls."""
    start, lookback = chance.randrange(10**9) * 1000 + 40 * DAY, chance.choice((MINUTE, 30 * MINUTE, 120 * MINUTE))
    span = chance.choice((2, 12, 60)) * lookback
    records = []
    for _ in range(chance.randrange(40)):
        at = start + floor(chance.randrange(span), chance.choice((MILLISECOND, SECOND)))
        records.append((at, at + chance.choice((0, lookback, chance.randrange(lookback)))))
    polls, at, off = list[Poll](), start + chance.randrange(lookback), 0
    while at < start + span + lookback:
        if chance.random() < 0.3:
            off = chance.choice(
                (0, 0, chance.randrange(-DAY, DAY), DAY, -DAY, 400 * DAY, chance.randrange(-MINUTE, MINUTE))
            )
        most = 10**6 if chance.random() < 0.8 else chance.randrange(5)
        polls.append(Poll(at, chance.choice((0, SECOND, MINUTE)), off, most, chance.random() < 0.2))
        at += chance.choice((30 * SECOND, lookback // 3, 2 * lookback))
    # In the end the clock is right, and all that the lookback allows has appeared.
    for number in (1, 2):
        polls.append(Poll(max(at, start + span + lookback) + number * 2 * lookback, 0, 0, 10**6, dies=False))
    case = FollowCase(start, lookback, tuple(records), tuple(polls), chance.choice((None, None, 2, 5)))
    return _rated_again(case, chance) if rated_again else case


def _rated_again(case: FollowCase, chance: random.Random) -> FollowCase:
    """Add legs, each of which may appear later than the one before, and have records rated again after they appeared."""
    records, legs = list[tuple[int, int]](), list[tuple[int, int | None]]()
    for at, appears in case.records:
        for leg in range(chance.choice((1, 1, 2, 3))):
            later = appears if chance.random() < 0.5 else at + chance.randrange(case.lookback)
            rated = later + chance.randrange(2 * case.lookback) if chance.random() < 0.6 else None
            records.append((at, later))
            legs.append((leg, rated))
    return evolve(case, records=tuple(records), legs=tuple(legs))


def run_follow(case: FollowCase) -> FollowStory:
    """Run a case, or raise `BrokenError`."""
    story, got = FollowStory(), Counter[tuple[str, str | None]]()
    tail, clock = Tail.from_start(case.start, case.lookback), PollClock()
    for poll in case.polls:
        story.jumps += abs(poll.off) > 30 * SECOND
        # The loop's clock began at some other time.
        began = poll.at / SECOND - 12_345
        left = poll.most
        now = clock.begin(floor(poll.at + poll.off, MILLISECOND), began)
        for wanted in tail.ranges(now, case.budget):
            answered = poll.at + poll.takes
            date = floor(answered, SECOND)
            clock.note_server(date, began + poll.takes / SECOND)
            tail.limit(floor(date - poll.takes, MILLISECOND))
            held = [
                case.written(place, answered)
                for place, (at, appears) in enumerate(case.records)
                if appears <= answered and _in(wanted, at)
            ]
            found = tail.found(in_output_order(held, newest_first=False), wanted)
            for each in found:
                if not left:
                    break
                if not isinstance(each, CallRecord):
                    tail.settle(each, handed_out=False)
                    continue
                left -= 1
                tail.record(each)
                got[_name(each)] += 1
            if not left:
                break
        if poll.dies:
            stored = FollowCheckpoint(datetime(1970, 1, 1, tzinfo=UTC), tail.place()).to_json()
            restored = Checkpoint.from_json(stored)
            assert isinstance(restored, FollowCheckpoint)
            tail, clock = Tail(restored.place, case.lookback), PollClock()
    expected = Counter(_name(case.written(place, 0)) for place in range(len(case.records)))
    lost, more = expected - got, got - expected
    check(not lost, f"lost {lost.total()} of {expected.total()}: {sorted(lost)[:3]}")
    check(not more, f"{more.total()} came too often: {sorted(more)[:3]}")
    return story


def _name(each: CallRecord) -> tuple[str, str | None]:
    """Return what does not change of a record."""
    return each.id, each.dst


def _in(wanted: Range, at: int) -> bool:
    return wanted.start <= at < wanted.end
