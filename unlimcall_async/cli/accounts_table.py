"""How far many accounts are, on standard error: a table on a terminal, else a plain line now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from unlimcall_async import Progress
from unlimcall_async._bar import SPARE, Lines, moves_cursor, stderr_console
from unlimcall_async._progress_words import Words, waiting
from unlimcall_async.cli.output import is_quiet, lines_above, to_stderr
from unlimcall_async.cli.wording import many, plain

if TYPE_CHECKING:
    from unlimcall_async.sync import SyncProgress

Look: TypeAlias = "Progress | SyncProgress"

# Seconds between two looks, as of the bar of one pull.
_LOOK: Final = 0.25
# Columns of a bar, and those of a terminal that has room for bars.
_BAR: Final = 12
_ROOMY: Final = 80
# Lines of a terminal that the table leaves free: one above, and that of the cursor.
_FREE: Final = 2


@define
class Board:
    """How far all accounts are.

    Attributes:
        accounts: How many there are.
        done: How many are done.
        failed: How many have failed.
        records: The records of those that have ended.
        under_way: Returns how far each account is that is worked on; `None` before its first records.
    """

    accounts: int
    done: int = 0
    failed: int = 0
    records: int = 0
    under_way: dict[str, Callable[[], Look] | None] = field(factory=dict)

    def looks(self) -> list[tuple[str, Look | None]]:
        """Return how far each account is that is worked on."""
        return [(name, None if look is None else look()) for name, look in self.under_way.items()]

    def words(self, looks: list[tuple[str, Look | None]]) -> Words:
        """Return how far all accounts are together."""
        under_way = [look for _, look in looks if look is not None]
        fraction = (self.done + self.failed + sum(look.fraction for look in under_way)) / self.accounts
        failed = f"{self.failed:,} failed" if self.failed else ""
        texts = (
            f"{self.done:,} of {many(self.accounts, 'account', 'accounts')}",
            failed,
            many(self.records + sum(look.records for look in under_way), "record", "records"),
        )
        return Words(min(fraction, 1.0), tuple(filter(None, texts)))


def drawn(board: Board, width: int, height: int, now: datetime) -> Group:
    """Return the table for a terminal of this size: a line for all accounts, and one for each that is worked on and has room."""
    looks = board.looks()
    words = board.words(looks)
    width = max(width - SPARE, 1)
    room = max(height - _FREE - 1, 0)
    shown = looks if len(looks) <= room else looks[: max(room - 1, 0)]
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False, width=width)
    # Names are at most a third of the line. What an account waits for is cut first.
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(width // 3, 8))
    if width >= _ROOMY:
        table.add_column(width=_BAR)
    table.add_column(justify="right", no_wrap=True, min_width=4)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for name, look in shown:
        bar = [ProgressBar(total=1.0, completed=0.0 if look is None else look.fraction, width=_BAR)]
        figures = ("", "", "") if look is None else _figures(look, now)
        table.add_row(Text(plain(name)), *(bar if width >= _ROOMY else []), *map(Text, figures))
    head = Text(
        f"{int((words.fraction or 0.0) * 100)}%  {words.within(max(width - 6, 1))}", no_wrap=True, overflow="ellipsis"
    )
    rest = len(looks) - len(shown)
    more = [Text(f"... and {rest:,} more", no_wrap=True, overflow="ellipsis")] if rest and room else []
    return Group(head, *([table] if shown else []), *more)


def _figures(look: Look, now: datetime) -> tuple[str, str, str]:
    waits = waiting(look.waiting_for, look.waiting_until, now)
    return f"{int(look.fraction * 100)}%", f"{look.records:,}", waits


@contextmanager
def shown_board(board: Board, *, as_lines: bool) -> Iterator[None]:
    """Show a board meanwhile, in the event loop that runs.

    Args:
        board: The board.
        as_lines: Whether to write lines also on a terminal, because other output comes on it meanwhile.
    """
    if is_quiet():
        yield
        return
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def tick() -> None:
        nonlocal timer
        draw()
        timer = loop.call_later(_LOOK, tick)

    if as_lines or not moves_cursor():
        lines = Lines(to_stderr, time.monotonic)

        def draw() -> None:
            words = board.words(board.looks())
            lines.show(Words(words.fraction, (f"{words.fraction:.0%}", *words.texts)))

        tick()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
        return
    console = stderr_console()
    # Without the thread that rich would start. The table goes when the work is over, and a summary takes its place.
    live = Live(console=console, auto_refresh=False, transient=True)

    def draw_table() -> None:
        live.update(drawn(board, console.width, console.height, datetime.now(UTC)), refresh=True)

    draw = draw_table
    live.start()
    try:
        with lines_above(console.print):
            tick()
            yield
    finally:
        if timer is not None:
            timer.cancel()
        live.stop()
