"""Margins: how much wider than its range a window is, so that its page surely shows every row of the range.

Pure: no I/O.

Theory. A call starts at a time `t` that nobody sees. The server shows it as `x`, in steps of `w`: cut down, rounded to the nearest
step, or rounded up. So `t` lies within `w` of `x`, on either side. The server compares `t`, cut down to a multiple of `s`, with the
bounds of the window, which it cuts down too. Neither `w` nor `s` is above a second, and both divide a second. A part takes the rows
that are *shown* in its range `[start, end)`. Let `u` be a step that both divide, and let `start` and `end` be multiples of `u`.

    from  A row with `x >= start` has `t > start - w` if times are rounded up. Cut down to `s`, that may be `start - u`. If `from`
          is excluded, it must lie before that: at `start - 2u`. If times are cut, or if `from` is included, `start - u` is enough;
          if both, `start` itself.
    till  A row with `x < end` has `x <= end - w`. If times are cut, `t < x + w <= end`; if they are rounded, `t` is smaller still.
          Cut down to `s`, that is before `end`: so `end` is enough, even if `till` is excluded. A server that rounds times up to
          compare them compares up to `u` later: `end + u` is enough for it, too.

So margins of `2u` before and `u` behind are enough for all servers, and with them a window `[from, till]` surely shows the rows
from `from + 2u` up to `till - u`. At most it shows rows from `from - u` on, and up to `till + u`. As long as no more is known, `u`
is a second.

If `w` is known, and also how the bounds are treated, whole seconds cost less. A row with `x >= start` has `t > start - w`, so its
second is that of `start - w` or a later one, and `from` is that second, or the one before if `from` is excluded. Few ranges begin
within `w` above a whole second. A row with `x < end` has `t < end` if `w` divides `end`. So `till` is the next whole second
from `end` on, or the one before if `till` is included. If the server may compare steps `s` that are finer than a second, and `till`
is included, a window surely shows rows only up to `till + s - w`: `w` may not divide `s`.

The same holds for the edge of a full page that is sorted. The server sorts `t` cut down to a step `g`, which divides `u`. The rows
that a page with the newest first leaves out sort no later than its last row. With `t` below the end of that row's step, they are
shown up to that end, and at it if times are rounded up: hence the page holds all rows from `2u` above the last row's step on. With
the oldest first, the rows left out may be shown a step before that of the last row, which may be rounded up: the page holds all
rows up to `u` below the last row's step.

Doubts. A server may show a row more than a second away from the time by which it compares the row. Then the row does not lie
within a second of its window, which is assumed of every server. No margin is enough for such a server.
"""

from __future__ import annotations

from typing import Final, Self

from attrs import frozen

from unlimcall_async.cdrs.times import SECOND, Range, Window, ceil, floor


@frozen
class Margins:
    """How much wider than its range a window is, in microseconds.

    Attributes:
        step: The bounds of windows are multiples of it.
        before: A window surely shows the rows from so much behind its start on.
        behind: A window surely shows the rows up to so much before its end. It is negative if `till` is known to be included, with
            all of its second.
        written: The step in which times are written, or `step` if that is not known.
        shows_before: A window shows no row from more than so much before its start. It is negative if `from` is known to be
            excluded, with all of its second.
        shows_behind: A window shows no row from more than so much behind its end.
    """

    step: int
    before: int
    behind: int
    written: int
    shows_before: int
    shows_behind: int

    @classmethod
    def unknown(cls, step: int) -> Self:
        """Return what is enough for every server that shows, compares and sorts times by steps that divide this one."""
        return cls(step, 2 * step, step, step, step, step)

    def around(self, wanted: Range) -> Window:
        """Return the window whose page surely shows all rows of a range."""
        start, till = floor(wanted.start - self.before, self.step), ceil(wanted.end + self.behind, self.step)
        # The API wants a window to have a length.
        return Window(start, max(till, start + self.step))

    def page_of(self, wanted: Range) -> Range:
        """Return the range whose rows the page for a range is expected to hold."""
        window = self.around(wanted)
        if self.written == self.step:
            return Range(window.start, window.till)  # how the server treats the bounds is not known
        return Range(window.start - self.shows_before, window.till + self.shows_behind)

    def shown_by(self, window: Window) -> Range:
        """Return the range whose rows the page of a window surely shows."""
        return Range(window.start + self.before, window.till - self.behind)


@frozen
class Grain:
    """The margins of windows, and the step by which the server sorts, in microseconds."""

    margins: Margins
    sorted_by: int


# What is enough for every server.
WHOLE_SECONDS: Final = Margins.unknown(SECOND)
COARSE: Final = Grain(WHOLE_SECONDS, SECOND)


def edge_behind(last: int, step: int, *, descending: bool) -> int:
    """Return the edge of what a full page surely holds: all rows from it on, or, in ascending order, all rows before it.

    Args:
        last: The start of the page's last row, in microseconds.
        step: A step that the server's steps divide.
        descending: The server order.
    """
    return floor(last, step) + 2 * step if descending else floor(last, step) - step
