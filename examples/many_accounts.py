"""Many accounts: counts the calls and the spend of yesterday for each account of a reseller, over one pool of connections.

    python examples/many_accounts.py

The example starts a sandbox for each account, in place of the API. The token of one account is revoked. With accounts of your own,
call `report` with `Accounts.from_file("accounts.toml")`: see docs/accounts.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from unlimcall_async.accounts import AccountErrorGroup, Accounts
from unlimcall_async.sandbox import Sandbox, SandboxCall

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = TODAY - timedelta(days=1)


async def report(accounts: Accounts) -> None:
    """Print a line for each account, and one for each that failed."""
    calls, cents = Counter[str](), Counter[str]()
    try:
        async for account, batch in accounts.pull(YESTERDAY, TODAY, at_once=8):
            calls[account] += len(batch)
            cents[account] += sum(record.sell_price_cents or 0 for record in batch)
    except AccountErrorGroup as group:
        for error in group.errors:
            print(f"{error.account:10} {type(error.__cause__).__name__}")
    for account in accounts.names:
        print(f"{account:10} {calls[account]:6,} calls  {cents[account] / 100:8.2f}")


async def main() -> None:
    """Start a sandbox for each account, and report."""
    async with AsyncExitStack() as stack:
        tables = []
        for number, name in enumerate(["acme", "globex", "initech"], 1):
            sandbox = await stack.enter_async_context(Sandbox())
            made = (YESTERDAY + timedelta(minutes=place) for place in range(number * 300))
            sandbox.add_calls([SandboxCall(id=f"{start:%H%M}", start_time=start, sell_price_cents=7) for start in made])
            token = sandbox.token if name != "initech" else "unl_live_revoked"
            tables.append(f'[accounts.{name}]\ntoken = "{token}"\nbase_url = "{sandbox.url}"\n')
        file = Path(stack.enter_context(TemporaryDirectory()), "accounts.toml")
        file.write_text("\n".join(tables))  # noqa: ASYNC240 # nothing else runs yet
        async with Accounts.from_file(file) as accounts:
            await report(accounts)


if __name__ == "__main__":
    asyncio.run(main())
