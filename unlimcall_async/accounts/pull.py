"""The pull of many accounts: streams under way side by side, and one reader.

A thin shell. `schedule` decides which account goes next, and each account's stream decides what to ask.

Each account that has a place has a task, which reads its stream. A task offers one batch, and goes on when the reader has taken the
batch. So a reader that stops stops all streams, each of which holds no more than a stream holds for a slow reader.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import NoReturn, TypeAlias

from attrs import field, frozen

from unlimcall_async import _clock
from unlimcall_async._model import Model
from unlimcall_async.accounts.errors import group_of
from unlimcall_async.accounts.schedule import LONG, LOOK, Schedule
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.iteration import Iteration, OneAtATime
from unlimcall_async.cdrs.stats import Progress
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.errors import ClientClosedError
from unlimcall_async.models import CallRecord, UnreadableRow

AccountBatch: TypeAlias = tuple[str, list[CallRecord]]


@frozen
class AccountsProgress(Model):
    """How far a pull of many accounts is.

    Attributes:
        fraction: The share of the work that is done, from 0 to 1: of each account the share of its range.
        accounts: How many accounts there are.
        done: How many of them are done.
        failed: How many have failed.
        records: Records that were handed out.
        requests: Answers to CDR requests.
        under_way: How far each account is that has a place.
    """

    fraction: float
    accounts: int
    done: int
    failed: int
    records: int
    requests: int
    under_way: Mapping[str, Progress] = field(repr=False)


@frozen
class _Offer:
    """What the task of an account has for the reader.

    Attributes:
        account: The account.
        batch: Records; none at the end, and at a failure.
        checkpoint: What was handed out of the account, once the batch is.
        unreadable: The rows before that place that cannot be read.
        cause: Why the account failed, or `None`.
        taken: Set when the reader has taken the offer.
    """

    account: str
    batch: list[CallRecord]
    checkpoint: Checkpoint | None
    unreadable: list[UnreadableRow] = field(factory=list)
    cause: Exception | None = None
    taken: asyncio.Event = field(factory=asyncio.Event)


class _Iteration(Iteration):
    """One iteration over the batches, and the tasks of the accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[asyncio.Task[None], str] = {}
        # The tasks that were told to end.
        self.ending: list[asyncio.Task[None]] = []
        # Set if there may be an offer, or a free place.
        self.changed: asyncio.Event = asyncio.Event()
        # What has escaped a task, for example `KeyboardInterrupt`; or that the accounts were closed.
        self.failure: BaseException | None = None

    async def stop(self) -> None:
        """End the tasks, and wait until they have ended."""
        for task in self.tasks:
            task.cancel()
        self.ending += self.tasks
        self.tasks.clear()
        self.changed.set()
        # A second cancellation would cut short how a task leaves its stream, which the next iteration goes on with.
        await asyncio.shield(asyncio.gather(*self.ending, return_exceptions=True))


