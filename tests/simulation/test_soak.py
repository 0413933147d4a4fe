"""What a long run in one process must notice."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.simulation.soak import Held, faults_of

pytestmark = pytest.mark.own_rules

MB = 10**6
EVEN = [Held(50 * MB, 100_000, 1000, 9, 1)] * 8


def test_what_stays_as_it_was_is_no_fault() -> None:
    assert not faults_of(EVEN)


def test_memory_may_grow_at_first_and_not_for_ever() -> None:
    assert not faults_of([evolve(EVEN[0], blocks=30_000), *EVEN])
    assert faults_of([evolve(EVEN[0], blocks=100_000 + 2_000 * number) for number in range(8)]) == [
        "blocks: 104,000 became 114,000"
    ]


def test_memory_that_a_seed_has_taken_may_stay_with_the_process() -> None:
    assert not faults_of([*EVEN, evolve(EVEN[0], memory=70 * MB)])
    assert faults_of([*EVEN, evolve(EVEN[0], memory=90 * MB)]) == ["memory: 50,000,000 became 90,000,000"]


def test_a_file_or_a_thread_that_is_left_is_a_fault() -> None:
    assert faults_of([*EVEN, evolve(EVEN[0], files=10)]) == ["files: 9 became 10"]
    assert faults_of([*EVEN, evolve(EVEN[0], threads=2)]) == ["threads: 1 became 2"]
