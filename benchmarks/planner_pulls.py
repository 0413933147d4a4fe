"""Pulls of a year from the simulated server, by our planner and by plain halving, and the check of what comes out.  No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import cast

from benchmarks.planner_server import PAGE, Row, Server
from benchmarks.planner_traffic import YEAR
from unlimcall_async.cdrs.planner.parts import Done, Question
from unlimcall_async.cdrs.planner.planner import Planner
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, WIDEST, Range, Window, floor


class WrongError(Exception):
    """A pull did not give exactly the records, or came to no end."""


class Output:
    """What has come out, and whether it is right."""

    def __init__(self, rows: list[Row], *, newest_first: bool) -> None:
        self._rows = rows
        self._newest_first = newest_first
        self._done = 0

    def take(self, records: Iterable[Row]) -> None:
        """Take the records of the next part: just those that are due. Within a part it is the stream that sorts."""
        got = sorted(records, key=lambda row: row.rank)
        before, self._done = self._done, self._done + len(got)
        first = len(self._rows) - self._done if self._newest_first else before
        due = self._rows[max(0, first) : first + len(got)]
        if got != due:
            lost, foreign = len(set(due) - set(got)), len(set(got) - set(due))
            raise WrongError(
                f"of the {len(got)} records after the first {before}, {lost} are lost and {foreign} not due"
            )

    def check_end(self) -> None:
        """Check that all came."""
        if self._done != len(self._rows):
            raise WrongError(f"only {self._done} of {len(self._rows)} records came")


def halve(server: Server) -> int:
    """Pull by halving, as it is plainly written; a margin of a second on either side makes the server's bounds irrelevant.

    Returns the most rows that it held: those of a page, because each goes out at once.
    """
    output = Output(server.calls.rows, newest_first=False)
    most = WIDEST - 2 * SECOND
    windows = [(start, min(start + most, YEAR.end)) for start in range(YEAR.start, YEAR.end, most)][::-1]
    while windows:
        start, end = windows.pop()
        rows, _, count = server.page(Window(start - SECOND, end + SECOND))
        if len(rows) < PAGE and count <= len(rows):
            output.take(row for row in rows if start <= row.millis * MILLISECOND < end)
        elif end - start > MILLISECOND:
            middle = floor((start + end) // 2, MILLISECOND)
            windows += [(middle, end), (start, middle)]
        else:
            raise WrongError(f"halving cannot go on at {start}")
    output.check_end()
    return PAGE


def pull(
    server: Server,
    *,
    newest_first: bool,
    concurrency: int,
    seek: bool,
    buffer: int,
    enough: int,
    wanted: Range = YEAR,
) -> int:
    """Pull by our planner, and return the most rows that it held; `enough` requests are more than any pull may take."""
    planner = Planner(
        wanted, newest_first=newest_first, page_size=PAGE, concurrency=concurrency, seek=seek, buffer=buffer
    )
    output = Output(server.calls.rows, newest_first=newest_first)
    under_way: deque[Question] = deque()
    most_held = 0
    while not planner.finished:
        while len(under_way) < concurrency and (question := planner.next_question()):
            under_way.append(question)
        if not under_way:
            raise WrongError("it asks no more, and has not finished")
        if server.requests > enough:
            raise WrongError(f"{server.requests} requests, and no end")
        question = under_way.popleft()
        planner.receive(question, server.answer(question.window))
        most_held = max(most_held, planner.held)
        _put_out(planner, output)
    output.check_end()
    return most_held


def _put_out(planner: Planner, output: Output) -> None:
    while (part := planner.take_first()) is not None:
        if not isinstance(part.state, Done):
            raise WrongError(f"{part.range} is {type(part.state).__name__}")
        output.take(cast("list[Row]", part.records))  # what comes out is what the server gave
