"""`DayDigest` against `docs/digest.md`, of which `second_digest` is a second implementation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.payloads import CALL, RECORD, read_page
from tests.proof import second_digest
from tests.proof.records import EXTRAS, RECORDS, TEXTS, records
from tests.sync.places import postgres_server
from unlimcall_async import CallRecord
from unlimcall_async.proof import DayDigest
from unlimcall_async.proof.canonical import canonical_lines, in_utc

PAGE = (Path(__file__).parents[2] / "docs/digest.md").read_text()
(EXAMPLE,) = re.findall(r"^\[\"c-1\".*\]$", PAGE, re.MULTILINE)
(EXAMPLE_EXTRA,) = re.findall(r"with the other fields\s+`(\{.*\})`", PAGE)
(STATEMENT,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
VECTORS = re.findall(r"^\| (.+?) \| (\d+) \| `([0-9a-f]{64})` \|$", PAGE, re.MULTILINE)

CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def digest_of(*found: CallRecord) -> str:
    return DayDigest.of(found).digest


def with_extra(extra: Any) -> CallRecord:
    return replace(RECORD, extra=extra)


def sent(fields: str) -> CallRecord:
    """Return a record as the API sends it, with further fields as their JSON."""
    body = json.dumps({"count": 1, "calls": [CALL]}).removesuffix("}]}") + f", {fields}}}]}}"
    (record,) = read_page(body.encode()).calls
    return record


@given(RECORDS)
def test_the_digest_is_that_of_the_page(record: CallRecord) -> None:
    assert DayDigest.of([record]) == DayDigest(1, second_digest.digest([record]))


@pytest.mark.slow
@given(st.lists(RECORDS, max_size=5))
def test_the_digest_of_records_is_the_sum_of_theirs(found: list[CallRecord]) -> None:
    assert DayDigest.of(found) == DayDigest(len(found), second_digest.digest(found))


# A field with a documented name is not another field.
@pytest.mark.slow
@given(EXTRAS.filter(lambda extra: CALL.keys().isdisjoint(extra)))
def test_other_fields_of_any_kind_come_from_the_api_as_they_are_digested(extra: dict[str, Any]) -> None:
    members = second_digest.json(extra).removeprefix("{").removesuffix("}")
    record = sent(members or '"x": 1')
    assert digest_of(record) == second_digest.digest([with_extra(extra or {"x": 1})])


def test_the_vectors_of_the_page() -> None:
    id_, start, *rest = json.loads(EXAMPLE)
    first = CallRecord(id_, datetime.fromisoformat(start), *rest)
    second = replace(first, extra=json.loads(EXAMPLE_EXTRA, parse_float=Decimal))
    sets = {
        "none": [],
        "the first": [first],
        "the second": [second],
        "both": [first, second],
        "the first, twice": [first] * 2,
    }
    assert second_digest.canonical(first) == EXAMPLE.encode()
    assert [(name, int(count), digest) for name, count, digest in VECTORS] == [
        (name, len(found), second_digest.digest(found)) for name, found in sets.items()
    ]
    assert {name: DayDigest.of(found) for name, found in sets.items()} == {
        name: DayDigest(int(count), digest) for name, count, digest in VECTORS
    }


@pytest.mark.slow
@given(st.lists(RECORDS, max_size=4), st.lists(RECORDS, max_size=4), st.randoms(use_true_random=False))
def test_digests_add_up_in_whatever_order(some: list[CallRecord], more: list[CallRecord], chance: Any) -> None:
    both = [*some, *more]
    chance.shuffle(both)
    assert DayDigest.of(some) + DayDigest.of(more) == DayDigest.of(iter(both))
    assert DayDigest.of(both) - DayDigest.of(more) == DayDigest.of(some)


@given(RECORDS, st.integers(2, 5))
def test_each_of_equal_records_counts(record: CallRecord, times: int) -> None:
    digests = [DayDigest.of([record] * count) for count in range(times + 1)]
    assert len({digest.digest for digest in digests}) == times + 1
    assert sum(digests[1:], start=digests[0]).records == times * (times + 1) // 2


@given(RECORDS, RECORDS)
def test_different_records_have_different_digests(one: CallRecord, other: CallRecord) -> None:
    same = second_digest.canonical(one) == second_digest.canonical(other)
    assert (digest_of(one) == digest_of(other)) is same


@pytest.mark.parametrize(
    "field", [name for name in CallRecord.__struct_fields__ if name not in {"start_time", "extra"}]
)
def test_no_field_is_left_out(field: str) -> None:
    other = 7 if isinstance(getattr(RECORD, field), int) else "other"
    assert digest_of(replace(RECORD, **{field: other})) != digest_of(RECORD)


@pytest.mark.parametrize(
    "values",
    [
        ("1", "1.0", "true", '"1"', "[1]"),
        ("0", "0.0", "false", "null", '""', "[]", "{}"),
        ("[1,2]", "[2,1]", "[[1],2]", "[12]"),
        ('{"a":"b"}', '["a","b"]', '{"a":["b"]}'),
    ],
    ids=["ones", "empties", "lists", "names"],
)
def test_different_other_fields_have_different_digests(values: tuple[str, ...]) -> None:
    assert len({digest_of(sent(f'"x": {value}')) for value in values}) == len(values)


@pytest.mark.parametrize(
    "values",
    [
        ("1.0", "1E0", "10e-1", "0.1E+1", "1.000"),
        ("0.0", "-0.0", "0e5", "-0E-3"),
        ("0", "-0"),
        ("-12.50", "-1.25e1", "-1250E-2"),
        (r'"\u00e9\ud83d\ude00\/"', '"é😀/"'),
        ('{"b":1,"a":2}', '{ "a": 2, "b": 1 }'),
        ('{"a":1,"a":2}', '{"a":2}'),
    ],
    ids=["one", "zero", "integer zero", "negative", "escapes", "order of members", "a name that stands twice"],
)
def test_one_value_written_in_several_ways_has_one_digest(values: tuple[str, ...]) -> None:
    assert len({digest_of(sent(f'"x": {value}')) for value in values}) == 1


@given(RECORDS, st.integers(-1439, 1439))
def test_an_equal_record_in_another_time_zone_has_the_same_digest(record: CallRecord, minutes: int) -> None:
    try:
        there = record.start_time.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:  # the first and the last day of all have no time there
        there = record.start_time
    assert digest_of(replace(record, start_time=there)) == digest_of(record)


@pytest.mark.parametrize(
    ("sent_time", "written_time"),
    [
        ("2026-05-24T18:14:02.0000000Z", "2026-05-24T18:14:02Z"),
        ("2026-05-24T20:14:02.25+02:00", "2026-05-24T18:14:02.250000Z"),
        ("2026-05-24T18:14:02.1234564999Z", "2026-05-24T18:14:02.123456Z"),
        ("2026-05-24T18:14:02.1234565Z", "2026-05-24T18:14:02.123457Z"),
        ("2026-05-24T23:59:59.9999999Z", "2026-05-25T00:00:00Z"),
    ],
)
def test_a_time_finer_than_a_microsecond_is_rounded_as_the_page_says(sent_time: str, written_time: str) -> None:
    body = json.dumps({"count": 1, "calls": [CALL | {"startTime": sent_time}]})
    (record,) = read_page(body.encode()).calls
    (canonical,) = canonical_lines([in_utc(record)])
    assert json.loads(canonical)[1] == written_time


@pytest.mark.parametrize("depth", [10, 500, 900])
def test_a_record_may_nest_deeply(depth: int) -> None:
    nested = '[{"x":' * (depth // 2) + "[]" + "}]" * (depth // 2)
    canonical = second_digest.canonical(RECORD).removesuffix(b"{}]") + f'{{"x":{nested}}}]'.encode()
    assert digest_of(replace(RECORD, extra={"x": json.loads(nested)})) == second_digest.written(
        second_digest.record_hash(canonical)
    )


@pytest.mark.parametrize("power", [10**18 - 1, -(10**18) + 100])
def test_a_number_of_any_size_is_written_without_its_zeros(power: int) -> None:
    assert digest_of(sent(f'"x": 1.5E{power}')) == second_digest.digest([sent(f'"x": 15E{power - 1}')])


def test_a_number_with_many_digits_keeps_all_of_them() -> None:
    digits = "1234567890" * 400  # the last of which is left out
    canonical = second_digest.canonical(RECORD).removesuffix(b"{}]") + f'{{"x":{digits[:-1]}E-3}}]'.encode()
    assert digest_of(sent(f'"x": {digits[:-4]}.{digits[-4:-1]}')) == second_digest.written(
        second_digest.record_hash(canonical)
    )


def test_a_float_of_a_program_is_the_number_that_python_writes() -> None:
    assert digest_of(with_extra({"x": 0.1, "y": 1e22, "z": -0.0})) == digest_of(
        with_extra({"x": Decimal("0.1"), "y": Decimal("1E22"), "z": Decimal("0.0")})
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"extra": {"x": math.nan}}, "NaN in extra"),
        ({"extra": {"x": [-math.inf]}}, "-Infinity in extra"),
        ({"extra": {"x": Decimal("NaN")}}, "NaN"),
        ({"extra": {"x": Decimal("sNaN")}}, "sNaN"),
        ({"extra": {"x": Decimal("-Infinity")}}, "Infinity"),
        ({"extra": {"x": "\ud800"}}, "^extra of a record .* surrogate"),
        ({"extra": {"\udfff": 1}}, "surrogate"),
        ({"extra": {"x": {1: 2}}}, "1"),
        ({"extra": {1: 2, "1": 3}}, "1"),
        ({"extra": {None: 2}}, "None"),
        ({"extra": {"x": RECORD.start_time}}, "datetime"),
        ({"extra": {"x": b"bytes"}}, "bytes"),
        ({"extra": {"x": {1, 2}}}, "set"),
        ({"id": "\ud800"}, "^id of a record .* surrogate"),
        ({"src": "a\udc00"}, "^src of a record .* surrogate"),
        ({"did": object()}, "^did of a record"),
        ({"extra": {"x": CYCLE}}, "levels deep"),
        ({"start_time": RECORD.start_time.replace(tzinfo=None)}, "start_time"),
    ],
)
def test_a_record_that_json_cannot_hold_has_no_digest(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        DayDigest.of([RECORD, replace(RECORD, **fields)])
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("other", [{"id": "1"}, "text", None], ids=repr)
def test_only_call_records_have_a_digest(other: Any) -> None:
    with pytest.raises(TypeError, match=f"CallRecord, not {type(other).__name__}"):
        DayDigest.of([RECORD, other])


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection[Any]]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url, psycopg.connect(url) as connection:
        yield connection


@pytest.mark.slow
def test_the_statement_of_the_page_makes_the_same_bytes_in_postgresql(postgres: psycopg.Connection[Any]) -> None:
    postgres.execute("SET TIME ZONE 'Asia/Kathmandu'")
    postgres.execute(
        "CREATE TEMPORARY TABLE cdrs (id text, start_time timestamptz, duration bigint, billsec bigint, src text, dst text, "
        "disposition text, sip_username text, sell_price_cents bigint, currency text, country text, did text, extra text)"
    )

    @given(st.lists(records(texts=TEXTS.map(lambda text: text.replace("\0", "")), extras=st.just({})), max_size=20))
    def check(found: list[CallRecord]) -> None:
        postgres.execute("TRUNCATE cdrs")
        with postgres.cursor() as cursor:
            places = ", ".join(["%s"] * 12)
            rows = [[getattr(record, name) for name in CallRecord.__struct_fields__[:12]] for record in found]
            cursor.executemany(f"INSERT INTO cdrs VALUES ({places}, NULL)", rows)  # noqa: S608 # no value of anybody
        written = postgres.execute(STATEMENT.encode()).fetchall()
        assert sorted(text.encode() for (text,) in written) == sorted(map(second_digest.canonical, found))

    check()
