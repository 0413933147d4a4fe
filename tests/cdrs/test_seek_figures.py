"""What a full page claims, and what the page behind it says of the claim, in figures worked out by hand from `margins`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from unlimcall_async.cdrs.planner.margins import Grain, Margins
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Claimed, Part, Question, Read, Seam, Waiting
from unlimcall_async.cdrs.planner.seek import OVERLAP, SeamCheck, check_seam, claim_of, overlap_of
from unlimcall_async.cdrs.planner.windows import with_margins
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import MILLISECOND, Range, Window, to_datetime
from unlimcall_async.models import CallRecord

pytestmark = pytest.mark.own_rules

# All times are whole milliseconds. Windows have steps of 10 ms, and the server sorts by 4 ms.
GRAIN = Grain(Margins.unknown(10 * MILLISECOND), 4 * MILLISECOND)
# Times are written in steps of 2 ms, `from` is excluded, and `till` is included.
KNOWN = Grain(
    Margins(
        10 * MILLISECOND,
        before=12 * MILLISECOND,
        behind=-10 * MILLISECOND,
        written=2 * MILLISECOND,
        shows_before=-8 * MILLISECOND,
        shows_behind=10 * MILLISECOND,
    ),
    4 * MILLISECOND,
)
# A window surely shows the rows up to a microsecond less than 3 ms before its end.
JUST = Grain(evolve(GRAIN.margins, behind=3 * MILLISECOND - 1), 4 * MILLISECOND)


def span(first: int, end: int) -> Range:
    return Range(first * MILLISECOND, end * MILLISECOND)


def window(first: int, till: int) -> Window:
    return Window(first * MILLISECOND, till * MILLISECOND)


def page_of(millis: Sequence[int], count: int = 0, *, complete: bool = False, unplaced: int = 0) -> Page:
    rows = [CallRecord(f"{each}", to_datetime(each * MILLISECOND), 1, 1) for each in millis]
    row = UnplacedRow(where="", reason="", body=b"", window=window(0, 1), before=0)
    return Page(
        rows,
        [each.start_time for each in rows],
        count or len(rows) + unplaced,
        complete=complete,
        unplaced=[row] * unplaced,
    )


# --- what a page claims -----------------------------------------------------------------------------------------------

# Forty rows, of which the last starts at 6007 ms, or with the oldest first at 3903 ms.
NEWEST, OLDEST = [*range(9907, 6006, -100)], [*range(3, 3904, 100)]
WANTED = span(0, 10_000)
ASKED = Question(Part(WANTED), WANTED, window(-3, 9998))


@pytest.mark.parametrize(
    ("descending", "to_prove", "grain", "overlap", "cut", "edge", "reach", "near"),
    [
        # The last row is in the step from 6004 ms on, so the edge is at 6012. The eighth row, at 6707, is in the step that ends at
        # 6710, and a window surely shows it that ends 10 ms behind, or 10 ms before if `till` is included.
        (True, False, GRAIN, 8, 6012, 6012, 6720, 8),
        (True, False, KNOWN, 8, 6012, 6012, 6700, 8),
        (True, False, GRAIN, 30, 6012, 6012, 8920, 30),
        # A window surely shows the row if it ends just the margin behind the row's microsecond.
        (True, False, JUST, 8, 6012, 6012, 6710, 8),
        # With one row the window reaches up to the step that ends behind the claim.
        (True, False, GRAIN, 1, 6012, 6012, 6030, 1),
        # A window from 6020 on may show rows from 6010 on, and surely shows those from 6040 on.
        (True, True, GRAIN, 8, 6040, 6012, 6720, 8),
        (True, True, GRAIN, 1, 6040, 6012, 6050, 1),
        # A window from 6000 on that excludes its bound may show rows from 6008 on, and surely shows those from 6012 on.
        (True, True, KNOWN, 8, 6012, 6012, 6700, 8),
        # The last row is in the step from 3900 ms on, so the edge is at 3896. The eighth row is at 3203.
        (False, False, GRAIN, 8, 3896, 3896, 3180, 8),
        (False, False, KNOWN, 8, 3896, 3896, 3190, 8),
        (False, False, GRAIN, 30, 3896, 3896, 980, 30),
        (False, False, GRAIN, 1, 3896, 3896, 3870, 1),
        # A window up to 3880 may show rows up to 3890, and surely shows those before 3870.
        (False, True, GRAIN, 8, 3870, 3896, 3180, 8),
        (False, True, GRAIN, 1, 3870, 3896, 3850, 1),
        # A window up to 3890 that includes its bound shows rows up to 3900, and surely those before 3900.
        (False, True, KNOWN, 8, 3896, 3896, 3190, 8),
    ],
)
def test_a_page_claims_what_lies_beyond_its_edge(
    descending: bool, to_prove: bool, grain: Grain, overlap: int, cut: int, edge: int, reach: int, near: int
) -> None:
    page = page_of(NEWEST if descending else OLDEST)
    found = claim_of(ASKED, page, 7, descending=descending, to_prove=to_prove, overlap=overlap, grain=grain)
    assert found is not None
    claimed, left, claim = found
    assert (claimed.range, left.range) == (
        (span(cut, 10_000), span(0, cut)) if descending else (span(0, cut), span(cut, 10_000))
    )
    assert (claimed.state, claim.page, claim.number, claim.window) == (Claimed(claim), page, 7, ASKED.window)
    assert claim.records == page.rows_of(claimed.range)
    seam = left.seam
    assert left.state == Waiting(Read(seam))
    assert seam == Seam(
        *(claimed, descending, reach * MILLISECOND, edge * MILLISECOND),
        near=page.keys_of(WANTED)[:near] if descending else page.keys_of(WANTED)[-near:],
        others=40 - near,
        far_end=(-3 if descending else 9998) * MILLISECOND,
        total=None,
    )


@pytest.mark.parametrize(("grain", "cut"), [(GRAIN, 3870), (KNOWN, 3900)])
def test_a_claim_that_is_to_be_proven_ends_with_a_step_of_windows(grain: Grain, cut: int) -> None:
    """The last row is in the step from 3908 ms on, so the edge is at 3904, and its step of windows begins at 3900."""
    found = claim_of(ASKED, page_of(range(9, 3910, 100)), 1, descending=False, to_prove=True, grain=grain)
    assert found is not None
    assert found[1].range == span(cut, 10_000)


def test_a_claim_that_is_to_be_proven_begins_at_its_edge_if_its_window_may_begin_lower() -> None:
    """The last row is in the step from 6016 ms on. A window from 6010 on shows rows from 6018 on, and surely from 6022 on."""
    found = claim_of(ASKED, page_of(range(9916, 6015, -100)), 1, descending=True, to_prove=True, grain=KNOWN)
    assert found is not None
    assert found[0].range == span(6024, 10_000)


@pytest.mark.parametrize("descending", [True, False])
def test_a_page_claims_eight_rows_twice_by_margins_of_whole_seconds_unless_told_otherwise(descending: bool) -> None:
    rows = [each * 1000 for each in (range(990, 590, -10) if descending else range(9, 400, 10))]
    wanted = span(0, 1_000_000)
    found = claim_of(
        Question(Part(wanted), wanted, window(0, 1)), page_of(rows), 1, descending=descending, to_prove=True
    )
    assert found is not None
    assert found[1].range == (span(0, 604_000) if descending else span(396_000, 1_000_000))
    assert found[1].seam is not None
    assert found[1].seam.reach == (672_000 if descending else 327_000) * MILLISECOND


@pytest.mark.parametrize(("descending", "beyond"), [(True, 6730), (False, 3170)])
def test_a_row_just_beyond_the_reach_is_gained_and_may_be_shown_once_more(descending: bool, beyond: int) -> None:
    rows = sorted([*(NEWEST if descending else OLDEST), beyond], reverse=descending)
    found = claim_of(ASKED, page_of(rows), 1, descending=descending, to_prove=False, grain=GRAIN)
    assert found is not None
    assert found[1].seam is not None
    assert (len(found[1].seam.near), found[1].seam.others) == (9, 32)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(("count", "total"), [(39, None), (40, None), (41, 41)])
def test_a_page_tells_how_many_rows_its_window_holds_if_it_counts_more_than_came(
    descending: bool, count: int, total: int | None
) -> None:
    page = page_of(NEWEST if descending else OLDEST, count)
    found = claim_of(ASKED, page, 1, descending=descending, to_prove=False, grain=GRAIN)
    assert found is not None
    assert found[1].seam is not None
    assert found[1].seam.total == total


@pytest.mark.parametrize(("overlap", "gains"), [(30, True), (31, False), (40, False), (41, False)])
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_must_gain_a_quarter_of_its_rows(descending: bool, overlap: int, gains: bool) -> None:
    page = page_of(NEWEST if descending else OLDEST)
    found = claim_of(ASKED, page, 1, descending=descending, to_prove=False, overlap=overlap, grain=GRAIN)
    assert (found is not None) is gains


@pytest.mark.parametrize("descending", [True, False])
def test_a_row_just_beyond_the_reach_counts_for_the_quarter_when_the_newest_come_first(descending: bool) -> None:
    """Of forty rows nine lie beyond that one."""
    beyond = 8930 if descending else 970
    rows = [*NEWEST[:9], beyond, *NEWEST[10:]] if descending else [*OLDEST[:9], beyond, *OLDEST[10:]]
    found = claim_of(ASKED, page_of(rows), 1, descending=descending, to_prove=False, overlap=30, grain=GRAIN)
    assert (found is not None) is descending


@pytest.mark.parametrize(
    ("descending", "wanted", "claims"),
    [
        (True, span(6011, 10_000), True),
        (True, span(6012, 10_000), False),
        (True, span(0, 6013), True),
        (True, span(0, 6012), False),
        (False, span(0, 3897), True),
        (False, span(0, 3896), False),
        (False, span(3895, 10_000), True),
        (False, span(3896, 10_000), False),
    ],
)
def test_a_claim_and_what_is_left_have_a_length(descending: bool, wanted: Range, claims: bool) -> None:
    page = page_of(NEWEST if descending else OLDEST)
    question = Question(Part(wanted), wanted, window(-3, 9998))
    found = claim_of(question, page, 1, descending=descending, to_prove=False, grain=GRAIN)
    assert (found is not None) is claims


# --- how many rows the next page repeats ------------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(
    ("rows", "left", "overlap"),
    [(401, 339, 50), (401, 341, 8), (40, 0, 8), (72, 0, 9), (72, -1, 9), (512, 0, 64), (520, 0, 64)],
)
def test_a_step_that_is_expected_to_fill_less_than_a_page_repeats_more(
    descending: bool, rows: int, left: int, overlap: int
) -> None:
    """A row each millisecond, from the second on."""
    page = page_of(range(1000, 1000 + rows))
    wanted = span(1000 - left, 5000) if descending else span(0, 999 + rows + left)
    assert overlap_of(page, wanted, descending=descending) == overlap


def test_a_step_of_just_that_share_of_a_page_repeats_no_more() -> None:
    page = page_of(range(1000, 1401))
    assert overlap_of(page, span(660, 5000), descending=True) == OVERLAP


@pytest.mark.parametrize("descending", [True, False])
def test_a_page_whose_starts_cannot_be_read_tells_nothing_of_the_next_step(descending: bool) -> None:
    assert overlap_of(page_of([], unplaced=400), span(1, 2), descending=descending) == OVERLAP


# --- what the next page says of the claim -----------------------------------------------------------------------------

# A window surely shows the rows from 3 ms behind its start on, and up to 2 ms before its end.
SEAM_GRAIN = Grain(evolve(GRAIN.margins, before=3 * MILLISECOND, behind=2 * MILLISECOND), 4 * MILLISECOND)
# With the newest first the page claims all rows from 96 ms on, and the next window shows those up to 180 ms.
NEAR = [88, *range(100, 191, 10)]
DESCENDING = Seam(
    *(Part(WANTED), True, 182 * MILLISECOND, 96 * MILLISECOND, page_of(NEAR[::-1]).keys_of(WANTED)),
    others=5,
    far_end=0,
    total=None,
)
# With the oldest first the page claims all rows before 174 ms, and the next window shows those from 100 ms on.
NEAR_ASCENDING = [*range(80, 171, 10), 181]
ASCENDING = Seam(
    *(Part(WANTED), False, 97 * MILLISECOND, 174 * MILLISECOND, page_of(NEAR_ASCENDING).keys_of(WANTED)),
    others=5,
    far_end=300 * MILLISECOND,
    total=None,
)
AGREES, UNSURE, REFUTES = SeamCheck.AGREES, SeamCheck.UNSURE, SeamCheck.REFUTES


def verdict(
    *,
    descending: bool,
    lacks: Sequence[int] = (),
    more: Sequence[int] = (),
    count: int = 0,
    complete: bool = True,
    **rest: int,
) -> tuple[SeamCheck, int]:
    """Return what is said by a page that repeats the rows of the seam, but for some, and has some more."""
    seam, near = (DESCENDING, NEAR) if descending else (ASCENDING, NEAR_ASCENDING)
    first, till = rest.get("first", 0 if descending else 97), rest.get("till", 182 if descending else 300)
    rows = sorted([*(each for each in near if each not in lacks), *more], reverse=descending)
    page = page_of(rows, count, complete=complete)
    return check_seam(
        evolve(seam, total=rest.get("total")), window(first, till), page, complete=complete, grain=SEAM_GRAIN
    )


@pytest.mark.parametrize(
    ("descending", "changed", "says", "repeated"),
    [
        (True, {}, AGREES, 11),
        (True, {"lacks": [170]}, REFUTES, 10),
        (True, {"lacks": [88]}, REFUTES, 10),
        (True, {"lacks": [180]}, AGREES, 10),
        (True, {"lacks": [180, 190]}, AGREES, 9),
        # The window begins at 85 ms, and shows 88 ms, or later.
        (True, {"lacks": [88], "first": 85}, REFUTES, 10),
        (True, {"lacks": [88], "first": 86}, AGREES, 10),
        # Its end at 173 ms leaves eight rows, or nine with that at 170.
        (True, {"lacks": [170], "till": 172}, AGREES, 10),
        (True, {"lacks": [170], "till": 173}, REFUTES, 10),
        (True, {"till": 162, "first": 98}, UNSURE, 11),
        (True, {"till": 173, "first": 97}, AGREES, 11),
        (True, {"till": 172, "first": 97}, UNSURE, 11),
        (True, {"more": [95]}, AGREES, 11),
        (True, {"more": [96]}, UNSURE, 11),
        (True, {"more": [179]}, UNSURE, 11),
        (True, {"more": [180]}, AGREES, 11),
        (True, {"more": [100]}, UNSURE, 11),
        (True, {"more": [10]}, AGREES, 11),
        # A window that reaches farther overlaps no more.
        (True, {"lacks": [180], "till": 190}, AGREES, 10),
        (False, {"more": [97], "first": 90}, AGREES, 11),
        (False, {}, AGREES, 11),
        (False, {"lacks": [100]}, REFUTES, 10),
        (False, {"lacks": [90]}, AGREES, 10),
        (False, {"lacks": [80, 90]}, AGREES, 9),
        (False, {"lacks": [181]}, REFUTES, 10),
        (False, {"lacks": [181], "till": 184}, REFUTES, 10),
        (False, {"lacks": [181], "till": 183}, AGREES, 10),
        (False, {"lacks": [100], "first": 98}, AGREES, 10),
        (False, {"first": 98, "till": 183}, UNSURE, 11),
        (False, {"first": 98, "till": 184}, AGREES, 11),
        (False, {"more": [99]}, AGREES, 11),
        (False, {"more": [101]}, UNSURE, 11),
        (False, {"more": [173]}, UNSURE, 11),
        (False, {"more": [174]}, AGREES, 11),
        (False, {"more": [290]}, AGREES, 11),
    ],
)
def test_a_complete_page_must_repeat_what_both_windows_show(
    descending: bool, changed: dict[str, Any], says: SeamCheck, repeated: int
) -> None:
    assert verdict(descending=descending, **changed) == (says, repeated)


@pytest.mark.parametrize(
    ("descending", "page", "says", "repeated"),
    [
        # The last row at 95 ms is in the step from 92 ms on: all rows from 100 ms on are surely there.
        (True, [*range(190, 99, -10), 95], AGREES, 10),
        (True, [*range(190, 109, -10), 95], REFUTES, 9),
        (True, [190, *range(170, 99, -10), 95], AGREES, 9),
        (True, [*range(190, 99, -10), 96], UNSURE, 10),
        (True, [*range(190, 109, -10), 96], UNSURE, 9),
        (True, [*range(190, 99, -10)], UNSURE, 10),
        (True, [], UNSURE, 0),
        # The last row at 180 ms is in the step from 180 ms on: all rows before 176 ms are surely there.
        (False, [*range(80, 181, 10)], AGREES, 10),
        (False, [*range(80, 161, 10), 180], REFUTES, 9),
        (False, [*range(80, 161, 10), 175], UNSURE, 9),
        (False, [*range(80, 161, 10), 176], REFUTES, 9),
        (False, [*range(80, 171, 10)], UNSURE, 10),
        (False, [], UNSURE, 0),
    ],
)
def test_a_full_page_must_repeat_them_up_to_the_edge_behind_its_last_row(
    descending: bool, page: list[int], says: SeamCheck, repeated: int
) -> None:
    seam, asked = (DESCENDING, window(0, 182)) if descending else (ASCENDING, window(97, 300))
    assert check_seam(seam, asked, page_of(page, unplaced=9), complete=False, grain=SEAM_GRAIN) == (says, repeated)


@pytest.mark.parametrize("descending", [True, False])
def test_a_page_that_comes_once_the_server_is_known_to_sort_finely_repeats_what_a_coarser_claim_shows(
    descending: bool,
) -> None:
    """Calls start in bursts each ten seconds. The page ends within one, and its claim by whole seconds begins behind it."""
    burst, others = [*range(60_000, 60_020)], [70_000 if descending else 50_000] * 20
    shown = burst[10:] if descending else burst[:10]
    wanted = span(0, 100_000)
    first = page_of(sorted([*shown, *others], reverse=descending))
    found = claim_of(
        Question(Part(wanted), wanted, window(-2000, 101_000)), first, 1, descending=descending, to_prove=True
    )
    assert found is not None
    left = found[1]
    assert left.seam is not None
    second = page_of(sorted([*burst, 50_000 if descending else 70_000], reverse=descending))
    asked = with_margins(left.range, left.seam, margins=GRAIN.margins)
    assert check_seam(left.seam, asked, second, complete=False, grain=GRAIN) == (AGREES, 10)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        # Eleven rows of the next page, and five of the first page alone.
        ({"total": 16}, AGREES),
        ({"total": 17}, UNSURE),
        ({"total": 17, "more": [250]}, AGREES),
        ({"total": 18, "more": [250]}, UNSURE),
        # Of the eleven rows ten are repeated, and one row more is counted.
        ({"total": 18, "count": 12, "complete": False}, AGREES),
        ({"total": 19, "count": 12, "complete": False}, UNSURE),
        ({"total": 19, "count": 11, "complete": False}, AGREES),
    ],
)
def test_totals_that_leave_rows_to_neither_page_put_the_claim_in_doubt(
    descending: bool, changed: dict[str, Any], says: SeamCheck
) -> None:
    if not changed.get("complete", True):
        # A last row that leaves eight rows within the edge behind it.
        changed = changed | {"lacks": [88] if descending else [80], "more": [89] if descending else [185]}
    if descending and "more" in changed:
        changed = changed | {"more": [each - 200 if each > 200 else each for each in changed["more"]]}
    assert verdict(descending=descending, **changed)[0] is says


@pytest.mark.parametrize(
    ("descending", "lacks", "changed"),
    [(True, 180, {"first": 0}), (True, 190, {"first": -1}), (False, 90, {"till": 300}), (False, 80, {"till": 301})],
)
def test_a_row_beside_the_overlap_that_the_next_page_lacks_is_not_left_to_neither(
    descending: bool, lacks: int, changed: dict[str, Any]
) -> None:
    assert verdict(descending=descending, lacks=[lacks], total=16, **changed) == (AGREES, 10)
    assert verdict(descending=descending, lacks=[lacks], total=17, **changed) == (UNSURE, 10)


@pytest.mark.parametrize(("descending", "changed"), [(True, {"first": 1}), (False, {"till": 299})])
def test_totals_of_a_window_that_reaches_less_far_tell_nothing(descending: bool, changed: dict[str, Any]) -> None:
    assert verdict(descending=descending, total=99, **changed)[0] is AGREES


def test_margins_of_whole_seconds_count_unless_told_otherwise() -> None:
    near = [*range(1000, 11_000, 1000)]
    seam = Seam(Part(WANTED), True, 10_000_000, 1_000_000, page_of(near[::-1]).keys_of(span(0, 11_000)), 0, 0, None)
    for till, says in ((9000, UNSURE), (9001, AGREES)):
        window_of_all = window(-2000, till)
        assert check_seam(seam, window_of_all, page_of(near[: till // 1000]), complete=True)[0] is says
