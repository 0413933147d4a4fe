"""The connection to the server that holds the rate limits, in one event loop. Only this module imports redis-py."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Awaitable, Sequence
from importlib.resources import files
from typing import Any, Final

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from unlimcall_async.http.rate_limits import RateLimit
from unlimcall_async.shared.errors import LimiterUnavailableError
from unlimcall_async.shared.memory import Memory
from unlimcall_async.shared.outlook import UNLIMITED, Answer

_logger = logging.getLogger("unlimcall_async")

_SCRIPT: Final = files("unlimcall_async.shared").joinpath("bucket.lua").read_text()
# All keys lie in one slot of a cluster.
_PREFIX: Final = "{unlimcall}"
# Connections of an event loop. A decision takes less than a millisecond, so few serve many calls.
_CONNECTIONS: Final = 8
# Seconds that the server may take for a connection, and for an answer.
_PATIENCE: Final = 2.0
# Seconds between two tries to reach a server: at first, and at most. A server must soon learn that it has lost its memory.
_FIRST_DELAY: Final = 0.05
_LONGEST_DELAY: Final = 0.5
# Seconds. A server that nobody has asked for so long since it failed may have answered others: its next failure is another outage.
_UNKNOWN_AFTER: Final = 10.0
# Seconds between two lines in the log.
_LOG_EVERY: Final = 30.0
# What a server that is down, starts, changes its role or is short of memory says. Anything else will not pass.
_PASSING: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.MasterDownError,
    OSError,
)
# The library has no classes for these: a script runs for long, the disk is full, replicas are missing.
_PASSING_CODES: Final = ("BUSY ", "MISCONF ", "NOREPLICAS ")
_LASTING: Final = (exceptions.AuthenticationError, exceptions.AuthorizationError)


def url_problem(url: str) -> str | None:
    """Return what is wrong with the options of a URL, in the words of the library, or `None`."""
    try:
        pool = ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError) as error:
        return _in_short(error)
    return None


class OutageError(Exception):
    """The server does not answer at present. Never leaves `shared/`."""


class Server:
    """A server of rate limits, as one event loop reaches it.

    Args:
        url: The URL.
        name: The server, as messages show it.
        memory: What the process has seen on the server.
        gives_up_after: The seconds without an answer after which a call fails; `None` for never.
    """

    def __init__(self, url: str, name: str, memory: Memory, gives_up_after: float | None) -> None:
        self._name = name
        self._memory = memory
        self._gives_up_after = gives_up_after
        # The library must not try again by itself: a question that is asked again is another one.
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=None,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
        )
        # A URL that other programs use may ask for texts.
        pool.connection_kwargs["decode_responses"] = False
        self._redis: Redis = Redis(connection_pool=pool)
        self._script = self._redis.register_script(_SCRIPT)
        self._pool = pool
        self._down_since: float | None = None
        self._failed_at = -math.inf
        self._why = ""
        self._logged_at = 0.0
        self._delay = _FIRST_DELAY

    async def decide(
        self, bucket: str, limit: RateLimit | None, waiter: str, grant: str, reports: Sequence[tuple[str, str, float]]
    ) -> Answer:
        """Return the server's decision.

        Args:
            bucket: The name of the bucket.
            limit: Its limit.
            waiter: The name of the one who asks; empty to make reports alone.
            grant: The name of the grant.
            reports: What has happened: kinds, names and seconds.

        Raises:
            OutageError: The server does not answer.
            LimiterUnavailableError: The server refuses the question.
        """
        loop = asyncio.get_running_loop()
        asked_at, memory = loop.time(), self._memory
        memory.forget_old(time.monotonic())
        limits = (UNLIMITED, 0, 0) if limit is None else (limit.at_once(), limit.per_minute, limit.per_day or 0)
        burst, per_minute, per_day = limits
        key = f"{_PREFIX}:{bucket}"
        arguments: list[Any] = [per_minute, per_day, burst, waiter, grant, memory.mark, os.urandom(16).hex()]
        arguments += [int(bucket in memory.seen), int(memory.missed and not memory.mark)]
        for report in reports:
            arguments += report
        keys = [f"{_PREFIX}:mark", *(f"{key}:{part}" for part in ("grants", "state", "waiters", "alive"))]
        try:
            values = await _cancellable(self._script(keys=keys, args=arguments))
        except _LASTING as error:
            raise LimiterUnavailableError(self._name, f"refuses this client: {_in_short(error)}") from None
        except (*_PASSING, exceptions.RedisError) as error:
            if not isinstance(error, _PASSING) and not str(error).startswith(_PASSING_CODES):
                raise LimiterUnavailableError(self._name, f"cannot keep rate limits: {_in_short(error)}") from None
            memory.missed = True
            self._fails(asked_at, loop.time(), error)
            raise OutageError from None
        answer = Answer.of(values)
        memory.heard(answer.mark, bucket, time.monotonic())
        self._answers()
        return answer

    def _fails(self, asked_at: float, now: float, error: Exception) -> None:
        self._why = _in_short(error)
        if self._down_since is None or asked_at - self._failed_at > _UNKNOWN_AFTER:
            self._down_since, self._logged_at, self._delay = asked_at, -math.inf, _FIRST_DELAY
        self._failed_at = now
        if now - self._logged_at >= _LOG_EVERY:
            self._logged_at = now
            _logger.warning("%s; calls wait for it", self.unavailable())

    def _answers(self) -> None:
        if self._down_since is not None:
            _logger.warning("the server of the rate limits at %s answers again", self._name)
            self._down_since = None

    def unavailable(self) -> LimiterUnavailableError | None:
        """Return the error for a server that does not answer at present; `None` for one that does."""
        if self._down_since is None:
            return None
        down = asyncio.get_running_loop().time() - self._down_since
        return LimiterUnavailableError(self._name, f"has not answered for {down:.0f} s: {self._why}")

    async def recover(self) -> None:
        """Wait until it is time to try again.

        Raises:
            LimiterUnavailableError: The server has not answered for too long.
        """
        error, now = self.unavailable(), asyncio.get_running_loop().time()
        if error is None or self._down_since is None:
            return
        if self._gives_up_after is not None and now - self._down_since >= self._gives_up_after:
            raise error
        self._delay = min(2 * self._delay, _LONGEST_DELAY)
        await asyncio.sleep(self._delay)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._pool.disconnect()


async def _cancellable(answer: Awaitable[Any]) -> Any:
    """Return the answer, unless the task was cancelled while it waited.

    The library sends by `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes as the sending ends.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        return await answer
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


def _in_short(error: Exception) -> str:
    """Return what a message may show of an error: its kind, and the first line of its text."""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
