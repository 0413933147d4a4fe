"""The cost of a record, counted and not timed: steps of the interpreter, garbage collections, and turns of the event loop.

Pages that were encoded beforehand replace the transport; everything above it is real. The bounds have room for another release of
Python or aiohttp, and none for one more loop over the records.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import unlimcall_async
from unlimcall_async import AsyncClient, CallRecord, RateLimits, _pages
from unlimcall_async._columns import BatchInMaking
from unlimcall_async._pages import DecodedPage
from unlimcall_async.cdrs.planner.parts import Part, Question
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.sizes import BUFFER, Sizes
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import Range
from unlimcall_async.http import transport
from unlimcall_async.http.messages import RawResponse, Request
from unlimcall_async.http.outcome import Sent

PACKAGE = str(Path(unlimcall_async.__file__).parent)
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)
RECORDS = 6_000
MORE = {"queue": "sales", "hangupCause": 16}


class Pages:
    """Answers `GET /cdrs` with the newest rows of the window."""

    def __init__(self, more: dict[str, Any]) -> None:
        step = (END - START) / RECORDS
        self._starts = [
            START + number * step // timedelta(seconds=1) * timedelta(seconds=1) for number in range(RECORDS)
        ]
        self._rows = [json.dumps(row(number, at) | more).encode() for number, at in enumerate(self._starts)]

    def answer(self, request: Request) -> RawResponse:
        query = request.url.query
        first, end = (bisect_left(self._starts, datetime.fromisoformat(query[name])) for name in ("from", "till"))
        rows = self._rows[max(first, end - int(query["limit"])) : end][::-1]
        return RawResponse(200, {}, b'{"count":%d,"calls":[%s]}' % (len(rows), b",".join(rows)))


def row(number: int, at: datetime) -> dict[str, Any]:
    return {
        "id": f"{at:%s}.{number}", "startTime": at.isoformat(), "duration": 81, "billsec": 80, "src": "+14155550100",
        "dst": "+442071838750", "disposition": "ANSWERED", "sipUsername": "unl_001", "sellPriceCents": 34, "currency": "USD",
        "country": "United Kingdom", "did": None,
    }  # fmt: skip


@pytest.fixture(params=[{}, MORE], ids=["documented", "two new fields"])
def more(request: pytest.FixtureRequest) -> dict[str, Any]:
    fields: dict[str, Any] = request.param
    return fields


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]) -> AsyncClient:
    pages = Pages(more)

    async def send(attempt: transport.Attempt, _on_refusal: object) -> RawResponse:
        attempt.sent = Sent.MAYBE_SENT
        return pages.answer(attempt._request)

    monkeypatch.setattr(transport.Attempt, "send", send)
    return AsyncClient("unl_live_0123456789", rate_limits=RateLimits.unlimited())


async def pull(client: AsyncClient, view: str) -> int:
    stream, got = client.cdrs.stream(START, END), 0
    if view == "batches":
        async for batch in stream.batches():
            got += len(batch)
        return got
    async for _ in stream:
        got += 1
    return got


class Steps:
    """Counts the interpreter's steps in the package."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        before, frame = sys.gettrace(), inspect.currentframe()
        assert frame is not None
        # Python 3.12 looks when the tracing begins whether any frame wants steps, and only then.
        frame.f_trace_opcodes = True
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, _event: str, _value: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, _frame: FrameType, event: str, _value: object) -> Any:
        self.count += event == "opcode"
        return self._step


# The count is the same on every run of one Python: 26 in batches and 33 one by one, and with two undocumented fields 99 and 106.
# Filling an `extra` and making the record takes 70 of them. The planner and the request take the rest. The bounds leave 8 more, for
# work that is done once for each page. The leanest loop that works out one number for each row takes 15.
MOST = {("batches", False): 34, ("records", False): 41, ("batches", True): 107, ("records", True): 114}


@pytest.mark.rest_slow
@pytest.mark.parametrize("view", ["batches", "records"])
async def test_a_record_takes_few_steps_of_python(client: AsyncClient, view: str, more: dict[str, Any]) -> None:
    async with client:
        await pull(client, view)  # what is imported, and learned of new fields, is not the cost of a record
        steps = Steps()
        with steps.counted():
            assert await pull(client, view) == RECORDS
    assert 5 < steps.count / RECORDS <= MOST[view, bool(more)]


def test_records_become_columns_without_a_step_of_python_for_each() -> None:
    counts = []
    for number in (1000, 4000):
        records = [
            CallRecord(f"{at}", START + at * timedelta(seconds=1), at, 80, "+14155550100", f"+44{at}", currency="USD")
            for at in range(number)
        ]
        making, steps = BatchInMaking(), Steps()
        with steps.counted():
            making.add(records)
            assert len(making.batch()) == number
        counts.append(steps.count)
    assert counts[0] > 5
    assert counts[1] - counts[0] < 100


def test_the_numbers_that_each_request_needs_cost_no_walk_over_the_plan() -> None:
    plan = Plan(Range(0, 1000), Sizes.of(10, 1, BUFFER), newest_first=False)
    (whole,) = plan
    parts = [Part(Range(at, at + 1)) for at in range(1000)]
    plan.replace(whole, parts)
    for part in parts:
        part.ask(Question(part, part.range, with_margins(part.range)))
    steps = Steps()
    with steps.counted():
        assert (len(plan.asked), plan.held, plan.has_claims, plan.is_proving) == (1000, 0, False, False)
        assert plan.room < 0
        assert plan.claim_to_prove(spare=inf) is None
    assert 5 < steps.count < 200


