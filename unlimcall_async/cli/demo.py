"""`unlimcall demo`: pulls a year of calls from the sandbox over real HTTP, and compares them with the sandbox's store.

Client and sandbox share a process and an event loop, and nothing else: every record has been through a socket.

The rate limit is a real account's, with a minute that lasts two seconds. The sandbox has such minutes, and the client has not. So
the client's limit per real minute is set to a little less than 60 requests in two seconds.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from unlimcall_async import AsyncClient, CallRecord, RateLimit, RateLimits, RetryPolicy
from unlimcall_async.cli.formats import FORMATS, encoded
from unlimcall_async.cli.options import FILE_NAME
from unlimcall_async.cli.output import output_width, to_stderr, unwritable, write_json, write_styled
from unlimcall_async.cli.running import FOUND, as_json, run
from unlimcall_async.cli.wording import many, plain, size

if TYPE_CHECKING:
    from unlimcall_async.cli.demo_report import Pull
    from unlimcall_async.cli.progress import Show
    from unlimcall_async.sandbox import Injection, Sandbox, SandboxCall

# A year that is over, so that the same seed gives the same file whenever it is run.
START: Final = datetime(2025, 1, 1, tzinfo=UTC)
END: Final = datetime(2026, 1, 1, tzinfo=UTC)

# How much faster than real time the minute passes. The client has at most a core, half of which the sandbox takes. At thirty times,
# the pull still waits for the rate limit and not for the processor, as a real pull does.
_FASTER: Final = 30
_PER_MINUTE: Final = 60
_MINUTE: Final = 60 / _FASTER

# The sandbox counts arrivals, which may lie closer together than the requests were sent. In two seconds the client sends at most 52
# requests and a burst of 4. The stream's 4 concurrent requests may be under way when the two seconds begin. So at most 60 arrive,
# and the sandbox refuses none.
_CLIENT_LIMIT: Final = RateLimit(per_minute=52 * _FASTER, burst=4)
_RETRY: Final = RetryPolicy(delays=tuple(delay / _FASTER for delay in (1, 2, 4)))

# Requests between two faults. A retry is sent within fewer requests, so the attempts of one call never meet several faults in a
# row.
_APART: Final = 7


def _ndjson_or_csv(_context: click.Context, _option: click.Parameter, out: Path | None) -> Path | None:
    if out is not None and out.suffix[1:] not in FORMATS:
        raise click.BadParameter("the name must end in .ndjson or .csv")
    return out


@click.command()
@click.option(
    "--calls", type=click.IntRange(min=1), default=200_000, show_default=True, help="The number of calls to generate."
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The seed of the generated calls: another seed gives other calls.",
)
@click.option(
    "--out",
    type=FILE_NAME,
    metavar="FILE",
    callback=_ndjson_or_csv,
    help="A file for the records: .ndjson or .csv; without it, none is written.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option("--newest-first", is_flag=True, help="Pull the newest calls first.")
@as_json
def demo(*, calls: int, seed: int, out: Path | None, force: bool, newest_first: bool, as_json: bool) -> None:
    """Pull generated calls, and check every one.

    The command pulls a year of calls from the sandbox, through faults and a rate limit. It needs no account. The exit status is 1
    if a record is missing, doubled, altered or out of order.
    """
    from unlimcall_async.cli import demo_report  # noqa: PLC0415 # loads the sandbox
    from unlimcall_async.cli.comparison import Check  # noqa: PLC0415 # loads the sandbox
    from unlimcall_async.cli.files import check_name, exists, writing  # noqa: PLC0415 # `--help` must be quick

    # Here and not in `_pull`: if rich is missing, the user learns so before the calls are generated.
    from unlimcall_async.cli.progress import shown_progress  # noqa: PLC0415 # loads rich
    from unlimcall_async.sandbox import generate_traffic  # noqa: PLC0415 # loads a server

    if out is not None:
        check_name(out)
        if exists(out) and not force:
            raise click.UsageError(f"{out} exists; --force replaces it, and --out names another file")
    with nullcontext() if out is None else writing(out, replace=force) as file:
        to_stderr(f"Generating {many(calls, 'call', 'calls')} of {START.year} ...")
        store = generate_traffic(calls, start=START, end=END, seed=seed)
        check = Check(store, newest_first=newest_first)
        gc.freeze()  # the calls stay to the end; each collection would look through all of them in vain
        with_each: list[Callable[[Sequence[CallRecord]], None]] = [check.add]
        if out is not None and file is not None:
            with_each.append(_writer(file, out))
        pull = run(lambda: _pull(store, with_each, shown_progress, newest_first=newest_first))
    comparison = check.result()
    if as_json:
        write_json(demo_report.facts(pull, comparison, file=None if out is None else str(out)))
    else:
        scale = demo_report.RateScale(per_minute=_PER_MINUTE, minute=_MINUTE)
        shown = None if out is None else f"{plain(str(out))}, {size(out.stat().st_size)}"
        width = output_width()
        write_styled(demo_report.summary(pull, comparison, scale=scale, file=shown, width=width))
    if not comparison.same:
        raise SystemExit(FOUND)


def _writer(file: IO[bytes], out: Path) -> Callable[[Sequence[CallRecord]], None]:
    """Begin a file of records, and return the function that adds some."""

    def write(text: str) -> None:
        with unwritable(out):
            file.write(encoded(text))

    form = FORMATS[out.suffix[1:]]
    write(form.head)
    return lambda batch: write(form.encode(batch))


async def _pull(
    store: Sequence[SandboxCall],
    with_each: Sequence[Callable[[Sequence[CallRecord]], None]],
    shown_progress: Callable[[], AbstractContextManager[Show]],
    *,
    newest_first: bool,
) -> Pull:
    """Pull the calls from a sandbox that holds them. Each batch goes to the functions `with_each`, and is not kept."""
    from unlimcall_async.cli.demo_report import GROUPS, Pull  # noqa: PLC0415 # loads the sandbox
    from unlimcall_async.operations import CallSummary  # noqa: PLC0415 # `--help` must be quick
    from unlimcall_async.sandbox import Sandbox  # noqa: PLC0415 # loads a server

    calls = CallSummary(GROUPS)

    def count(batch: Sequence[CallRecord]) -> None:
        for record in batch:
            calls.add(record)

    limits = RateLimits(cdrs=_CLIENT_LIMIT)
    async with Sandbox(rate_limits={"cdrs": _PER_MINUTE}, minute=_MINUTE) as sandbox:
        sandbox.add_calls(store)
        faults = _inject_faults(sandbox, len(store))
        async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=_RETRY, rate_limits=limits) as client:
            to_stderr("Pulling them from the sandbox ...")
            started = time.perf_counter()
            stream = client.cdrs.stream(START, END, newest_first=newest_first)
            with shown_progress() as show:
                async with stream:
                    async for batch in stream.batches():
                        for use in (*with_each, count):
                            use(batch)
                        show(stream)
            seconds = time.perf_counter() - started
    met = Counter(kind for kind, fault in faults if not fault.remaining)
    refused = sum(request.status == 429 for request in sandbox.requests) - met["429"]
    return Pull(calls, stream.stats, seconds, len(sandbox.requests), refused, +met)


def _inject_faults(sandbox: Sandbox, calls: int) -> list[tuple[str, Injection]]:
    """Spread the faults over as many requests as the pull needs at least."""
    from unlimcall_async.sandbox import Fault, ResetAfter, ResetBefore, Status, Truncate  # noqa: PLC0415 # loads a server

    # The kinds are mixed, so that a small pull, which meets the first few only, meets several kinds.
    faults: tuple[tuple[str, Fault], ...] = (
        ("reset", ResetBefore()),
        ("503", Status(503)),
        ("truncated body", Truncate()),
        ("429", Status(429, headers={"Retry-After": "1"})),
        ("reset", ResetAfter()),
        ("500", Status(500)),
        ("truncated body", Truncate()),
        ("502", Status(502)),
        ("reset", ResetBefore()),
        ("truncated body", Truncate()),
        ("reset", ResetAfter()),
        ("truncated body", Truncate()),
    )
    apart = max(_APART, calls // 1000 // len(faults))
    return [
        (kind, sandbox.inject(fault, endpoint="cdrs", skip=apart // 2 + apart * place))
        for place, (kind, fault) in enumerate(faults)
    ]
