"""A row that cannot be read costs that row alone: the others come, in order, each once, and each such row is named once."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cdrs.raw_server import ORDERS, Order, RawRow, RawServer, evenly, good, ids, row_text, served
from tests.selection import covering
from tests.turns import done
from unlimcall_async import (
    AsyncClient,
    CallRecord,
    CdrStream,
    Checkpoint,
    ResponseError,
    UnlimCallError,
    UnreadableRow,
    WindowSaturatedError,
)
from unlimcall_async._codec import DecodeError
from unlimcall_async._pages import PageDecoder
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.cdrs.page_reading import read_page
from unlimcall_async.cdrs.times import Window
from unlimcall_async.proof import Manifest

pytestmark = pytest.mark.own_rules

START = datetime(2026, 5, 1, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
END = START + 30 * DAY
AT = START + 13 * DAY + 7 * SECOND

# The fields that differ from those of a good row, and the place that the error names.
WITH_A_START = {
    "null": ({"billsec": "null"}, ".billsec"),
    "missing": ({"billsec": '1, "duration": null'}, ".duration"),
    "a fraction": ({"duration": "12.5"}, ".duration"),
    "a number as text": ({"duration": '"34"'}, ".duration"),
    "a bool": ({"billsec": "true"}, ".billsec"),
    "an id that is a number": ({"id": "5"}, ".id"),
    "half of an escaped surrogate pair": ({"src": '"Caf\\ud83d"'}, ".src"),
    "the other half": ({"country": '"\\ude00"'}, ".country"),
    "a half in a new field": ({"note": '"\\ud83d"'}, ""),
    "a byte that is not UTF-8": ({"src": '"\udcff"'}, ".src"),
    "a control character": ({"src": '"\x01"'}, ".src"),
    "a wrong escape": ({"src": '"\\x41"'}, ".src"),
    "not a number": ({"duration": "NaN"}, ".duration"),
    "65 bits": ({"sellPriceCents": "9223372036854775808"}, ".sellPriceCents"),
    "65 bits below zero": ({"duration": "-9223372036854775809"}, ".duration"),
    "320 digits": ({"duration": "1" + 320 * "0"}, ".duration"),
    "5000 digits": ({"billsec": "1" + 5000 * "0"}, ".billsec"),
    "an exponent without end": ({"billsec": "1e999999999999"}, ".billsec"),
    "nested more deeply than it could be written": ({"note": 101 * "[" + 101 * "]"}, ".note"),
    "nested without end": ({"note": 60_000 * "[" + 60_000 * "]"}, ""),  # Python 3.14 reads 3000 levels
    "brackets in a text": ({"src": '"]}\\"{[,"', "billsec": "null"}, ".billsec"),
}  # fmt: skip
WITHOUT_A_START = {
    "no offset": {"startTime": '"2026-05-14T00:00:07"'},
    "another day without offset": {"startTime": '"2026-05-02T00:00:07"'},
    "null": {"startTime": "null"},
    "a Unix time": {"startTime": "1778716807"},
    "no such day": {"startTime": '"2026-02-30T00:00:07Z"'},
    "half a surrogate pair": {"startTime": '"\\ud83d"'},
    "before the calendar": {"startTime": '"0001-01-01T00:00:00+09:00"'},
}
NO_OBJECT = {
    "null": b"null",
    "a number": b"5",
    "a text": b'"row"',
    "an array": b"[1, {}]",
    "nothing": b"{}",
    "broken": b'{"id": }',
}


def bad(texts: dict[str, str], at: datetime = AT) -> RawRow:
    return RawRow(at, row_text(at, "bad", **texts))


async def read(stream: CdrStream) -> tuple[list[str], ResponseError]:
    """Return the ids of all records before the error, and the error."""
    got: list[str] = []

    async def take() -> None:
        async for record in stream:
            got.append(record.id)  # noqa: PERF401 # what came before the error counts

    with pytest.raises(ResponseError) as caught:
        await take()
    return got, caught.value


async def rest(client: AsyncClient, error: ResponseError, **options: Any) -> list[str]:
    assert error.resume_after is not None
    resume = Checkpoint.from_json(error.resume_after.to_json())
    return [record.id async for record in client.cdrs.stream(START, END, resume=resume, **options)]


async def check_one(
    rows: list[RawRow], row: RawRow, order: Order, where: str, *, newest: bool, page_size: int = 1000
) -> tuple[UnreadableRow, ResponseError]:
    """Check that the row is named, that all others come, and which of them come before it."""
    expected = ids(rows)[:: -1 if newest else 1]
    async with served(RawServer([*rows, row], order)) as client:
        stream = client.cdrs.stream(START, END, newest_first=newest, page_size=page_size, unreadable="keep")
        assert [record.id async for record in stream] == expected
        (kept,) = stream.unreadable
        assert kept.body == row.text
        assert kept.where.partition("]")[2] == where
        assert stream.stats.unreadable == 1
        got, error = await read(client.cdrs.stream(START, END, newest_first=newest, page_size=page_size))
        assert error.where.partition("]")[2] == where
        assert got + await rest(client, error, newest_first=newest) == expected
    before = ids([each for each in rows if (each.start >= row.start if newest else each.start <= row.start)])
    assert got == before[:: -1 if newest else 1]
    return kept, error


@pytest.mark.rest_slow
@pytest.mark.parametrize(("texts", "where"), WITH_A_START.values(), ids=WITH_A_START)
async def test_a_row_with_a_start_costs_itself_alone(texts: dict[str, str], where: str) -> None:
    # The records of its own instant come before it, whatever their ids.
    rows = [*evenly(40, START, END - START), good(AT, 100), good(AT, 99), good(AT + SECOND, 101)]
    for newest in (False, True):
        await check_one(rows, bad(texts), "newest_first", where, newest=newest)


@pytest.mark.rest_slow
@pytest.mark.parametrize(
    ("texts", "order", "newest"),
    [
        *((texts, "newest_first", False) for texts in WITHOUT_A_START.values()),
        *((WITHOUT_A_START["null"], order, newest) for order in ORDERS for newest in (False, True)),
    ],
)
async def test_a_row_without_a_start_has_the_place_of_the_shortest_window_that_shows_it(
    texts: dict[str, str], order: Order, newest: bool
) -> None:
    kept, error = await check_one(evenly(300, START, END - START), bad(texts), order, ".startTime", newest=newest)
    for first, last in (kept.window, error.window or kept.window):
        assert first <= AT <= last
        assert last - first <= 4 * SECOND


@pytest.mark.rest_slow
@pytest.mark.parametrize("text", NO_OBJECT.values(), ids=NO_OBJECT)
async def test_a_row_that_is_not_even_a_row_costs_itself_alone(text: bytes) -> None:
    server = RawServer([*evenly(50, START, END - START), RawRow(AT, text)])
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, unreadable="keep")
        assert [record.id async for record in stream] == ids(server.rows[:-1])
        assert [row.body for row in stream.unreadable] == [text]


@pytest.mark.rest_slow
@pytest.mark.parametrize(("order", "newest"), covering(ORDERS, [False, True], together=1))
async def test_of_many_pages_no_record_is_given_up(order: Order, newest: bool) -> None:
    row, rows = bad({"billsec": "null"}), evenly(2000, START, END - START)
    # A round size would be taken for a cap that the server does not tell, and checked.
    await check_one(rows, row, order, ".billsec", newest=newest, page_size=373)


async def test_a_row_that_no_window_shows_again_is_named_all_the_same() -> None:
    rows = evenly(50, START, END - START)
    server = RawServer([*rows, bad({"startTime": "null"})])

    async def forget(first: datetime, last: datetime) -> None:
        if last - first < 20 * DAY:
            server.rows = rows

    server.answer = forget
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, unreadable="keep")
        assert len([record async for record in stream]) == 50
        assert len(stream.unreadable) == 1


async def test_an_empty_window_may_have_null_in_place_of_an_array() -> None:
    async with served(RawServer([])) as client:
        assert (await client.cdrs.list(START, END)).calls == ()
        assert [record async for record in client.cdrs.stream(START, START + 90 * DAY)] == []


@pytest.mark.slow
async def test_at_most_10_000_rows_are_kept() -> None:
    rows = [bad({"billsec": "null"}, START + number * SECOND) for number in range(10_002)]
    async with served(RawServer([*rows, good(END - SECOND, 1)])) as client:
        stream = client.cdrs.stream(START, END, unreadable="keep")
        got, error = await read(stream)
        assert (got, len(stream.unreadable), stream.stats.unreadable) == ([], 10_000, 10_000)
        assert "unreadable holds 10,000 such rows, and takes more once it is cleared" in str(error)
        assert 'unreadable="keep"' not in str(error)
        # A reader who has seen them makes room for others.
        stream.unreadable.clear()
        assert [record.id async for record in stream] == ["1"]
        assert (len(stream.unreadable), stream.stats.unreadable) == (2, 10_002)
        assert len((await read(client.cdrs.stream(START, END, resume=error.resume_after)))[0]) == 0


@pytest.mark.slow
async def test_the_rows_of_a_saturated_instant_are_records_alone() -> None:
    rows = [good(AT, number) for number in range(60)] + [bad({"billsec": "null"}) for _ in range(60)]
    async with served(RawServer(rows)) as client:
        stream = client.cdrs.stream(START, END, page_size=100)
        with pytest.raises(WindowSaturatedError) as caught:
            async for _ in stream:
                pass
        assert 0 < len(caught.value.seen) < 100


async def test_the_error_says_which_option_there_is_and_hides_the_row() -> None:
    async with served(RawServer([bad({"billsec": "null", "src": '"+14155550100"'})])) as client:
        _, error = await read(client.cdrs.stream(START, END))
        assert 'unreadable="keep"' in str(error)
        stream = client.cdrs.stream(START, END, unreadable="keep")
        assert [record async for record in stream] == []
        assert "+14155550100" not in f"{error!r} {error} {stream.unreadable!r}"
        assert b"+14155550100" in stream.unreadable[0].body


@pytest.mark.parametrize("unreadable", ["drop", None, True])
async def test_what_becomes_of_rows_is_one_of_two_words(unreadable: Any) -> None:
    async with served(RawServer([])) as client:
        for pull in (client.cdrs.stream, client.cdrs.follow):
            with pytest.raises(ValueError, match="unreadable must be one of raise, keep"):
                pull(START, unreadable=unreadable)


# --- any mixture, with any interruption -----------------------------------------------------------------------------------

KINDS: list[dict[str, str] | None] = [None, None, {"billsec": "null"}, {"startTime": "null"}, {"src": '"\\ud83d"'}]
mixtures = st.lists(st.tuples(st.integers(0, 5400_0), st.sampled_from(KINDS), st.integers(1, 3)), max_size=8)


def mixture(chosen: list[tuple[int, dict[str, str] | None, int]]) -> tuple[list[RawRow], list[RawRow]]:
    """Return records, and rows that cannot be read; some of these have the same text, and the same start."""
    records, others = [], []
    for number, (tenths, texts, times) in enumerate(chosen):
        at = START + tenths * SECOND / 10
        if texts is None:
            records += [good(at, 10 * number + leg) for leg in range(times)]
        else:
            others += [RawRow(at, row_text(at, f"bad {number}", **texts)) for _ in range(times)]
    return records, others


@pytest.mark.slow
@settings(deadline=None)
@given(mixtures, st.sampled_from(ORDERS), st.booleans(), st.integers(1, 4), st.integers(0, 10**6))
async def test_any_mixture_comes_whole_however_often_it_is_cut_off(
    chosen: list[tuple[int, dict[str, str] | None, int]], order: Order, newest: bool, concurrency: int, seed: int
) -> None:
    records, others = mixture(chosen)
    chance = random.Random(seed)
    got: list[CallRecord] = []
    named = 0
    checkpoint: Checkpoint | None = None
    async with served(RawServer(records + others, order)) as client:
        for _ in range(200):
            keep = chance.random() < 0.5
            stream = client.cdrs.stream(
                START,
                START + 2 * HOUR,
                newest_first=newest,
                concurrency=concurrency,
                page_size=chance.choice([50, 1000]),
                unreadable="keep" if keep else "raise",
                resume=checkpoint,
            )
            most = chance.randrange(8)
            whole = False
            try:
                async with stream:
                    async for record in stream:
                        got.append(record)
                        if (most := most - 1) < 0:
                            break
                    else:
                        whole = True
            except ResponseError as error:
                named += 1
                checkpoint = error.resume_after
                continue
            named += len(stream.unreadable)
            if whole:
                break
            checkpoint = Checkpoint.from_json(stream.checkpoint.to_json())
    assert Counter(record.id for record in got) == Counter(ids(records))
    assert got == in_output_order(got, newest_first=newest)
    assert named == len(others)


def test_a_text_that_does_not_end_is_refused_in_linear_time() -> None:
    body = b'{"count": 1, "calls": [{"id": "' + b'\\"' * 500_000 + b"}]}"
    with pytest.raises(DecodeError):
        done(read_page(body, window=Window(0, 1), limit=10, decoder=PageDecoder()))


@pytest.mark.parametrize("row", [b"", b"{}", b'{"a": 1}'])
def test_twice_as_many_rows_as_a_page_has_are_taken_apart_and_no_more(row: bytes) -> None:
    """Before, 16 MB of commas took ten minutes of the event loop."""

    def body(rows: int) -> bytes:
        return b'{"count": 1, "calls": [%b]}' % b",".join([row_text(START, "1.1"), *[row] * (rows - 1)])

    page = done(read_page(body(2000), window=Window(0, 1), limit=1000, decoder=PageDecoder()))
    assert (len(page.rows), len(page.unplaced)) == (1, 1999)
    with pytest.raises(DecodeError):
        done(read_page(body(2001), window=Window(0, 1), limit=1000, decoder=PageDecoder()))


def test_a_row_with_thousands_of_fields_that_is_no_record_is_named() -> None:
    fields = b",".join(b'"%d": 1' % number for number in range(2001))
    page = done(
        read_page(b'{"count": 1, "calls": [{%b}]}' % fields, window=Window(0, 1), limit=1000, decoder=PageDecoder())
    )
    assert [each.where for each in page.unplaced] == ["calls[0].id"]


@pytest.mark.parametrize(("rows", "places"), [(b",R", [0]), (b"R,", [1]), (b"R,,R", [1]), (b" , ", [0, 1])])
def test_nothing_between_two_commas_is_a_row_that_cannot_be_read(rows: bytes, places: list[int]) -> None:
    row = row_text(START, "1.1")
    body = b'{"count": 3, "calls": [%b]}' % rows.replace(b"R", row)
    page = done(read_page(body, window=Window(0, 1), limit=10, decoder=PageDecoder()))
    assert len(page.rows) == rows.count(b"R")
    assert [(each.where, each.reason) for each in page.unplaced] == [
        (f"calls[{place}]", "expected JSON") for place in places
    ]


# --- rows that have no place, and rows with the same text ------------------------------------------------------------------


def shown_by_all(server: RawServer, *texts: bytes) -> None:
    """Have each window show rows without a start, whatever the window is."""
    rows = server.rows

    async def answer(first: datetime, _last: datetime) -> None:
        server.rows = [*rows, *(RawRow(first, text) for text in texts)]

    server.answer = answer


@pytest.mark.rest_slow
@pytest.mark.parametrize(("order", "newest", "number"), covering(ORDERS, [False, True], [1, 2]))
async def test_a_row_that_all_windows_show_is_named_once(order: Order, newest: bool, number: int) -> None:
    rows = evenly(300, START, END - START)
    server = RawServer(rows, order)
    shown_by_all(server, *[b"{}"] * number)
    async with served(server) as client:
        stream = client.cdrs.stream(START, END, newest_first=newest, unreadable="keep")
        assert [record.id async for record in stream] == ids(rows)[:: -1 if newest else 1]
        assert len(stream.unreadable) == number
    # The row is looked for down to a second, once.
    assert len(server.asked) < 100


@pytest.mark.parametrize(("order", "newest"), covering(ORDERS, [False, True], together=1))
async def test_behind_the_error_of_a_row_that_all_windows_show_all_records_come(order: Order, newest: bool) -> None:
    rows = evenly(300, START, END - START)
    server = RawServer(rows, order)
    shown_by_all(server, b"null")
    async with served(server) as client:
        got, error = await read(client.cdrs.stream(START, END, newest_first=newest))
        assert got + await rest(client, error, newest_first=newest) == ids(rows)[:: -1 if newest else 1]


@pytest.mark.slow
@pytest.mark.parametrize(("order", "newest"), covering(ORDERS, [False, True], together=1))
async def test_rows_with_the_same_text_some_seconds_apart_are_each_named(order: Order, newest: bool) -> None:
    rows = evenly(300, START, END - START)
    same = [RawRow(AT + seconds * SECOND, b"null") for seconds in (0, 7, 90, 86_400)]
    async with served(RawServer([*rows, *same], order)) as client:
        stream = client.cdrs.stream(START, END, newest_first=newest, unreadable="keep")
        assert len([record async for record in stream]) == 300
        assert len(stream.unreadable) == 4
        # Also if each of them is an error, and the rest is asked by another stream.
        got, error = await read(client.cdrs.stream(START, END, newest_first=newest))
        for _ in range(3):
            more, error = await read(client.cdrs.stream(START, END, newest_first=newest, resume=error.resume_after))
            got += more
        assert got + await rest(client, error, newest_first=newest) == ids(rows)[:: -1 if newest else 1]


@pytest.mark.rest_slow
@pytest.mark.parametrize(("order", "newest"), covering(ORDERS, [False, True], together=2))
async def test_a_row_without_a_start_is_named_wherever_a_pull_of_a_full_second_is_cut_off(
    order: Order, newest: bool
) -> None:
    records = evenly(300, AT, SECOND)
    lost = [RawRow(AT + SECOND * at, row_text(AT, f"lost {at}", startTime="null")) for at in (0.12, 0.38, 0.62, 0.88)]
    async with served(RawServer([*records, *lost], order)) as client:
        for most in range(0, 300, 23):
            got, named, proof, resume = list[str](), list[UnreadableRow](), list[Manifest](), None
            for wanted in (most, 1000):
                stream = client.cdrs.stream(
                    AT,
                    AT + SECOND,
                    newest_first=newest,
                    page_size=100,
                    concurrency=1,
                    unreadable="keep",
                    resume=resume,
                )
                async with stream:
                    while len(got) < wanted and (record := await anext(aiter(stream), None)) is not None:
                        got.append(record.id)
                named += stream.unreadable
                proof.append(Manifest.from_json(stream.manifest.to_json()))
                resume = Checkpoint.from_json(stream.checkpoint.to_json())
            whole = proof[newest] + proof[not newest]
            assert (whole.start, whole.end, whole.total.records, whole.gaps()) == (AT, AT + SECOND, 300, [])
            assert got == (ids(records)[::-1] if newest else ids(records))
            assert sorted(row.body for row in named) == [row.text for row in lost]


@pytest.mark.parametrize("newest", [False, True])
async def test_an_instant_that_has_overflowed_since_it_was_handed_out_shows_no_record_again(newest: bool) -> None:
    records = evenly(300, AT, SECOND)
    server = RawServer([*records, RawRow(AT + SECOND / 2, row_text(AT, "lost", startTime="null"))])
    options: dict[str, Any] = {"newest_first": newest, "page_size": 100, "concurrency": 1, "unreadable": "keep"}
    async with served(server) as client:
        async with client.cdrs.stream(AT, AT + SECOND, **options) as stream:
            got, again = list[str](), 0
            while again < 10:
                got.append((await anext(aiter(stream))).id)
                again = again + 1 if stream.place.since is not None else 0
        resume = Checkpoint.from_json(stream.checkpoint.to_json())
        # A record that a stream from there on asks for again.
        at = records[int(got[-5])].start
        server.rows += [good(at, 1000 + number) for number in range(100)]
        stream = client.cdrs.stream(AT, AT + SECOND, resume=resume, **options)
        errors, named = list[WindowSaturatedError](), 0
        while True:
            try:
                async with stream:
                    got += [record.id async for record in stream]
                break
            except WindowSaturatedError as error:
                errors.append(error)
                named += len(stream.unreadable)
                resume = Checkpoint.from_json(error.resume_after.to_json())
                stream = client.cdrs.stream(AT, AT + SECOND, resume=resume, **options)
        assert any(error.start <= at < error.end for error in errors)
        assert [record.id for error in errors for record in error.seen] == []
        assert got == ids(records)[:: -1 if newest else 1]
        assert named + len(stream.unreadable) == 1


@pytest.mark.rest_slow
@pytest.mark.parametrize("newest", [False, True])
async def test_a_list_that_fails_amid_a_full_second_is_read_again_whole_with_its_manifest(newest: bool) -> None:
    records = evenly(300, AT, SECOND)
    lost = [RawRow(AT + SECOND * at, row_text(AT, f"lost {at}", startTime="null")) for at in (0.22, 0.49, 0.51, 0.78)]
    server = RawServer([*records, *lost])
    answer, failed = server.answer, 0

    async def refuse(_first: datetime, _last: datetime) -> web.Response | None:
        return web.Response(status=403)

    async with served(server) as client:
        for most in range(2, 300, 15):
            server.cap = 1000
            stream = client.cdrs.stream(
                AT, AT + SECOND, newest_first=newest, page_size=100, concurrency=1, unreadable="keep"
            )
            async with stream:
                got = [(await anext(aiter(stream))).id for _ in range(most)]
                server.answer = refuse
                try:
                    got += [record.id for record in await stream.to_list()]
                except UnlimCallError:
                    failed += 1
                # What is asked again is cut into smaller parts: some lie wholly before the place.
                server.answer, server.cap = answer, 30
                got += [record.id for record in await stream.to_list()]
            manifest = Manifest.from_json(stream.manifest.to_json())
            assert got == (ids(records)[::-1] if newest else ids(records))
            assert sorted(row.body for row in stream.unreadable) == [row.text for row in lost]
            assert (manifest.start, manifest.end, manifest.total.records) == (AT, AT + SECOND, 300)
    # The others had all pages before the server refused.
    assert failed > 5
