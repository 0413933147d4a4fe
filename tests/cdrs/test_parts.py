"""Every transition of a part from every state, and what a part keeps of its data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from attrs import evolve

from tests.cdrs.simulated import page_of, record
from unlimcall_async.cdrs.planner import parts
from unlimcall_async.cdrs.planner.density import Density, Hints, Sample
from unlimcall_async.cdrs.planner.page import Basis
from unlimcall_async.cdrs.planner.parts import (
    Asked,
    Claimed,
    Done,
    Failed,
    IllegalTransitionError,
    Part,
    Question,
    Read,
    Saturated,
    Seam,
    State,
    Task,
    Waiting,
)
from unlimcall_async.cdrs.planner.tasks import Claim, Doubt, Gauge, Probe, Prove, Recheck, Resolve
from unlimcall_async.cdrs.rows import UnplacedRow
from unlimcall_async.cdrs.times import SECOND, Range, Window

pytestmark = pytest.mark.own_rules

WANTED, WINDOW = Range(0, 10 * SECOND), Window(-SECOND, 11 * SECOND)
RECORDS = [record(0, 1), record(SECOND, 2)]
PAGE, BASIS = page_of(RECORDS, complete=False), Basis(WINDOW, 2, 9)
CLAIM = Claim(PAGE, RECORDS, 1, WINDOW)
SEAM = Seam(Part(WANTED), True, 12 * SECOND, 10 * SECOND, (), 0, 0, None)
TASKS: Final[dict[str, Task]] = {
    "Read": Read(),
    "Read behind a seam": Read(SEAM),
    "Prove": Prove(CLAIM),
    "Probe": Probe((WINDOW,), RECORDS, PAGE, BASIS, 1, Doubt.LARGEST),
    "Recheck": Recheck(WINDOW, 2, Counter()),
    "Resolve": Resolve(WINDOW),
    "Gauge": Gauge(Window(SECOND, 2 * SECOND), PAGE, WANTED, WINDOW, 1),
}
QUESTION, ERROR = Question(Part(WANTED), WANTED, WINDOW), OSError()

TRANSITIONS: Final[dict[str, Callable[[Part], None]]] = {
    "ask": lambda part: part.ask(QUESTION),
    "put_back": Part.put_back,
    "fail": lambda part: part.fail(ERROR),
    "finish": lambda part: part.finish(Done(RECORDS, 7, BASIS)),
    "turn_to": lambda part: part.turn_to(Recheck(WINDOW, 5, Counter())),
    "repeat": Part.ask_once_more,
    "clear": Part.clear,
    "saturate": lambda part: part.saturate(RECORDS),
    "agree": lambda part: part.agree(8),
    "accept": Part.accept,
    "doubt": Part.doubt,
    "ask_again": Part.ask_again,
    "reset": Part.reset,
}


def a_part(*transitions: str, state: Waiting | Claimed) -> Part:
    part = Part(WANTED, state)
    for transition in transitions:
        TRANSITIONS[transition](part)
    return part


def every_part() -> Iterator[tuple[str, Part]]:
    for name, task in TASKS.items():
        yield f"Waiting({name})", a_part(state=Waiting(task))
        yield f"Asked({name})", a_part("ask", state=Waiting(task))
        yield f"Failed({name})", a_part("ask", "fail", state=Waiting(task))
    yield "Claimed", a_part(state=Claimed(CLAIM))
    yield "Claimed, agreed", a_part("agree", state=Claimed(CLAIM))
    yield "Done", a_part("ask", "finish", state=Waiting())
    yield "Done, by order", a_part("accept", state=Claimed(CLAIM))
    yield "Saturated", a_part("ask", "saturate", state=Waiting())


PARTS: Final = [name for name, _ in every_part()]


def from_the_beginning(transition: str, state: State) -> State | None:  # noqa: PLR0911 # a row of the table each
    """Return the state that the table promises for what a question, or its page, brings; `None` for an illegal transition."""
    match transition, state:
        case "ask", Waiting(task=task):
            return Asked(task, QUESTION)
        case "ask", Claimed(claim=claim):
            return Asked(Prove(claim), QUESTION)
        case "put_back", Asked(task=task):
            return Waiting(task)
        case "fail", Asked(task=task):
            return Failed(task, ERROR)
        case "finish", Asked():
            return Done(RECORDS, 7, BASIS)
        case "turn_to", Asked():
            return Waiting(Recheck(WINDOW, 5, Counter()))
        case "repeat", Asked(task=task, question=question):
            return Waiting(task, evolve(question, repeats=1))
        case "clear", Waiting(task=Probe()):
            return Done(RECORDS, 2, BASIS)
        case "saturate", Asked():
            return Saturated(RECORDS)
        case _:
            return None


def from_a_claim(transition: str, state: State) -> State:
    """Return the state that the table promises for a claim. Other parts stay as they are."""
    match transition, state:
        case "agree", Claimed(claim=claim):
            return Claimed(claim, repeated=8)
        case "accept", Claimed(claim=claim, repeated=repeated):
            return Done(claim.records, 0, Basis(WINDOW, PAGE.size, PAGE.count, repeated or 0))
        case "doubt", Claimed(claim=claim):
            return Waiting(Prove(claim))
        case _:
            return state


def anew(transition: str, state: State) -> State | None:  # noqa: PLR0911 # a row of the table each
    """Return the state that the table promises for a part that begins anew; `None` for an illegal transition."""
    match transition, state:
        case "ask_again", Asked(question=question):
            return Asked(Read(), question)
        case "ask_again", Failed(error=error):
            return Failed(Read(), error)
        case "ask_again", Waiting() | Claimed() | Done():
            return Waiting(Read())
        case "reset", Asked(task=task) | Failed(task=task):
            return Waiting(task)
        case "reset", Saturated():
            return Waiting(Read())
        case "reset", _:
            return state
        case _:
            return None


def promised(transition: str, state: State) -> State | None:
    if transition in {"agree", "accept", "doubt"}:
        return from_a_claim(transition, state)
    return anew(transition, state) if transition in {"ask_again", "reset"} else from_the_beginning(transition, state)


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_a_transition_leads_where_the_table_says_or_is_refused(transition: str) -> None:
    for name, part in every_part():
        before, held, target = part.state, part.held, promised(transition, part.state)
        if target is None:
            with pytest.raises(IllegalTransitionError, match=f"{transition}: {type(before).__name__} to "):
                TRANSITIONS[transition](part)
            assert (part.state, part.held) == (before, held), name
        else:
            TRANSITIONS[transition](part)
            assert part.state == target, name
        assert part.range == WANTED, name


def test_a_transition_that_is_refused_is_named_with_both_states() -> None:
    with pytest.raises(IllegalTransitionError, match=r"^finish: Waiting to Done$"):
        a_part("finish", state=Waiting())


@pytest.mark.parametrize(("checked", "rows"), [(False, 5), (True, 0)])
def test_a_part_is_done_with_what_its_page_holds_of_the_part(checked: bool, rows: int) -> None:
    unplaced = [UnplacedRow(where="calls[4]", reason="expected an object", body=b"7", window=WINDOW, before=4)]
    page = page_of([*RECORDS, record(2 * SECOND, 3), record(5 * SECOND, 4)], complete=True)
    page = evolve(page, unplaced=unplaced, new_unplaced=unplaced)
    done = Done.of(page, Range(SECOND, 5 * SECOND), WINDOW, checked=checked)
    assert done == Done(page.rows[1:3], rows, Basis(WINDOW, 5, 4), unplaced)


def test_a_page_counts_as_unchecked_unless_it_is_said_to_be_checked() -> None:
    assert Done.of(page_of(RECORDS, complete=True), WANTED, WINDOW).rows == len(RECORDS)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_shows_the_data_of_its_state(name: str) -> None:
    part = dict(every_part())[name]
    task = next((task for task_name, task in TASKS.items() if f"({task_name})" in name), None)
    assert part.task == (None if name.startswith("Failed") else task)
    assert part.seam is (SEAM if name in {"Waiting(Read behind a seam)", "Asked(Read behind a seam)"} else None)
    assert part.question is (QUESTION if name.startswith("Asked") else None)
    assert part.records == (RECORDS if name.startswith(("Done", "Saturated")) else [])


HOLDING = {
    *(f"{state}({task})" for state in ("Waiting", "Asked", "Failed") for task in ("Prove", "Probe", "Gauge")),
    *("Claimed", "Claimed, agreed", "Done", "Done, by order"),
}


@pytest.mark.parametrize("transition", ["", *TRANSITIONS])
def test_records_that_wait_for_their_turn_are_held_and_no_others(transition: str) -> None:
    for name, part in every_part():
        if moves := transition and promised(transition, part.state) is not None:
            TRANSITIONS[transition](part)
        # The name under which the same state is listed, or none for a task that only `turn_to` makes.
        now = next((other for other, each in every_part() if each.state == part.state), "")
        if moves and transition == "repeat":
            now = name.replace("Asked", "Waiting")
        if isinstance(part.state, Done):
            now = "Done"
        assert part.held == (2 if now in HOLDING else 0), name


def table() -> dict[tuple[str, type], type]:
    """Read the table of transitions in the module's docstring: its columns are a transition, and the states before and after."""
    states = {each.__name__: each for each in (Waiting, Asked, Claimed, Done, Saturated, Failed)}
    any_state = re.compile("|".join(states))
    assert parts.__doc__ is not None
    rows = parts.__doc__.partition("    transition  from")[2].splitlines()[2:]
    read: dict[tuple[str, type], type] = {}
    transition, after = "", ""
    for row in rows:
        line = row.removeprefix("    ")
        transition, after = line[:12].strip() or transition, line[34:53].strip() or after
        for before in any_state.findall(line[12:34]):
            target = before if after.startswith("the same") else any_state.findall(after)[0]
            read[transition, states[before]] = states[target]
    return read


