"""How far a pull is, on standard error: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from unlimcall_async import CdrStream, Progress
from unlimcall_async._bar import PAUSE, Bar, Lines, Ticker, moves_cursor, prints_into_pipe, stderr_console
from unlimcall_async._progress_words import Words, of_stream
from unlimcall_async.cli.output import lines_above, to_stderr
from unlimcall_async.cli.wording import many, wait_of_each

if TYPE_CHECKING:
    from unlimcall_async.sync import SyncProgress

Show: TypeAlias = Callable[[CdrStream], None]


@contextmanager
def shown_progress(*, beside_output: bool = False) -> Iterator[Show]:
    """Return a function that shows how far a stream is. Call it with the stream after each batch, in the event loop.

    A bar is drawn between two batches, too. Without a terminal for it, the function writes plain lines.

    Args:
        beside_output: Whether the command writes to standard output meanwhile.
    """
    if not moves_cursor() or (beside_output and prints_into_pipe()):
        yield plain_lines(time.monotonic)
        return
    console = stderr_console()
    ticker = Ticker(lambda: Bar(console))
    try:
        with lines_above(console.print):
            yield ticker.run
    finally:
        ticker.stop()


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show on a terminal that the command is at work, meanwhile."""
    if not moves_cursor():
        yield
        return
    console = stderr_console()
    with console.status(text), lines_above(console.print):
        yield


@contextmanager
def shown_sync() -> Iterator[Callable[[SyncProgress], None]]:
    """Return a function that shows how far a sync is, to be called some times a second."""
    clock = time.monotonic
    if not moves_cursor():
        lines = Lines(to_stderr, clock)
        yield lambda sync: lines.show(_words(sync, None))
        return
    console = stderr_console()
    bar, began = Bar(console), clock()

    def show(sync: SyncProgress) -> None:
        seconds = clock() - began
        # The first moments say nothing about the rate.
        bar.show(_words(sync, sync.records / seconds if sync.records and seconds >= 1.0 else None))

    try:
        with lines_above(console.print):
            yield show
    finally:
        bar.close()


def _words(sync: SyncProgress, rate: float | None) -> Words:
    progress = Progress(
        *(sync.fraction, sync.records, sync.requests, sync.position),
        *(sync.waiting_for, sync.waiting_until, sync.eta),
    )
    return of_stream(progress, rate, datetime.now(UTC))


def plain_lines(clock: Callable[[], float]) -> Show:
    """Return a function that writes a line for a stream, at most one every five seconds."""
    last = clock()

    def show(stream: CdrStream) -> None:
        nonlocal last
        if clock() - last >= PAUSE:
            last = clock()
            to_stderr(f"{stream.progress.fraction:.0%}, {_counts(stream)}")

    return show


def _counts(stream: CdrStream) -> str:
    stats = stream.stats
    counts = f"{many(stats.records, 'record', 'records')}, {many(stats.requests, 'request', 'requests')}"
    return f"{counts}, {wait_of_each(stats):.2f} s wait each"
