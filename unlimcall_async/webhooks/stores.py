"""The promise of a store of event ids, by which each event is handled once; and the store in memory.

A delivery claims its event before the handlers run, and confirms the claim when they have succeeded. A second delivery of the same
event finds the store `busy` in between, and waits. If a handler fails, the claim is released, and the second delivery gets the
event. So no event is handled by two deliveries at a time, and none is lost. The claim of a process that died runs out.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from math import inf
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from attrs import define, field

Standing: TypeAlias = Literal["claimed", "busy", "seen"]

# A delivery may keep its first signature through 24 hours of retries. So the receiver accepts signatures up to 25 hours old, and up
# to 300 s ahead. An id that is kept for 26 hours after it was last seen outlives every signature that could bring its event back.
KEEP_SECONDS: Final = 26 * 3600.0

# A claim runs out so many seconds after its last renewal. A claim must outlast an event loop that is blocked for a while. It must
# also end while a retry waits, if its process died (`python -m tests.webhooks.kill`).
LEASE_SECONDS: Final = 15.0


class SeenStore(Protocol):
    """A store that remembers which events were handled. Write your own to keep the ids in another database.

    `now` is Unix time in seconds. An exception of any class means that the store failed; the receiver responds 5xx, and the sender
    sends the event again. `MemoryStore` and `SQLiteStore` come with the package.
    """

    async def claim(self, claim: Claim, now: float) -> Standing:
        """Claim an event, or renew the claim, in one atomic step.

        Returns:
            `"claimed"` if the event now belongs to this claim: it was free, or this token has claimed it before.
            `"busy"` if another token has claimed the event, and that claim has not run out.
            `"seen"` if the event was confirmed in the last 26 hours; the store keeps its key for 26 hours from now on. The
            store forgets events by the earlier of `now` and `claim.steady`.
        """
        ...

    async def confirm(self, claim: Claim, now: float) -> None:
        """Replace the claim by the record that the event was handled, and keep that record for 26 hours or more.

        A store that can carry out `claim.effects` does so in the same transaction: all of them happen, or nothing.

        Raises:
            ClaimLostError: Another token has claimed the event since.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Release the claim. Do nothing if the event is confirmed, or if another token has claimed it."""
        ...


@define(eq=False)
class Claim:
    """The claim of one delivery to its event.

    Attributes:
        key: The event's key: 64 ASCII characters, the same for every delivery of the event.
        token: Identifies this delivery, and so tells its claim from a later claim to the same event.
        store: The store that holds the claim.
        effects: The functions that handlers gave to `SQLiteStore.at_commit`, for the store to call as it confirms the claim.
        closed: Whether the handlers have ended. No effect is accepted from then on.
        followers: The functions that handlers gave to `when_handled`, for the receiver to call after the claim is confirmed.
        steady: Unix time that is never ahead of the time that has really passed, as the clock of a machine may be. A store forgets
            events by the earlier of `steady` and `now`. A claim runs out by `now`.
    """

    key: str
    store: SeenStore = field(repr=False)
    token: str = field(factory=lambda: uuid.uuid4().hex)
    effects: list[Callable[[Any], object]] = field(factory=list, repr=False)
    closed: bool = False
    steady: float = field(default=inf, repr=False)
    followers: list[Callable[[], object]] = field(factory=list, repr=False)


class ClaimLostError(Exception):
    """The claim ran out before it was confirmed, and another delivery holds the event.

    A store raises this error in `confirm`. The receiver catches it and responds 500.
    """


# The claim of the event whose handlers are running, as the functions that they call see it.
current_claim: ContextVar[Claim | None] = ContextVar("unlimcall_current_claim", default=None)


class MemoryStore:
    """A store of the events of the last 26 hours in memory, some 230 bytes for each event.

    The store serves one process, and forgets everything when the process ends: an event that the sender repeats after a restart is
    handled again. Use `SQLiteStore` to prevent that. Claims in memory do not run out, because they die with their process, or with
    the event loop of their delivery.
    """

    def __init__(self) -> None:
        self._claims: dict[str, _Holder] = {}
        # In the order in which the events were last seen.
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._process = os.getpid()

    async def claim(self, claim: Claim, now: float) -> Standing:
        """Claim an event, and forget events older than 26 hours; see `SeenStore`."""
        self._leave_parent()
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest] >= min(now, claim.steady) - KEEP_SECONDS:
                break
            del self._seen[oldest]
        if claim.key in self._seen:
            self._remember(claim, now)
            return "seen"
        holder = self._claims.get(claim.key)
        if holder is None or holder.loop.is_closed():
            holder = self._claims[claim.key] = _Holder(claim.token, asyncio.get_running_loop())
        return "claimed" if holder.token == claim.token else "busy"

    async def confirm(self, claim: Claim, now: float) -> None:
        """Remember that a claimed event was handled; see `SeenStore`."""
        if not self._holds(claim):
            raise ClaimLostError
        # First, so that an exception in between, for example of a signal, cannot lose the event.
        self._remember(claim, now)
        del self._claims[claim.key]

    async def release(self, claim: Claim) -> None:
        """Release a claim; see `SeenStore`."""
        if self._holds(claim):
            del self._claims[claim.key]

    def _leave_parent(self) -> None:
        """After a fork, drop the claims of the parent: nobody confirms or releases them here."""
        if self._process != os.getpid():
            self._process, self._claims = os.getpid(), {}

    def _holds(self, claim: Claim) -> bool:
        holder = self._claims.get(claim.key)
        return holder is not None and holder.token == claim.token

    def _remember(self, claim: Claim, now: float) -> None:
        # Bounded, because an event that was seen at a wrong time, far ahead, would keep all later ones from being forgotten.
        self._seen[claim.key] = min(now, claim.steady + KEEP_SECONDS)
        self._seen.move_to_end(claim.key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._seen)} seen, {len(self._claims)} claimed>"


class _Holder(NamedTuple):
    """A claim in memory: its token, and the event loop of its delivery."""

    token: str
    loop: asyncio.AbstractEventLoop
