"""A tour of all seven endpoints, against the sandbox: no account is needed, and nobody is called.

python examples/tour.py
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from unlimcall_async import AgentNotFoundError, AsyncClient
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status

YESTERDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


async def tour(client: AsyncClient, sandbox: Sandbox) -> None:
    """Call each endpoint once, and show a refusal and a retry."""
    me = await client.me()
    balance = await client.balance()
    print(f"{me.company_name} has {balance.balance} {balance.currency}, {balance.account_type}")

    for agent in await client.agents():
        print(f"agent {agent.id}: {agent.sip_username}, {agent.label}")

    page = await client.cdrs.list(YESTERDAY, YESTERDAY + timedelta(days=1), limit=1000)
    completeness = "the page is complete" if page.complete else "the page may have been clipped"
    print(f"{len(page.calls)} calls yesterday; {completeness}")

    call = await client.calls.create(ai_agent_id="27", to_number="+14155551234")
    print(f"call {call.call_id} is {call.status}")
    try:
        await client.calls.create(ai_agent_id="99", to_number="+14155551234")
    except AgentNotFoundError as error:
        print(f"refused: {error}")

    hook = await client.hooks.create(event="call.ended", target_url="https://example.com/hooks/unlimcall")
    await client.hooks.delete(hook.id)
    print(f"hook {hook.id} was created and deleted")

    sandbox.inject(Status(503), endpoint="me")
    await client.me()
    print(f"the server failed once, and the client asked again: {len(sandbox.requests)} requests")


async def main() -> None:
    """Start a sandbox that holds 24 calls, and open a client of the sandbox."""
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        sandbox.add_calls(
            SandboxCall(
                id=f"{index}.1",
                start_time=YESTERDAY + timedelta(hours=index),
                duration=60,
                billsec=55,
                src="+14155550100",
                dst="+442071838750",
                disposition="ANSWERED",
                sip_username="unl_001",
                sell_price_cents=34,
                currency="USD",
                country="United Kingdom",
                did=None,
            )
            for index in range(24)
        )
        await tour(client, sandbox)


if __name__ == "__main__":
    asyncio.run(main())
