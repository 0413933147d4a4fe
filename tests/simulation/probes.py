"""Probes that count the hard states of a run from outside.

A probe calls what it wraps as it is, looks at arguments, results and the log, and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch
from weakref import WeakKeyDictionary, WeakSet

from tests.simulation.watch import watched
from tests.simulation.world import World
from unlimcall_async import CdrFollow, CheckpointFile
from unlimcall_async.cdrs.checkpoint_journal import CheckpointJournal
from unlimcall_async.cdrs.lateness import Lateness
from unlimcall_async.cdrs.marks import Removed, Revised
from unlimcall_async.cdrs.planner import claims
from unlimcall_async.cdrs.planner.claims import Claims
from unlimcall_async.cdrs.planner.page_cap import PageCap
from unlimcall_async.cdrs.planner.parts import Claimed, Part, Seam
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.planner.seek import SeamCheck, ServerOrder
from unlimcall_async.cdrs.poll_clock import PollClock
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.errors import ResponseError
from unlimcall_async.http import exchange
from unlimcall_async.http.bucket import MARGIN, TokenBucket
from unlimcall_async.http.limiter import Limiter, TooLateError
from unlimcall_async.http.outcome import Sent
from unlimcall_async.http.rate_limits import MINUTE
from unlimcall_async.shared import LimiterUnavailableError
from unlimcall_async.shared.limiter import SharedLimiter
from unlimcall_async.shared.server import OutageError, Server
from unlimcall_async.webhooks import SQLiteStore
from unlimcall_async.webhooks.handling import Handling
from unlimcall_async.webhooks.stores import ClaimLostError

# States that a line of the log shows.
_SAID: Final = {"took longer than": "a handler takes too long, and is cancelled"}


class Wraps:
    """Methods that are wrapped as long as the block lasts."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self._stack = stack

    def around(
        self, owner: Any, name: str, before: Callable[..., Any] | None, after: Callable[..., Any] | None
    ) -> None:
        """Call `before` with the arguments of each call, and `after` with what that returned, the result and the arguments."""
        inner = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
        bound = inner.__func__ if isinstance(inner, (classmethod, staticmethod)) else inner

        def call(*args: Any, **options: Any) -> Any:
            noted = None if before is None else before(*args)
            result = bound(*args, **options)
            if after is not None:
                after(noted, result, *args)
            return result

        self._stack.enter_context(
            patch.object(owner, name, classmethod(call) if isinstance(inner, classmethod) else call)
        )

    def awaited(self, owner: type, name: str, before: Callable[..., Any] | None, after: Callable[..., Any]) -> None:
        """Do the same around a coroutine method. The result may be the exception that it raised."""
        inner = owner.__dict__[name]

        async def call(*args: Any, **options: Any) -> Any:
            noted = None if before is None else before(*args)
            try:
                result = await inner(*args, **options)
            except BaseException as error:
                after(noted, error, *args)
                raise
            after(noted, result, *args)
            return result

        self._stack.enter_context(patch.object(owner, name, call))


@contextmanager
def probes(world: World) -> Iterator[Callable[[logging.LogRecord, str], None]]:
    """Count hard states meanwhile, and watch what must hold at any time."""

    def heard(_record: logging.LogRecord, text: str) -> None:
        for words, state in _SAID.items():
            if words in text:
                world.reach(state)

    with ExitStack() as stack:
        wraps = Wraps(world, stack)
        for probe in (_refusals, _tokens, _seams, _pages, _files, _marks, _polls, _claims, _turns, _shared):
            probe(world, wraps)
        stack.enter_context(watched(world))
        yield heard


def _refusals(world: World, wraps: Wraps) -> None:
    reach = world.reach

    def refused(call: Any, _verdict: Any, error: Any, _token: float) -> None:
        reach("a 429 without Retry-After" if error.retry_after is None else "a 429 with Retry-After")
        if call.limiter._outlook.paused_until > world.loop.time():
            reach("a 429 in the middle of a pause")
        if error.status == 503:
            reach("a 503 counts as a refusal")
        if call.endpoint.method == "POST":
            reach("a 429 for the placement of a call")

    def sent(_: Any, result: Any, call: Any, _request: Any, attempt: Any, *_rest: Any) -> None:
        if isinstance(result, ResponseError):
            reach("a response is cut off or garbled")
        if attempt.sent is Sent.NOT_SENT and call.endpoint.method == "POST":
            reach("a call is tried again, as nothing was sent")

    wraps.around(exchange.Call, "_delay_after_refusal", refused, None)
    wraps.awaited(exchange.Call, "_send", None, sent)


