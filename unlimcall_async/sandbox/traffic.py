"""Made-up traffic: call records by the hundred thousand, the same ones for the same arguments.

For tests and demonstrations that need more than a few rows by hand.  No number in it belongs to anybody.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, get_args

from attrs import frozen

from unlimcall_async.sandbox.calls import SandboxCall
from unlimcall_async.sandbox.markets import MARKETS, OUTCOMES, OWN_NUMBERS, SEATS, Market, Outcome, one_of
from unlimcall_async.sandbox.rhythms import RHYTHMS, Range, TrafficKind, picker

__all__ = ["TrafficKind", "generate_traffic"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_INBOUND = 0.12  # share of calls

# One for all rows, rather than a million empty ones; nothing in the sandbox writes to it.
_NO_EXTRA: Mapping[str, Any] = {}


@frozen
class _Legs:
    """How calls fall into legs, which are rows that share an id.

    Attributes:
        share: Of calls with more than one leg.
        most: Legs of one call.
        together: Share of further legs that start at the millisecond of the one before, as where several phones ring.
    """

    share: float
    most: int
    together: float


_FEW_LEGS = _Legs(share=0.03, most=4, together=0.25)
_LEGS: Mapping[TrafficKind, _Legs] = {
    "legs": _Legs(share=0.5, most=6, together=0.4),
    "ties": _Legs(share=0.0, most=1, together=0.0),  # the rhythm sees to its groups, and none may grow
}


def generate_traffic(
    calls: int, *, start: datetime, end: datetime, seed: int = 0, kind: TrafficKind = "call_centre"
) -> list[SandboxCall]:
    """Return `calls` records with `start <= start_time < end`, in the order in which the calls ended.

    That is the order in which a provider writes them, and with `Sandbox(order="insertion")` the one in which they are
    listed.  The same arguments give the same records, on every version of Python.

    Args:
        calls: Number of records.
        start: Aware.
        end: Aware.
        seed: Another seed, other records.
        kind: How they are spread over time: "call_centre" follows the working hours of several countries, with
            campaigns, ties and a few calls of several legs; "uniform" is even; "bursts" are some 300 short spans, with
            next to nothing between; "ties" has groups of up to 850 records on one millisecond or one second; "legs"
            has many records that share an id, some of them their start as well; "sparse" is a dozen short spans with
            long silences; "growth" has a rate that rises with the cube of the time; "campaigns" has a steep one a day.
    """
    wanted = _checked(calls, start, end, kind)
    if not calls:
        return []
    random = Random(seed)  # noqa: S311  # not a secret
    legs = _LEGS.get(kind, _FEW_LEGS)
    counts = list(_leg_counts(random, calls, legs))
    rows = list(_rows(random, wanted, legs, counts, _starts(random, wanted, kind, counts)))
    rows.sort(key=_end)
    return [row for _, row in rows]


def _checked(calls: int, start: datetime, end: datetime, kind: str) -> Range:
    if kind not in get_args(TrafficKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(TrafficKind))}, not {kind!r}")
    if calls < 0:
        raise ValueError("calls must not be negative")
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end must be timezone-aware")
    wanted = Range(*(-((_EPOCH - moment) // _MILLISECOND) for moment in (start, end)))  # rounded up
    if wanted.length <= 0:
        raise ValueError("end must be after start, and a whole millisecond must lie between them")
    return wanted


def _leg_counts(random: Random, rows: int, legs: _Legs) -> Iterator[int]:
    """Yield how many legs each call has, until there are enough rows."""
    while rows:
        count = 2 + int((legs.most - 1) * random.random()) if random.random() < legs.share else 1
        yield min(count, rows)
        rows -= min(count, rows)


def _starts(random: Random, wanted: Range, kind: TrafficKind, counts: list[int]) -> list[tuple[int, int]]:
    """Return when each call starts and in which market, in order of time."""
    rhythm = RHYTHMS[kind](random, wanted, len(counts))
    pick = picker([market.share for market in MARKETS], random)
    return sorted((rhythm(MARKETS[place]), place) for place in (pick() for _ in counts))


def _rows(
    random: Random, wanted: Range, legs: _Legs, counts: list[int], starts: list[tuple[int, int]]
) -> Iterator[tuple[int, SandboxCall]]:
    """Yield every row, with the millisecond at which it ends."""
    how = picker([outcome.share for outcome in OUTCOMES], random)
    sequence = 0
    for (ms, place), count in zip(starts, counts, strict=True):
        sequence += 1
        # As Asterisk makes them: the second, and a counter of all channels.  As text they do not sort as numbers do.
        call_id = f"{ms // 1000}.{sequence}"
        yield _row(random, call_id, ms, MARKETS[place], OUTCOMES[how()])
        leg_ms = ms
        for _ in range(count - 1):
            sequence += 1
            if random.random() >= legs.together:
                leg_ms = min(leg_ms + 1 + int(40_000 * random.random()), wanted.end - 1)
            yield _row(random, call_id, leg_ms, MARKETS[place], OUTCOMES[how()])


def _end(row: tuple[int, SandboxCall]) -> int:
    return row[0]


def _row(random: Random, call_id: str, ms: int, market: Market, outcome: Outcome) -> tuple[int, SandboxCall]:
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
        sip_username=None if inbound and not billsec else one_of(SEATS, draw()),  # nobody took the call
        sell_price_cents=-(-billsec // 60) * market.cents_per_minute if outcome.rated else None,
        country=None if seldom > 0.998 else market.country,
        did=own if inbound else None,
        extra=_NO_EXTRA,
    )
    return ms + 1000 * duration, call
