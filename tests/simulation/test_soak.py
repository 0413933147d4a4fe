"""What a long run in one process must notice."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.simulation.soak import Held, faults_of

pytestmark = pytest.mark.own_rules

MB = 10**6
EVEN = [Held(50 * MB, 1000, 9, 1)] * 8


def test_what_stays_as_it_was_is_no_fault() -> None:
    assert not faults_of(EVEN)


def test_memory_may_grow_at_first_and_not_for_ever() -> None:
    assert not faults_of([evolve(EVEN[0], memory=30 * MB), *EVEN])
    assert faults_of([evolve(EVEN[0], memory=(50 + number) * MB) for number in range(8)]) == [
        "memory: 52.0 MB became 57.0 MB"
    ]


def test_a_file_or_a_thread_that_is_left_is_a_fault() -> None:
    assert faults_of([*EVEN, evolve(EVEN[0], files=10)]) == ["files: 9 became 10"]
    assert faults_of([*EVEN, evolve(EVEN[0], threads=2)]) == ["threads: 1 became 2"]
