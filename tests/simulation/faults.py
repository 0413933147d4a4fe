"""What goes wrong in a run: a list of faults, each of which can be left out, and said in words."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from attrs import field, frozen


@frozen
class Ordered:
    """A fault: at `at` seconds something of a kind happens to a target.

    Attributes:
        at: Seconds from the start of the run.
        kind: What happens: see `KINDS`.
        target: The process or the endpoint that is struck.
        details: Numbers and words of the kind.
    """

    at: float
    kind: str
    target: str
    details: Mapping[str, Any] = field(factory=dict, hash=False)

    def __str__(self) -> str:
        return f"at {self.at:.1f} s: {KINDS[self.kind].format(target=self.target, **self.details)}"


KINDS: Final[Mapping[str, str]] = {
    "refuse": "the next connection of {target} is refused",
    "hang": "the next connection of {target} is not answered for {seconds:.0f} s",
    "reset": "the connection of {target} is reset after {after} bytes of the {way}",
    "stall": "the {way} of {target} is held up for {seconds:.1f} s after {after} bytes",
    "half_open": "the connection of {target} is half open after {after} bytes of the {way}",
    "slow_reader": "{target} reads one piece of the {way} each {seconds:.1f} s",
    "status": "the API responds {status} to the next {times} requests of {target}, {effect}",
    "refusal": "the API refuses the next {times} requests of {target} (429, Retry-After: {retry_after})",
    "truncate": "the API cuts its next response to {target} in two",
    "garbage": "the API's next response to {target} is not HTTP",
    "html": "the API's next response to {target} is a page of HTML",
    "nothing": "the API's next response to {target} is empty",
    "late": "the API's next response to {target} comes {seconds:.0f} s late, and takes effect at once",
    "silent": "the API takes the next request of {target}, and never responds",
    "dropped": "the API processes the next request of {target}, and resets the connection",
    "closed": "the API closes the connection of the next request of {target}",
    "outage": "the API is down for {seconds:.0f} s",
    "order": "the API sorts {order} from now on",
    "cap": "the API gives at most {rows} rows from now on, and counts all",
    "limit": "the API lets {requests} requests a minute of {target} through from now on",
    "kill": "{target} is killed {seam}, after {skip} passes{how}",
    "freeze": "{target} is suspended for {seconds:.0f} s",
    "clock": "the clock of {target} is set {seconds:+.0f} s",
    "forget": "the server of the {target} is emptied",
    "restart": "the server of the {target} goes down for {down:.1f} s, and has {left} then, after {loading:.1f} s of loading",
}
"""The words of each kind of fault."""


def network_fault(chance: Random, at: float, link: str) -> Ordered:
    """Return something that happens to a connection."""
    kind = chance.choice(("refuse", "hang", "reset", "reset", "reset", "stall", "stall", "half_open", "slow_reader"))
    # A request has some 300 bytes, an answer up to some thousands.
    after = chance.choice((0, 0, 1, chance.randrange(1, 300), chance.randrange(1, 4000)))
    way = chance.choice(("request", "answer", "answer"))
    seconds = chance.choice((0.3, 1.5, 8.0, 45.0))
    match kind:
        case "refuse":
            return Ordered(at, kind, link)
        case "hang":
            return Ordered(at, kind, link, {"seconds": seconds})
        case "reset" | "half_open":
            return Ordered(at, kind, link, {"way": way, "after": after})
        case "slow_reader":
            return Ordered(at, kind, link, {"way": "answer", "after": 0, "seconds": chance.choice((0.1, 1.0))})
        case _:
            return Ordered(at, kind, link, {"way": way, "after": after, "seconds": seconds})


def server_fault(chance: Random, at: float, endpoint: str) -> Ordered:
    """Return something that the API does to a request."""
    kinds = ("status", "status", "refusal", "refusal", "truncate", "garbage", "html", "nothing")
    kind = chance.choice((*kinds, "late", "silent", "dropped", "closed", "outage"))
    match kind:
        case "status":
            effect = chance.choice(("without effect", "without effect", "which take effect"))
            status = chance.choice((500, 502, 503, 504, 408, 425))
            return Ordered(
                at, kind, endpoint, {"status": status, "times": chance.choice((1, 1, 2, 6)), "effect": effect}
            )
        case "refusal":
            retry_after = chance.choice((None, "1", "5", "30", "soon"))
            return Ordered(at, kind, endpoint, {"times": chance.choice((1, 2, 3)), "retry_after": retry_after})
        case "late" | "outage":
            return Ordered(at, kind, endpoint, {"seconds": chance.choice((1.0, 5.0, 40.0))})
        case _:
            return Ordered(at, kind, endpoint)


# The seams of programs that write files, and of those that write to SQLite.
_FILES: Final = (
    "before fsync of data",
    "after fsync of data",
    *["between data and checkpoint"] * 2,
    *["before fsync of a checkpoint"] * 3,
    "after fsync of a checkpoint",
    "before rename",
    *["after rename"] * 2,
)
_SQLITE: Final = ("sql BEGIN", "sql INSERT", *["sql COMMIT"] * 3, "behind a commit", "behind a commit")
_SEAMS: Final = {
    "pull": _FILES,
    "follow": _FILES,
    "sync": _SQLITE,
    "receive": _SQLITE,
    "dial": _FILES[:2],
    "share": ("at once",),
}


def kill(chance: Random, at: float, process: str) -> Ordered:
    """Return the end of a process, at a seam of its work, and perhaps of its machine."""
    seam = chance.choice(_SEAMS[process]) if chance.random() < 0.7 else "at once"
    # Only a loss of power tells a name that is on the disk from one that is not.
    how = (
        chance.choice(("", ", and its machine loses power"))
        if "rename" not in seam
        else ", and its machine loses power"
    )
    # A file is renamed a few times alone.
    skip = chance.choice((0, 0, 1, 2, 5)) if "rename" not in seam else chance.choice((0, 0, 1))
    return Ordered(at, "kill", process, {"seam": seam, "skip": skip, "how": how})


def loss(chance: Random, at: float) -> list[Ordered]:
    """Return a loss of what the server of the shared limits knows, or the end of its process."""
    if chance.random() < 0.3:
        return [Ordered(at, "forget", "limits")]
    left = chance.choice(("all", "all", "the last save", "nothing"))
    down, loading = chance.choice((0.3, 3.0, 15.0)), chance.choice((0.0, 0.0, 3.0))
    found = [Ordered(at, "restart", "limits", {"left": left, "down": down, "loading": loading})]
    if chance.random() < 0.3:
        # A machine that starts with a wrong clock sets it soon.
        seconds = chance.choice((-3600.0, -90.0, -2.0, 90.0))
        found.append(Ordered(at + down + loading + chance.uniform(0, 2), "clock", "limits", {"seconds": seconds}))
    return found


def odd_time(chance: Random, at: float, process: str) -> Ordered:
    """Return a step of a clock, or a time in which a process stands still."""
    if chance.random() < 0.5:
        # A follow is late by minutes alone.
        longest = (400.0, 400.0, 400.0) if process == "follow" else ()
        return Ordered(at, "freeze", process, {"seconds": chance.choice((1.0, 20.0, 70.0, 400.0, *longest))})
    return Ordered(at, "clock", process, {"seconds": chance.choice((-3600.0, -90.0, -2.0, 2.0, 90.0, 3600.0))})
