"""Models as plain values and as JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, fields_dict
from hypothesis import given
from hypothesis import strategies as st

from tests.core.models import MODELS
from tests.core.payloads import RECORD
from unlimcall_async import Balance, CallRecord, CdrPage, Hook, from_dict, to_dict, to_json
from unlimcall_async._plain import to_json_lines
from unlimcall_async.webhooks import CallEnded

# What a reader of lines may take for an end of line, for example `str.splitlines`.
BREAKS = "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from(BREAKS), max_size=8)
FRACTIONS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS | FRACTIONS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.builds(
    CallRecord,
    id=TEXTS,
    start_time=st.datetimes(timezones=st.just(UTC))
    | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))
    | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),
    duration=st.integers(-(2**63), 2**63 - 1),
    billsec=st.integers(-(2**63), 2**63 - 1),
    src=st.none() | TEXTS,
    dst=st.none() | TEXTS,
    sell_price_cents=st.none() | st.integers(-(2**63), 2**63 - 1),
    extra=st.just({}) | st.dictionaries(TEXTS, JSON, max_size=3),
)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_comes_back_exactly(model: Any) -> None:
    kind, plain = type(model), to_dict(model)
    for read in (plain, json.loads(json.dumps(plain)), json.loads(to_json(model)), dict(model)):
        assert from_dict(kind, read) == model
        assert read == plain


@pytest.mark.parametrize("model", MODELS)
def test_the_names_are_those_of_the_fields_in_their_order(model: Any) -> None:
    names = [name for name in fields_dict(type(model)) if name != "extra"]
    assert list(to_dict(model)) == [*names, *(["extra"] if getattr(model, "extra", None) else [])]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_reads_as_a_mapping_and_is_not_iterable(model: Any) -> None:
    assert json.loads(json.dumps(model, default=dict)) == to_dict(model)
    assert {name: model[name] for name in model.keys()} == to_dict(model)  # noqa: SIM118 # as `dict` reads it
    if not isinstance(model, CdrPage):
        with pytest.raises(TypeError, match="not iterable"):
            iter(model)


def test_money_is_text_digit_for_digit() -> None:
    balance = Balance(Decimal("42.70"), "USD", "prepaid", Decimal("1E+3"), blocked=False, stale=False)
    assert [to_dict(balance)[name] for name in ("balance", "credit_limit")] == ["42.70", "1E+3"]
    assert str(from_dict(Balance, to_dict(balance)).balance) == "42.70"


def test_a_fraction_in_extra_is_a_number() -> None:
    extra = {"rate": Decimal("0.10"), "precise": Decimal("0.12345678901234567890")}
    record = evolve(RECORD, extra=extra)
    assert b'"extra":{"rate":0.10,"precise":0.12345678901234567890}' in to_json(record)
    assert to_dict(record)["extra"] == {"rate": 0.1, "precise": "0.12345678901234567890"}
    assert from_dict(CallRecord, json.loads(to_json(record), parse_float=Decimal)) == record


def test_the_secret_of_a_hook_is_in_its_plain_form() -> None:
    hook = Hook("1", "whsec_1", "call.ended", "https://example.com")
    assert to_dict(hook)["secret"] == "whsec_1"
    assert "whsec" not in repr(hook)


@given(st.lists(RECORDS, max_size=3))
def test_a_record_is_one_line_and_comes_back(records: list[CallRecord]) -> None:
    lines = to_json_lines(records)
    assert lines == b"".join(to_json(record) + b"\n" for record in records)
    assert len(lines.decode().splitlines()) == len(records)
    for line, record in zip(lines.decode().splitlines(), records, strict=True):
        assert from_dict(CallRecord, json.loads(line)) == record
        assert from_dict(CallRecord, to_dict(record)) == record
        plain = json.dumps(to_dict(evolve(record, extra={})), ensure_ascii=False, separators=(",", ":"))
        for character in BREAKS[-3:]:
            plain = plain.replace(character, f"\\u{ord(character):04x}")
        assert to_json(evolve(record, extra={})).decode() == plain


EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    "odd",
    [
        {"start_time": datetime(2026, 1, 1, 2, tzinfo=EAST)},
        {"src": "\ud83d"},
        {"duration": 2**70},
        {"src": '02Z","duration":'},
        {"src": ',"extra":{}}\n'},
        {"extra": {"extra": {}}},
        {"extra": {"seen": datetime(2026, 1, 1, tzinfo=UTC)}},
        {"extra": {"rate": float("nan"), "more": [float("-inf")]}},
    ],
)
def test_what_is_odd_among_many_records_is_written_as_by_itself(odd: dict[str, Any]) -> None:
    records = [RECORD, evolve(RECORD, **odd), RECORD]
    assert to_json_lines(records) == b"".join(to_json(record) + b"\n" for record in records)
    line = json.loads(to_json(records[1]))
    assert line == to_dict(records[1])
    assert line["start_time"].endswith("Z")


PLAIN = to_dict(RECORD)
REFUSED: Iterable[tuple[type, dict[str, Any], str]] = [
    (CallRecord, {**PLAIN, "duration": "81"}, "duration"),
    (CallRecord, {**PLAIN, "duration": True}, "duration"),
    (CallRecord, {**PLAIN, "start_time": 1747852442}, "start_time"),
    (CallRecord, {**PLAIN, "start_time": "2026-05-24T18:14:02"}, "start_time"),
    (CallRecord, {**PLAIN, "start_time": "0001-01-01T00:00:00+02:00"}, "calendar"),
    (CallRecord, {**PLAIN, "queue": "sales"}, "queue"),
    (CallRecord, {name: value for name, value in PLAIN.items() if name != "id"}, "id"),
    (CdrPage, {"count": 1, "calls": [{**PLAIN, "src": 1}], "complete": True}, r"calls\[0\].src"),
    (
        Balance,
        {**to_dict(Balance(Decimal(1), "USD", "prepaid", None, blocked=False, stale=False)), "balance": 0.1},
        "text",
    ),
]


BALANCE = to_dict(Balance(Decimal(1), "USD", "prepaid", None, blocked=False, stale=False))
NO_AMOUNTS: list[object] = [
    *("NaN", "sNaN", "-Infinity", "1_000", " 1", "1\n", "\u0661", "", "1,5", f"1e{10**20}"),
    *(Decimal("NaN"), Decimal("Infinity"), float("nan"), 0.5, True, [0, [1], 0]),
]


@pytest.mark.parametrize("field", ["balance", "credit_limit"])
@pytest.mark.parametrize("value", NO_AMOUNTS, ids=repr)
def test_what_is_no_amount_is_refused_as_money(value: object, field: str) -> None:
    with pytest.raises(ValueError, match=rf"expected money as text.* at `\$\.{field}`"):
        from_dict(Balance, {**BALANCE, field: value})


@pytest.mark.parametrize("text", ["-12.50", "+1", ".5", "5.", "1E+3", "0E-10", "1e999999"])
def test_an_amount_is_taken_as_a_decimal_takes_it(text: str) -> None:
    for value in (text, Decimal(text)):
        assert str(from_dict(Balance, {**BALANCE, "balance": value}).balance) == str(Decimal(text))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", Decimal(1)])
def test_a_number_of_seconds_is_finite(value: object) -> None:
    ended = {**to_dict(CallEnded(id="1", type="call.ended")), "duration_sec": value}
    with pytest.raises(ValueError, match=r"expected a finite number - at `\$\.duration_sec`"):
        from_dict(CallEnded, ended)


@pytest.mark.parametrize(("model", "plain", "where"), REFUSED)
def test_a_mapping_that_is_not_a_model_is_refused(model: type, plain: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=where) as caught:
        from_dict(model, plain)
    assert str(RECORD.dst) not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (datetime(2026, 5, 24), "must be timezone-aware: 2026-05-24T00:00:00"),  # noqa: DTZ001 # that is the point
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-2))), "is out of range in UTC: 9999-12-31"),
    ],
)
def test_a_time_that_is_no_instant_is_not_written_as_another(start: datetime, words: str) -> None:
    odd = evolve(RECORD, start_time=start)
    writers: list[Callable[[], object]] = [
        lambda: to_dict(odd),
        lambda: to_json(odd),
        lambda: to_json_lines([RECORD, odd]),
    ]
    for write in writers:
        with pytest.raises(ValueError, match=f"^a time of a model {words}"):
            write()


def test_what_is_no_model_is_refused() -> None:
    wrong: list[Any] = [None, {}, "text", CallRecord]
    for each in wrong:
        with pytest.raises(TypeError, match="model"):
            to_dict(each)
        with pytest.raises(TypeError, match="model"):
            to_json(each)
    for odd in (dict, RECORD, "CallRecord"):
        with pytest.raises(TypeError, match="model must be the class of a model"):
            from_dict(odd, {})  # type: ignore[arg-type] # that is the point
    with pytest.raises(TypeError, match="mapping"):
        from_dict(CallRecord, [RECORD])  # type: ignore[arg-type] # that is the point


def test_a_time_with_an_offset_becomes_utc() -> None:
    record = from_dict(CallRecord, {**PLAIN, "start_time": "2026-05-24T20:14:02+02:00"})
    assert record == RECORD
    assert record.start_time.tzinfo is UTC
