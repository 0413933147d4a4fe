"""What a piece of time changes in a table."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.sync.diff import Change, compare
from unlimcall_async.sync.rows import Row

START = datetime(2026, 5, 1, tzinfo=UTC)


def a_row(call_id: str, duration: int = 1, cents: int | None = None, second: int = 0) -> Row:
    return (call_id, START.replace(second=second), duration, 1, *[None] * 4, cents, None, None, None, None)


# So few values that ids, legs and whole rows are often the same.
rows = st.lists(
    st.builds(a_row, st.sampled_from("ab"), st.integers(1, 2), st.sampled_from([None, 1, 2]), st.integers(0, 1)),
    max_size=8,
)


def applied(stored: list[Row], change: Change[int]) -> list[Row]:
    """The table behind a change."""
    table = dict(enumerate(stored))
    for address in change.removed:
        del table[address]
    for address, row in change.revised:
        assert (table[address][:2], table[address]) != (row[:2], row)
        assert table[address][:2] == row[:2]
        table[address] = row
    return [*table.values(), *change.inserted]


@given(stored=rows, new=rows)
def test_the_table_holds_the_new_rows_and_nothing_is_written_in_vain(stored: list[Row], new: list[Row]) -> None:
    change = compare(list(enumerate(stored)), new)
    assert Counter(applied(stored, change)) == Counter(change.behind(list(enumerate(stored)))) == Counter(new)
    assert change.unchanged == (Counter(stored) & Counter(new)).total()
    # As many pairs as there can be: none is inserted while another one with its start and id is removed.
    removed = {stored[address][:2] for address in change.removed}
    assert removed.isdisjoint(row[:2] for row in change.inserted)


@given(stored=rows, new=rows, lost=rows)
def test_of_a_doubtful_piece_no_row_that_may_be_unreadable_is_lost(
    stored: list[Row], new: list[Row], lost: list[Row]
) -> None:
    # `lost` are rows of the answer that cannot be read.
    stored = [*stored, *lost]
    change = compare(list(enumerate(stored)), new, doubtful=True)
    table = applied(stored, change)
    assert Counter(change.behind(list(enumerate(stored)))) == Counter(table)
    assert change.unchanged == (Counter(stored) & Counter(new)).total()
    assert Counter(table) >= Counter(new)
    assert not change.removed
    # Each leg has at least as many rows as before.
    assert Counter(row[:4] for row in table) >= Counter(row[:4] for row in stored)
    again = compare(list(enumerate(table)), new, doubtful=True)
    assert not [*again.inserted, *again.revised]
    # Once all rows can be read, the table is exact.
    assert Counter(applied(table, compare(list(enumerate(table)), [*new, *lost]))) == Counter([*new, *lost])


def test_a_revised_leg_keeps_its_own_place() -> None:
    stored = [(7, a_row("a", duration=1)), (8, a_row("a", duration=2))]
    change = compare(stored, [a_row("a", duration=2, cents=5), a_row("a", duration=1, cents=4)])
    assert sorted(change.revised) == [(7, a_row("a", duration=1, cents=4)), (8, a_row("a", duration=2, cents=5))]


@pytest.mark.slow
def test_many_rows_with_one_start_and_id_are_compared_at_once() -> None:
    stored = [(number, a_row("a", duration=number)) for number in range(20_000)]
    change = compare(stored, [a_row("a", duration=number, cents=1) for number in range(20_000)])
    assert len(change.revised) == 20_000
