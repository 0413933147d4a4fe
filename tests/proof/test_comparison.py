"""What has changed between two multisets of records, against plain counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.proof import second_digest
from unlimcall_async import CallRecord
from unlimcall_async.cdrs.output_order import in_output_order
from unlimcall_async.proof import DayDigest
from unlimcall_async.proof.comparison import Comparison, by_day

BEGIN, DAYS = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=3)
# So few values that many records are equal, share start and id, or differ only in a value that is equal to Python.
RECORDS = st.builds(
    CallRecord,
    st.sampled_from(["a", "b"]),
    st.sampled_from([BEGIN, BEGIN + DAYS / 3 - timedelta(microseconds=1), BEGIN + DAYS / 3]),
    st.sampled_from([1, 2]),
    st.just(1),
    extra=st.sampled_from([{}, {"x": 1}, {"x": Decimal("1.0")}, {"x": True}]),
)


def texts(records: Sequence[CallRecord]) -> Counter[bytes]:
    return Counter(map(second_digest.canonical, records))


def key(record: CallRecord) -> tuple[datetime, str]:
    return record.start_time, record.id


@given(st.lists(RECORDS), st.lists(RECORDS), st.integers(1, 5))
def test_the_changes_lead_from_what_was_given_to_what_was_found(
    before: list[CallRecord], now: list[CallRecord], page: int
) -> None:
    given_by_day = by_day(before, BEGIN, BEGIN + DAYS)
    comparison = Comparison({day: DayDigest.of(some) for day, some in given_by_day.items()}, given_by_day)
    ordered = in_output_order(now, newest_first=False)
    for first in range(0, len(ordered), page):
        comparison.add(ordered[first : first + page])
    differences = comparison.differences()
    old, new = texts(before), texts(now)
    assert bool(differences) is (old != new)
    missing = [record for difference in differences for record in difference.missing]
    added = [record for difference in differences for record in difference.added]
    revised = [pair for difference in differences for pair in difference.revised]
    # No more changes than there are: equal records are in none.
    assert texts(missing) + texts([before for before, _ in revised]) == old - new
    assert texts(added) + texts([now for _, now in revised]) == new - old
    assert all(key(before) == key(now) for before, now in revised)
    assert not {*map(key, missing)} & {*map(key, added)}
    for difference in differences:
        of_day = [[r for r in some if r.start_time.date() == difference.day] for some in (before, now)]
        assert [difference.expected, difference.found] == [*map(DayDigest.of, of_day)]