def test_the_table_in_the_docstring_is_the_one_that_is_enforced() -> None:
    assert table() == parts._TRANSITIONS


def test_untouched_is_a_part_that_waits_to_be_read_without_a_seam() -> None:
    assert [name for name, part in every_part() if part.untouched] == ["Waiting(Read)"]


@pytest.mark.parametrize("descending", [True, False])
def test_a_cut_leaves_the_seam_at_its_edge(descending: bool) -> None:
    seam = Seam(Part(WANTED), descending, 0, 0, (), 0, 0, None)
    earlier, later = Part(WANTED, Waiting(Read(seam))).cut(3 * SECOND)
    assert (earlier.range, later.range) == (Range(0, 3 * SECOND), Range(3 * SECOND, 10 * SECOND))
    assert (earlier.seam, later.seam) == ((None, seam) if descending else (seam, None))


MINUTE: Final = 60 * SECOND
DENSE: Final = Hints(dense=True, density=Density.near(9, SECOND), doubts=1, doubted=PAGE, expected=3.0, depth=2)
SAMPLE: Final = Sample([SECOND], 2.0, 0.0)


def test_pieces_of_a_part_keep_what_is_known_of_how_records_lie() -> None:
    hints = evolve(DENSE, sample=SAMPLE)
    # What is known of the part as a whole is not true of its pieces.
    kept = evolve(hints, expected=0.0, depth=0)
    assert [each.hints for each in Part(WANTED, hints=hints).cut(3 * SECOND)] == [kept, kept]
    assert [each.hints.dense for each in Part(WANTED).cut(3 * SECOND)] == [False, False]


