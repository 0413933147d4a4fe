"""Any work for each of many accounts, so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from unlimcall_async.accounts.errors import group_of
from unlimcall_async.accounts.schedule import LONG, LOOK, Schedule
from unlimcall_async.errors import ClientClosedError

R = TypeVar("R")


async def for_each(
    accounts: Sequence[str],
    at_once: int,
    work: Callable[[str], Awaitable[R]],
    waits_s: Callable[[str], float],
    is_closed: Callable[[], bool],
) -> dict[str, R]:
    """Do the work for each account, and return what it has returned, in the order of the accounts.

    Args:
        accounts: The accounts.
        at_once: How many places there are.
        work: The work.
        waits_s: Returns the seconds for which an account waits for a rate limit.
        is_closed: Returns whether the connections of all are closed. Else the work itself has closed the client of a
            `ClientClosedError`.

    Raises:
        AccountErrorGroup: Some accounts failed. The others are done.
        ClientClosedError: The connections were closed meanwhile.
    """
    loop, schedule = asyncio.get_running_loop(), Schedule(accounts, at_once)
    tasks: dict[asyncio.Task[R], str] = {}
    results: dict[str, R] = {}
    causes: dict[str, BaseException] = {}

    async def begun(account: str) -> R:
        return await work(account)

    try:
        while True:
            while (account := schedule.next(loop.time())) is not None:
                tasks[loop.create_task(begun(account))] = account
            if not tasks:
                break
            timeout = LOOK if schedule.is_wanted(loop.time()) else None
            done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                account = tasks.pop(task)
                schedule.done(account)
                if (cause := _cause(task, is_closed)) is None:
                    results[account] = task.result()
                else:
                    causes[account] = cause
            for account in schedule.under_way:
                (schedule.lend if waits_s(account) >= LONG else schedule.take_back)(account)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if causes:
        failed = {account: (causes[account], None) for account in accounts if account in causes}
        raise group_of(failed, len(accounts), results)
    return {account: results[account] for account in accounts}


def _cause(task: asyncio.Task[R], is_closed: Callable[[], bool]) -> BaseException | None:
    """Return why the work of one account failed, or `None`. Raise what concerns all accounts, or the whole program."""
    if task.cancelled():
        # Nobody here has cancelled the task.
        return asyncio.CancelledError()
    cause = task.exception()
    if cause is not None and (
        not isinstance(cause, Exception) or (isinstance(cause, ClientClosedError) and is_closed())
    ):
        raise cause
    return cause
