"""The store against an oracle of a few lines: a plain list, filtered and sorted anew for each question."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import chain, pairwise
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.sandbox.calls import CallStore, SandboxCall, Window, epoch_ms
from unlimcall_async.sandbox.settings import Order, Resolution

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Few distinct times, on both sides of 1970, so that ties and edges are the rule.
times = st.integers(-2500, 2500).map(lambda ms: ms - ms % 250 + ms % 2)
batches = st.lists(st.lists(times, max_size=12), max_size=4)
orders = st.sampled_from(get_args(Order))
resolutions: st.SearchStrategy[Resolution] = st.sampled_from(["ms", "s"])


def row(number: int, ms: int) -> SandboxCall:
    return SandboxCall(id=str(number), start_time=EPOCH + timedelta(milliseconds=ms))


def filled(batches: list[list[int]]) -> tuple[CallStore, list[SandboxCall]]:
    store, rows = CallStore(), [row(number, ms) for number, ms in enumerate(chain.from_iterable(batches))]
    rest = iter(rows)
    for batch in batches:
        store.add([next(rest) for _ in batch])
        store.select(Window(0, 1), order="arbitrary", limit=1)  # a question between additions
    return store, rows


def inside(ms: int, from_ms: int, till_ms: int, from_inclusive: bool, till_inclusive: bool, step: int) -> bool:
    time, start, end = ms // step, from_ms // step, till_ms // step
    return (start <= time if from_inclusive else start < time) and (time <= end if till_inclusive else time < end)


@given(batches, times, times, st.booleans(), st.booleans(), resolutions, orders, st.integers(1, 60))
def test_a_page_is_what_a_plain_list_gives(
    batches: list[list[int]],
    from_ms: int,
    till_ms: int,
    from_inclusive: bool,
    till_inclusive: bool,
    resolution: Resolution,
    order: Order,
    limit: int,
) -> None:
    store, rows = filled(batches)
    step = 1000 if resolution == "s" else 1
    matches = [
        row for row in rows if inside(epoch_ms(row.start_time), from_ms, till_ms, from_inclusive, till_inclusive, step)
    ]

    window = Window.between(
        from_ms, till_ms, from_inclusive=from_inclusive, till_inclusive=till_inclusive, resolution=resolution
    )
    page, count = store.select(window, order=order, limit=limit)

    assert count == len(matches)
    if order == "oldest_first":
        assert page == sorted(matches, key=lambda row: row.start_time)[:limit]
    elif order == "newest_first":
        assert page == sorted(matches, key=lambda row: row.start_time)[::-1][:limit]
    elif order == "insertion":
        assert page == matches[:limit]
    else:
        everything, _ = store.select(Window(-5000, 5000), order=order, limit=100)
        assert page == [row for row in everything if row in matches][:limit]


@given(batches, orders)
def test_every_order_holds_every_row_once(batches: list[list[int]], order: Order) -> None:
    store, rows = filled(batches)

    page, count = store.select(Window(-5000, 5000), order=order, limit=100)

    assert count == len(rows)
    assert sorted(page, key=lambda row: int(row.id)) == rows
    assert store.rows == tuple(rows)


def test_the_arbitrary_order_is_fixed_and_is_none_of_the_others() -> None:
    def page() -> list[str]:
        store = CallStore()
        store.add(row(number, number) for number in range(100))
        return [row.id for row in store.select(Window(0, 100), order="arbitrary", limit=100)[0]]

    ids = [int(name) for name in page()]

    assert page() == page()
    rising = sum(first < second for first, second in pairwise(ids))
    assert 25 < rising < 75


def test_rows_with_one_id_are_kept_apart() -> None:
    store = CallStore()
    legs = [SandboxCall(id="leg", start_time=EPOCH, src=src) for src in ("a", "b", "a")]
    store.add(legs)

    assert store.select(Window(0, 1), order="insertion", limit=10) == (legs, 3)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])))
def test_milliseconds_are_rounded_down(moment: datetime) -> None:
    ms = epoch_ms(moment)

    assert timedelta(0) <= moment - EPOCH - timedelta(milliseconds=ms) < timedelta(milliseconds=1)
