"""A server over real HTTP whose pages are cut, and whose counts are wrong, in ways that a test chooses."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any, Final, Literal, TypeAlias

from aiohttp import web
from attrs import define, field, frozen

from tests.cdrs.raw_server import RawServer, row_text
from unlimcall_async import CallRecord

Order: TypeAlias = Literal[
    "newest_first", "oldest_first", "by_end", "by_end_backwards", "arbitrary", "shuffled", "sorted_after_limit"
]
ORDERS: Final[tuple[Order, ...]] = (
    *("newest_first", "oldest_first", "by_end", "by_end_backwards", "arbitrary", "shuffled", "sorted_after_limit"),
)


@frozen
class Call:
    """A phone call as the server holds it."""

    start: datetime
    number: int
    lasts: int

    @cached_property
    def text(self) -> bytes:
        """Its row."""
        return row_text(self.start, f"{self.number}", duration=f"{self.lasts}")


@cache
def calls(count: int, start: datetime, span: timedelta, *, seed: int = 1) -> tuple[Call, ...]:
    """Return calls at chance times, which last two minutes on average."""
    chance = random.Random(seed)
    millis = sorted(chance.randrange(span // timedelta(milliseconds=1)) for _ in range(count))
    lasting = [round(chance.expovariate(1 / 120)) for _ in millis]
    return tuple(Call(start + timedelta(milliseconds=at), n, lasting[n]) for n, at in enumerate(millis))


def ids_of(records: Sequence[CallRecord]) -> list[str]:
    """Return the ids of records."""
    return [record.id for record in records]


@define
class OddServer(RawServer):
    """A server with calls.

    Attributes:
        calls: The calls.
        sorting: The order of its rows.
        most: Returns the most rows of a response, by its number.
        counts: Returns `count`, by the number of the response, its rows and all matches.
    """

    calls: Sequence[Call] = ()
    sorting: Order = "newest_first"
    most: Callable[[int], int] = lambda _number: 1000
    counts: Callable[[int, int, int], int] = lambda _number, rows, _matches: rows
    _chance: random.Random = field(factory=lambda: random.Random(5))
    _held: list[Call] = field(init=False, factory=list)
    # Where in `_held` each start is, by time: a search, because a look at every call for each request takes most of a test's time.
    _places: list[tuple[datetime, int]] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self._held = sorted(self.calls, key=self._place)
        self._places = sorted((call.start, place) for place, call in enumerate(self._held))

    def _place(self, call: Call) -> Any:
        end = call.start + timedelta(seconds=call.lasts)
        match self.sorting:
            case "newest_first":
                return -call.start.timestamp(), call.number
            case "oldest_first":
                return call.start, call.number
            case "by_end":
                return end
            case "by_end_backwards":
                return -end.timestamp()
            case _:
                return self._chance.random()

    async def respond(self, request: web.Request) -> web.Response:
        first, last = (datetime.fromisoformat(request.query[name]) for name in ("from", "till"))
        number = len(self.asked)
        self.asked.append((first, last))
        begin, end = bisect_left(self._places, (first, 0)), bisect_right(self._places, (last, len(self._held)))
        matches = [self._held[place] for place in sorted(place for _, place in self._places[begin:end])]
        if self.sorting == "shuffled":
            self._chance.shuffle(matches)
        rows = matches[: min(int(request.query["limit"]), self.most(number))]
        if self.sorting == "sorted_after_limit":
            rows.sort(key=lambda call: call.start, reverse=True)
        body = b'{"count": %d, "calls": [%b]}' % (
            self.counts(number, len(rows), len(matches)),
            b",".join(call.text for call in rows),
        )
        return web.Response(body=body, content_type="application/json")