def _tokens(world: World, wraps: Wraps) -> None:
    reach = world.reach

    def acquired(_: Any, result: Any, *_args: Any) -> None:
        if isinstance(result, asyncio.CancelledError):
            reach("a waiter for the rate limit is cancelled")
        if isinstance(result, TooLateError):
            reach("a call would wait longer than max_wait")

    def take(bucket: Any, now: float) -> None:
        if bucket._minute and len(bucket._minute) >= bucket._per_minute:
            oldest = bucket._minute[-bucket._per_minute][0]
            if oldest + MINUTE + MARGIN > now - 1:
                reach("the limit of a minute is used up")

    wraps.awaited(Limiter, "acquire", None, acquired)
    wraps.around(TokenBucket, "take", take, None)
    wraps.around(TokenBucket, "give_back", lambda *_: reach("a token comes back, as nothing was sent"), None)


def _seams(world: World, wraps: Wraps) -> None:
    reach = world.reach
    handed_out = WeakSet[Any]()
    words = {
        SeamCheck.AGREES: "a seam agrees",
        SeamCheck.UNSURE: "a seam is in doubt",
        SeamCheck.REFUTES: "a seam is refuted",
    }

    verdict = SeamCheck.AGREES

    def checked(_: Any, result: tuple[SeamCheck, int], *_args: Any) -> None:
        nonlocal verdict
        verdict = result[0]
        reach(words[verdict])

    def compared(goes_on: bool, _result: Any, *_args: Any) -> None:
        if goes_on and verdict is SeamCheck.REFUTES:
            reach("a seam is refuted while a window beyond is under way")

    def withdrawn(plan_claims: Any) -> None:
        if any(isinstance(part.state, Claimed) for part in plan_claims._plan):
            reach("an order is withdrawn while claims wait")
        if plan_claims._plan in handed_out:
            reach("an order is withdrawn behind a page that was handed out")

    def taken(_: Any, result: Any, asking: Any) -> None:
        if result is not None:
            handed_out.add(asking._plan)

    wraps.around(claims, "check_seam", None, checked)
    wraps.around(Claims, "check_seam", _goes_on_beyond, compared)
    wraps.around(Claims, "withdraw_order", withdrawn, None)
    wraps.around(Planner, "take_first", None, taken)


def _goes_on_beyond(plan_claims: Any, seam: Seam, *_: Any) -> bool:
    """Return whether only the seam can refute the order now, and a window is under way beyond the page that is to agree there."""
    asked = plan_claims._plan.asked
    behind = next(part for part in asked if part.seam is seam).range
    beyond = any(
        part.range.end <= behind.start if seam.descending else part.range.start >= behind.end for part in asked
    )
    return beyond and bool(plan_claims._order.candidate == seam.descending)


def _pages(world: World, wraps: Wraps) -> None:
    reach = world.reach
    words = {
        "Probe": "a page of a cap is probed",
        "Resolve": "a second is taken apart",
        "Gauge": "the margins are gauged",
    }

    def received(_asking: Any, question: Any, _page: Any) -> None:
        task = type(question.part.task).__name__
        if task in words:
            reach(words[task])

    def narrowed(_: Any, result: int | None, *_args: Any) -> None:
        if result is not None:
            reach("a window is halved")

    def proven(_: Any, _result: Any, order: Any, *_args: Any) -> None:
        if order.proven is not None:
            reach("an order is proven")

    def capped(found: int, _result: Any, cap: Any, *_args: Any) -> None:
        if cap.found > found:
            reach("a page cap is found")

    wraps.around(PageCap, "is_to_be_repeated", lambda cap, *_: cap.found, capped)
    wraps.around(PageCap, "_note_cut", lambda cap, *_: cap.found, capped)
    wraps.around(ServerOrder, "prove", None, proven)
    wraps.around(Planner, "receive", received, None)
    wraps.around(Planner, "narrow", None, narrowed)
    wraps.around(Part, "ask_once_more", lambda *_: reach("a page is asked again, as count is above its rows"), None)


