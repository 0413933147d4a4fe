"""Follow changes over HTTP while calls appear, change and vanish, and the reader is killed: each change must come once.

    python -m tests.cdrs.changes                          10,000 changes, some two minutes
    python -m tests.cdrs.changes --changes 500 --seed 7

The API changes before each poll. The reader keeps a mirror of the API by what `changes()` hands out. It stores the mirror and the
checkpoint in one step, now and then, is killed at any change, and goes on from what it had stored in a new client. The plain view
follows for a while, too. Exits with 1 if a change is missing, comes twice, or if a record comes as new that was handed out before.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web
from attrs import define, field

from tests.cdrs.changing import Held, Mirror, World
from tests.cdrs.hostile import BrokenError
from tests.cdrs.raw_server import ORDERS, RawServer, served
from unlimcall_async import AsyncClient, CdrChange, CdrFollow, Checkpoint, ServerError
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, to_micros

_SPAN: Final = 1800 * SECOND
_LOOKBACK: Final = timedelta(hours=2)


@define(slots=False)
class Changes:
    """A world behind a server, and a reader that follows it.

    Attributes:
        wanted: How many changes are to be handed out.
        seed: Of everything that is left to chance.
        counts: How many changes of each kind the reader was handed, those that it lost in a crash included.
        killed: How often the reader was killed.
    """

    wanted: int
    seed: int = 1
    counts: Counter[str] = field(factory=Counter)
    killed: int = 0

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        first = to_micros(self._start)
        self._world = World(self._chance, lambda: first + self._chance.randrange(_SPAN // MILLISECOND) * MILLISECOND)
        self._server = RawServer([], self._chance.choice(ORDERS), answer=self._before_the_answer)
        self._held: Held = self._world.held()
        self._mirror, self._tells = Mirror(), True
        self._stored: tuple[Mirror, str | None] = Mirror(), None
        self._follow: CdrFollow | None = None
        self._polls = -1
        self._broken: BrokenError | None = None

    async def _before_the_answer(self, _first: datetime, _last: datetime) -> web.Response | None:
        """Compare the mirror, and change the world, if a poll begins. A poll may take several requests."""
        if self._follow is not None and self._follow.stats.polls != self._polls:
            if self._polls >= 0 and self._tells:
                try:
                    self._mirror.compare(self._held)
                except BrokenError as error:
                    self._broken = error  # the client is answered with a 500
                    raise
            self._polls = self._follow.stats.polls
            # Sometimes nothing changes, so that what comes again shows.
            for _ in range(self._chance.choice((0, 1, 30))):
                self._world.change()
            self._server.rows = [call.row() for call in self._world.calls]
            self._held = self._world.held()
        return None

    async def run(self) -> None:
        """Follow until all changes came, or raise `BrokenError`."""
        while self.counts.total() < self.wanted:
            async with served(self._server) as client:
                try:
                    await self._follow_until_killed(client)
                except ServerError as error:
                    raise self._broken or error from None
            self._mirror, self.killed = self._stored[0].copy(), self.killed + 1

    async def _follow_until_killed(self, client: AsyncClient) -> None:
        stored = None if self._stored[1] is None else Checkpoint.from_json(self._stored[1])
        interval = timedelta(milliseconds=1)
        self._follow = follow = client.cdrs.follow(
            self._start, interval=interval, lookback=_LOOKBACK, unreadable="keep", resume=stored
        )
        self._polls, self._tells = -1, self._chance.random() < 0.8
        left = self._chance.randrange(80)
        if self._tells:
            async with aclosing(follow.changes()) as changes:
                async for change in changes:
                    self._take(change)
                    left -= 1
                    if left < 0:
                        return
        else:
            async with aclosing(aiter(follow)) as records:
                async for record in records:
                    self._mirror.add(record)
                    self._store()
                    left -= 10
                    if left < 0:
                        return

    def _take(self, change: CdrChange) -> None:
        self._mirror.apply(change, self._held)
        self.counts[change.kind] += 1
        if self._chance.random() < 0.1:
            self._store()

    def _store(self) -> None:
        assert self._follow is not None
        self._stored = self._mirror.copy(), self._follow.checkpoint.to_json()


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    changes = Changes(options.changes, options.seed)
    try:
        asyncio.run(changes.run())
    except BrokenError as error:
        print(f"BROKEN: {error}")
        return 1
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(changes.counts.items()))
    print(
        f"{changes.counts.total():,} changes ({counts}) and {changes.killed} crashes: none missed, none twice, none as a new call"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
