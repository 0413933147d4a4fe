"""A server that gives fewer rows than were asked for is found out by `count`, or by sizes that stand out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import page_of, record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.page_cap import PageCap
from unlimcall_async.cdrs.planner.parts import Part, Question
from unlimcall_async.cdrs.planner.tasks import Recheck
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.times import SECOND, Range

LIMIT = 1000
WANTED = Range(0, 1000 * SECOND)
QUESTION = Question(Part(WANTED), WANTED, with_margins(WANTED))


def rows(count: int, first: int = 0) -> list[CallRecord]:
    return [record((first + number) * SECOND, first + number) for number in range(count)]


def page(count: int, *, complete: bool = True) -> Page:
    return page_of(rows(count), complete=complete)


# --- sizes ----------------------------------------------------------------------------------------------------------------


def test_a_full_page_below_the_limit_shows_the_cap() -> None:
    cap = PageCap(LIMIT)
    assert not cap.holds_window(page(300, complete=False))
    assert (cap.rows, cap.found) == (300, 1)
    assert cap.holds_window(page(299))
    assert not cap.holds_window(page(300))


def test_a_full_page_of_the_limit_shows_no_cap() -> None:
    cap = PageCap(LIMIT)
    assert not cap.holds_window(page(LIMIT, complete=False))
    assert cap.rows is None


def test_a_larger_page_lifts_the_cap() -> None:
    cap = PageCap(LIMIT)
    cap.holds_window(page(300, complete=False))
    assert cap.holds_window(page(301))
    assert cap.rows is None


@pytest.mark.parametrize(
    ("sizes", "last_stands_out"),
    [
        ([50], True),
        ([0], False),
        ([37], False),
        ([37, 37], True),
        ([37, 38, 37], False),
        ([60, 50], False),
        ([37, 37, 100], True),
    ],
    ids=[
        "round",
        "none",
        "any",
        "again",
        "again but not the largest",
        "round but not the largest",
        "round and largest",
    ],
)
def test_the_largest_size_stands_out_if_it_is_round_or_comes_again(sizes: list[int], last_stands_out: bool) -> None:
    cap = PageCap(LIMIT)
    assert [cap.stands_out(page(size)) for size in sizes][-1] is last_stands_out


# --- probes ---------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 999), min_size=1, max_size=30),
    st.sampled_from([None, True, False]),
    st.integers(0, 500),
    st.integers(1, 500),
)
def test_a_probe_asks_a_piece_that_is_smaller_than_the_part(
    seconds: list[int], descending: bool | None, start: int, length: int
) -> None:
    wanted = Range(start * SECOND, (start + length) * SECOND)
    question = Question(Part(wanted), wanted, with_margins(wanted))
    came = page_of([record(second * SECOND, number) for number, second in enumerate(seconds)], complete=True)
    probe = PageCap(LIMIT).probe_of(question, came, descending=descending)
    if probe is not None:
        assert wanted.start <= probe.piece.start < probe.piece.end <= wanted.end
        assert probe.piece != wanted
        assert probe.records == came.rows_of(wanted)
        assert probe.rows == len(seconds)


@pytest.mark.parametrize(
    ("descending", "piece"),
    [
        (None, Range(0, 450 * SECOND)),
        (True, Range(0, 403 * SECOND)),
        (False, Range(496 * SECOND, 1000 * SECOND)),
    ],
)
def test_a_probe_looks_where_a_cap_leaves_rows_out(descending: bool | None, piece: Range) -> None:
    probe = PageCap(LIMIT).probe_of(QUESTION, page_of(rows(100, 400), complete=True), descending=descending)
    assert probe is not None
    assert probe.piece == piece


def settle(came: list[CallRecord], *, complete: bool = True) -> tuple[PageCap, Recheck | None]:
    """Return what a probe of a page of a hundred rows, of which its piece has fifty, leaves to be asked."""
    cap = PageCap(LIMIT)
    assert cap.stands_out(page(100))
    probe = cap.probe_of(QUESTION, page(100), descending=None)
    assert probe is not None
    return cap, cap.settle(probe, page_of(came, complete=complete), complete=complete)


def test_a_piece_without_new_rows_clears_the_size_for_good() -> None:
    cap, recheck = settle(rows(50))
    assert recheck is None
    assert not cap.stands_out(page(100))


def test_new_rows_in_a_piece_have_the_whole_asked_again() -> None:
    _, recheck = settle([*rows(50), record(7 * SECOND, 777), record(8 * SECOND, 888)])
    assert recheck == Recheck(100, 102)


def test_a_full_piece_has_the_whole_asked_again() -> None:
    _, recheck = settle(rows(50), complete=False)
    assert recheck == Recheck(100, 100)


@pytest.mark.parametrize(
    ("size", "known", "found"), [(100, 102, True), (102, 102, False), (99, 102, False), (100, 100, False)]
)
def test_the_same_size_of_a_window_that_holds_more_is_the_cap(size: int, known: int, found: bool) -> None:
    cap = PageCap(LIMIT)
    assert cap.confirm(Recheck(100, known), page(size)) is found
    assert (cap.rows, cap.found) == ((100, 1) if found else (None, 0))
    assert not cap.stands_out(page(100)), "a size is checked once"
