"""The content of `FILE.checkpoint`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cli.journal import Journal, JournalError, Kept, Made
from unlimcall_async.cli.pull_formats import FORMS
from unlimcall_async.cli.sealed import sealed, unsealed

from .support import place_at

pytestmark = pytest.mark.own_rules

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
BEGUN = Journal(START, END, "csv")


@given(
    form=st.sampled_from(FORMS),
    zone=st.none() | st.sampled_from(["UTC", "Europe/Berlin"]),
    start=st.datetimes(timezones=st.just(UTC), max_value=datetime.fromisoformat("5000-01-01")),
    end=st.datetimes(timezones=st.just(UTC), min_value=datetime.fromisoformat("5000-01-01")),
    replace=st.booleans(),
    text=st.binary(min_size=1),
    records=st.integers(min_value=0),
)
def test_a_journal_comes_back_as_it_was(
    start: datetime, end: datetime, form: str, zone: str | None, replace: bool, text: bytes, records: int
) -> None:
    begun = Journal(start, end, form, replace=replace, zone=zone, till=end if replace else None)
    reached = begun.after(text, records, place_at(start))
    made = evolve(reached, complete=True, made=Made(len(text), 7))
    kept = evolve(begun, kept=Kept(end, len(text), records), length=len(text), records=records)
    for journal in (begun, reached, made, kept):
        assert Journal.from_json(journal.to_json()) == journal


# Fields that agree with the checksum, and not with each other: what an error of the program would leave.
@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"form": "ods"},
        {"length": -1},
        {"length": True},
        {"records": "0"},
        {"complete": 0},
        {"replace": None},
        {"checkpoint": {}},
        {"start": "2026-05-01T00:00:00.000"},
        {"start": "0001-01-01T00:00:00+05:00"},
        {"start": "2026-05-03T00:00:00Z"},
        {"checkpoint": None},
        {"checkpoint": None, "length": 0},
        {"checkpoint": None, "length": 0, "records": 0, "complete": True},
        {"length": 0},
        {"begin": 1},
        {"zone": 1},
        {"till": "2026-05-03T00:00:00"},
        {"kept": {"end": "2026-05-03T00:00:00Z", "length": 0, "records": 0}},
        {"kept": {"end": "2026-05-01T00:00:00Z", "length": 5, "records": 0}},
        {"kept": {"end": "2026-05-01T00:00:00Z", "length": 0, "records": 2}},
        {"made": {"length": 1, "crc32": 1}},
    ],
)
def test_what_is_no_journal_is_refused(change: Mapping[str, Any]) -> None:
    journal = unsealed(BEGUN.after(b"one\n", 1, place_at(START)).to_json())
    with pytest.raises(JournalError):
        Journal.from_json(sealed({**journal, **change}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, b"\xff", '"\ud800"', "NaN", "1" * 5000])
def test_what_has_no_checksum_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unsealed(text)
