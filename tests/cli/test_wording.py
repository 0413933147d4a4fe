"""Values as text."""

from __future__ import annotations

import pytest
from attrs import evolve

from unlimcall_async import StreamStats
from unlimcall_async.cli import wording

STATS = StreamStats(
    requests=15, records=3, duplicates=1, full_pages=2, retries=3, min_requests=12, waited_s=1234.56, strategy="divide"
)


def test_sizes_read_as_people_say_them() -> None:
    assert [wording.size(length) for length in (0, 99_999, 100_000, 51_900_000)] == [
        "0 bytes",
        "99,999 bytes",
        "0.1 MB",
        "51.9 MB",
    ]


def test_the_wait_is_that_of_a_request_and_not_their_sum() -> None:
    assert wording.wait_of_each(STATS) == pytest.approx(1234.56 / 18)
    assert wording.wait_of_each(evolve(STATS, requests=0, retries=0, waited_s=0.0)) == 0
