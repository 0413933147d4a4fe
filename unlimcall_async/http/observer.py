"""What a user sees of calls while they run: reports to an observer, and a log line for each attempt.

A `Trace` collects what one call shows of itself. A `Reporter` passes the reports on.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import define, field, frozen

from unlimcall_async import _arguments
from unlimcall_async._model import Model
from unlimcall_async.errors import ResponseError, TransportError
from unlimcall_async.http.endpoints import Endpoint
from unlimcall_async.http.messages import Authorization, RawResponse, request_id_of

_logger = logging.getLogger("unlimcall_async")

# What stands in a report for the name of an endpoint that the reference does not describe, as `(other)` does for its path.
_OTHER: Final = "(other)"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@frozen(kw_only=True)
class Observation(Model):
    """What an observer learns of one attempt, or of one call. It holds no token, no phone number and no body.

    Attributes:
        endpoint: The endpoint's name in `RateLimits`, for example `hooks`; `(other)` if the reference does not describe the path.
        method: The HTTP method.
        path: The endpoint's path with `{id}` in place of an id, for example `/hooks/{id}`; `(other)` as above.
        number: Of an attempt, its number in the call, from 1; of a call, the number of its attempts.
        status: The HTTP status of the response, for a call of the last attempt's; `None` if no response came.
        error: The name of the class of the error, for example `RequestTimeoutError` or `CancelledError`; `None` after a success.
        waited_s: Seconds of waiting for the rate limit and for a connection slot: before this attempt, or in the whole call.
        elapsed_s: Seconds from the start to the end: of an attempt, from sending the request to the end of the response; of a call,
            all waits and attempts.
        request_id: What the API called the request, as in `APIError.request_id`.
        base_url: The URL that the path is put under, for example `https://app.unlimcall.com/api/v1`.
        outcome_unknown: Of a call, whether it has failed and may have taken effect, so that it must not be repeated; `False` of an
            attempt. A POST that was cancelled after its request was sent is such a call, too.
    """

    endpoint: str
    method: str
    path: str
    number: int
    status: int | None
    error: str | None
    waited_s: float
    elapsed_s: float
    request_id: str | None
    # With defaults, because programs made observations for their own tests before there were these two.
    base_url: str = ""
    outcome_unknown: bool = False


class Observer:
    """The base class of what watches the calls of a client. Override one method or both.

    The client calls `attempt` after each attempt, and `call` once after each call, also after one that failed or was cancelled. A
    call whose arguments are not valid never begins, and is not reported. A stream may wait for its turn before it decides what to
    ask: that wait is part of the call, and is not reported if the stream then asks nothing.

    Both methods run in the task that makes the call, so context variables hold their values. The attempts of a call come before the
    call. No attempt of another call of the same task comes between them.

    Both methods run on the event loop, so they must be quick, and cannot be coroutine methods. An exception that a method raises is
    logged as a warning, the first time for each of its classes, and has no other effect. `KeyboardInterrupt` and `SystemExit` pass.
    """

    def attempt(self, info: Observation, /) -> None:
        """Take note of an attempt that has ended."""

    def call(self, info: Observation, /) -> None:
        """Take note of a call that has ended."""


class Reporter:
    """Passes reports on to an observer of the user's, so that nothing which the observer raises reaches a call.

    Raises:
        TypeError: The observer has neither of the two methods, or a method is a coroutine method.
    """

    def __init__(self, observer: object) -> None:
        if isinstance(observer, type):
            raise TypeError(f"observer must be an Observer, not a class: write {observer.__name__}()")
        methods = {name: getattr(observer, name, None) for name in ("attempt", "call")}
        if not any(map(callable, methods.values())):
            raise TypeError(f"observer must be an Observer, not {type(observer).__name__}")
        for name, method in methods.items():
            if method is not None and not _arguments.is_plain_function(method):
                raise TypeError(f"observer.{name} must be a plain method: nothing would await its result")
        self._observer = observer
        # The methods and classes of exceptions that were logged.
        self._logged: set[tuple[str, str]] = set()

    def report(self, what: str, info: Observation) -> None:
        """Call the observer's method `attempt` or `call`, if the observer has this method."""
        try:
            # Looked up each time, because a test may replace the method.
            method = getattr(self._observer, what, None)
            result = None if method is None else method(info)
            if inspect.iscoroutine(result):
                result.close()  # else Python would warn, at some later time, that nothing has awaited the coroutine
                self._log(what, "returned a coroutine, which nothing awaits")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 # a CancelledError of the observer's own must not cancel the call
            self._log(what, f"raised {type(error).__name__}")

    def _log(self, method: str, done: str) -> None:
        """Warn once of each failure. A second warning for every request would fill a log."""
        level = logging.DEBUG if (method, done) in self._logged else logging.WARNING
        self._logged.add((method, done))
        # Only the type of an exception: its words may come from a response.
        _logger.log(level, "the observer's method %s %s; this is logged as a warning once", method, done)


