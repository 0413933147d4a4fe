"""Alerts: the carrier's failure rate above 1 %, and credit that runs out.

    UNLIMCALL_TOKEN=... python examples/alerts.py --follow --threshold 25 --currency USD

Without `--follow` it goes through the last day, looks at the balance once, and ends. With it, both watches share one client and run
until Ctrl-C. Each alert is told once when it starts and once when it ends; `notify` is where yours go.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from unlimcall_async import AsyncClient, CallRecord
from unlimcall_async.operations import CarrierMonitor, CreditMonitor, CreditWatch

DAY = timedelta(days=1)


def notify(text: str) -> None:
    """Tell somebody."""
    print(f"ALERT {text}")


async def watch_carrier(records: AsyncIterable[CallRecord]) -> CarrierMonitor:
    """Tell of failure rates, of all calls and of each country."""
    monitor = CarrierMonitor()
    async for alert in monitor.watch(records):
        where = alert.country or "all calls"
        notify(
            f"{alert.state} {alert.at:%Y-%m-%d %H:%M}: {where}, {alert.failures.count} of {alert.failures.of} failed"
        )
    return monitor


async def watch_credit(client: AsyncClient, monitor: CreditMonitor) -> None:
    """Tell of credit that runs low, of a blocked account, and of a balance that is not to be had."""
    async for alert in CreditWatch(client, monitor):
        left = "" if alert.time_left is None else f", {alert.time_left} left"
        notify(
            f"{alert.state} {alert.at:%Y-%m-%d %H:%M}: {alert.kind}, {alert.balance and alert.balance.balance}{left}"
        )


async def look_once(client: AsyncClient, credit: CreditMonitor) -> None:
    """Go through the last day, and look at the balance."""
    now = datetime.now(UTC)
    async with client.cdrs.stream(now - DAY, now) as records:
        carrier = await watch_carrier(records)
    print(f"the last hour with calls: {carrier.overall.count} of {carrier.overall.of} attempts failed")
    balance = await client.balance()
    for alert in credit.note(balance, at=now):
        notify(f"{alert.kind}: {balance.balance} {balance.currency}")
    print(f"balance: {balance.balance} {balance.currency}, threshold {credit.threshold}")


async def follow(client: AsyncClient, credit: CreditMonitor) -> None:
    """Watch until somebody ends it."""
    async with client.cdrs.follow(datetime.now(UTC) - DAY) as records, asyncio.TaskGroup() as group:
        group.create_task(watch_carrier(records))
        group.create_task(watch_credit(client, credit))


async def main(arguments: argparse.Namespace) -> None:
    """Watch, with one client."""
    credit = CreditMonitor(arguments.threshold, arguments.currency)
    async with AsyncClient() as client:
        await (follow if arguments.follow else look_once)(client, credit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--threshold", type=Decimal, default=Decimal(25))
    parser.add_argument("--currency", default="USD")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
