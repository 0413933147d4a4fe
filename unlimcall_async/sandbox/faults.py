"""What can go wrong on purpose, and when.  No I/O: the server carries the faults out.

Faults differ in two things that a client must tell apart: whether the request took effect, and how much of an answer
arrived.  Each class says both.
"""

from collections.abc import Mapping
from typing import TypeAlias

from attrs import define, field, frozen, setters
from attrs.validators import ge, optional

from unlimcall_async.sandbox.settings import check_endpoint

__all__ = [
    "Close",
    "Delay",
    "Fault",
    "FaultSchedule",
    "Garbage",
    "Html",
    "Injection",
    "Processed",
    "Redirect",
    "ResetAfter",
    "ResetBefore",
    "Stall",
    "Status",
    "Truncate",
]


@frozen
class Status:
    """Answers with this status instead of processing: nothing takes effect.

    The body is `body` if given, else the error `code` in the sandbox's error shape, else empty.
    """

    status: int
    code: str | None = None
    body: str | bytes | None = None
    headers: Mapping[str, str] | None = None


@frozen
class ResetBefore:
    """Resets the connection (TCP RST) as soon as the request has been received: nothing takes effect."""


@frozen
class ResetAfter:
    """Processes the request, which takes effect, then resets the connection (TCP RST) without an answer."""


@frozen
class Close:
    """Closes the connection cleanly, without an answer: nothing takes effect."""


@frozen
class Truncate:
    """Processes the request, which takes effect, then closes the connection half-way through the answer's body.

    The head is whole and promises the full length.  An answer without a body is cut half-way through its head.
    """


@frozen
class Stall:
    """Goes silent until the client leaves, or for `seconds`.

    Before the answer the request has no effect yet; when `seconds` have passed it is processed as usual.  With
    `after_headers` it takes effect at once, the head and half the body are sent, and then comes the silence.
    """

    seconds: float | None = field(default=None, validator=optional(ge(0)))
    after_headers: bool = False


@frozen
class Garbage:
    """Answers with bytes that are not HTTP: nothing takes effect."""


@frozen
class Html:
    """Answers with an HTML page instead of processing, as a captive portal does: nothing takes effect."""

    status: int = 200


@frozen
class Delay:
    """Processes the request, which takes effect at once, and holds the answer back for `seconds`."""

    seconds: float = field(validator=ge(0))


@frozen
class Redirect:
    """Answers with a redirect instead of processing: nothing takes effect."""

    location: str
    status: int = 307


@frozen
class Processed:
    """Processes the request, which takes effect, but answers `status`, as a proxy that lost its upstream does."""

    status: int


Fault: TypeAlias = (
    Status | ResetBefore | ResetAfter | Close | Truncate | Stall | Garbage | Html | Delay | Redirect | Processed
)


def _known_endpoint(_: object, __: object, name: str | None) -> None:
    if name is not None:
        check_endpoint(name)


@define(eq=False)
class Injection:
    """One entry of the fault schedule, as it stands now.

    Attributes:
        fault: What happens.
        endpoint: Name of the endpoint concerned; `None` for all, unknown paths included.
        remaining: How many requests it will still hit; `None` for every one.
        skip: How many requests of the endpoint will still pass before it is due.
    """

    fault: Fault
    endpoint: str | None = field(validator=_known_endpoint)
    remaining: int | None = field(validator=optional(ge(1)), on_setattr=setters.NO_OP)  # it ends at 0
    skip: int = field(validator=ge(0))

    def due(self) -> bool:
        """Let one request of the endpoint go by; return whether it could be this entry's."""
        if self.skip:
            self.skip -= 1
            return False
        return True


class FaultSchedule:
    """The faults to come, in order of injection."""

    def __init__(self) -> None:
        self._injections: list[Injection] = []

    def inject(self, fault: Fault, *, endpoint: str | None, times: int | None, skip: int) -> Injection:
        """Schedule the fault for `times` requests of the endpoint (`None`: for ever) after `skip` of them."""
        injection = Injection(fault, endpoint, times, skip)
        self._injections.append(injection)
        return injection

    def clear(self) -> None:
        """Forget every fault that is still to come."""
        self._injections.clear()

    def next_fault(self, endpoint: str | None) -> Fault | None:
        """Return the fault for a request of this endpoint that has just arrived, and count the request.

        Every entry counts the requests it skips, whoever takes them; of those that are due, the first one injected
        wins and the others wait for the next request.
        """
        concerned = [entry for entry in self._injections if entry.endpoint in {None, endpoint}]
        due = [entry for entry in concerned if entry.due()]
        if not due:
            return None
        self._spend(due[0])
        return due[0].fault

    def _spend(self, injection: Injection) -> None:
        if injection.remaining is None:
            return
        injection.remaining -= 1
        if not injection.remaining:
            self._injections.remove(injection)