@pytest.mark.parametrize(("length", "dense"), [(MINUTE - SECOND, True), (MINUTE, False)])
@pytest.mark.parametrize("descending", [True, False])
def test_a_piece_is_dense_behind_a_seam_or_if_it_is_short(descending: bool, length: int, dense: bool) -> None:
    seam = Seam(Part(WANTED), descending, 0, 0, (), 0, 0, None)
    part = Part(Range(0, length + 2 * MINUTE), Waiting(Read(seam)), DENSE)
    earlier, later = part.cut(length if descending else 2 * MINUTE)
    at_seam, beyond = (later, earlier) if descending else (earlier, later)
    assert (at_seam.hints.dense, beyond.hints.dense) == (True, dense)
    assert at_seam.hints == evolve(DENSE, expected=0.0, depth=0)


def test_a_long_piece_is_dense_if_rows_of_the_page_lie_in_it() -> None:
    part = Part(Range(0, 4 * MINUTE), hints=evolve(DENSE, sample=SAMPLE))
    assert [each.hints.dense for each in part.cut(2 * MINUTE)] == [True, False]
    part = Part(Range(0, 4 * MINUTE), hints=DENSE)
    assert [each.hints.dense for each in part.cut(2 * MINUTE)] == [True, True]


def test_a_part_that_takes_in_its_neighbour_drops_the_page_that_was_doubted_and_keeps_the_doubts() -> None:
    part = Part(WANTED, hints=DENSE)
    part.take_in(Range(10 * SECOND, 12 * SECOND))
    assert (part.range, part.hints) == (Range(0, 12 * SECOND), evolve(DENSE, doubted=None))
    part.take_in(Range(-SECOND, 0))
    assert part.range == Range(-SECOND, 12 * SECOND)