@define(eq=False)
class Trace:
    """What one call has shown of itself so far.

    Attributes:
        endpoint: The endpoint.
        authorization: The header that is sent, whose token appears in no report.
        base_url: The URL that the path is put under.
        reporter: Who is told, or `None`.
        clock: Returns the loop's time.
        number: How many attempts have begun.
        status: The status of the last attempt's response, or `None` without a response.
        headers: The headers of the same response.
        waited_s: Seconds that all attempts have waited for the rate limit and for a slot.
        began: The time at which the call began.
    """

    endpoint: Endpoint
    authorization: Authorization
    base_url: str
    reporter: Reporter | None
    clock: Callable[[], float] = field(repr=False)
    number: int = field(default=0, init=False)
    status: int | None = field(default=None, init=False)
    headers: Mapping[str, str] = field(default=_NO_HEADERS, init=False, repr=False)
    waited_s: float = field(default=0.0, init=False)
    began: float = field(default=0.0, init=False)
    # The last wait, two times of the attempt under way, and whether the call was reported.
    _last_wait: float = field(default=0.0, init=False)
    _sent_at: float | None = field(default=None, init=False)
    _received_at: float | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the call began."""
        return self.clock() - self.began

    @property
    def request_id(self) -> str | None:
        """What the API called the request of the last attempt."""
        return request_id_of(self.headers, self.authorization)

    def waits(self, seconds: float) -> None:
        """Add a wait that is over. One comes before each attempt."""
        self._last_wait = seconds
        self.waited_s += seconds

    def sends(self) -> None:
        """Begin an attempt."""
        self.number += 1
        self._sent_at, self._received_at = self.clock(), None
        self.status, self.headers = None, _NO_HEADERS

    def receives(self, answer: RawResponse | TransportError | ResponseError) -> None:
        """End the time of the attempt, with its response or with the reason why none can be used."""
        self._received_at = self.clock()
        if isinstance(answer, RawResponse):
            self.status, self.headers = answer.status, answer.headers
        elif isinstance(answer, ResponseError):
            self.status = answer.status

    def attempt_ends(self, error: BaseException | None) -> None:
        """Report the attempt under way, if there is one."""
        sent_at, self._sent_at = self._sent_at, None
        if sent_at is None or (self.reporter is None and not _logger.isEnabledFor(logging.DEBUG)):
            return
        ended_at = self.clock() if self._received_at is None else self._received_at
        info = self._observation(error, self._last_wait, ended_at - sent_at)
        outcome = " ".join(str(each) for each in (info.status, info.error) if each is not None)
        _logger.debug(
            "%s %s: %s in %.0f ms (attempt %d, waited %.1f s)",
            *(info.method, info.path, outcome, info.elapsed_s * 1000, info.number, info.waited_s),
        )
        if self.reporter is not None:
            self.reporter.report("attempt", info)

    def call_ends(self, error: BaseException | None, *, outcome_unknown: bool = False) -> None:
        """Report the call, and before it the attempt that the end of the call has ended. A second end is not reported."""
        if self._ended or (self.reporter is None and self._sent_at is None):
            return
        self._ended = True
        elapsed_s = self.elapsed_s
        try:
            self.attempt_ends(error)
        finally:
            if self.reporter is not None:
                info = self._observation(error, self.waited_s, elapsed_s, outcome_unknown=outcome_unknown)
                self.reporter.report("call", info)

    def _observation(
        self, error: BaseException | None, waited_s: float, elapsed_s: float, *, outcome_unknown: bool = False
    ) -> Observation:
        endpoint = self.endpoint
        return Observation(
            endpoint=endpoint.bucket or _OTHER,
            method=endpoint.method,
            path=endpoint.path,
            number=self.number,
            status=self.status,
            error=None if error is None else type(error).__name__,
            waited_s=waited_s,
            elapsed_s=elapsed_s,
            request_id=self.request_id,
            base_url=self.base_url,
            outcome_unknown=outcome_unknown,
        )
