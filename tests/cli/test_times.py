"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async._spans import span
from unlimcall_async.cli.times import moment

NOW = datetime(2026, 5, 24, 22, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01", "2026-05-01T00:00:00+00:00"),
        ("2026-05-01T12:30", "2026-05-01T12:30:00+00:00"),
        ("2026-05-01 12:30:05", "2026-05-01T12:30:05+00:00"),
        ("2026-05-01T12:30:05.250Z", "2026-05-01T12:30:05.250000+00:00"),
        ("2026-05-01T12:30+05:00", "2026-05-01T07:30:00+00:00"),
        ("now", "2026-05-24T22:30:00+00:00"),
        ("today", "2026-05-24T00:00:00+00:00"),
        ("yesterday", "2026-05-23T00:00:00+00:00"),
        ("90s", "2026-05-24T22:28:30+00:00"),
        ("15m", "2026-05-24T22:15:00+00:00"),
        ("24h", "2026-05-23T22:30:00+00:00"),
        ("7d", "2026-05-17T22:30:00+00:00"),
        ("4w", "2026-04-26T22:30:00+00:00"),
    ],
)
def test_a_time_is_read(text: str, expected: str) -> None:
    assert moment(text, now=NOW, zone=UTC).isoformat() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01", "2026-04-30T22:00:00+00:00"),
        ("2026-01-01", "2025-12-31T23:00:00+00:00"),
        ("2026-05-01T12:30Z", "2026-05-01T12:30:00+00:00"),
        # It is past midnight there.
        ("today", "2026-05-24T22:00:00+00:00"),
        ("yesterday", "2026-05-23T22:00:00+00:00"),
        ("7d", "2026-05-17T22:30:00+00:00"),
        # Twice on that day: the first. Never on that one: as long after midnight as it says.
        ("2025-10-26T02:30", "2025-10-26T00:30:00+00:00"),
        ("2026-03-29T02:30", "2026-03-29T01:30:00+00:00"),
    ],
)
def test_a_zone_is_for_times_without_an_offset(text: str, expected: str) -> None:
    assert moment(text, now=NOW, zone=BERLIN).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "7y",
        "-7d",
        "1.5h",
        "٣d",
        "2026",
        "2026-02-30",
        "20260501",
        "2026-W18-5",
        "2026-05-01T25:00",
        "tomorrow",
        "12:30",
    ],
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time; write 2026-05-01"):
        moment(text, now=NOW, zone=UTC)


@pytest.mark.parametrize("text", ["999999999w", "999999999d", "0001-01-01T00:00+05:00"])
def test_what_lies_outside_of_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"out of range|too long"):
        moment(text, now=NOW, zone=UTC)


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5m", "1h30m"])
def test_what_is_no_span_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is not a span of time"):
        span(text)


def test_spans_are_read() -> None:
    assert [span(text) for text in ("30s", "15m", "2h", "7d", "4w")] == [
        *(timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=2), timedelta(days=7), timedelta(weeks=4))
    ]


NAIVE = st.datetimes(min_value=datetime.fromisoformat("1970-01-02"), max_value=datetime.fromisoformat("2100-01-01"))


@given(NAIVE, st.timezones())
def test_what_python_writes_is_read(naive: datetime, zone: ZoneInfo) -> None:
    aware = naive.replace(tzinfo=zone)
    if aware.utcoffset() is None or aware.utcoffset() % timedelta(minutes=1):  # type: ignore[operator] # it is none, or a timedelta
        return
    assert moment(aware.isoformat(), now=NOW, zone=UTC) == aware
    assert moment(naive.isoformat(), now=NOW, zone=zone) == aware.astimezone(UTC)


@given(st.text(alphabet="0123456789-:TZ+.smhdw ", max_size=24))
def test_no_text_breaks_it(text: str) -> None:
    try:
        read = moment(text, now=NOW, zone=BERLIN)
    except ValueError:
        return
    assert read.tzinfo is UTC
