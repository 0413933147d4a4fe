"""Seen events in memory."""

from __future__ import annotations

from unlimcall_async.webhooks.claims import KEEP_SECONDS, Claim, ClaimLostError, Standing


class MemoryStore:
    """Remembers the events of the last 26 hours, some 200 bytes each, for as long as the process lives.

    It serves one process. After a restart, an event that is sent again is handled again. Its claims do not run out: they can only
    be left behind by a process that takes them along.
    """

    def __init__(self) -> None:
        self._claims: dict[str, str] = {}
        # Ordered by when they were last seen.
        self._seen: dict[str, float] = {}

    async def claim(self, claim: Claim, now: float) -> Standing:
        """Claim an event; see `SeenStore`."""
        self._forget(now)
        if claim.key in self._seen:
            self._remember(claim.key, now)
            return "seen"
        return "claimed" if self._claims.setdefault(claim.key, claim.token) == claim.token else "busy"

    async def confirm(self, claim: Claim, now: float) -> None:
        """Remember a claimed event; see `SeenStore`."""
        if self._claims.get(claim.key) != claim.token:
            raise ClaimLostError
        del self._claims[claim.key]
        self._remember(claim.key, now)

    async def release(self, claim: Claim) -> None:
        """Give up a claim; see `SeenStore`."""
        if self._claims.get(claim.key) == claim.token:
            del self._claims[claim.key]

    def _remember(self, key: str, now: float) -> None:
        self._seen.pop(key, None)
        self._seen[key] = now

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if self._seen[oldest] >= now - KEEP_SECONDS:
                return
            del self._seen[oldest]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._seen)} seen, {len(self._claims)} claimed>"
