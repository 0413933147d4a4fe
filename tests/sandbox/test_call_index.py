"""The index of the call records by itself; what it finds is held against an oracle in `test_calls`."""

from random import Random
from typing import get_args

import pytest

from unlimcall_async.sandbox.call_index import CallIndex
from unlimcall_async.sandbox.settings import Order

ORDERS: tuple[Order, ...] = get_args(Order)


@pytest.mark.parametrize("late", [0, 5000], ids=["anywhere", "at the end"])
def test_an_addition_changes_one_block_and_no_block_gets_large(late: int) -> None:
    """What makes an addition cheap, and what must not come of it: an order that is not the one of a fresh index."""
    random, index = Random(1), CallIndex(block=10)
    times = [random.randrange(5000) for _ in range(500)]
    index.add(times)
    for order in ORDERS:
        index.find(0, 9999, order=order, limit=1)  # from now on the blocks remember every order
    for number in range(600):
        before = set(index._blocks)
        times.append(late + number if late else random.randrange(5000))
        index.add(times[-1:])
        assert len(set(index._blocks) - before) in {0, 2}  # none is new, or the halves of one

    sizes = [len(block.keys) for block in index._blocks]
    assert sum(sizes) == len(index) == 1100
    assert 0 < min(sizes) <= max(sizes) <= 20
    fresh = CallIndex(block=2000)
    fresh.add(times)
    for order in ORDERS:
        for start, end, limit in [(0, 9999, 2000), (1000, 4000, 50), (4990, 5300, 100)]:
            page = index.find(start, end, order=order, limit=limit)
            assert page == fresh.find(start, end, order=order, limit=limit)
