"""Choose the number to call from, for each market, and rest those that are going bad.

    UNLIMCALL_TOKEN=... python examples/caller_ids.py caller_ids.json

The pool's state stands in the file, which the first run makes: who was used last, and which are burned. Each run reads the call
records of the last week, burns for a month what does worse than the others of its country beyond doubt, and shows which number
each destination would get. Nobody is called.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from unlimcall_async import APIError, AsyncClient
from unlimcall_async.operations import CallerId, CallerIdHealth, CallerIdPool, NoCallerIdError, PoolStateError, Step

# Yours, by market. The first two are kept for one campaign.
NUMBERS = (
    CallerId("+442079460801", campaign="spring"),
    CallerId("+442079460802", campaign="spring"),
    CallerId("+442079460803"),
    CallerId("+33199001001"),
    CallerId("+16465550112"),
    CallerId("+14165550199"),
)
DESTINATIONS = ("+442071838750", "+493023125000", "+14155551234", "+14165551234", "+61255501000")
FALLBACK: tuple[Step, ...] = ("country", "region")


def stored(path: Path) -> CallerIdPool:
    """Load the pool, or make an empty one."""
    if not path.exists():
        return CallerIdPool(fallback=FALLBACK)
    return CallerIdPool.from_json(path.read_text(), fallback=FALLBACK)


def store(path: Path, pool: CallerIdPool) -> None:
    """Save the pool in one step, so that a crash leaves the old state or the new one."""
    fresh = path.with_suffix(".tmp")
    fresh.write_text(pool.to_json())
    fresh.replace(path)


async def your_numbers(client: AsyncClient) -> AsyncIterator[CallerId]:
    """Give the numbers that you have. Any asynchronous source does: a database, a file, another service.

    The API has a scope for numbers, but documents no endpoint for them. Should it have one for you, this is where to read it.
    """
    try:
        answer = await client.request("GET", "/numbers")
        print(f"/numbers answers {answer.status}: see what it holds, and make caller ids of it here")
    except APIError as error:
        print(f"/numbers answers {error.status}: the numbers are those of this file")
    for caller_id in NUMBERS:
        yield caller_id


async def rest_what_goes_bad(client: AsyncClient, pool: CallerIdPool, now: datetime) -> None:
    """Burn what is suspect, by the records of a week."""
    health = CallerIdHealth(pool.numbers)
    async with client.cdrs.stream(now - timedelta(days=7), now) as records:
        await health.read(records)
    for number in health.report():
        answered, baseline = number.answered, number.baseline_answered
        print(f"{number.caller_id.number} {number.verdict}: {answered.count} of {answered.of} answered, ", end="")
        print(f"{baseline.count} of {baseline.of} by the others")
        if number.verdict == "suspect":
            pool.burn(number.caller_id.number, until=now + timedelta(days=30))


def choose(pool: CallerIdPool, now: datetime) -> None:
    """Show what each destination gets."""
    for destination in DESTINATIONS:
        for campaign in (None, "spring"):
            try:
                chosen = pool.select(destination, campaign=campaign, now=now)
                print(f"to {destination} in {campaign or 'no campaign'}: from {chosen.number} ({chosen.country})")
            except NoCallerIdError as error:
                print(f"to {destination}: {error}")


async def main(path: Path) -> None:
    """Load the pool, fill it, choose, and save it."""
    pool, now = stored(path), datetime.now(UTC)
    async with AsyncClient() as client:
        await pool.fill(your_numbers(client))
        await rest_what_goes_bad(client, pool, now)
    choose(pool, now)
    store(path, pool)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=Path("caller_ids.json"))
    try:
        asyncio.run(main(parser.parse_args().file))
    except PoolStateError as error:
        sys.exit(f"Cannot go on: {error}")