class AccountsPull(OneAtATime[_Iteration]):
    """The call records of many accounts, as an async iterator of pairs: an account, and a batch of its records.

    The batches of an account come in its order, and those of different accounts as they are ready. Leave `async with pull`, or
    call `aclose()`, to end what is under way; a bare `async for` to the end is fine too. A new iteration goes on from the position,
    and tries accounts again that have failed.

    Attributes:
        checkpoints: What was handed out so far of each account that was begun. Pass it as `resume` of a later pull.
        unreadable: With `unreadable="keep"`, the rows that cannot be read of each account that has any: at most 10,000 of an
            account, unless you take some out.
    """

    def __init__(
        self,
        accounts: Iterable[str],
        at_once: int,
        stream_of: Callable[[str, Checkpoint | None], CdrStream],
        checkpoints: Mapping[str, Checkpoint],
    ) -> None:
        super().__init__(_Iteration)
        self.checkpoints: dict[str, Checkpoint] = dict(checkpoints)
        self.unreadable: dict[str, list[UnreadableRow]] = {}
        self._accounts = tuple(accounts)
        self._schedule = Schedule(self._accounts, at_once)
        self._stream_of = stream_of
        # The streams of accounts that were begun and are not done.
        self._streams: dict[str, CdrStream] = {}
        self._offers: deque[_Offer] = deque()
        self._failed: dict[str, Exception] = {}
        # How many rows that cannot be read offers have had of each stream, and the stream still keeps.
        self._shown: dict[str, int] = {}
        self._records = self._requests = 0

    # --- the reader -----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[AccountBatch, None]:  # noqa: PYI058 # a user who iterates by hand can close it
        return self._iterator(self._iterate)

    async def _iterate(self, iteration: _Iteration) -> AsyncGenerator[AccountBatch, None]:
        try:
            await self._begin(iteration)
            while (offer := await self._next(iteration)) is not None:
                yield offer.account, offer.batch
            iteration.exhausted = not iteration.stopped
            self._raise_failures()
        finally:
            await self._finish(iteration)

    async def _next(self, iteration: _Iteration) -> _Offer | None:
        """Return the next batch, or `None` if no account has any, or if the pull was closed."""
        while not iteration.stopped:
            if iteration.failure is not None:
                raise iteration.failure
            self._fill(iteration)
            while self._offers:
                offer = self._offers.popleft()
                self._take(offer)
                if offer.batch:
                    return offer
            if not iteration.tasks and not self._schedule.left:
                return None
            iteration.changed.clear()
            await iteration.changed.wait()
        return None

    def _take(self, offer: _Offer) -> None:
        """Take note that an offer is handed out."""
        account = offer.account
        if offer.checkpoint is not None:
            self.checkpoints[account] = offer.checkpoint
        if offer.unreadable:
            self.unreadable.setdefault(account, []).extend(offer.unreadable)
        if offer.cause is not None:
            self._failed[account] = offer.cause
        self._records += len(offer.batch)
        offer.taken.set()

    def _raise_failures(self) -> None:
        """Raise the failures, if there are any. Another iteration tries these accounts again."""
        if not self._failed or self._schedule.left:
            return
        failed = {account: self._failed.pop(account) for account in self._accounts if account in self._failed}
        self._schedule.put_back(failed)
        causes = {account: (cause, self.checkpoints.get(account)) for account, cause in failed.items()}
        raise group_of(causes, len(self._accounts), {})

    def _reset(self) -> None:
        # What was offered and not handed out stays: the streams are behind it.
        self._schedule.put_back(self._schedule.under_way)

    def close_for(self, error: ClientClosedError) -> asyncio.Future[None] | None:
        """End what is under way. The reader gets the error, now or at the next step."""
        if self._iteration is None:
            return None
        self._iteration.failure = error
        return asyncio.ensure_future(self._iteration.stop())

    @property
    def progress(self) -> AccountsProgress:
        """How far the pull is."""
        under_way = {name: self._streams[name].progress for name in self._schedule.under_way if name in self._streams}
        count, failed, left = len(self._accounts), len(self._failed), self._schedule.left
        begun = sum(stream.progress.fraction for stream in self._streams.values())
        return AccountsProgress(
            min(1.0, (count - left + begun) / count),
            count,
            count - left - failed,
            failed,
            self._records,
            self._requests + sum(stream.stats.requests for stream in self._streams.values()),
            under_way,
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AccountsPull cannot be pickled or copied: store its checkpoints")

    def __repr__(self) -> str:
        progress = self.progress
        counts = f"{progress.accounts:,} accounts, {progress.done:,} done, {progress.failed:,} failed"
        return f"<{type(self).__name__} of {counts}, {progress.records:,} records so far>"

    # --- the tasks ------------------------------------------------------------------------------------------------------

    def _fill(self, iteration: _Iteration) -> None:
        """Start the accounts that wait for a place, as far as places are free."""
        loop = asyncio.get_running_loop()
        while (account := self._schedule.next(loop.time())) is not None:
            task = loop.create_task(self._work(iteration, account))
            iteration.tasks[task] = account
            task.add_done_callback(lambda task: self._on_task_end(iteration, task))

    def _on_task_end(self, iteration: _Iteration, task: asyncio.Task[None]) -> None:
        if iteration.tasks.pop(task, None) is None:
            return  # the iteration itself has ended the task
        if not task.cancelled():
            iteration.failure = iteration.failure or task.exception()
        iteration.changed.set()

    async def _work(self, iteration: _Iteration, account: str) -> None:
        """Offer the batches of an account, until all are taken, the account fails, or it is set aside."""
        end = await self._worked(iteration, account)
        if end is None:
            return
        if end.cause is not None:
            # Else the error would hold the stream and its pages until the last account is done.
            traceback.clear_frames(end.cause.__traceback__)
        stream = self._streams.pop(account, None)
        self._shown.pop(account, None)
        self._requests += 0 if stream is None else stream.stats.requests
        self._schedule.done(account)
        self._offers.append(end)

    async def _worked(self, iteration: _Iteration, account: str) -> _Offer | None:
        """Offer the batches of an account, and return the last offer; `None` if the account is not done."""
        try:
            stream = self._streams.get(account)
            if stream is None:
                stream = self._streams[account] = self._stream_of(account, self.checkpoints.get(account))
            until = await self._read(iteration, account, stream)
            if until is None:
                return _Offer(account, [], stream.checkpoint, self._new_rows(account, stream))
            self._schedule.set_aside(account, until)
        except ClientClosedError as error:
            # Of all accounts, since they share their connections.
            iteration.failure = iteration.failure or error
        except Exception as error:  # noqa: BLE001 # the failure of one account stops no other
            failed = self._streams.get(account)
            if failed is None:
                return _Offer(account, [], None, cause=error)
            return _Offer(account, [], failed.checkpoint, self._new_rows(account, failed), cause=error)
        return None

    def _new_rows(self, account: str, stream: CdrStream) -> list[UnreadableRow]:
        """Return the rows that cannot be read since the last offer, which was taken.

        The stream keeps all rows that its reader has not taken out of `unreadable`, so that it raises once they are too many.
        """
        kept, left = stream.unreadable, len(self.unreadable.get(account, ()))
        del kept[: max(0, self._shown.get(account, 0) - left)]
        self._shown[account] = len(kept)
        return kept[left:]

    async def _read(self, iteration: _Iteration, account: str, stream: CdrStream) -> float | None:
        """Offer the batches of a stream. Return `None` behind the last, or the time until which the account is set aside."""
        loop = asyncio.get_running_loop()
        for earlier in [each for each in self._offers if each.account == account]:
            # The iteration before was left with this offer. `_new_rows` counts on each offer to be taken before the next one.
            await earlier.taken.wait()
        async with stream, aclosing(stream.batches()) as batches:
            while True:
                step = loop.create_task(_after(batches))
                try:
                    while not (await asyncio.wait({step}, timeout=LOOK))[0]:
                        if self._schedule.is_wanted(loop.time()) and (wait := _long_wait(stream)) is not None:
                            return loop.time() + wait
                finally:
                    if not step.done():
                        step.cancel()
                        await asyncio.gather(step, return_exceptions=True)
                    # Also when this task is told to end: the stream is behind a batch that has just come, and hands it out no more.
                    offer = self._offered(account, stream, step)
                    iteration.changed.set()
                if offer is None:
                    return None
                await offer.taken.wait()

    def _offered(self, account: str, stream: CdrStream, step: asyncio.Task[list[CallRecord] | None]) -> _Offer | None:
        """Offer the batch of a step that is done, and return the offer; `None` if the step has brought none."""
        batch = None if step.cancelled() else step.result()
        if batch is None:
            return None
        offer = _Offer(account, batch, stream.checkpoint, self._new_rows(account, stream))
        self._offers.append(offer)
        return offer


async def _after(batches: AsyncGenerator[list[CallRecord], None]) -> list[CallRecord] | None:
    return await anext(batches, None)


def _long_wait(stream: CdrStream) -> float | None:
    """Return the seconds for which a stream waits for its rate limit, if they are many."""
    progress = stream.progress
    # Not the wait before a request is sent again: a stream that is left forgets how often it has sent the request.
    if progress.waiting_for != "rate limit" or progress.waiting_until is None:
        return None
    seconds = (progress.waiting_until - _clock.utc_now()).total_seconds()
    return seconds if seconds >= LONG else None
