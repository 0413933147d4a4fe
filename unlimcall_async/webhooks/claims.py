"""What a store of seen events must do, so that each is handled once; `MemoryStore` and `SQLiteStore` do it.

A delivery is claimed before it is handled, and confirmed when it has been. In between, a repeat of it finds the store `busy` and
waits. If handling fails, the claim is released and the repeat gets its turn; so nothing is handled twice at a time, and nothing
is lost. A claim of a process that died runs out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Literal, Protocol, TypeAlias

from attrs import define, field

Standing: TypeAlias = Literal["claimed", "busy", "seen"]

# A delivery may keep its first signature through 24 hours of retries, so the receiver accepts signatures of 25 hours, and as far
# as 300 s ahead. An id that is kept for 26 hours after it was last seen outlives every signature that could bring it back.
KEEP_SECONDS: Final = 26 * 3600.0

# A claim runs out so many seconds after it was last renewed. Long enough for an event loop that is blocked for a while, short
# enough for a retry that finds the claim of a dead process to wait for its end.
LEASE_SECONDS: Final = 15.0


@define(eq=False)
class Claim:
    """One delivery's claim to an event.

    Attributes:
        key: Stands for the event: 64 ASCII characters, the same for every delivery of it.
        token: Stands for this delivery, and tells its claim from a later one to the same event.
        store: The store that holds the claim.
        effects: What handlers gave the store to carry out with the confirmation.
        closed: Whether the handlers have ended, so that it is too late for further effects.
    """

    key: str
    store: SeenStore = field(repr=False)
    token: str = field(factory=lambda: uuid.uuid4().hex)
    effects: list[Callable[[Any], object]] = field(factory=list, repr=False)
    closed: bool = False


class ClaimLostError(Exception):
    """A claim that was to be confirmed ran out, and the event is another's. Raised by a store, caught by the receiver."""


class SeenStore(Protocol):
    """Remembers which events were handled. `now` is Unix time in seconds. Any exception means that it failed."""

    async def claim(self, claim: Claim, now: float) -> Standing:
        """Claim an event, or renew the claim, in one atomic step.

        Returns:
            `"claimed"` if the event is this claim's: nobody else's and not confirmed, or already claimed with this token.
            `"busy"` if another token has claimed it, and the claim has not run out.
            `"seen"` if it was confirmed in the last 26 hours; from now on it is kept for 26 hours more.
        """
        ...

    async def confirm(self, claim: Claim, now: float) -> None:
        """Turn the claim into the memory that the event was handled, to be kept for 26 hours or more.

        A store that can carry out `claim.effects` does so in the same transaction: all of it happens, or nothing.

        Raises:
            ClaimLostError: Another token has taken the event over.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Give the claim up, unless it is confirmed or no longer this token's; then nothing happens."""
        ...


# Set while handlers run, for what they call and for nothing else.
current_claim: ContextVar[Claim | None] = ContextVar("unlimcall_current_claim", default=None)
