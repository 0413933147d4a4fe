"""Where and when progress is shown: on a terminal, in a notebook, as lines, or nowhere. Needs rich, of the extra `cli`.

A bar writes its line again and again, and leaves the cursor behind the line. Whatever else writes to the terminal would go on
there. So there is no bar while records go into a pipe, whose reader may write to the same terminal, as `head` does. What this
process itself prints is shown above the bar.
"""

from __future__ import annotations

import asyncio
import html
import importlib
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.segment import Segment

from unlimcall_async import _clock
from unlimcall_async._progress_words import Words, of_follow, of_stream
from unlimcall_async.cdrs.follow import CdrFollow
from unlimcall_async.cdrs.stream import CdrStream

# Seconds between two looks: a countdown of seconds must not skip one.
_LOOK: Final = 0.25
# Seconds between two lines, so that a pull of an hour adds at most 720 lines to the log of a job.
PAUSE: Final = 5.0
# Columns that all words of a stream mostly take, and those of the bar beside them. Without room for both, the words win.
_WORDS: Final = 70
_NARROWEST: Final = 8
_WIDEST: Final = 40
# A terminal shows `^C` behind the cursor. Without room for it, the line would wrap, and the bar would show twice.
SPARE: Final = len("^C") + 1


class Display(Protocol):
    """Shows progress."""

    def show(self, words: Words) -> None:
        """Show how far a stream or a follow is."""
        ...

    def close(self) -> None:
        """Show no more. What was shown last stays."""
        ...


def display() -> Display:
    """Return the display for this process, as its streams are now."""
    if (notebook := _notebook()) is not None:
        return notebook
    if sys.stderr is None or not sys.stderr.isatty():
        return Nowhere()
    # What the program prints into a pipe is not known here.
    if not moves_cursor() or prints_into_pipe():
        return Lines(_write_line)
    return Bar(stderr_console())


def stderr_console() -> Console:
    """Return the console on which bars are drawn, and lines are written above them."""
    made = Console(stderr=True, highlight=False, markup=False)
    if made.width < 1:  # rich takes COLUMNS=0 at its word, and all that is written would be lost
        made.width = shutil.get_terminal_size().columns
    return made


def moves_cursor() -> bool:
    """Return whether standard error is a terminal on which a line may be written again and again."""
    # `None` if standard error was closed.
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return is_terminal and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def prints_into_pipe() -> bool:
    """Return whether standard output is a pipe, whose reader may write to the terminal of standard error."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or replaced by an object of Python
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _write_line(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Nowhere:
    """Shows nothing."""

    def show(self, words: Words) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """Writes a line now and then."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._last = clock()

    def show(self, words: Words) -> None:
        """Write a line, at most one every five seconds."""
        if self._clock() - self._last >= PAUSE:
            self._last = self._clock()
            self._write(str(words))

    def close(self) -> None:
        """Do nothing: each line is whole."""


class Line:
    """A line with a bar, as wide as the terminal at the moment."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - SPARE, 1)
        fraction = self._words.fraction
        # Its length does not depend on the words, which change all the time.
        bar = 0 if fraction is None else min(max(width - _WORDS, _NARROWEST), _WIDEST)
        words = self._words.within(width - bar - 1)
        if fraction is not None and len(words) + bar < width:
            yield from console.render(ProgressBar(total=1.0, completed=fraction, width=bar), options)
            yield Segment(" ")
        yield Segment(words[:width])

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


class Bar:
    """A line on a terminal, which is written again and again."""

    def __init__(self, console: Console) -> None:
        # Without the thread that rich would start: the owner says when to draw. What is printed to another place than a terminal
        # must not be taken for what is printed above the bar.
        aside = sys.stdout is not None and sys.stdout.isatty()
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=aside)

    def show(self, words: Words) -> None:
        """Write the line again."""
        if not self._live.is_started:
            self._live.start()
        self._live.update(Line(words), refresh=True)

    def close(self) -> None:
        """Leave the line as it is, and go on below it."""
        self._live.stop()


class _Notebook:
    """A cell's output, which is replaced again and again."""

    def __init__(self, ipython: Any) -> None:
        self._ipython = ipython
        self._handle: Any = None

    def show(self, words: Words) -> None:
        """Show the words in place of those before."""
        bar = "" if words.fraction is None else f'<progress max="1" value="{words.fraction:.4f}"></progress> '
        shown = self._ipython.HTML(f"<div>{bar}{html.escape(str(words))}</div>")
        if self._handle is None:
            self._handle = self._ipython.display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def close(self) -> None:
        """Do nothing: what was shown last stays."""


def _notebook() -> _Notebook | None:
    """Return the display of the notebook that this process is the kernel of, if it is one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    # The shell of a terminal has no kernel.
    return _Notebook(importlib.import_module("IPython.display")) if hasattr(shell, "kernel") else None


class Ticker:
    """Draws a display now and then, by a timer of the event loop that runs. It holds nothing but the stream and the display.

    Args:
        make: Returns the display, at the moment of the first look.
    """

    def __init__(self, make: Callable[[], Display]) -> None:
        self._make = make
        self._stream: CdrStream | CdrFollow | None = None
        self._display: Display | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = self._drawn = 0.0
        self._records = 0

    def run(self, stream: CdrStream | CdrFollow) -> None:
        """Show this stream from now on. Called again and again: the event loop may be too busy for its timers."""
        now = time.monotonic()
        if stream is not self._stream:
            self._stream, self._began, self._records = stream, now, stream.stats.records
        if self._display is None:
            self._display = self._make()
            self._tick()
        elif now - self._drawn >= 2 * _LOOK:
            self._draw()

    def _tick(self) -> None:
        self._draw()
        self._timer = asyncio.get_running_loop().call_later(_LOOK, self._tick)

    def _draw(self, *, over: bool = False) -> None:
        stream, self._drawn = self._stream, time.monotonic()
        if stream is None or self._display is None:
            return
        now = _clock.utc_now()
        if isinstance(stream, CdrFollow):
            self._display.show(of_follow(stream.stats, now, over=over))
            return
        progress, seconds = stream.progress, self._drawn - self._began
        records = progress.records - self._records
        # The first moments say nothing about the rate.
        rate = records / seconds if records and seconds >= 1.0 else None
        self._display.show(of_stream(progress, rate, now, over=over))

    def stop(self) -> None:
        """Draw once more, and then no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._display is not None:
            try:
                self._draw(over=True)
            finally:
                self._display.close()
        self._display = self._timer = self._stream = None
