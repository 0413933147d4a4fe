"""How far a pull is, on standard error: a bar where somebody looks at it, else a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from unlimcall_async import CdrStream
from unlimcall_async.cli.report import wait_of_each

Show: TypeAlias = Callable[[CdrStream], None]

# Seconds between two lines: few enough of them for the log of a job.
PAUSE: Final = 5.0


@contextmanager
def shown_progress() -> Iterator[Show]:
    """Show how far a stream is, as often as it is called with it."""
    if sys.stderr is None or not sys.stderr.isatty():  # it is none where it was closed
        yield plain_lines(time.monotonic)
        return
    columns = (
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    # Wide enough for all numbers in 80 columns: the bar takes what is left.
    with Progress(*columns, console=Console(stderr=True, highlight=False), expand=True) as bar:
        task = bar.add_task("", total=1.0, counts="")
        yield lambda stream: bar.update(task, completed=stream.progress.fraction, counts=counts(stream))


def plain_lines(clock: Callable[[], float]) -> Show:
    """Give a function that writes a line, though none sooner than five seconds after the one before."""
    last = clock()

    def show(stream: CdrStream) -> None:
        nonlocal last
        if clock() - last >= PAUSE:
            last = clock()
            click.echo(f"{stream.progress.fraction:.0%}, {counts(stream)}", err=True)

    return show


def counts(stream: CdrStream) -> str:
    """Tell in a few words what the stream has done."""
    stats = stream.stats
    return f"{stats.records:,} records, {stats.requests:,} requests, {wait_of_each(stats):.2f} s wait each"
