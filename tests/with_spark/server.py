"""A lean server of many accounts in a process of its own: it counts what each account asks, and holds each to its limit.

    python -m tests.with_spark.server --accounts 20 --records 100000

It prints its port, and ends with its standard input. The token of an account is its name behind `unl_test_`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.request import urlopen

from aiohttp import web
from attrs import frozen

START = datetime(2026, 1, 1, tzinfo=UTC)
# A tenth of the records share their second with another.
EVERY = timedelta(seconds=9)
_PREFIX = "unl_test_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Row = tuple[str, int, int, int | None]


def account(number: int) -> str:
    return f"acct-{number:02}"


def token_of(name: str) -> str:
    return f"{_PREFIX}{name}"


def end_of(records: int) -> datetime:
    return START + records * EVERY


def rows_of(records: int) -> list[Row]:
    """The id, the start in milliseconds, the duration and the price of each record: the same for each account, the oldest first."""
    chance = Random(records)
    first = (START - _EPOCH) // _MILLISECOND
    starts = sorted(first + 1000 * chance.randrange(records * 9) for _ in range(records))
    rows = [
        (f"{at // 1000}.{number}", at, chance.randrange(600), chance.choice([None, 7]))
        for number, at in enumerate(starts)
    ]
    # Two legs of one call, and two records that are equal in all fields.
    for number in range(0, records - 2, 97):
        rows[number + 1] = (rows[number][0], rows[number][1], rows[number][2] + number % 2, rows[number][3])
    return sorted(rows, key=lambda row: row[1])


def text_of(row: Row) -> bytes:
    id_, at, duration, price = row
    start = (_EPOCH + at * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {
            "id": id_,
            "startTime": start,
            "duration": duration,
            "billsec": duration // 2,
            "src": "+14155550100",
            "dst": "+442071838750",
            "disposition": "ANSWERED",
            "sipUsername": "@@",
            "sellPriceCents": price,
            "currency": "USD",
            "country": None,
            "did": None,
        }
    ).encode()


class Server:
    """The accounts, and what they asked."""

    def __init__(self, accounts: int, records: int, per_minute: int, slow: set[str]) -> None:
        rows = rows_of(records)
        self._starts = [row[1] for row in rows]
        self._texts = [text_of(row) for row in rows]
        self._names = {token_of(account(number)): account(number) for number in range(accounts)}
        self._per_minute = per_minute
        self._slow = slow
        self._last: defaultdict[str, deque[float]] = defaultdict(deque)
        self._asked = Counter[str]()
        self._most = Counter[str]()
        self._refused = Counter[str]()
        self._held = asyncio.Event()
        self._held.set()

    async def cdrs(self, request: web.Request) -> web.Response:
        name = self._names.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if name is None:
            return web.json_response({"error": "unauthorized"}, status=401)
        now, last = time.monotonic(), self._last[name]
        while last and last[0] <= now - 60:
            last.popleft()
        last.append(now)
        self._asked[name] += 1
        self._most[name] = max(self._most[name], len(last))
        if len(last) > self._per_minute:
            self._refused[name] += 1
            return web.json_response({"error": "rate_limited"}, status=429, headers={"Retry-After": "1"})
        if name in self._slow:
            await asyncio.sleep(0.2)
            await self._held.wait()
        first, till = (
            (datetime.fromisoformat(request.query[each]) - _EPOCH) // _MILLISECOND for each in ("from", "till")
        )
        begin, end = bisect_left(self._starts, first), bisect_left(self._starts, till + 1)
        begin = max(begin, end - int(request.query["limit"]))
        body = b'{"count":%d,"calls":[%s]}' % (end - begin, b",".join(self._texts[begin:end][::-1]))
        return web.Response(body=body.replace(b"@@", name.encode()), content_type="application/json")

    async def counts(self, _request: web.Request) -> web.Response:
        return web.json_response({"asked": self._asked, "most": self._most, "refused": self._refused})

    async def hold(self, request: web.Request) -> web.Response:
        (self._held.clear if request.query["on"] == "1" else self._held.set)()
        return web.json_response({})


async def _serve(server: Server) -> None:
    app = web.Application()
    app.router.add_get("/cdrs", server.cdrs)
    app.router.add_get("/counts", server.counts)
    app.router.add_get("/hold", server.hold)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


@frozen
class Api:
    """The server, as tests see it.

    Attributes:
        url: Its URL.
        records: How many records each account has.
    """

    url: str
    records: int

    def counts(self) -> dict[str, dict[str, int]]:
        """What each account has asked, the most of it within 60 seconds, and what of it was refused."""
        counts: dict[str, dict[str, int]] = self._get("counts")
        return counts

    def asked(self) -> int:
        return sum(self.counts()["asked"].values())

    def hold(self, *, on: bool) -> None:
        """Hold back the responses to slow accounts, or let them go."""
        self._get(f"hold?on={int(on)}")

    def _get(self, path: str) -> Any:
        with urlopen(f"{self.url}/{path}", timeout=60) as response:  # noqa: S310 # loopback
            return json.load(response)


@contextmanager
def served(accounts: int, records: int, *, per_minute: int, slow: str = "") -> Iterator[Api]:
    """Run the server in a process of its own."""
    options = ["--accounts", str(accounts), "--records", str(records), "--per-minute", str(per_minute), "--slow", slow]
    command = [sys.executable, "-m", "tests.with_spark.server", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 # ours
        assert process.stdin is not None
        assert process.stdout is not None
        yield Api(f"http://127.0.0.1:{int(process.stdout.readline())}", records)
        process.stdin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--per-minute", type=int, default=60)
    parser.add_argument("--slow", default="", help="the accounts that are slow, separated by commas")
    given = parser.parse_args()
    server = Server(given.accounts, given.records, given.per_minute, set(given.slow.split(",")))
    asyncio.run(_serve(server))


if __name__ == "__main__":
    main()
