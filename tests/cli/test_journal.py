"""The content of `FILE.checkpoint`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.cli.journal import Journal, JournalError
from unlimcall_async.cli.output import UnusableError
from unlimcall_async.cli.pull_file import PullFile

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)


@given(
    st.builds(
        Journal,
        start=st.datetimes(timezones=st.just(UTC)),
        end=st.datetimes(timezones=st.just(UTC)),
        form=st.sampled_from(["csv", "ndjson"]),
        length=st.integers(min_value=0),
        records=st.integers(min_value=0),
        complete=st.booleans(),
    )
)
def test_a_journal_comes_back_as_it_was(journal: Journal) -> None:
    assert Journal.from_json(journal.to_json()) == journal


SOUND = Journal(START, END, "csv").to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        SOUND.replace('"version": 1', '"version": 2'),
        SOUND.replace('"csv"', '"xlsx"'),
        SOUND.replace('"length": 0', '"length": -1'),
        SOUND.replace('"length": 0', '"length": true'),
        SOUND.replace('"records": 0', '"records": "0"'),
        SOUND.replace('"complete": false', '"complete": 0'),
        SOUND.replace('"checkpoint": null', '"checkpoint": {}'),
        SOUND.replace("000Z", "000"),
        SOUND.replace('"start"', '"begin"'),
    ],
)
def test_what_is_no_journal_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(JournalError):
        Journal.from_json(text)
    (tmp_path / "calls.ndjson.checkpoint").write_text(text)
    with (
        PullFile(tmp_path / "calls.ndjson") as file,
        pytest.raises(UnusableError, match="is not what a pull of this release leaves"),
    ):
        file.stored()


def test_a_complete_journal_says_so() -> None:
    journal = attrs.evolve(Journal(START, END, "csv"), complete=True)
    assert Journal.from_json(journal.to_json()).complete
