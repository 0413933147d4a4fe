"""What is fuzzed: each reader of bytes that the package has not written, and what it promises for whatever bytes.

A target returns if its reader keeps its promise: the reader refuses the bytes by the error that it documents, or accepts them, and
what it returns agrees with a second way of reading. Every other error is a finding.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from multidict import CIMultiDict
from yarl import URL

from tests.turns import done
from tests.webhooks.oracle import NOW, OTHER_SECRET, SECRET, mac
from unlimcall_async import (
    APIError,
    CallRecord,
    CheckpointError,
    EventError,
    ResponseError,
    SignatureError,
    _codec,
    _json,
    _secrets,
    from_dict,
    to_json,
)
from unlimcall_async._pages import PageDecoder
from unlimcall_async._plain import to_json_lines
from unlimcall_async.accounts.listed import listed_in
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.checkpoint_journal import CheckpointJournal
from unlimcall_async.cdrs.page_reading import read_page, start_in
from unlimcall_async.cdrs.times import Window, to_micros
from unlimcall_async.cli import event_files, record_files, times
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.http import answers, messages, server_clock
from unlimcall_async.http.endpoints import endpoint_at
from unlimcall_async.operations import PoolStateError, event_state, pool_state
from unlimcall_async.operations.bill.columns import columns_named
from unlimcall_async.operations.bill.invoice import read_invoice
from unlimcall_async.proof import Manifest
from unlimcall_async.webhooks import parse_event, verify

TOKEN: Final = "unl_live_fuzzing0123456789abcdefghijkl"
MOMENT: Final = datetime(2026, 5, 24, tzinfo=UTC)
_WINDOW: Final = Window(to_micros(MOMENT), to_micros(MOMENT.replace(day=25)))


class BrokenError(AssertionError):
    """A reader has accepted bytes, and what it returned is wrong."""


def agree(what: str, one: object, other: object) -> None:
    if one != other:
        raise BrokenError(f"{what}: {one!r} is not {other!r}")


# --- responses of the API -----------------------------------------------------------------------------------------------


def page(content: bytes) -> None:
    """A page of call records: no row of a JSON page gets lost, and in short turns it is decoded as at once."""
    at_once, in_turns = PageDecoder().decode(content), done(PageDecoder().decode_in_turns(content, 100))
    agree("what is decoded in turns", repr(in_turns), repr(at_once))
    try:
        read = done(read_page(content, window=_WINDOW, limit=1000, decoder=PageDecoder()))
    except _codec.DecodeError as error:
        agree("a place and a reason", (bool(error.where), bool(error.reason)), (True, True))
        return
    rows = len(read.rows) + len(read.unplaced)
    with suppress(ValueError, RecursionError):
        agree("rows", rows, len(json.loads(content)["calls"] or ()))
    agree("starts", [row.start_time for row in read.rows], list(read.starts))
    for row in read.unplaced:
        agree("a start without a place", start_in(row.body), None)


def listed_page(content: bytes) -> None:
    """The same page as `cdrs.list` reads it: what it accepts, `read_page` accepts row by row."""
    try:
        found = _codec.decode_cdr_list(content, 1000, PageDecoder())
    except _codec.DecodeError:
        return
    read = done(read_page(content, window=_WINDOW, limit=1000, decoder=PageDecoder()))
    agree("rows", list(read.rows), list(found.calls))
    agree("completeness", read.complete, found.complete)
    for record in found.calls:
        agree("a record through JSON", from_dict(CallRecord, _json.read(to_json(record))), record)


def agents(content: bytes) -> None:
    """The answers with other models: they are refused with a place, or read."""
    with suppress(_codec.DecodeError):
        _codec.decode_agents(content)
    with suppress(_codec.DecodeError):
        _codec.decode_hook(content, "call.ended", "https://example.com/")


def refusal(content: bytes) -> None:
    """The response to a call that the API refuses: an error without the token, whatever the server echoes."""
    status, _, rest = content.partition(b" ")
    head, _, body = rest.partition(b"\n\n")
    body = body.replace(b"TOKEN", TOKEN.encode())
    headers = CIMultiDict(_headers(head.replace(b"TOKEN", TOKEN.encode())))
    code = int(status) if re.fullmatch(rb"[1-9][0-9]{2}", status) else 503
    request = messages.build(URL("https://example.com/api/v1"), endpoint_at("GET", "/cdrs"), "/cdrs")
    response = messages.RawResponse(code, headers, body)
    authorization = messages.Authorization(TOKEN)
    error = answers.failure_of(request, response, authorization, MOMENT)
    answers.raw_problem(request, response)
    server_clock.server_date(headers)
    shown = f"{error} {error!r} {messages.request_id_of(headers, authorization)}"
    if isinstance(error, APIError):
        shown += f" {error.detail} {error.headers} {error.body!r}"
        wait = error.retry_after
        agree("a wait that is 0 or more", wait is None or 0 <= wait <= 1e9, True)
    if TOKEN in shown:
        raise BrokenError(f"an error shows the token: {shown}")
    agree("a class of error", isinstance(error, (APIError, ResponseError, type(None))), True)


def _headers(head: bytes) -> list[tuple[str, str]]:
    """Return the headers in lines such as `Retry-After: 3`, as aiohttp decodes them."""
    lines = [line.partition(b":") for line in head.split(b"\n") if b":" in line]
    return [
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")) for name, _, value in lines
    ]


# --- deliveries -----------------------------------------------------------------------------------------------------------


def signature(content: bytes) -> None:
    """The header of a delivery, in front of its body: accepted if the header holds the code of this body, and at no other time."""
    header, _, body = content.partition(b"\n")
    text = header.decode("latin-1")
    # Without the key, no fuzzer finds a signature: it may write MAC in its place.
    stamp = re.search(r"t=([0-9]{1,12})", text)
    genuine = mac(SECRET.encode(), f"{stamp[1]}.".encode() + body) if stamp else ""
    text = text.replace("MAC", genuine)
    try:
        verify(body, text, [SECRET, OTHER_SECRET], now=NOW)
    except SignatureError as error:
        agree("a reason", error.reason in {"missing", "malformed", "mismatch", "too_old", "in_future"}, True)
    else:
        agree("a signature that holds the code of the body", bool(genuine) and genuine in text, True)
        agree("a time near now", stamp is not None and abs(int(stamp[1]) - NOW) <= 300, True)


def event(content: bytes) -> None:
    """The body of a delivery: an event that can be written as JSON, or an `EventError`."""
    try:
        read = parse_event(content)
    except EventError:
        return
    agree("a type", bool(read.type), True)
    json.loads(to_json(read))


# --- what is stored between two runs ------------------------------------------------------------------------------------------


def checkpoint(content: bytes) -> None:
    """A stored checkpoint: one that is accepted is the one that it writes."""
    try:
        read = Checkpoint.from_json(content)
    except CheckpointError:
        return
    agree("a checkpoint through JSON", Checkpoint.from_json(read.to_json()), read)


def journal(content: bytes) -> None:
    """The file of a `CheckpointFile`: a line that was cut off is left out, and all other damage is refused."""
    try:
        read, length = CheckpointJournal.from_lines(content)
    except CheckpointError:
        return
    again, same = CheckpointJournal.from_lines(content[:length])
    agree("a journal without what does not count", (again.checkpoint, same), (read.checkpoint, length))
    if read.checkpoint is not None:
        with read.storing(read.checkpoint) as entry:
            pass
        lines = content[:length] if not entry.is_base else b""
        stored, _ = CheckpointJournal.from_lines(lines + entry.text.encode() + b"\n")
        agree("a journal that goes on", stored.checkpoint, read.checkpoint)


def manifest(content: bytes) -> None:
    """A stored manifest: one that is accepted is the one that it writes, and leaves out no time."""
    try:
        read = Manifest.from_json(content)
    except ValueError:
        return
    agree("a manifest through JSON", Manifest.from_json(read.to_json()), read)
    agree("gaps", read.gaps(), [])


def states(content: bytes) -> None:
    """The states of a pool of numbers and of a reconciliation."""
    with suppress(PoolStateError):
        kept = pool_state.load(content)
        agree("a pool through JSON", len(pool_state.load(pool_state.dump(kept))), len(kept))
    with suppress(event_state.EventStateError):
        state = event_state.load(content)
        agree("a state through JSON", event_state.load(event_state.dump(state)), state)


# --- files that the command line reads ----------------------------------------------------------------------------------------


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    # The object removes the folder when the process ends.
    return tempfile.TemporaryDirectory()


def _file(name: str, content: bytes) -> Path:
    path = Path(_folder().name) / name
    path.write_bytes(content)
    return path


def records(content: bytes) -> None:
    """A file of call records, in NDJSON or CSV: what is accepted, is written again and read as the same records."""
    if content.startswith(b"PAR1"):
        return  # the reader of Parquet is Arrow's
    try:
        read = list(record_files.records_in(_file("calls", content)))
    except UnusableError as error:
        _is_shown(str(error))
        return
    if content[:1] in {b"", b"{", b"i"}:
        again = record_files.records_in(_file("again", to_json_lines(read)))
        agree("records through NDJSON", list(again), read)


def events(content: bytes) -> None:
    """A file of events, as `webhooks listen --json` writes it."""
    if content.startswith(b"SQLite format 3\0"):
        return  # the reader is SQLite
    try:
        read = event_files.events_in(_file("events", content))
    except UnusableError as error:
        _is_shown(str(error))
        return
    agree("no more events than lines", len(read) <= content.count(b"\n") + 1, True)


def invoice(content: bytes) -> None:
    """An invoice in CSV."""
    columns, _, table = content.partition(b"\n\n")
    named: Mapping[str, str] = {}
    with suppress(ValueError):
        named = columns_named(columns.decode("latin-1"))
    for each in (named, {}):
        with suppress(ValueError):
            read = read_invoice(table, columns=each)
            for line in read.lines:
                agree("a start with an offset", line.start is None or line.start.tzinfo is not None, True)


def accounts(content: bytes) -> None:
    """A file of accounts, whose errors show no token."""
    found = listed_in(_file("accounts.toml", content.replace(b"TOKEN", TOKEN.encode())))
    if isinstance(found, Exception):
        _is_shown(str(found))
        if TOKEN in str(found):
            raise BrokenError(f"an error shows the token: {found}")


def token(content: bytes) -> None:
    """A file with a token: visible ASCII, or an error that shows nothing of the file."""
    try:
        found = _secrets.decoded(content, "the file")
    except ValueError as error:
        _is_shown(str(error))
        return
    agree("visible ASCII", re.fullmatch(r"[!-~]+", found) is not None, True)


def moment(content: bytes) -> None:
    """A time as people write it."""
    text = content.decode("utf-8", "surrogateescape")
    with suppress(ValueError):
        agree("UTC", times.moment(text, now=MOMENT, zone=UTC).tzinfo, UTC)


def _is_shown(message: str) -> None:
    """Require that a message can be written to a terminal in UTF-8."""
    message.encode()


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    each.__name__: each
    for each in (
        page, listed_page, agents, refusal, signature, event, checkpoint, journal, manifest, states, records, events, invoice,
        accounts, token, moment,
    )
}  # fmt: skip
