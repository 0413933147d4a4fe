"""Which account is worked on next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.accounts.schedule import Schedule

pytestmark = pytest.mark.own_rules


def test_accounts_get_places_in_their_order() -> None:
    schedule = Schedule("abc", 2)
    assert [schedule.next(0), schedule.next(0), schedule.next(0)] == ["a", "b", None]
    assert schedule.is_wanted(0)
    schedule.done("a")
    assert schedule.next(0) == "c"
    assert not schedule.is_wanted(0)
    assert schedule.left == 2


def test_one_that_was_set_aside_waits_for_its_time_and_goes_before_new_ones() -> None:
    schedule = Schedule("abcd", 1)
    assert schedule.next(0) == "a"
    schedule.set_aside("a", 10)
    assert schedule.next(1) == "b"
    schedule.done("b")
    assert schedule.next(2) == "c"
    assert schedule.is_wanted(2)
    schedule.done("c")
    assert schedule.next(10) == "a"
    schedule.set_aside("a", 30)
    assert schedule.next(11) == "d"
    assert not schedule.is_wanted(12)
    schedule.done("d")
    # Nobody else wants the place.
    assert schedule.next(13) == "a"


def test_as_many_places_are_lent_as_there_are() -> None:
    schedule = Schedule("abcdefg", 2)
    assert [schedule.next(0) for _ in range(3)] == ["a", "b", None]
    for name in "ab":
        schedule.lend(name)
    assert [schedule.next(0) for _ in range(3)] == ["c", "d", None]
    schedule.lend("c")
    assert schedule.next(0) is None
    schedule.take_back("a")
    schedule.done("c")
    assert schedule.next(0) is None
    schedule.done("d")
    assert schedule.next(0) == "e"


def test_what_was_left_goes_before_new_ones_in_its_order() -> None:
    schedule = Schedule("abcd", 2)
    schedule.next(0), schedule.next(0)
    schedule.put_back("ab")
    assert [schedule.next(0), schedule.next(0)] == ["a", "b"]


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["done", "aside", "lend", "back", "next"]), st.integers(0, 9))),
)
def test_no_account_is_lost_or_worked_on_twice(at_once: int, steps: list[tuple[str, int]]) -> None:
    names = [f"a{number}" for number in range(8)]
    schedule, now = Schedule(names, at_once), 0.0
    under_way: list[str] = []
    done: list[str] = []
    for step, number in [*steps, *[("done", 0)] * 40]:
        now += 1
        if under_way:
            name = under_way[number % len(under_way)]
            match step:
                case "done":
                    under_way.remove(name)
                    done.append(name)
                    schedule.done(name)
                case "aside":
                    under_way.remove(name)
                    schedule.set_aside(name, now + number)
                case "lend":
                    schedule.lend(name)
                case "back":
                    schedule.take_back(name)
        while (begun := schedule.next(now)) is not None:
            assert begun not in under_way
            assert begun not in done
            under_way.append(begun)
            assert len(under_way) <= 2 * at_once
        assert schedule.under_way == set(under_way)
        assert schedule.left == len(names) - len(done)
    assert sorted(done) == names
