"""Caller-ID rotation: choose the number to call from for each market, and rest the numbers that are answered too rarely.

    UNLIMCALL_TOKEN=... python examples/caller_ids.py caller_ids.json

The script reads the call records of the last week, burns suspect numbers for 30 days, prints the number that each destination would
get, and saves the pool in the file. No calls are placed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from unlimcall_async import APIError, AsyncClient
from unlimcall_async.operations import CallerId, CallerIdHealth, CallerIdPool, NoCallerIdError, PoolStateError, Step

# Put your own numbers here. The first two are reserved for one campaign.
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
    """Return the pool that the file holds, or an empty pool if the file does not exist."""
    if not path.exists():
        return CallerIdPool(fallback=FALLBACK)
    return CallerIdPool.from_json(path.read_bytes(), fallback=FALLBACK)


def store(path: Path, pool: CallerIdPool) -> None:
    """Save the pool in one step: a crash leaves either the old file or the new one."""
    with NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as fresh:
        fresh.write(pool.to_json())
    Path(fresh.name).replace(path)


async def your_numbers(client: AsyncClient) -> AsyncIterator[CallerId]:
    """Yield your numbers. Any asynchronous source works: a database, a file, another service.

    The API has a scope for numbers and documents no endpoint that lists them. If your account has one, read it here.
    """
    try:
        response = await client.request("GET", "/numbers")
        print(f"GET /numbers gives {response.status}: make caller ids of its content here")
    except APIError as error:
        print(f"GET /numbers gives {error.status}: using the numbers in this file")
    for caller_id in NUMBERS:
        yield caller_id


async def burn_suspects(client: AsyncClient, pool: CallerIdPool, now: datetime) -> None:
    """Burn the numbers that the call records of the last week prove to do worse than the others of their country."""
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
    """Print the number that each destination would get."""
    for destination in DESTINATIONS:
        for campaign in (None, "spring"):
            try:
                chosen = pool.select(destination, campaign=campaign, now=now)
                print(f"to {destination} in {campaign or 'no campaign'}: from {chosen.number} ({chosen.country})")
            except NoCallerIdError as error:
                print(f"to {destination}: {error}")


async def main(path: Path) -> None:
    """Load the pool, add the numbers, burn suspects, choose, and save the pool."""
    pool, now = stored(path), datetime.now(UTC)
    async with AsyncClient() as client:
        await pool.fill(your_numbers(client))
        await burn_suspects(client, pool, now)
    choose(pool, now)
    store(path, pool)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=Path("caller_ids.json"), help="where the pool is saved")
    options = parser.parse_args()
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    try:
        asyncio.run(main(options.file))
    except PoolStateError as error:
        sys.exit(f"{error}. Repair or delete the file.")
