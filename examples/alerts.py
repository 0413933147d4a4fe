"""Carrier alerts and credit alerts: print an alert if more than 1 % of the calls fail, and if the credit runs low.

    UNLIMCALL_TOKEN=... python examples/alerts.py --follow --threshold 25 --currency USD

With `--follow` the script watches until Ctrl-C; without, it checks the last day and the present balance once. Replace `notify` to
send the alerts to your pager.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from unlimcall_async import AsyncClient, CallRecord
from unlimcall_async.operations import CarrierMonitor, CreditMonitor, CreditWatch

DAY = timedelta(days=1)


def notify(text: str) -> None:
    """Print an alert."""
    print(f"ALERT {text}")


async def watch_carrier(records: AsyncIterable[CallRecord]) -> CarrierMonitor:
    """Print an alert for each failure rate that crosses a bound, of all calls and of each country."""
    monitor = CarrierMonitor()
    async for alert in monitor.watch(records):
        scope = alert.country or "all calls"
        notify(
            f"{alert.state} {alert.at:%Y-%m-%d %H:%M}: {scope}, {alert.failures.count} of {alert.failures.of} failed"
        )
    return monitor


async def watch_credit(client: AsyncClient, monitor: CreditMonitor) -> None:
    """Print an alert if credit runs low, if the account is blocked, or if no fresh balance comes."""
    async for alert in CreditWatch(client, monitor):
        left = "" if alert.time_left is None else f", {alert.time_left} left"
        notify(
            f"{alert.state} {alert.at:%Y-%m-%d %H:%M}: {alert.kind}, {alert.balance and alert.balance.balance}{left}"
        )


async def check_once(client: AsyncClient, credit: CreditMonitor) -> None:
    """Check the calls of the last day, and the present balance."""
    now = datetime.now(UTC)
    async with client.cdrs.stream(now - DAY, now) as records:
        carrier = await watch_carrier(records)
    print(f"the last hour with calls: {carrier.overall.count} of {carrier.overall.of} attempts failed")
    balance = await client.balance()
    for alert in credit.note(balance, at=now):
        notify(f"{alert.kind}: {balance.balance} {balance.currency}")
    print(f"balance: {balance.balance} {balance.currency}, threshold {credit.threshold}")


async def follow(client: AsyncClient, credit: CreditMonitor) -> None:
    """Watch calls and credit with one client, until the program is stopped."""
    async with client.cdrs.follow(datetime.now(UTC) - DAY) as records, asyncio.TaskGroup() as group:
        group.create_task(watch_carrier(records))
        group.create_task(watch_credit(client, credit))


async def main(arguments: argparse.Namespace) -> None:
    """Check once, or follow."""
    credit = CreditMonitor(arguments.threshold, arguments.currency)
    async with AsyncClient() as client:
        if arguments.follow:
            await follow(client, credit)
        else:
            await check_once(client, credit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--follow", action="store_true", help="watch until Ctrl-C")
    parser.add_argument("--threshold", type=Decimal, default=Decimal(25), help="alert at this balance or below")
    parser.add_argument("--currency", default="USD", help="the currency of the threshold")
    options = parser.parse_args()
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    with suppress(KeyboardInterrupt):
        asyncio.run(main(options))