# The requests cause three collections. Records cause none, because the garbage collector does not track them.
@pytest.mark.rest_slow
@pytest.mark.parametrize("more", [{}], indirect=True)
@pytest.mark.parametrize("view", ["batches", "records"])
async def test_a_reader_that_lets_go_of_records_makes_no_garbage(client: AsyncClient, view: str) -> None:
    looks: list[str] = []

    def note(phase: str, _info: dict[str, int]) -> None:
        looks.append(phase)

    async with client:
        await pull(client, view)
        gc.collect()
        gc.callbacks.append(note)
        try:
            assert await pull(client, view) == RECORDS
        finally:
            gc.callbacks.remove(note)
    assert looks.count("start") <= 5


@pytest.mark.parametrize("more", [{}], indirect=True)
async def test_others_on_the_loop_have_their_turn_between_a_few_hundred_rows(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, pulled, turn = asyncio.get_running_loop(), asyncio.Event(), 0
    turns, rows, page_of = list[int](), list[int](), _pages._FieldsDecoder._page_of

    def count() -> None:
        nonlocal turn
        turn += 1
        if not pulled.is_set():
            loop.call_soon(count)

    def noting(decoder: _pages._FieldsDecoder, decoded: Sequence[Any], *rest: Any) -> DecodedPage:
        turns.append(turn)
        rows.append(len(decoded))
        return page_of(decoder, decoded, *rest)

    monkeypatch.setattr(_pages._FieldsDecoder, "_page_of", noting)
    loop.call_soon(count)
    async with client:
        assert await pull(client, "batches") == RECORDS
    pulled.set()
    assert sum(rows) >= RECORDS
    assert max(rows) < 400
    assert len(set(turns)) == len(turns)


@pytest.mark.parametrize("more", [MORE], indirect=True)
async def test_fields_that_one_page_teaches_are_known_to_the_whole_client(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    async def first_of(batches: AsyncGenerator[list[CallRecord], None]) -> list[CallRecord]:
        async with aclosing(batches):
            return await anext(batches)

    async with client:
        end = START + timedelta(days=20)
        view = client.with_options(timeout=5)
        await client.cdrs.list(START, end, limit=1000)
        monkeypatch.setattr(_pages, "_FieldsDecoder", None)  # nothing is learned any more
        pages = [
            (await client.cdrs.list(START, end, limit=1000)).calls,
            (await view.cdrs.list(START, end, limit=1000)).calls,
            await first_of(client.cdrs.stream(START, END).batches()),
            await first_of(view.cdrs.stream(START, END).batches()),
            await first_of(client.cdrs.follow(START).batches()),
        ]
    assert min(map(len, pages)) > 100
    assert all(record.extra == more for page in pages for record in page)


def modules_after(code: str) -> set[str]:
    """Run a program, and give the names of the modules that it has imported."""
    show = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)  # noqa: S603 # ours
    return set(done.stdout.splitlines()[-1].split())


def test_an_import_loads_no_http_client_and_no_extra() -> None:
    loaded = modules_after("import unlimcall_async")
    assert loaded.isdisjoint({"aiohttp", "click", "rich", "unlimcall_async.sandbox", "unlimcall_async.cli"})


@pytest.mark.slow
def test_a_client_is_made_without_what_few_programs_need() -> None:
    made = "from unlimcall_async import AsyncClient\nclient = AsyncClient('unl_live_0123456789')"
    loaded = modules_after(made)
    needed_later = {"_codec", "cdrs.resource", "cdrs.planner.planner", "errors", "http.exchange", "models", "shared"}
    assert loaded.isdisjoint({"aiohttp", "cattrs", "html", "msgspec"} | {f"unlimcall_async.{x}" for x in needed_later})
    loaded = modules_after(f"{made}\nclient.cdrs.list")
    assert "unlimcall_async.cdrs.resource" in loaded
    assert loaded.isdisjoint({"cattrs", "html", "unlimcall_async.cdrs.planner.planner"})


PULL = """
import asyncio
from datetime import UTC, datetime
from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox, generate_traffic

async def main():
    start, end = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        sandbox.add_calls(generate_traffic(2000, start=start, end=end, seed=1))
        stream = client.cdrs.stream(start, end)
        made = set(sys.modules)
        assert len([record async for record in stream]) == 2000
        loaded = {name for name in set(sys.modules) - made if name.startswith("unlimcall_async.")}
        assert not any(name.startswith("unlimcall_async.cdrs") for name in loaded), loaded

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_stream_has_imported_its_modules_once_it_is_made() -> None:
    """An import between two records would hold up the event loop."""
    assert "unlimcall_async.cdrs.planner.planner" in modules_after(PULL)


@pytest.mark.slow
def test_the_help_of_the_command_loads_no_http_client() -> None:
    code = "from unlimcall_async.cli import main\nsys.argv[1:] = ['--help']\ntry: main()\nexcept SystemExit: pass"
    assert "aiohttp" not in modules_after(code)
