"""Calls for the sandbox, and what a stream must give of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.cdrs.matrix import END, START, as_record
from unlimcall_async import AsyncClient, CallRecord, CdrStream
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.sandbox import SandboxCall


def a_call(start: datetime, number: int = 0) -> SandboxCall:
    return SandboxCall(id=f"{number}", start_time=start)


def every_second(count: int, start: datetime = START) -> list[SandboxCall]:
    return [a_call(start + timedelta(seconds=i), i) for i in range(count)]


def expected(calls: Iterable[SandboxCall], *, newest_first: bool = False) -> list[CallRecord]:
    within = [as_record(call) for call in calls if START <= call.start_time < END]
    return in_output_order(within, newest_first=newest_first)


async def rest_of(stream: CdrStream) -> list[CallRecord]:
    return [record async for record in stream]


def requests_under_way(client: AsyncClient) -> int:
    return len(client._caller.pool._connections.calls)
