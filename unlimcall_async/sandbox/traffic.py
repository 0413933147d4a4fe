"""Generated traffic: call records by the hundred thousand, the same ones for the same arguments.

For tests and demonstrations that need more than a few rows by hand. No number in it belongs to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from random import Random
from typing import Any, Final, get_args

from attrs import frozen

from unlimcall_async.sandbox.calls import SandboxCall
from unlimcall_async.sandbox.markets import MARKETS, OUTCOMES, OWN_NUMBERS, SEATS, Market, Outcome, one_of
from unlimcall_async.sandbox.start_times import START_TIMES, Range, TrafficKind, picker
from unlimcall_async.sandbox.times import plain_time

__all__ = ["TrafficKind", "generate_traffic"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_INBOUND: Final = 0.12  # share of calls

# One object for all rows, instead of a million empty ones; nothing in the sandbox writes to it.
_NO_EXTRA: Final[Mapping[str, Any]] = {}


@frozen
class _Legs:
    """How calls are split into legs, which are rows that share an id.

    Attributes:
        share: Share of the calls that have more than one leg.
        most: The most legs of one call.
        together: Share of the further legs that start at the millisecond of the leg before, as if several phones rang.
    """

    share: float
    most: int
    together: float


_FEW_LEGS: Final = _Legs(share=0.03, most=4, together=0.25)
_LEGS: Final[Mapping[TrafficKind, _Legs]] = {
    "legs": _Legs(share=0.5, most=6, together=0.4),
    "ties": _Legs(
        share=0.0, most=1, together=0.0
    ),  # the start times make the groups, and a further leg would enlarge one
}


def generate_traffic(
    calls: int, *, start: datetime, end: datetime, seed: int = 0, kind: TrafficKind = "call_centre"
) -> list[SandboxCall]:
    """Return `calls` call records with `start <= start_time < end`, in the order in which the calls ended.

    A provider writes its records in that order, and `Sandbox(order="insertion")` lists them so. The same arguments give the same
    records, on every version of Python.

    Args:
        calls: Number of records.
        start: Start of the range, timezone-aware.
        end: End of the range, timezone-aware.
        seed: Records with another seed are other records.
        kind: How the records are spread over time:

            - "call_centre" follows the working hours of several countries, with campaigns, ties, and a few calls of several legs.
            - "uniform" is even.
            - "bursts" are some 300 short spans, with next to nothing between them.
            - "ties" has groups of up to 850 records on one millisecond or one second.
            - "legs" has many records that share an id; some of them share their start as well.
            - "sparse" is a dozen short spans with long silences.
            - "growth" has a rate that rises with the cube of the time.
            - "campaigns" has one steep campaign a day.

    Raises:
        ValueError: An argument is not as described, or the range is too short for the kind "ties".
    """
    wanted = _range(calls, start, end, kind)
    if not calls:
        return []

    random = Random(seed)  # noqa: S311 # guards no secret
    legs = _LEGS.get(kind, _FEW_LEGS)
    counts: list[int] = []  # of legs, for each call
    left = calls
    while left:
        count = 2 + int((legs.most - 1) * random.random()) if random.random() < legs.share else 1
        counts.append(min(count, left))
        left -= counts[-1]

    start_of = START_TIMES[kind](random, wanted, len(counts))
    pick_market = picker([market.share for market in MARKETS], random)
    starts = sorted((start_of(MARKETS[place]), place) for place in (pick_market() for _ in counts))

    pick_outcome = picker([outcome.share for outcome in OUTCOMES], random)
    rows: list[tuple[int, SandboxCall]] = []
    for (ms, place), count in zip(starts, counts, strict=True):
        # As Asterisk makes ids: the second, and a counter of all channels. As text they do not sort as numbers do.
        call_id = f"{ms // 1000}.{len(rows) + 1}"
        leg_ms = ms
        for leg in range(count):
            if leg and random.random() >= legs.together:
                leg_ms = min(leg_ms + 1 + int(40_000 * random.random()), wanted.end - 1)
            rows.append(_row(random, call_id, leg_ms, MARKETS[place], OUTCOMES[pick_outcome()]))
    rows.sort(key=itemgetter(0))
    return [row for _, row in rows]


def _range(calls: int, start: datetime, end: datetime, kind: str) -> Range:
    """Check the arguments of `generate_traffic`, and return the range of start times."""
    if kind not in get_args(TrafficKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(TrafficKind))}")
    if not isinstance(calls, int):
        raise TypeError(f"calls must be an int, not {type(calls).__name__}")
    if calls < 0:
        raise ValueError("calls must not be negative")
    start, end = plain_time("start", start), plain_time("end", end)
    # Rounded up: the first millisecond is not before `start`, and the last is before `end`.
    wanted = Range(*(-((_EPOCH - moment) // _MILLISECOND) for moment in (start, end)))
    if wanted.length <= 0:
        raise ValueError("end must be after start, and a whole millisecond must lie between them")
    return wanted


def _row(random: Random, call_id: str, ms: int, market: Market, outcome: Outcome) -> tuple[int, SandboxCall]:
    """Return the millisecond at which a leg ends, and its record."""
    draw = random.random
    duration, billsec = outcome.seconds(draw(), draw())
    other, own = one_of(market.numbers, draw()), one_of(OWN_NUMBERS, draw())
    inbound, seldom = draw() < _INBOUND, draw()
    call = SandboxCall(
        id=call_id,
        start_time=_EPOCH + timedelta(milliseconds=ms),
        duration=duration,
        billsec=billsec,
        src=(None if seldom < 0.1 else other) if inbound else own,  # some callers withhold their number
        dst=own if inbound else other,
        disposition=outcome.disposition,
        sip_username=None if inbound and not billsec else one_of(SEATS, draw()),  # nobody answered the call
        sell_price_cents=-(-billsec // 60) * market.cents_per_minute if outcome.rated else None,
        country=None if seldom > 0.998 else market.country,
        did=own if inbound else None,
        extra=_NO_EXTRA,
    )
    return ms + 1000 * duration, call
