"""Whether what was pulled is what the store holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from unlimcall_async import CallRecord
from unlimcall_async.cli.comparison import Check, Comparison
from unlimcall_async.sandbox import SandboxCall

START = datetime(2025, 1, 1, tzinfo=UTC)


def stored(number: int, **fields: object) -> SandboxCall:
    call = SandboxCall(id=f"17.{number}", start_time=START + timedelta(seconds=number))
    return evolve(call, **fields)  # type: ignore[arg-type] # any field


def pulled(call: SandboxCall) -> CallRecord:
    names = ("id", "start_time", "duration", "billsec", "src", "dst", "disposition", "sip_username")
    more = ("sell_price_cents", "currency", "country", "did", "extra")
    return CallRecord(**{name: getattr(call, name) for name in names + more})


STORE = [stored(number) for number in range(6)]


def compare(records: Sequence[CallRecord], store: Iterable[SandboxCall], *, newest_first: bool) -> Comparison:
    check = Check(store, newest_first=newest_first)
    for first in range(0, len(records), 2):  # as batches
        check.add(records[first : first + 2])
    return check.result()


def counts(comparison: Comparison) -> tuple[int, ...]:
    return (
        comparison.missing,
        comparison.doubled,
        comparison.altered,
        comparison.foreign,
        comparison.misplaced,
    )


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_same_records_compare_as_the_same(newest_first: bool) -> None:
    records = [pulled(call) for call in STORE]
    comparison = compare(records[::-1] if newest_first else records, STORE[::-1], newest_first=newest_first)
    assert comparison.same
    assert (comparison.compared, comparison.first) == (6, "")


def test_what_does_not_come_is_missing() -> None:
    comparison = compare([], STORE, newest_first=False)
    assert (counts(comparison), comparison.compared) == ((6, 0, 0, 0, 0), 6)


def test_the_other_direction_is_out_of_order() -> None:
    records = [pulled(call) for call in STORE]
    assert counts(compare(records, STORE, newest_first=True)) == (0, 0, 0, 0, 5)


def altered(records: list[CallRecord]) -> list[CallRecord]:
    return [*records[:2], evolve(records[2], dst="+12125550100", billsec=1), *records[3:]]


CORRUPTIONS: dict[str, tuple[Callable[[list[CallRecord]], list[CallRecord]], tuple[int, ...], str]] = {
    "missing": (lambda records: records[:2] + records[3:], (1, 0, 0, 0, 0), "missing"),
    "doubled": (lambda records: [*records[:3], *records[2:]], (0, 1, 0, 0, 0), "doubled"),
    "swapped": (
        lambda records: [*records[:2], records[3], records[2], *records[4:]],
        (0, 0, 0, 0, 1),
        "out of order",
    ),
    "altered": (altered, (0, 0, 1, 0, 0), "altered in billsec, dst"),
    "moved": (
        lambda records: [*records[:2], evolve(records[2], id="17.2x"), *records[3:]],
        (1, 0, 0, 1, 0),
        "missing",
    ),
    "extra": (
        lambda records: [*records[:2], evolve(records[2], extra={"a": 1}), *records[3:]],
        (0, 0, 1, 0, 0),
        "altered in extra",
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_is_wrong_is_found(name: str) -> None:
    corrupt, expected, description = CORRUPTIONS[name]
    comparison = compare(corrupt([pulled(call) for call in STORE]), STORE, newest_first=False)
    assert not comparison.same
    assert counts(comparison) == expected
    assert comparison.first == f"2025-01-01T00:00:02+00:00, id 17.2: {description}"


def test_rows_with_one_start_and_id_compare_as_multisets() -> None:
    legs = [stored(1, duration=duration) for duration in (5, 5, 9)]
    records = [pulled(call) for call in legs]
    assert compare(records[::-1], legs, newest_first=False).same
    assert counts(compare(records[1:], legs, newest_first=False)) == (1, 0, 0, 0, 0)
    assert counts(compare([records[0], records[2], records[2]], legs, newest_first=False)) == (1, 1, 0, 0, 0)