def _files(world: World, wraps: Wraps) -> None:
    reach = world.reach

    def read(_kind: Any, content: bytes) -> None:
        if content and not content.endswith(b"\n"):
            reach("a torn last line is left out")

    def append(file: Any, handle: Any, _line: bytes) -> None:
        if handle.seek(0, 2) > file._length:
            reach("a torn last line is written over")

    def replace(file: Any, _line: bytes) -> None:
        if file._begun:
            reach("a base takes the place of a journal")

    wraps.around(CheckpointJournal, "from_lines", read, None)
    wraps.around(CheckpointFile, "_append", append, None)
    wraps.around(CheckpointFile, "_replace", replace, None)


def _marks(world: World, wraps: Wraps) -> None:
    reach = world.reach

    def found(_: Any, result: Any, *_args: Any) -> None:
        for each in result:
            if isinstance(each, Revised):
                reach("a record is revised after it was handed out")
            elif isinstance(each, Removed):
                reach("a record is gone after it was handed out")

    def late(_lateness: Any, seconds: int) -> None:
        if seconds > 0:
            reach("a record comes late, and a later poll finds it")

    wraps.around(Tail, "found", None, found)
    wraps.around(Lateness, "add", late, None)


def _polls(world: World, wraps: Wraps) -> None:
    reach = world.reach

    def begin(clock: Any, wall: int, at: float) -> None:
        if clock._latest is not None and wall < clock._latest[0] + int((at - clock._latest[1]) * 1e6) - 1_000_000:
            reach("the clock of a follow goes back")

    def began(_: Any, poll: Any, the_follow: Any, *_args: Any) -> None:
        if poll.late and the_follow._polls:
            reach("a poll begins late, after an outage")

    wraps.around(PollClock, "begin", begin, None)
    wraps.around(CdrFollow, "_begin_poll", None, began)


def _claims(world: World, wraps: Wraps) -> None:
    reach = world.reach
    waited = set[str]()
    claimed = WeakKeyDictionary[Any, bool]()

    def asked(_: Any, result: Any, _store: Any, claim: Any, _now: float) -> None:
        match result:
            case "busy":
                waited.add(claim.token)
                reach("an event belongs to another process")
            case "seen":
                reach("an event that was handled comes again")
            case "claimed" if claim in claimed:
                reach("a claim is renewed")
            case "claimed":
                claimed[claim] = True
                if claim.token in waited:
                    reach("the claim of a dead process runs out")
            case _:
                pass

    def confirmed(_: Any, result: Any, *_args: Any) -> None:
        if isinstance(result, ClaimLostError):
            reach("a claim is lost before it is confirmed")

    wraps.awaited(SQLiteStore, "claim", None, asked)
    wraps.awaited(SQLiteStore, "confirm", None, confirmed)


def _turns(world: World, wraps: Wraps) -> None:
    reach = world.reach

    def turn(handling: Any, key: str) -> None:
        if key in handling._turns:
            reach("a delivery waits for another one of its event")

    wraps.around(Handling, "_turn", turn, None)


def _shared(world: World, wraps: Wraps) -> None:
    reach, loop = world.reach, world.loop

    def asked(_: Any, result: Any, limiter: Any, *_args: Any) -> None:
        if isinstance(result, float) and loop.time() - result > MARGIN / 2:
            reach("a grant comes too late")
        name = limiter._name(limiter._named_at)
        if isinstance(result, BaseException) and world.limits is not None and world.limits.ledger.is_granted(name):
            reach("an answer that grants a request is lost")

    def decided(_: Any, result: Any, *_args: Any) -> None:
        if isinstance(result, OutageError):
            reach("the server of the limits does not answer")

    def recovered(_: Any, result: Any, *_args: Any) -> None:
        if isinstance(result, LimiterUnavailableError):
            reach("a process gives the server of the limits up")

    wraps.awaited(SharedLimiter, "_ask", None, asked)
    wraps.awaited(Server, "decide", None, decided)
    wraps.awaited(Server, "recover", None, recovered)
