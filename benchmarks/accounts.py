"""What a day's pull of many accounts costs: records a second, peak memory and open connections.

    python benchmarks/accounts.py
    python benchmarks/accounts.py --accounts 200 --records 500 --at-once 4,16
    python benchmarks/accounts.py --quick

Five accounts in a hundred have a revoked token, and five are slow: each response takes `--slow` seconds. One response in a
hundred is a 500. The server is a process of its own, and so is each pull. The peak is the most memory that the process of the
pull had (its `VmHWM`), with all that Python and the packages need. The last line compares it with the peak for a tenth of the
accounts.

Each id of each record is checked, and so is which accounts have failed. The exit code is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.accounts_server import END, PREFIX, START, is_revoked, number_of, served
from benchmarks.stamp import stamp
from unlimcall_async.accounts import AccountErrorGroup, Accounts

# One response in so many is a fault of the server.
FAULTS: Final = 100
# What the project has promised itself: the peak for all accounts, as a multiple of that for a tenth of them. Of each account that
# was asked within a minute, 7 KB are kept: its limits, its token and its checkpoint.
MEMORY_TARGET: Final = 1.3


async def pull(url: str, count: int, records: int, at_once: int, reader: float) -> dict[str, Any]:
    """Pull the day of each account, and return what it has cost. Raise if a record is not as it should be."""
    came = dict.fromkeys(range(count), 0)
    failed: dict[int, str] = {}
    tokens = {number_of(account): f"{PREFIX}{number_of(account)}" for account in range(count)}
    began = time.perf_counter()
    async with Accounts(tokens, base_url=url) as accounts:
        pull = accounts.pull(START, END, at_once=at_once)
        try:
            async for name, batch in pull:
                done = came[int(name)]
                if [record.id for record in batch] != [f"{name}.{place}" for place in range(done, done + len(batch))]:
                    raise RuntimeError(f"account {name} has other records behind {done}")
                came[int(name)] = done + len(batch)
                if reader:
                    await asyncio.sleep(reader)
        except AccountErrorGroup as group:
            failed = {int(error.account): str(error) for error in group.errors}
        seconds = time.perf_counter() - began
        requests = pull.progress.requests
    wrong = {account for account, number in came.items() if number != (0 if is_revoked(account) else records)}
    if wrong or failed.keys() != {account for account in range(count) if is_revoked(account)}:
        first = next((text for account, text in failed.items() if not is_revoked(account)), "")
        raise RuntimeError(f"wrong: {len(wrong)} accounts, and {len(failed)} have failed. {first}")
    return {"seconds": seconds, "records": sum(came.values()), "failed": len(failed), "requests": requests}


def measured(count: int, records: int, at_once: int, given: argparse.Namespace) -> dict[str, Any]:
    """Run one pull in a process of its own, against a server of its own."""
    with served(records, latency=given.latency, slow=given.slow, faults=FAULTS) as url:
        command = [sys.executable, __file__, "--pull", url, "--accounts", str(count), "--records", str(records)]
        command += ["--at-once", str(at_once), "--reader", str(given.reader)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # ours
        if done.returncode:
            raise RuntimeError(done.stderr)
        with urlopen(f"{url}/figures") as response:  # noqa: S310 # this machine's
            figures = json.load(response)
    return {**json.loads(done.stdout), "connections": figures["connections"], "asked": figures["requests"]}


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a line for each number of accounts at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--records", type=int, default=3000, help="records of each account")
    parser.add_argument("--at-once", default="4,16,64", metavar="A,B")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before each response")
    parser.add_argument("--slow", type=float, default=1.0, help="seconds before each response to a slow account")
    parser.add_argument("--reader", type=float, default=0.0, help="seconds that the reader takes for each batch")
    parser.add_argument("--quick", action="store_true", help="100 accounts of 300 records, 16 at once")
    parser.add_argument("--pull", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.pull:
        cost = asyncio.run(pull(given.pull, given.accounts, given.records, int(given.at_once), given.reader))
        print(json.dumps({**cost, "peak": _peak()}))
        return 0
    count, records, at_once = (100, 300, "16") if given.quick else (given.accounts, given.records, given.at_once)
    print(f"{count:,} accounts of {records:,} records, {stamp()}\n")

    def line(count: int, places: int) -> int:
        cost = measured(count, records, places, given)
        print(
            f"{count:>6,} accounts  {places:>3} at once  {cost['seconds']:7.1f} s  "
            f"{cost['records'] / cost['seconds']:>9,.0f} records/s  "
            f"{cost['asked']:>7,} requests  {cost['connections']:>4} connections  peak {cost['peak'] / 1e6:6.1f} MB  "
            f"{cost['failed']} failed",
            flush=True,
        )
        return int(cost["peak"])

    places = [int(number) for number in at_once.split(",")]
    tenth = line(max(20, count // 10), places[-1])
    peaks = [line(count, number) for number in places]
    verdict = "ok" if peaks[-1] <= MEMORY_TARGET * tenth else "MISSED"
    print(
        f"\nPeak for all accounts: {peaks[-1] / tenth:.2f} of that for a tenth, target {MEMORY_TARGET:.2f}: {verdict}"
    )
    print("Every account has its records, and just the revoked ones failed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
