"""The server of the benchmarks: the same call records for each client, in the format of the client's own API, encoded beforehand.

    python benchmarks/records_server.py --records 200000

The server is a process of its own, so that it uses none of the client's CPU time. It prints its port, and ends with its standard
input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from aiohttp import web

# So that a script finds its neighbours under the names that a type checker gives them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.planner_traffic import KINDS, start_times

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
END: Final = datetime(2026, 1, 1, tzinfo=UTC)
# The most that a page holds (reference: `GET /cdrs`, limit).
PAGE: Final = 1000
# Of the last two days of the year, one row in so many is rated again, comes late, or is gone on the next day.
RATED_AGAIN, LATE, GONE = 50, 100, 500
_DAY: Final = timedelta(days=1)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_OUTCOMES: Final = ("ANSWERED", "ANSWERED", "NO ANSWER", "BUSY", "FAILED")
_PLACES: Final = (("+4420", "United Kingdom"), ("+1415", "United States"), ("+4930", "Germany"), ("+3312", "France"))


def rows_of(records: int, traffic: str = "uniform") -> list[dict[str, Any]]:
    """Return the rows of a year, the oldest first. They are the same on every run."""
    chance = Random(2025)  # noqa: S311 # made-up calls guard no secret
    return [_row(at, number, chance) for number, at in enumerate(start_times(traffic, records, seed=1))]


def _row(at: int, number: int, chance: Random) -> dict[str, Any]:
    # In whole seconds, as in the reference.
    start = _EPOCH + at // 1000 * timedelta(seconds=1)
    duration = chance.randrange(600)
    prefix, country = chance.choice(_PLACES)
    return {
        "id": f"{start.timestamp():.0f}.{number}",
        "startTime": start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "duration": duration,
        "billsec": max(0, duration - 5),
        "src": f"+1415555{chance.randrange(10_000):04}",
        "dst": f"{prefix}{chance.randrange(10_000_000):07}",
        "disposition": chance.choice(_OUTCOMES),
        "sipUsername": f"unl_{chance.randrange(40):03}",
        "sellPriceCents": duration // 3,
        "currency": "USD",
        "country": country,
        "did": None,
    }


def next_day(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the rows from the last three days of the year on, as they are a day later, and what has changed in them."""
    texts = [(END + days * _DAY).isoformat() for days in (-3, -2)]
    places = [bisect_left(rows, text, key=_start) for text in texts]
    later, recent = list(rows[places[0] : places[1]]), rows[places[1] :]
    changed = {"inserted": 0, "revised": 0, "removed": 0, "unchanged": 0}
    for number, row in enumerate(recent):
        if number % GONE == GONE // 2:
            changed["removed"] += 1
        elif number % RATED_AGAIN == 0:
            changed["revised"] += 1
            later.append({**row, "sellPriceCents": row["sellPriceCents"] + 1})
        else:
            changed["unchanged"] += 1
            later.append(row)
        if number % LATE == 0:
            changed["inserted"] += 1
            later.append({**row, "id": f"{row['id']}.late"})
    # As many as the day before had.
    chance = Random(2026)  # noqa: S311 # made-up calls guard no secret
    fresh = max(1, len(recent) // 2)
    changed["inserted"] += fresh
    end, millis = (END - _EPOCH) // _MILLISECOND, _DAY // _MILLISECOND
    later += [_row(end + millis * number // fresh, len(rows) + number, chance) for number in range(fresh)]
    return later, changed


def _start(row: dict[str, Any]) -> str:
    return str(row["startTime"])


# --- the formats of other APIs --------------------------------------------------------------------------------------------

# A row of ours has twelve fields. The others have twelve too, or as many as the smallest class of records in the SDK has.


def as_twilio(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a `Call` of Twilio."""
    return {
        "sid": row["id"],
        "start_time": "Sat, 24 May 2025 18:14:02 +0000",
        "duration": str(row["duration"]),
        "queue_time": str(row["billsec"]),
        "from": row["src"],
        "to": row["dst"],
        "status": "completed",
        "caller_name": row["sipUsername"],
        "price": str(row["sellPriceCents"]),
        "price_unit": row["currency"],
        "direction": row["country"],
        "forwarded_from": row["did"],
    }


def as_telnyx(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a `MessageDetailRecord` of Telnyx."""
    return {
        "record_type": "message_detail_record",
        "uuid": row["id"],
        "created_at": row["startTime"],
        "parts": row["duration"],
        "mcc": str(row["billsec"]),
        "cli": row["src"],
        "cld": row["dst"],
        "status": row["disposition"],
        "profile_name": row["sipUsername"],
        "cost": str(row["sellPriceCents"]),
        "currency": row["currency"],
        "country_code": row["country"],
    }


def as_github(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as an `Artifact` of GitHub."""
    return {
        "id": row["duration"],
        "node_id": row["id"],
        "name": row["disposition"],
        "size_in_bytes": row["billsec"],
        "url": row["src"],
        "archive_download_url": row["dst"],
        "expired": False,
        "created_at": row["startTime"],
        "expires_at": None,
        "updated_at": None,
        "digest": row["country"],
        "workflow_run": None,
    }


def as_openai(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a `FileObject` of OpenAI."""
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["duration"],
        "created_at": row["billsec"],
        "filename": row["dst"],
        "purpose": "batch",
        "status": "processed",
        "expires_at": None,
        "status_details": row["country"],
    }


def as_stripe(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a `BalanceTransaction` of Stripe."""
    return {
        "id": row["id"],
        "object": "balance_transaction",
        "created": row["duration"],
        "amount": row["billsec"],
        "source": row["src"],
        "description": row["dst"],
        "status": row["disposition"],
        "reporting_category": row["sipUsername"],
        "fee": row["sellPriceCents"],
        "currency": row["currency"],
        "type": row["country"],
        "exchange_rate": None,
    }


# --- the server -----------------------------------------------------------------------------------------------------------


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _millis(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


class Rows:
    """Rows in the format of `GET /cdrs`, by time."""

    def __init__(self, rows: Sequence[dict[str, Any]], latency: float) -> None:
        self._latency = latency
        self._starts = [_millis(row["startTime"]) for row in rows]
        self._texts = [_dump(row) for row in rows]

    async def window(self, request: web.Request) -> web.Response:
        """Serve `from`, `till` and `limit`. Both bounds are included, the newest row is first, and `count` counts the rows."""
        if self._latency:
            await asyncio.sleep(self._latency)
        first, end = _millis(request.query["from"]), _millis(request.query["till"]) + 1
        places = bisect_left(self._starts, first), bisect_left(self._starts, end)
        return self._answer(max(places[0], places[1] - int(request.query["limit"])), places[1])

    async def numbered(self, request: web.Request) -> web.Response:
        """Serve a page by its number, for the clients that know no windows."""
        first = int(request.match_info["number"]) * PAGE
        return self._answer(first, min(first + PAGE, len(self._texts)))

    def _answer(self, first: int, end: int) -> web.Response:
        return _json(b'{"count":%d,"calls":[%s]}' % (end - first, b",".join(self._texts[first:end][::-1])))


class Pages:
    """The pages of another API, one after the other."""

    def __init__(self, rows: Sequence[bytes]) -> None:
        chunks = [rows[first : first + PAGE] for first in range(0, len(rows), PAGE)]
        self._pages = [b",".join(chunk) for chunk in chunks]
        # By the last id of each page: the number of the next page.
        self._behind = {
            json.loads(chunk[-1])["id"]: number for number, chunk in enumerate(chunks, 1) if b'"id"' in chunk[-1]
        }

    @property
    def count(self) -> int:
        """The number of pages."""
        return len(self._pages)

    def after(self, cursor: str | None) -> tuple[bytes, bool]:
        """Return the page after an id, and whether more pages follow."""
        number = 0 if cursor is None else self._behind[cursor]
        return self._pages[number], number + 1 < self.count

    def numbered(self, number: int) -> bytes:
        """Return a page by its number, or nothing after the last page."""
        return self._pages[number] if number < self.count else b""


def _add_others(app: web.Application, rows: Sequence[dict[str, Any]]) -> None:
    twilio, telnyx, github, openai, stripe = (
        Pages([_dump(write(row)) for row in rows]) for write in (as_twilio, as_telnyx, as_github, as_openai, as_stripe)
    )

    async def twilio_calls(request: web.Request) -> web.Response:
        number = int(request.query.get("Page", "0"))
        uri = f'"{request.path}?PageSize={PAGE}&Page={number + 1}"' if number + 1 < twilio.count else "null"
        return _json(b'{"calls":[%s],"page":%d,"next_page_uri":%s}' % (twilio.numbered(number), number, uri.encode()))

    async def telnyx_records(request: web.Request) -> web.Response:
        number = int(request.query.get("page[number]", "1"))
        meta = b'{"page_number":%d,"total_pages":%d,"page_size":%d,"total_results":%d}'
        meta %= number, telnyx.count, PAGE, len(rows)
        return _json(b'{"data":[%s],"meta":%s}' % (telnyx.numbered(number - 1), meta))

    async def github_artifacts(request: web.Request) -> web.Response:
        number = int(request.query.get("page", "1"))
        answer = _json(b'{"total_count":%d,"artifacts":[%s]}' % (len(rows), github.numbered(number - 1)))
        if number < github.count:
            answer.headers["Link"] = f'<{request.url.update_query(page=number + 1)}>; rel="next"'
        return answer

    async def openai_files(request: web.Request) -> web.Response:
        page, more = openai.after(request.query.get("after"))
        return _json(b'{"object":"list","data":[%s],"has_more":%s}' % (page, b"true" if more else b"false"))

    async def stripe_transactions(request: web.Request) -> web.Response:
        page, more = stripe.after(request.query.get("starting_after"))
        head = b'{"object":"list","url":"/v1/balance_transactions","data":[%s],"has_more":%s}'
        return _json(head % (page, b"true" if more else b"false"))

    app.router.add_get("/2010-04-01/Accounts/{account}/Calls.json", twilio_calls)
    app.router.add_get("/telnyx/detail_records", telnyx_records)
    app.router.add_get("/github/repos/{owner}/{repo}/actions/artifacts", github_artifacts)
    app.router.add_get("/openai/files", openai_files)
    app.router.add_get("/v1/balance_transactions", stripe_transactions)


def application(
    records: int, traffic: str, latency: float, *, others: bool = False, later: bool = False
) -> web.Application:
    """Return the server. `latency` is in seconds.

    With `others` it serves other APIs and undocumented fields, too. With `later` it serves below `/later` what it has a day later,
    and what has changed by then.
    """
    rows = rows_of(records, traffic)
    served = {"": Rows(rows, latency)}
    if others:
        served["/novel"] = Rows([{**row, "queue": "sales", "hangupCause": 16} for row in rows], latency)
    app = web.Application()
    if later:
        fresh, changed = next_day(rows)
        served["/later"] = Rows(fresh, latency)

        async def changes(_request: web.Request) -> web.Response:
            return _json(_dump(changed))

        app.router.add_get("/later/changes", changes)
    for prefix, held in served.items():
        app.router.add_get(f"{prefix}/cdrs", held.window)
        app.router.add_get(f"{prefix}/pages/{{number}}", held.numbered)
    if others:
        _add_others(app, rows)
    return app


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


@contextmanager
def served(
    records: int, *, traffic: str = "uniform", latency: float = 0.0, others: bool = False, later: bool = False
) -> Iterator[str]:
    """Run the server in a process of its own, and yield its URL."""
    options = ["--records", str(records), "--traffic", traffic, "--latency", str(latency)]
    command = [sys.executable, __file__, *options, *["--others"] * others, *["--later"] * later]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--traffic", choices=KINDS, default="uniform")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each response")
    parser.add_argument(
        "--others", action="store_true", help="also serve other APIs, and rows with undocumented fields"
    )
    parser.add_argument("--later", action="store_true", help="also serve what the server has a day later")
    given = parser.parse_args()
    app = application(given.records, given.traffic, given.latency, others=given.others, later=given.later)
    asyncio.run(_serve(app))


if __name__ == "__main__":
    main()
