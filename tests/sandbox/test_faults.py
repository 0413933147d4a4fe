"""When a fault is due; what each one does to a connection is in `test_wire`."""

from typing import Any

import pytest

from unlimcall_async.sandbox import Close, Delay, Garbage, Html, ResetBefore, Sandbox, Stall, Status
from unlimcall_async.sandbox.faults import Fault, FaultSchedule

A, B = Close(), Garbage()


def hits(schedule: FaultSchedule, *endpoints: str | None) -> list[Fault | None]:
    return [schedule.next_fault(endpoint) for endpoint in endpoints]


def test_a_fault_hits_so_many_requests_after_so_many() -> None:
    schedule = FaultSchedule()
    injection = schedule.inject(A, endpoint=None, times=2, skip=1)

    assert hits(schedule, "me", "cdrs") == [None, A]
    assert injection.remaining == 1
    assert hits(schedule, None, "me") == [A, None]
    assert injection.remaining == 0


def test_a_fault_concerns_its_endpoint_only() -> None:
    schedule = FaultSchedule()
    schedule.inject(A, endpoint="cdrs", times=1, skip=1)

    assert hits(schedule, "me", "cdrs", None, "me", "cdrs", "cdrs") == [None, None, None, None, A, None]


def test_for_ever_is_until_it_is_cleared() -> None:
    schedule = FaultSchedule()
    injection = schedule.inject(A, endpoint="me", times=None, skip=0)

    assert hits(schedule, *["me"] * 5) == [A] * 5
    assert injection.remaining is None
    schedule.clear()
    assert hits(schedule, "me") == [None]


def test_the_first_one_injected_wins_and_the_others_wait() -> None:
    schedule = FaultSchedule()
    schedule.inject(A, endpoint=None, times=2, skip=0)
    schedule.inject(B, endpoint="me", times=1, skip=0)

    assert hits(schedule, "me", "me", "cdrs", "me", "me") == [A, A, None, B, None]


def test_skipping_counts_requests_that_another_fault_took() -> None:
    schedule = FaultSchedule()
    schedule.inject(A, endpoint=None, times=1, skip=0)
    schedule.inject(B, endpoint=None, times=1, skip=1)

    assert hits(schedule, "me", "me", "me") == [A, B, None]


@pytest.mark.parametrize(
    "arguments", [{"endpoint": "cdr"}, {"times": 0}, {"times": -1}, {"skip": -1}, {"skip": "1"}], ids=str
)
def test_a_schedule_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"^{next(iter(arguments))} must be "):
        Sandbox().inject(ResetBefore(), **arguments)


def test_what_is_not_a_fault_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^fault must be a fault, for example ResetAfter\(\), not int$"):
        Sandbox().inject(503)  # type: ignore[arg-type] # as a checker sees, too


@pytest.mark.parametrize("kind", [Stall, Delay])
def test_a_pause_is_not_negative(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"^seconds must be 0 or more, not -1$"):
        kind(-1)


def test_faults_are_values() -> None:
    assert Status(503, "x") == Status(503, "x")
    assert Html() == Html(200)
    assert Stall() == Stall(None, after_headers=False)
