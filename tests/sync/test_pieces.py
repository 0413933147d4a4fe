"""The pieces of a stream: what is gathered, what is in doubt, and what each piece rests on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from unlimcall_async import CallRecord, UnreadableRow
from unlimcall_async.cdrs.checkpoint import Place
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.proof import Evidence
from unlimcall_async.proof.manifest import UnreadRow
from unlimcall_async.sync import pieces
from unlimcall_async.sync.entries import Unread
from unlimcall_async.sync.pieces import Gathering, Piece, Unfit, pieces_of, unread_of
from unlimcall_async.sync.rows import Row, row_of

START = datetime(2026, 5, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def records(*minutes: float) -> list[CallRecord]:
    return [CallRecord(f"{minute}", at(minute), 1, 1) for minute in minutes]


def rows(*minutes: float) -> list[Row]:
    return [row_of(record) for record in records(*minutes)]


def window(start: float, end: float) -> Evidence:
    return Evidence(at(start), at(end), at(start), at(end), limit=10, rows=3, count=3, reason="short")


def bad(start: float, end: float, body: bytes = b"{}") -> UnreadableRow:
    return UnreadableRow((at(start), at(end)), "calls[0].billsec", "a number", body)


def unread(row: UnreadableRow, first: datetime, last: datetime, digest: str) -> Unread:
    return Unread(UnreadRow(*row.window, row.where, row.reason, digest), first, last)


def all_fit(_rows: Sequence[Row]) -> list[tuple[int, str, str]]:
    return []


def gathering(edge: float, *, newest_first: bool = False, unfit: Unfit = all_fit) -> Gathering:
    return Gathering(at(edge), newest_first=newest_first, unfit=unfit)


# --- what is gathered -------------------------------------------------------------------------------------------------


def test_what_comes_between_edges_is_one_piece_once_it_is_cut() -> None:
    gathered = gathering(0)
    assert gathered.cut() == []
    assert gathered.add(at(1), records(0.5), [], [window(0, 1)]) == []
    assert gathered.add(at(3), records(1, 2), [], [window(1, 3)]) == []
    assert gathered.cut() == [Piece(at(0), at(3), rows(0.5, 1, 2), windows=[window(0, 1), window(1, 3)])]
    assert gathered.cut() == []
    assert gathered.add(at(4), [], [], [window(3, 4)]) == []
    assert gathered.cut() == [Piece(at(3), at(4), [], windows=[window(3, 4)])]


def test_with_the_newest_first_the_windows_of_a_piece_are_in_the_order_of_time_too() -> None:
    gathered = gathering(3, newest_first=True)
    assert gathered.add(at(2), records(2.5), [], [window(2, 3)]) == []
    assert gathered.add(at(0), records(1), [], [window(0, 2)]) == []
    assert gathered.cut() == [Piece(at(0), at(3), rows(2.5, 1), windows=[window(0, 2), window(2, 3)])]
    assert gathered.add(at(-1), records(-1), [], [window(-1, 0)]) == []
    assert gathered.cut() == [Piece(at(-1), at(0), rows(-1), windows=[window(-1, 0)])]


def test_a_window_that_goes_on_behind_a_piece_is_one_of_the_next_piece_too() -> None:
    gathered = gathering(0)
    gathered.add(at(1), [], [], [window(0, 1), window(1, 2)])
    assert [piece.windows for piece in gathered.cut()] == [[window(0, 1), window(1, 2)]]
    gathered.add(at(2), [], [])
    assert gathered.cut() == [Piece(at(1), at(2), [], windows=[window(1, 2)])]
    gathered.add(at(3), [], [])
    assert gathered.cut() == [Piece(at(2), at(3), [], windows=[])]


def test_so_is_one_with_the_newest_first() -> None:
    gathered = gathering(2, newest_first=True)
    gathered.add(at(1), [], [], [window(1, 2), window(0, 1)])
    assert [piece.windows for piece in gathered.cut()] == [[window(0, 1), window(1, 2)]]
    gathered.add(at(0), [], [])
    assert gathered.cut() == [Piece(at(0), at(1), [], windows=[window(0, 1)])]
    gathered.add(at(-1), [], [])
    assert gathered.cut() == [Piece(at(-1), at(0), [], windows=[])]


def test_as_many_rows_as_a_transaction_may_have_are_a_piece_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_ROWS", 3)
    gathered = gathering(0)
    assert gathered.add(at(1), records(0, 0.5), []) == []
    assert gathered.add(at(2), records(1), []) == [Piece(at(0), at(2), rows(0, 0.5, 1), windows=[])]
    assert gathered.cut() == []


# --- what is in doubt -------------------------------------------------------------------------------------------------


def test_a_row_that_cannot_be_read_makes_a_piece_of_its_own_behind_what_was_gathered() -> None:
    gathered, row = gathering(0), bad(1, 2, b'{"startTime": "2026-05-01T00:01:30Z"}')
    gathered.add(at(1), records(0.5), [], [window(0, 1)])
    assert gathered.add(at(2), records(1), [row], [window(1, 2)]) == [
        Piece(at(0), at(1), rows(0.5), windows=[window(0, 1)]),
        Piece(
            *(at(1), at(2), rows(1), [row]),
            doubtful=True,
            windows=[window(1, 2)],
            unread=[unread(row, at(1.5), at(1.5), "2274fda8d1ec0c1a")],
        ),
    ]
    assert gathered.add(at(3), records(2), []) == []
    assert gathered.cut() == [Piece(at(2), at(3), rows(2), windows=[])]


def test_a_row_without_a_start_puts_all_in_doubt_up_to_a_second_behind_its_window() -> None:
    gathered, row = gathering(0), bad(0, 2)
    (piece,) = gathered.add(at(1), [], [row])
    assert piece.doubtful
    assert piece.unread == [unread(row, at(0) - SECOND, at(2) + SECOND, "01e7b720ff566d53")]
    assert gathered.add(at(2), records(1), []) == [
        Piece(at(1), at(2), rows(1), [], doubtful=True, windows=[], unread=[])
    ]
    assert [each.doubtful for each in gathered.add(at(2) + SECOND, [], [])] == [True]
    assert gathered.add(at(3), [], []) == []


def test_with_the_newest_first_it_does_so_down_to_a_second_before_its_window() -> None:
    gathered = gathering(3, newest_first=True)
    assert [each.doubtful for each in gathered.add(at(2), [], [bad(1, 3)])] == [True]
    assert [(each.start, each.end, each.doubtful) for each in gathered.add(at(1), [], [])] == [(at(1), at(2), True)]
    assert [each.doubtful for each in gathered.add(at(1) - SECOND, [], [])] == [True]
    assert gathered.add(at(0), [], []) == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_doubt_of_the_farthest_window_lasts(newest_first: bool) -> None:
    sign = -1 if newest_first else 1
    placed = bad(0, 9, b'{"startTime": "2026-05-01T00:00:00Z"}')
    near, far = [bad(min(0, sign * minutes), max(0, sign * minutes)) for minutes in (1, 5)]
    gathered = gathering(0, newest_first=newest_first)
    gathered.add(at(sign * 0.5), [], [placed, far, near])
    assert [each.doubtful for each in gathered.add(at(sign * 5), [], [])] == [True]
    assert [each.doubtful for each in gathered.add(at(sign * 6), [], [])] == [True]
    assert gathered.add(at(sign * 7), [], []) == []


def test_a_row_that_does_not_fit_is_left_out_and_named() -> None:
    def unfit(found: Sequence[Row]) -> list[tuple[int, str, str]]:
        return [(place, "duration", "is odd") for place, row in enumerate(found) if row[0] == "1"]

    gathered, other = gathering(0, unfit=unfit), bad(0, 2)
    record = records(1)[0]
    (piece,) = gathered.add(at(2), records(0, 1, 1.5), [other])
    body = b'{"id":"1","start_time":"2026-05-01T00:01:00.000Z","duration":1,"billsec":1'
    assert (piece.rows, piece.doubtful) == (rows(0, 1.5), True)
    kept, found = piece.unreadable
    assert kept is other
    assert (found.window, found.where, found.reason) == ((at(0), at(2)), "duration", "is odd")
    assert found.body.startswith(body)
    assert piece.unread[1] == unread_of(found, record.start_time)
    assert [row.row.where for row in piece.unread] == ["calls[0].billsec", "duration"]


# --- a stream ---------------------------------------------------------------------------------------------------------


class Stream:
    """A stream of minutes. A number waits for so many seconds; a list of minutes is a batch, after which the place moves.

    After the first `amid` batches the place is not an edge. The stream takes `closing` seconds to close.
    """

    def __init__(
        self, *steps: float | list[float] | Exception, newest_first: bool = False, amid: int = 0, closing: float = 0.0
    ) -> None:
        self.start, self.end = at(0), at(10)
        self.place = Place(to_micros(self.end if newest_first else self.start))
        self.unreadable: list[UnreadableRow] = []
        self.proof: list[Evidence] = []
        self.steps, self.amid, self.closing, self.closed = steps, amid, closing, False
        self._way = -1 if newest_first else 1

    def evidence_from(self, number: int) -> list[Evidence]:
        return self.proof[number:]

    async def batches(self) -> AsyncGenerator[list[CallRecord], None]:
        edge = 10 if self._way < 0 else 0
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, int | float):
                    await asyncio.sleep(step)
                    continue
                before, edge = edge, edge + self._way
                self.proof.append(window(*sorted((before, edge))))
                self.place = Place(to_micros(at(edge)), *(("amid", "0" * 16, 1) if self.amid > 0 else ()))
                self.amid -= 1
                yield records(*step)
        finally:
            self.closed = True
            await asyncio.sleep(self.closing)


async def pieces_in(stream: Stream, **options: Any) -> list[tuple[datetime, datetime, int]]:
    """Return the start, the end and the number of rows of each piece, and check what the pieces rest on."""
    found = list[tuple[datetime, datetime, int]]()
    arguments: dict[str, Any] = {"newest_first": False, "unfit": all_fit, "look": lambda: None} | options
    async for piece in pieces_of(cast("CdrStream", stream), **arguments):
        assert piece.windows[0].start == piece.start
        assert piece.windows[-1].end == piece.end
        found.append((piece.start, piece.end, len(piece.rows)))
    return found


async def test_a_stream_that_does_not_wait_is_one_piece() -> None:
    assert await pieces_in(Stream([0], [1, 1.5], [2])) == [(at(0), at(3), 4)]
    assert await pieces_in(Stream()) == []


async def test_a_stream_with_the_newest_first_is_one_piece_too() -> None:
    stream = Stream([9.5], [8], newest_first=True)
    assert await pieces_in(stream, newest_first=True) == [(at(8), at(10), 2)]


@pytest.mark.looptime
async def test_what_was_gathered_is_a_piece_once_the_stream_waits_for_a_second() -> None:
    looks = list[float]()
    stream = Stream([0], 0.9, [1], 1.1, [2])
    found = await pieces_in(stream, look=lambda: looks.append(asyncio.get_running_loop().time()))
    assert found == [(at(0), at(2), 2), (at(2), at(3), 1)]
    assert looks == pytest.approx([0.25, 0.5, 0.75, 1.15, 1.4, 1.65, 1.9])


async def test_an_error_comes_behind_the_pieces_before_it() -> None:
    found, failure = list[Piece](), RuntimeError("the server is gone")
    stream = Stream([0], [1], failure)
    iterator = pieces_of(cast("CdrStream", stream), newest_first=False, unfit=all_fit, look=lambda: None)
    found.append(await anext(iterator))
    with pytest.raises(RuntimeError) as caught:
        await anext(iterator)
    assert caught.value is failure
    assert [(piece.start, piece.end, len(piece.rows)) for piece in found] == [(at(0), at(2), 2)]


async def test_records_behind_the_last_edge_are_in_no_piece() -> None:
    assert await pieces_in(Stream([0], [1], amid=2)) == []


async def test_batches_without_an_edge_between_them_are_in_one_piece() -> None:
    assert await pieces_in(Stream([0], [1, 1.5], [2], amid=2)) == [(at(0), at(3), 4)]


async def test_each_row_that_cannot_be_read_is_in_one_piece() -> None:
    stream, taken = Stream([0], [1], [2]), list[Sequence[UnreadableRow]]()
    stream.unreadable = [bad(0, 1, b'{"startTime": "2026-05-01T00:00:00Z"}')]
    async for piece in pieces_of(cast("CdrStream", stream), newest_first=False, unfit=all_fit, look=lambda: None):
        taken.append(piece.unreadable)
    assert taken == [stream.unreadable, ()]


@pytest.mark.looptime
async def test_a_reader_that_leaves_leaves_no_step_and_no_stream_behind() -> None:
    stream = Stream([0], 5.0, [1])
    iterator = pieces_of(cast("CdrStream", stream), newest_first=False, unfit=all_fit, look=lambda: None)
    assert (await anext(iterator)).end == at(1)
    await iterator.aclose()
    assert stream.closed
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.looptime
async def test_a_reader_that_is_cancelled_once_more_while_the_stream_closes_leaves_nothing_behind_either() -> None:
    stream = Stream([0], 5.0, closing=5.0)
    reader = asyncio.create_task(pieces_in(stream))
    for _ in range(2):
        await asyncio.sleep(1)
        reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert stream.closed
    assert len(asyncio.all_tasks()) == 1
