"""How numbers do, and that few calls prove nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operations import hostile
from tests.operations.records import record, stream
from unlimcall_async import CallRecord
from unlimcall_async.operations import CallerId, CallerIdHealth, NumberHealth, Share

GB = [CallerId(f"+44207946081{digit}", "GB") for digit in range(3)]
US = [CallerId(f"+1646555011{digit}", "US") for digit in range(2)]


def calls(caller_id: CallerId, attempts: int, answered: int, short: int = 0) -> list[CallRecord]:
    return [
        record(
            src=caller_id.number,
            disposition="ANSWERED" if index < answered else "NO ANSWER",
            billsec=5 if index < short else 6 if index < answered else 0,
        )
        for index in range(attempts)
    ]


def report(*records: list[CallRecord], numbers: list[CallerId] = GB + US, **options: Any) -> list[NumberHealth]:
    health = CallerIdHealth(numbers, **options)
    for each in records:
        for one in each:
            health.add(one)
    return health.report()


def verdicts(found: list[NumberHealth]) -> list[str]:
    return [number.verdict for number in found]


def test_a_number_is_counted_and_compared_with_the_others_of_its_country() -> None:
    found = report(
        calls(GB[0], 100, 40, 10), calls(GB[1], 200, 90, 5), calls(GB[2], 300, 100, 7), calls(US[0], 1000, 10)
    )
    assert [number.caller_id for number in found] == GB + US
    assert (found[0].answered, found[0].short) == (Share(40, 100), Share(10, 40))
    assert (found[0].baseline_answered, found[0].baseline_short) == (Share(190, 500), Share(12, 190))
    assert found[3].baseline_answered == Share(0, 0)
    assert verdicts(found) == ["good", "good", "good", "unknown", "unknown"]


def test_a_number_that_is_answered_less_is_suspect() -> None:
    found = report(calls(GB[0], 500, 60), calls(GB[1], 500, 200), calls(GB[2], 500, 210))
    assert verdicts(found)[:3] == ["suspect", "good", "good"]
    assert found[0].reasons == ("answer_rate",)


def test_a_number_that_is_hung_up_on_is_suspect() -> None:
    found = report(calls(GB[0], 500, 200, 90), calls(GB[1], 500, 200, 10), calls(GB[2], 500, 200, 20))
    assert verdicts(found)[:3] == ["suspect", "good", "good"]
    assert found[0].reasons == ("short_calls",)


def test_both_reasons_are_told() -> None:
    found = report(calls(GB[0], 1000, 120, 60), calls(GB[1], 1000, 400, 10))
    assert found[0].reasons == ("answer_rate", "short_calls")


def test_too_few_answered_calls_prove_nothing_of_short_ones() -> None:
    found = report(calls(GB[0], 500, 99, 99), calls(GB[1], 500, 110, 0))
    assert verdicts(found)[:2] == ["good", "good"]


def test_a_difference_of_no_importance_is_none() -> None:
    made = calls(GB[0], 10_000, 4000), calls(GB[1], 10_000, 4400)
    assert verdicts(report(*made))[:2] == ["good", "good"]
    assert verdicts(report(*made, margin=0.01))[:2] == ["suspect", "good"]


@given(st.integers(0, 99), st.data())
def test_few_calls_prove_nothing(attempts: int, data: st.DataObject) -> None:
    answered = data.draw(st.integers(0, attempts))
    short = data.draw(st.integers(0, answered))
    found = report(calls(GB[0], attempts, answered, short), calls(GB[1], 1000, 500, 10))
    assert verdicts(found)[0] == "unknown"
    assert found[0].answered == Share(answered, attempts)


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=3))
def test_a_suspect_does_worse_than_the_others_in_what_it_is_suspect_of(counts: list[tuple[int, float, float]]) -> None:
    made = []
    for caller_id, (attempts, answer_rate, short_rate) in zip(GB, counts, strict=True):
        answered = int(attempts * answer_rate)
        made.append(calls(caller_id, attempts, answered, int(answered * short_rate)))
    for number in report(*made):
        rates = [
            share.rate or 0
            for share in (number.answered, number.baseline_answered, number.short, number.baseline_short)
        ]
        assert (number.verdict == "suspect") == bool(number.reasons)
        assert "answer_rate" not in number.reasons or rates[0] < 0.8 * rates[1]
        assert "short_calls" not in number.reasons or rates[2] > 1.2 * rates[3]


@pytest.mark.slow
def test_chance_alone_makes_no_suspects() -> None:
    chance = random.Random(5)
    numbers = [CallerId(f"+4420794{number:05d}", "GB") for number in range(200)]
    made = [
        calls(each, 300, answered := sum(chance.random() < 0.4 for _ in range(300)), answered // 10) for each in numbers
    ]
    assert "suspect" not in verdicts(report(*made, numbers=numbers))


def test_case_does_not_matter_and_other_numbers_are_ignored() -> None:
    health = CallerIdHealth(GB)
    for each in (
        record(src=GB[0].number, disposition="answered"),
        record(src=GB[0].number, disposition=None),
        record(src=None),
        record(src="+15550100"),
    ):
        health.add(each)
    assert health.report()[0].answered == Share(1, 2)
    assert health.ignored == 2
    assert repr(health) == "<CallerIdHealth of 3 numbers, 2 attempts>"


def test_what_is_short_can_be_said() -> None:
    made = [record(src=GB[0].number, billsec=seconds) for seconds in (0, 9, 10, 11)]
    assert report(made, short_seconds=10)[0].short == Share(2, 4)


async def test_a_stream_is_read_to_its_end() -> None:
    health = CallerIdHealth(GB)
    await health.read(stream(calls(GB[1], 7, 3)))
    assert health.report()[1].answered == Share(3, 7)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"minimum": 0}, ValueError, "minimum must be 1 or more"),
        ({"minimum": 1.5}, TypeError, "minimum must be an int"),
        ({"short_seconds": True}, TypeError, "short_seconds must be an int"),
        ({"margin": 1}, ValueError, "margin must lie between 0 and 1"),
        ({"margin": "0.1"}, TypeError, "margin must be a number"),
        ({"numbers": ["+12"]}, TypeError, "numbers must hold CallerId only, not str"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        CallerIdHealth(**{"numbers": GB, **options})


@pytest.mark.slow
@given(st.lists(hostile.records, max_size=40))
def test_any_record_is_counted_or_ignored(records: list[CallRecord]) -> None:
    health = CallerIdHealth(GB, minimum=1, short_seconds=10**400)
    for each in records:
        health.add(each)
    for caller_id in GB:
        for each in calls(caller_id, 300, 0 if caller_id is GB[0] else 150):
            health.add(each)
    assert health.ignored == len(records)
    assert verdicts(health.report()) == ["suspect", "good", "good"]
