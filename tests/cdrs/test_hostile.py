"""The planner against servers that are as hostile as its assumptions allow. `cases` runs many more, `rules` shows what for."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cdrs.cases import Choice, make_case, run_seeds, shrink
from tests.cdrs.hostile import HONEST, ORDERS, SILENT_CAPS, BrokenError, Case, Manners, Order, Row, Run
from tests.cdrs.hostile_follow import FollowCase, make_follow_case, run_follow
from tests.cdrs.hostile_pull import run
from tests.cdrs.hostile_server import Held, ServerPage
from tests.cdrs.kinds import KINDS, ON
from tests.cdrs.rules import RULES, Rule, try_without
from unlimcall_async.cdrs.times import SECOND, Range, Window

pytestmark = pytest.mark.own_rules

# Chance that Hypothesis draws, so that it can make a case that fails smaller.
CASES = st.randoms(use_true_random=False).map(make_case)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(CASES)
def test_no_record_is_lost_doubled_or_out_of_order(case: Case) -> None:
    run(case)


# Claims of pages that came before the one that proved the order, and were accepted with it.
@pytest.mark.parametrize("seed", [5_005_294, 5_008_554])
def test_what_came_before_the_proof_does_not_rest_on_it(seed: int) -> None:
    run(make_case(random.Random(seed)))


# A check whose pieces left out no row of the page, rows beside the part, and a late cap near the page size.
@pytest.mark.rest_slow
@pytest.mark.parametrize("seed", [5_000_197, 5_000_004, 5_000_344])
def test_a_silent_cap_is_found_by_its_size(seed: int) -> None:
    run(Choice((SILENT_CAPS,), surely=True).pull(seed))


# Ids get a digit more amid dense traffic: the rest of a second before the first row of a page is a hole, too.
def test_a_break_of_the_order_within_a_second_loses_nothing() -> None:
    run(Choice().pull(950_000_002_272))


def test_what_pages_that_were_cut_have_shown_of_the_bounds_is_forgotten() -> None:
    run(Choice().pull(93_000_612))


@pytest.mark.rest_slow
@pytest.mark.parametrize("order", sorted(set(ORDERS) - set(HONEST)))
def test_nothing_is_assumed_of_an_order_where_dividing_is_asked_for(order: Order) -> None:
    run(make_case(random.Random(order), order=order, seek=False))


@pytest.mark.rest_slow
@pytest.mark.parametrize("order", ORDERS)
def test_an_order_is_found_out_or_given_up(order: Order) -> None:
    run(make_case(random.Random(order), order=order, seek=True))


@pytest.mark.slow
@given(st.randoms(use_true_random=False).map(partial(make_follow_case, rated_again=True)))
def test_no_jump_of_the_clock_loses_or_doubles_a_record_of_a_follow(case: FollowCase) -> None:
    run_follow(case)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_on_breaks_no_promise(kind: str) -> None:
    shares = run_seeds(range(6), Choice((kind,), surely=True))
    assert shares.kinds[kind] == 6
    assert not (shares.failed and kind in ON), shares.failed


@given(st.integers(0, 10**6))
def test_a_kind_leaves_the_cases_that_lack_it_as_they_are(seed: int) -> None:
    some, plain = make_case(random.Random(seed), kinds=tuple(KINDS)), make_case(random.Random(seed), kinds=())
    assert some.kinds or some == plain


@given(st.integers(0, 10**6))
def test_an_order_by_id_breaks_that_of_time_once_or_twice(seed: int) -> None:
    case = make_case(random.Random(seed), kinds=("breaks",), surely=True)
    starts = [row.at for row in sorted(case.rows, key=lambda row: row.id)]
    assert sum(former > latter for former, latter in pairwise(starts)) <= 2


# Rows each second but for a gap of so many seconds, in which there are rows that the page does not show.
@pytest.mark.parametrize("falls", [False, True])
@pytest.mark.parametrize(("gap", "excused"), [(3, True), (6, False)])
def test_a_gap_is_excused_if_the_page_would_have_hardly_any_rows_there(gap: int, excused: bool, falls: bool) -> None:
    rows = [Row((second + gap * (second > 20)) * SECOND, second) for second in range(1, 41)]
    shown = [Held.of(row, 0.0, Manners()) for row in rows]
    skipped = Held.of(Row(22 * SECOND, 99), 0.0, Manners())
    page = ServerPage(shown[::-1] if falls else shown, [skipped], limit=40, counts_matches=False)
    gaps = [*page.plausible_gaps(Window(0, 100 * SECOND), 0)]
    assert gaps == ([Range(20 * SECOND, (21 + gap) * SECOND + 1)] if excused else [])


@pytest.mark.slow
def test_the_cases_are_hard() -> None:
    shares = run_seeds(range(100, 150))
    assert not shares.failed
    assert shares.had["three or more full pages"] > 25
    assert all(shares.had.values()), shares.had


def test_a_lost_record_is_noticed_and_the_case_made_smaller() -> None:
    rule = next(rule for rule in RULES if rule.name == "full page")
    caught = try_without(rule.name, range(20))
    assert caught.seed is not None
    with rule.without():
        small = shrink(make_case(random.Random(caught.seed)))
        with pytest.raises(BrokenError, match=r"lost|is not enough"):
            run(small)
    assert len(small.rows) <= 10


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_can_be_disabled(rule: Rule) -> None:
    """Or else `rules` would have to be brought up to date."""
    with rule.without():
        pass
    run(Case((Row(0, 1),), Manners(), 0, 10**6, newest_first=False, seek=True, runs=(Run(10, 1),)))
