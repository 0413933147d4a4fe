"""The server of `accounts.py`: many accounts, each with calls of its own, as lean as can be.

    python benchmarks/accounts_server.py --records 3000

The rows of a day are encoded once, with a place for the account's number in each id, and a page is cut out of them. The server is a
process of its own, so that it uses none of the client's CPU time. It prints its port, and ends with its standard input. `/figures`
shows how many connections were open at once, and how many requests came.

The token of an account is `unl_live_` and its number. Of each hundred accounts, some have revoked tokens and some are slow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from aiohttp import web

START: Final = datetime(2026, 5, 1, tzinfo=UTC)
END: Final = START + timedelta(days=1)
# What stands for the number of the account in the rows; as long as the number itself.
_ACCOUNT: Final = b"########"
PREFIX: Final = "unl_live_"


def number_of(account: int) -> str:
    """Return the number of an account as its token and its ids have it."""
    return f"{account:0{len(_ACCOUNT)}}"


def is_revoked(account: int) -> bool:
    """Return whether the token of an account is revoked: five in a hundred are."""
    return account % 20 == 7


def is_slow(account: int) -> bool:
    """Return whether an account's responses take long: those of five in a hundred do."""
    return account % 20 == 13


class Days:
    """The day of every account.

    Args:
        records: The calls of an account.
        latency: Seconds before each response.
        slow: Seconds before each response to a slow account.
        faults: One response in so many is a 500; 0 for none.

    Attributes:
        server: Counts the open connections.
    """

    def __init__(self, records: int, latency: float, slow: float, faults: int) -> None:
        apart = (END - START) / records
        self._starts = [START + number * apart for number in range(records)]
        self._rows = [
            json.dumps(
                {
                    "id": f"{_ACCOUNT.decode()}.{number}",
                    "startTime": start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "duration": number % 600,
                    "billsec": number % 590,
                    "src": "+14155550100",
                    "dst": f"+4420{number:07}",
                    "disposition": "ANSWERED",
                    "sipUsername": "unl_001",
                    "sellPriceCents": number % 200,
                    "currency": "USD",
                    "country": "United Kingdom",
                    "did": None,
                },
                separators=(",", ":"),
            ).encode()
            for number, start in enumerate(self._starts)
        ]
        self._latency, self._slow, self._faults = latency, slow, faults
        self._requests = self._most_open = 0
        self.server: web.Server | None = None
        self._page = lru_cache(64)(self._cut)

    def _cut(self, first: int, last: int, limit: int) -> bytes:
        """Return the page of a window, the newest first."""
        begin = max(first, last - limit)
        return b'{"count":%d,"calls":[%b]}' % (last - first, b",".join(self._rows[begin:last][::-1]))

    async def window(self, request: web.Request) -> web.Response:
        """Return the page that is asked for."""
        self._requests += 1
        self._most_open = max(self._most_open, 0 if self.server is None else len(self.server.connections))
        number = request.headers["Authorization"].removeprefix(f"Bearer {PREFIX}")
        account = int(number)
        seconds = self._slow if is_slow(account) else self._latency
        if seconds:
            await asyncio.sleep(seconds)
        if is_revoked(account):
            return web.json_response({"error": "unauthorized"}, status=401)
        if self._faults and self._requests % self._faults == 0:
            return web.json_response({"error": "internal_error"}, status=500)
        first, last = (datetime.fromisoformat(request.query[name]) for name in ("from", "till"))
        page = self._page(
            bisect_left(self._starts, first), bisect_right(self._starts, last), int(request.query["limit"])
        )
        return web.Response(body=page.replace(_ACCOUNT, number.encode()), content_type="application/json")

    async def figures(self, _request: web.Request) -> web.Response:
        """Return what the server has counted."""
        return web.json_response({"requests": self._requests, "connections": self._most_open})


async def _serve(days: Days) -> None:
    app = web.Application()
    app.router.add_get("/cdrs", days.window)
    app.router.add_get("/figures", days.figures)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    if runner.server is None:
        raise RuntimeError("the server was not set up")
    days.server = runner.server
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


@contextmanager
def served(records: int, *, latency: float = 0.0, slow: float = 0.0, faults: int = 0) -> Iterator[str]:
    """Run the server in a process of its own, and yield its URL."""
    options = {"--records": records, "--latency": latency, "--slow": slow, "--faults": faults}
    command = [sys.executable, __file__, *(str(part) for option in options.items() for part in option)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3000, help="calls of each account")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each response")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds before each response to a slow account")
    parser.add_argument("--faults", type=int, default=0, help="one response in so many is a 500")
    given = parser.parse_args()
    asyncio.run(_serve(Days(given.records, given.latency, given.slow, given.faults)))


if __name__ == "__main__":
    main()
