"""Marks of rows that a follow has handed out: which rows are new, have changed or are gone by them, and how marks are stored."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.cdrs.simulated import record
from unlimcall_async import CallRecord
from unlimcall_async.cdrs import marks as module
from unlimcall_async.cdrs.checkpoint import LEG_BYTES
from unlimcall_async.cdrs.follow_checkpoint import HELD_BYTES, KEY_BYTES, NAMED
from unlimcall_async.cdrs.legs import contents_of, digest, leg_of
from unlimcall_async.cdrs.marks import Found, Marks, Removed, Revised, key_of, name_of
from unlimcall_async.cdrs.rows import BadRow
from unlimcall_async.cdrs.times import Range, Window, to_datetime

pytestmark = pytest.mark.own_rules

ONE, TWO = record(5, 1, src="a"), record(7, 2, src="b")
# Another leg of the first call, and two contents that each may get.
LEG = evolve(ONE, src="c", billsec=9)
PRICED, REPRICED = evolve(ONE, sell_price_cents=7), evolve(ONE, sell_price_cents=8)
GONE = 0x8000


def bad(text: str, at: int = 5) -> BadRow:
    window = Window(0, 9)
    return BadRow(where="", reason="", body=text.encode(), window=window, before=0, start_time=to_datetime(at))


def held(row: CallRecord, state: int = 0) -> bytes:
    """Return what is held of a mark: the contents, and the state."""
    return contents_of(row) + state.to_bytes(2, "big")


def passed(row: CallRecord) -> int:
    """Return the state of a mark behind which a record with these contents was passed over."""
    return 1 + int.from_bytes(contents_of(row)[LEG_BYTES - 2 :], "big") % (GONE - 1)


def marks_of(*rows: CallRecord | BadRow) -> Marks:
    marks = Marks()
    for row in rows:
        marks.add(row)
    return marks


def short_marks_of(*rows: CallRecord) -> Marks:
    """Return marks as an earlier release has stored them."""
    return Marks(b"".join(key_of(row) + leg_of(row) for row in rows))


def states_of(marks: Marks) -> list[tuple[int, str, bytes]]:
    """Return the start, the id, and what is held, of each named mark that is packed."""
    _, named, ids = marks.packed
    return [(start, call_id, each) for (start, each), call_id in zip(NAMED.iter_unpack(named), ids, strict=True)]


def pass_over(marks: Marks, found: list[Found]) -> None:
    for change in found:
        assert isinstance(change, (Revised, Removed))
        marks.settle(change, handed_out=False)


def hand_out(marks: Marks, found: list[Found]) -> None:
    for change in found:
        if isinstance(change, CallRecord):
            marks.add(change)
        else:
            marks.settle(change, handed_out=True)


# --- how they are stored --------------------------------------------------------------------------------------------------


def test_a_mark_is_stored_by_its_name_or_by_a_digest_of_it() -> None:
    assert (len(Marks()), Marks().packed) == (0, (b"", b"", ()))
    marks = marks_of(ONE, bad("x"), TWO)
    assert len(marks) == 3
    assert marks.packed[0] == key_of(bad("x")) + leg_of(bad("x"))
    assert states_of(marks) == [(5, "1", held(ONE)), (7, "2", held(TWO))]
    assert all(each is again for each, again in zip(marks.packed, marks.packed, strict=True))
    marks.add(bad("y"))
    marks.add(LEG)
    assert marks.packed[0] == b"".join(key_of(row) + leg_of(row) for row in (bad("x"), bad("y")))
    assert states_of(marks) == [(5, "1", held(ONE)), (7, "2", held(TWO)), (5, "1", held(LEG))]
    assert (name_of(ONE), len(marks)) == ((5, "1"), 5)


def test_the_keys_of_rows_differ_by_start_by_id_and_by_whether_they_can_be_read() -> None:
    named = record(5, 1)
    rows: list[CallRecord | BadRow] = [
        *(named, record(6, 1), record(5, 2), bad("x"), evolve(named, id=digest(bad("x"))))
    ]
    assert len({key_of(row) for row in rows}) == 5
    assert key_of(named) == key_of(evolve(named, billsec=9))
    assert {len(key_of(row)) for row in rows} == {KEY_BYTES}
    # Checkpoints hold them.
    assert [key_of(row).hex() for row in (named, bad("x"))] == ["f6e35177c1821103", "780b0ae244e760af"]


def test_what_has_changed_is_stored_behind_the_rest() -> None:
    marks = marks_of(ONE, LEG, TWO, bad("x"))
    hand_out(marks, marks.compare([PRICED, LEG], owed=True))
    assert states_of(marks) == [(7, "2", held(TWO)), (5, "1", held(LEG)), (5, "1", held(PRICED))]
    assert marks.packed[0] == key_of(bad("x")) + leg_of(bad("x"))
    assert all(each is again for each, again in zip(marks.packed, marks.packed, strict=True))
    marks.add(record(9, 3))
    marks.add(bad("x"))
    assert [each[1] for each in states_of(marks)] == ["2", "1", "1", "3"]
    hand_out(marks, marks.compare([evolve(TWO, duration=4)], owed=True))
    assert [each[1] for each in states_of(marks)] == ["1", "1", "3", "2"]
    assert marks.packed[0] == 2 * (key_of(bad("x")) + leg_of(bad("x")))
    assert len(marks) == 6


@pytest.mark.parametrize("piece", [1, 2, 3, 20_000])
def test_stored_marks_are_indexed_piece_by_piece(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", piece)
    whole = marks_of(ONE, LEG, TWO, bad("x"), bad("x"), bad("y")).packed
    marks = Marks(*whole)
    assert len(marks) == 6
    assert len([*marks.index()]) == 2 * -(-3 // piece)
    assert [*marks.index()] == []
    assert all(each is stored for each, stored in zip(marks.packed, whole, strict=True))
    for known in (marks, Marks(*whole)):
        assert known.compare([ONE, LEG], owed=True) == known.compare([TWO], owed=True) == []
        assert known.new_bad([bad("x")] * 3) == [bad("x")]
        assert known.new_bad([bad("y")]) == []
    changed = Marks(*whole)
    hand_out(changed, changed.compare([ONE, LEG], owed=True))
    hand_out(changed, [*changed.absent(Range(7, 8), set(), owed=True)])
    assert changed.packed == (whole[0], whole[1][: 2 * NAMED.size], ("1", "1"))


@pytest.mark.parametrize("ids", [("1",), ("1", "2", "3")])
def test_stored_marks_with_fewer_or_more_ids_are_refused(ids: tuple[str, ...]) -> None:
    _, named, _ = marks_of(ONE, TWO).packed
    with pytest.raises(ValueError, match="zip"):
        list(Marks(b"", named, ids).index())


def test_bad_rows_are_new_beyond_those_that_were_handed_out() -> None:
    assert marks_of(bad("x")).new_bad([bad("y"), bad("y")]) == [bad("y"), bad("y")]
    assert marks_of(bad("x"), bad("x"), ONE).new_bad([bad("x")] * 3) == [bad("x")]


# --- what came ------------------------------------------------------------------------------------------------------------


def test_rows_with_another_start_or_id_are_new() -> None:
    marks = marks_of(ONE)
    for row in (record(6, 1), record(5, 3)):
        assert marks.compare([row, row], owed=True) == [row, row]
    assert short_marks_of(ONE).compare([TWO], owed=True) == [TWO]


@pytest.mark.parametrize("owed", [True, False])
def test_rows_that_are_as_they_were_are_neither_new_nor_changed(owed: bool) -> None:
    for marks in (marks_of(ONE, LEG), marks_of(LEG, ONE)):
        for _ in range(2):
            assert marks.compare([LEG, ONE], owed=owed) == []
        more = marks.compare([LEG, ONE, evolve(ONE, src="d")], owed=owed)
        assert more == [evolve(ONE, src="d")]
    assert marks_of(ONE).compare([ONE, ONE], owed=owed) == [ONE]


def test_a_row_with_a_field_that_the_api_has_added_is_compared_each_time() -> None:
    """A number that JSON cannot hold on eight bytes is compared, too."""
    row = evolve(ONE, extra={"n": 1 << 80})
    marks = marks_of(row)
    for _ in range(2):
        assert marks.compare([row], owed=True) == []
        assert marks.compare([evolve(row, extra={"n": 2 << 80})], owed=True) != []


@pytest.mark.parametrize("owed", [True, False])
def test_a_row_with_other_contents_has_changed_until_that_is_handed_out(owed: bool) -> None:
    marks = marks_of(ONE)
    assert marks.compare([ONE], owed=owed) == []
    (change,) = found = marks.compare([PRICED], owed=owed)
    assert change == Revised(PRICED, held(ONE)) == Revised(PRICED, held(ONE), is_counted=False)
    assert isinstance(change, Revised)
    assert change.name == (5, "1")
    assert marks.compare([PRICED], owed=owed) == found
    hand_out(marks, found)
    assert (marks.compare([PRICED], owed=owed), len(marks)) == ([], 1)
    assert marks.compare([ONE], owed=owed) == [Revised(ONE, held(PRICED))]
    # A record that has nothing in common with the one that was handed out may be the same one.
    other = evolve(TWO, id="1", start_time=ONE.start_time, duration=5)
    assert marks.compare([other], owed=owed) == [Revised(other, held(PRICED))]


def test_rows_that_were_as_they_were_are_compared_anew_once_a_mark_has_changed() -> None:
    marks = marks_of(ONE)
    assert marks.compare([ONE], owed=True) == []
    marks.add(LEG)
    assert marks.compare([ONE], owed=True) == [Removed((5, "1"), held(LEG))]
    marks = marks_of(ONE)
    assert marks.compare([ONE], owed=True) == []
    hand_out(marks, marks.compare([PRICED], owed=True))
    assert marks.compare([ONE], owed=True) == [Revised(ONE, held(PRICED))]


def test_a_change_that_is_passed_over_is_counted_once_and_owed() -> None:
    marks = marks_of(ONE)
    assert marks.compare([ONE], owed=False) == []
    pass_over(marks, marks.compare([PRICED], owed=False))
    was = held(ONE, passed(PRICED))
    assert states_of(marks) == [(5, "1", was)]
    before = marks.packed
    assert marks.compare([PRICED], owed=False) == []
    assert all(each is again for each, again in zip(before, marks.packed, strict=True))
    assert marks.compare([PRICED], owed=True) == [Revised(PRICED, was, is_counted=True)]
    assert marks.compare([REPRICED], owed=False) == [Revised(REPRICED, was)]
    # What comes back to the contents that were handed out has changed once more, but nothing of that is owed.
    assert marks.compare([ONE], owed=False) == [Revised(ONE, was)]
    assert marks.compare([ONE], owed=True) == []
    assert states_of(marks) == [(5, "1", held(ONE))]


def test_what_is_passed_over_back_to_the_first_contents_is_as_it_was_handed_out() -> None:
    marks = marks_of(ONE)
    pass_over(marks, marks.compare([PRICED], owed=False))
    pass_over(marks, marks.compare([ONE], owed=False))
    assert states_of(marks) == [(5, "1", held(ONE))]
    assert marks.compare([ONE], owed=False) == []


@pytest.mark.parametrize("owed", [True, False])
def test_legs_that_do_not_come_are_gone(owed: bool) -> None:
    marks = marks_of(ONE, LEG, TWO)
    found = marks.compare([LEG], owed=owed)
    assert found == [Removed((5, "1"), held(ONE))] == [Removed((5, "1"), held(ONE), is_counted=False)]
    pass_over(marks, found)
    was = held(ONE, GONE)
    assert len(marks) == 3
    assert marks.compare([LEG], owed=True) == [Removed((5, "1"), was, is_counted=True)]
    assert marks.compare([LEG], owed=False) == []
    hand_out(marks, marks.compare([LEG], owed=True))
    assert (marks.compare([LEG], owed=True), len(marks)) == ([], 2)


def test_a_leg_that_was_passed_over_as_gone_is_back_if_it_is_as_it_was() -> None:
    for owed in (True, False):
        marks = marks_of(ONE, LEG)
        pass_over(marks, marks.compare([LEG], owed=False))
        assert marks.compare([ONE, LEG], owed=owed) == []
        assert sorted(each[2] for each in states_of(marks)) == sorted((held(LEG), held(ONE)))


def test_beside_a_leg_that_is_gone_a_new_one_comes_at_once() -> None:
    """Its fields do not show which of the two it is: one that hands changes out takes it for the one that is gone."""
    other = evolve(ONE, src="z", billsec=4)
    marks = marks_of(ONE, LEG)
    pass_over(marks, marks.compare([LEG], owed=False))
    assert marks.compare([LEG, other], owed=False) == [other]
    assert marks.compare([LEG, other], owed=True) == [Revised(other, held(ONE, GONE))]


def test_a_leg_that_is_gone_and_back_with_a_change_that_was_counted_is_counted_once() -> None:
    marks = marks_of(ONE, LEG)
    pass_over(marks, marks.compare([PRICED, LEG], owed=False))
    pass_over(marks, marks.compare([LEG], owed=False))
    assert (5, "1", held(ONE, passed(PRICED) | GONE)) in states_of(marks)
    assert marks.compare([PRICED, LEG], owed=False) == []
    assert (5, "1", held(ONE, passed(PRICED))) in states_of(marks)
    assert marks.compare([PRICED, LEG], owed=False) == []
    assert marks.compare([PRICED, LEG], owed=True) == [Revised(PRICED, held(ONE, passed(PRICED)), is_counted=True)]


# --- short marks ----------------------------------------------------------------------------------------------------------


def test_the_short_mark_of_a_record_that_comes_again_becomes_a_named_one() -> None:
    marks = short_marks_of(ONE, LEG, TWO)
    assert len(marks) == 3
    assert marks.compare([LEG], owed=True) == []
    assert marks.packed[0] == b"".join(key_of(row) + leg_of(row) for row in (ONE, TWO))
    assert states_of(marks) == [(5, "1", held(LEG))]
    assert marks.compare([ONE, LEG], owed=True) == []
    assert marks.packed[0] == key_of(TWO) + leg_of(TWO)
    assert (states_of(marks), len(marks)) == ([(5, "1", held(LEG)), (5, "1", held(ONE))], 3)


def test_the_short_marks_of_other_legs_stay_as_they_are() -> None:
    third = evolve(ONE, src="d")
    marks = short_marks_of(ONE, LEG, third)
    assert marks.compare([LEG], owed=True) == []
    assert marks.packed[0] == b"".join(key_of(row) + leg_of(row) for row in (ONE, third))
    assert marks.compare([ONE, LEG, third], owed=True) == []
    assert (marks.packed[0], len(marks)) == (b"", 3)


@pytest.mark.parametrize("owed", [True, False])
def test_a_short_mark_tells_no_removal(owed: bool) -> None:
    marks = short_marks_of(ONE, LEG)
    for _ in range(2):
        assert marks.compare([LEG], owed=owed) == []
    assert (marks.packed[0], states_of(marks), len(marks)) == (key_of(ONE) + leg_of(ONE), [(5, "1", held(LEG))], 2)


@pytest.mark.parametrize("handed_out", [True, False])
def test_the_short_mark_of_a_record_that_has_changed_becomes_a_named_one(handed_out: bool) -> None:
    marks = short_marks_of(ONE)
    (change,) = marks.compare([PRICED], owed=False)
    assert change == Revised(PRICED, leg_of(ONE))
    assert isinstance(change, Revised)
    marks.settle(change, handed_out=handed_out)
    leg = leg_of(ONE) + bytes(3) + passed(PRICED).to_bytes(2, "big")
    assert states_of(marks) == [(5, "1", held(PRICED) if handed_out else leg)]
    assert (marks.packed[0], len(marks)) == (b"", 1)
    assert marks.compare([PRICED], owed=False) == []


# --- what did not come ----------------------------------------------------------------------------------------------------


def test_records_of_a_stretch_that_did_not_come_are_gone_in_order() -> None:
    rows = [record(9, 2), record(5, 2), record(5, 1), record(4, 1), record(10, 1)]
    marks = marks_of(*rows, evolve(rows[0], billsec=3))
    expected = [*(Removed(name_of(row), held(row)) for row in (rows[2], rows[1], rows[0]))]
    expected.append(Removed((9, "2"), held(evolve(rows[0], billsec=3))))
    assert marks.absent(Range(5, 10), set(), owed=False) == expected
    assert marks.absent(Range(5, 10), {(5, "1"), (9, "2")}, owed=True) == [expected[1]]
    assert marks.absent(Range(6, 9), set(), owed=True) == []


def test_a_removal_that_was_passed_over_is_owed_alone_until_it_is_handed_out() -> None:
    marks = marks_of(ONE, TWO)
    pass_over(marks, [*marks.absent(Range(0, 6), set(), owed=False)])
    assert marks.absent(Range(0, 6), set(), owed=False) == []
    owed = marks.absent(Range(0, 6), set(), owed=True)
    assert owed == [Removed((5, "1"), held(ONE, GONE), is_counted=True)]
    hand_out(marks, [*owed])
    assert (marks.absent(Range(0, 6), set(), owed=True), len(marks)) == ([], 1)
    marks.add(record(3, 9))
    assert [each.name for each in marks.absent(Range(0, 9), set(), owed=True)] == [(3, "9"), (7, "2")]


def test_a_record_whose_short_mark_becomes_a_named_one_may_be_gone() -> None:
    marks = short_marks_of(ONE, TWO)
    assert marks.absent(Range(0, 9), set(), owed=True) == []
    assert marks.compare([ONE], owed=True) == []
    assert marks.absent(Range(0, 9), set(), owed=True) == [Removed((5, "1"), held(ONE))]


def test_stored_marks_are_indexed_before_anything_is_asked_of_them() -> None:
    whole = marks_of(ONE).packed
    assert [each.name for each in Marks(*whole).absent(Range(0, 9), set(), owed=True)] == [(5, "1")]
    grown = Marks(*whole)
    grown.add(LEG)
    assert grown.compare([ONE, LEG], owed=True) == []
    assert len(held(ONE)) == HELD_BYTES
