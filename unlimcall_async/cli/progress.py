"""How far a pull is, on standard error: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from unlimcall_async import CdrStream
from unlimcall_async.cli.output import is_dumb, lines_above, to_stderr
from unlimcall_async.cli.wording import many, wait_of_each

Show: TypeAlias = Callable[[CdrStream], None]

# Seconds between two lines, so that a pull of an hour adds at most 720 lines to the log of a job.
PAUSE: Final = 5.0


class _Bar(Progress):
    """A bar that leaves room at its right for the `^C` that a terminal writes. Without room the bar would show twice."""

    def __init__(self, console: Console) -> None:
        self._terminal = console
        super().__init__(
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            expand=True,
        )

    def get_renderable(self) -> RenderableType:
        return Constrain(super().get_renderable(), self._terminal.width - len("^C") - 1)


@contextmanager
def shown_progress() -> Iterator[Show]:
    """Return a function that shows how far a stream is. Call it with the stream after each batch."""
    if sys.stderr is None or not sys.stderr.isatty():  # `None` if standard error was closed
        yield plain_lines(time.monotonic)
        return
    # All numbers have room in 80 columns: the bar takes what is left.
    console = Console(stderr=True, highlight=False, markup=False)
    with _Bar(console) as bar, lines_above(console.print):
        task = bar.add_task("", total=1.0, counts="")
        yield lambda stream: bar.update(task, completed=stream.progress.fraction, counts=_counts(stream))


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show on a terminal that the command is at work, meanwhile."""
    if not _moves_cursor():
        yield
        return
    console = Console(stderr=True, highlight=False, markup=False)
    with console.status(text), lines_above(console.print):
        yield


def _moves_cursor() -> bool:
    """Return whether standard error is a terminal on which a line can be written again."""
    # `None` if standard error was closed.
    return sys.stderr is not None and sys.stderr.isatty() and not is_dumb()


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
