"""CDR responses to pages for the planner: each row that cannot be read costs that row alone.

Pure: no I/O. `_codec` reads nearly all responses. A response that it refuses is taken apart here, and each row is read by itself.

No JSON decoder takes such a response apart: a decoder refuses the whole text for half of an escaped surrogate pair, for a byte that
is not UTF-8, or for a number of 5000 digits. So the text is cut at its strings, brackets and commas alone. In UTF-8 these are
single bytes, and however deep values are nested, the cut needs no stack.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Final

from unlimcall_async._codec import DecodeError, decode, decode_cdr_page_in_turns, decode_cdr_row, parse
from unlimcall_async._pages import ROW_NAMES, PageDecoder, are_finer_than_millis
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.rows import BadRow, Row, UnplacedRow
from unlimcall_async.cdrs.times import Window, to_micros
from unlimcall_async.models import CallRecord

_STRING: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
# A string that does not end takes all of the text, else each quote in it would be tried as the beginning of another one.
_TOKEN: Final = re.compile(_STRING[:-1] + rb'(?:"|\\?\Z)|[][{},]', re.DOTALL)
# Items of a text that is taken apart: twice as many as a page has rows (reference: `GET /cdrs`, limit). A row takes some 50 us, so
# that a body of 16 MB that is all commas would hold the event loop for minutes.
_MOST_ITEMS: Final = 2000
_MEMBER: Final = re.compile(rb"(" + _STRING + rb")\s*:\s*(.*)", re.DOTALL)


def read_page(body: bytes, *, window: Window, limit: int, decoder: PageDecoder) -> Generator[None, None, Page]:
    """Return the page in the response to a CDR request with this window and `limit`, and yield between two turns of decoding.

    Raises:
        DecodeError: The response is not a page: not a JSON object with `count` and an array `calls`.
    """
    try:
        page = yield from decode_cdr_page_in_turns(body, decoder)
    except DecodeError:
        parts = _parts_of(body)
        if parts is None:
            raise
    else:
        return Page(page.records, page.starts, page.count, page.is_complete(limit), page.finer_than_millis)
    count, texts = parts
    rows: list[Row] = []
    unplaced: list[UnplacedRow] = []
    for index, text in enumerate(texts):
        row = _read_row(text, index, len(rows), window, decoder)
        if isinstance(row, (CallRecord, BadRow)):
            rows.append(row)
        else:
            unplaced.append(row)
    starts = [row.start_time for row in rows]
    complete = len(texts) < limit and count <= len(texts)
    return Page(
        rows,
        starts,
        count,
        complete,
        are_finer_than_millis(starts),
        any_bad=any(isinstance(row, BadRow) for row in rows),
        unplaced=unplaced,
        new_unplaced=unplaced,
    )


def _parts_of(body: bytes) -> tuple[int, list[bytes]] | None:
    """Return the `count` of a response and the text of each of its rows, or `None` if the response is not a page."""
    members = _members(body)
    rows = _items(members.get("calls", b""), b"[]")
    try:
        count = decode(members.get("count", b""), int)
    except DecodeError:
        return None
    return None if rows is None else (count, rows)


def _read_row(text: bytes, index: int, before: int, window: Window, decoder: PageDecoder) -> CallRecord | UnplacedRow:
    """Read the row that stands at `index` in the page of a window, behind so many rows with a start."""
    try:
        records = decode_cdr_row(text, decoder)
    except DecodeError as error:
        inside, reason = error.where.removeprefix("calls[0]"), error.reason
    else:
        if records:
            return records[0]
        # Nothing stands between two commas.
        inside, reason = "body", "expected JSON"
    members = _members(text)
    if inside == "body":
        # The text of the row is not JSON. The reason is one of its fields, unless the row is not even an object.
        broken = (name for name in ROW_NAMES if not _is_json(members.get(name, b"null")))
        inside = next((f".{name}" for name in broken), "")
    where = f"calls[{index}]{inside}"
    written = members.get("startTime", b"")
    try:
        start = decode(written, datetime)
    except DecodeError:
        hint = _time_without_offset(written)
        return UnplacedRow(where=where, reason=reason, body=text, window=window, before=before, hint=hint)
    return BadRow(where=where, reason=reason, body=text, window=window, before=before, start_time=start)


def start_in(text: bytes) -> datetime | None:
    """Return the start of a row, given the text of the row, or `None` if the start cannot be read."""
    try:
        return decode(_members(text).get("startTime", b""), datetime)
    except DecodeError:
        return None


def _time_without_offset(text: bytes) -> int | None:
    """Return a time that has no offset from UTC as if the offset were 0, in microseconds since 1970; `None` for other texts."""
    try:
        return to_micros(datetime.fromisoformat(parse(text)).replace(tzinfo=UTC))
    except (DecodeError, ValueError, TypeError):
        return None


def _is_json(text: bytes) -> bool:
    try:
        parse(text)
    except DecodeError:
        return False
    return True


# --- cutting JSON -----------------------------------------------------------------------------------------------------------


def _members(text: bytes) -> dict[str, bytes]:
    """Return the text of each value of an object, by its name. Return nothing if the text is not an object."""
    members = dict[str, bytes]()
    for item in _items(text, b"{}") or ():
        member = _MEMBER.fullmatch(item)
        if member is not None and _is_json(member[1]):
            # As in a decoder, the last of two members with one name counts.
            members[parse(member[1])] = member[2]
    return members


def _items(text: bytes, brackets: bytes) -> list[bytes] | None:
    """Return the text of each item of an array, or member of an object. Return `None` if the text is neither, or has too many."""
    text = text.strip()
    if len(text) < 2 or (text[:1], text[-1:]) != (brackets[:1], brackets[1:]):
        return None
    items = list[bytes]()
    depth, start = 0, 1
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
                if depth == 0 and token.end() < len(text):
                    return None
            case b"," if depth == 1:
                if len(items) == _MOST_ITEMS - 1:
                    return None
                items.append(text[start : token.start()].strip())
                start = token.end()
            case _:
                pass
    if depth:
        return None
    last = text[start:-1].strip()
    return [*items, last] if items or last else []
