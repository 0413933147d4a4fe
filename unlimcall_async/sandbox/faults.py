"""The faults of the sandbox, and when each of them is due.

Pure: no I/O; the server carries the faults out. Faults differ in two things that a client must tell apart: whether the request took
effect, and how much of the response arrived. Each class says both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import define, field, frozen, setters
from attrs.validators import optional

from unlimcall_async.sandbox.checks import number, whole
from unlimcall_async.sandbox.settings import check_endpoint


@frozen
class Status:
    """Responds with this status instead of processing the request. Nothing takes effect.

    Attributes:
        status: HTTP status of the response.
        code: An error code, which is written in the sandbox's error shape if there is no `body`.
        body: Body of the response. Without `body` and `code` the body is empty.
        headers: Headers of the response.
    """

    status: int
    code: str | None = None
    body: str | bytes | None = None
    headers: Mapping[str, str] | None = None


@frozen
class ResetBefore:
    """Resets the connection (TCP RST) as soon as the request has been received. Nothing takes effect."""


@frozen
class ResetAfter:
    """Processes the request, which takes effect, and then resets the connection (TCP RST) without a response."""


@frozen
class Close:
    """Closes the connection cleanly, without a response. Nothing takes effect."""


@frozen
class Truncate:
    """Processes the request, which takes effect, and closes the connection half-way through the response's body.

    The client receives the whole head, which promises the full length. A response without a body is cut half-way through its head.
    """


@frozen
class Stall:
    """Sends nothing for `seconds`, or until the client leaves.

    By default the silence comes before the response: the request has no effect yet, and after `seconds` it is processed as usual.

    Attributes:
        seconds: Length of the silence; `None` means until the client leaves.
        after_headers: `True` lets the request take effect at once. The server sends the head and half the body, is silent, and
            then sends the other half.
    """

    seconds: float | None = field(default=None, validator=optional(number(at_least=0)))
    after_headers: bool = False


@frozen
class Garbage:
    """Responds with bytes that are not HTTP. Nothing takes effect."""


@frozen
class Html:
    """Responds with an HTML page instead of processing the request, as a captive portal does. Nothing takes effect.

    Attributes:
        status: HTTP status of the page.
    """

    status: int = 200


@frozen
class Delay:
    """Processes the request, which takes effect at once, and holds the response back.

    Attributes:
        seconds: How long the response is held back.
    """

    seconds: float = field(validator=number(at_least=0))


@frozen
class Redirect:
    """Responds with a redirect instead of processing the request. Nothing takes effect.

    Attributes:
        location: The header `Location`.
        status: HTTP status of the redirect.
    """

    location: str
    status: int = 307


@frozen
class Processed:
    """Processes the request, which takes effect, but responds with an HTML error page, as a proxy that lost its upstream does.

    Attributes:
        status: HTTP status of the page.
    """

    status: int


Fault: TypeAlias = (
    Status | ResetBefore | ResetAfter | Close | Truncate | Stall | Garbage | Html | Delay | Redirect | Processed
)


def _check_fault(_: object, __: object, fault: Fault) -> None:
    if not isinstance(fault, Fault):
        raise TypeError(f"fault must be a fault, for example ResetAfter(), not {type(fault).__name__}")


def _check_endpoint(_: object, __: object, name: str | None) -> None:
    if name is not None:
        check_endpoint(name)


@define(eq=False)
class Injection:
    """One entry of the fault schedule. Its numbers fall as requests arrive.

    Attributes:
        fault: The fault.
        endpoint: Name of the endpoint concerned; `None` for all endpoints, unknown paths included.
        remaining: How many requests the fault will still hit; `None` for every request.
        skip: How many requests of the endpoint will still pass before the fault is due.
    """

    fault: Fault = field(validator=_check_fault)
    endpoint: str | None = field(validator=_check_endpoint)
    # The caller passes `times`. The number falls to 0.
    remaining: int | None = field(alias="times", validator=optional(whole(at_least=1)), on_setattr=setters.NO_OP)
    skip: int = field(validator=whole(at_least=0))


class FaultSchedule:
    """The faults to come, in order of injection."""

    def __init__(self) -> None:
        self._injections: list[Injection] = []

    def inject(self, fault: Fault, *, endpoint: str | None, times: int | None, skip: int) -> Injection:
        """Schedule the fault for `times` requests of the endpoint (`None`: every request) after `skip` of them."""
        injection = Injection(fault, endpoint, times, skip)
        self._injections.append(injection)
        return injection

    def clear(self) -> None:
        """Remove every fault that is still to come."""
        self._injections.clear()

    def next_fault(self, endpoint: str | None) -> Fault | None:
        """Return the fault for a request of this endpoint that has just arrived, and count the request."""
        due: list[Injection] = []
        for injection in self._injections:
            if injection.endpoint not in {None, endpoint}:
                continue
            # Every injection counts the requests that it skips, also those that another fault takes.
            if injection.skip:
                injection.skip -= 1
            else:
                due.append(injection)
        if not due:
            return None
        # The first injection takes the request. The others wait for the next request.
        first = due[0]
        if first.remaining is not None:
            first.remaining -= 1
            if not first.remaining:
                self._injections.remove(first)
        return first.fault
