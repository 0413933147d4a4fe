"""Hypothesis strategies for the call records that the API can send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from unlimcall_async import CallRecord

# Characters that writers of JSON treat in different ways, and characters whose UTF-16 units sort before those of U+FFFD.
TEXTS = st.text(st.sampled_from('\0\x01\b\t\n\v\f\r\x1b\x1f /"\\u0\x7f\x80é\u2028\u2029\ufffd\uffff𝄞😀')) | st.text()
INTEGERS = st.integers(-(2**63), 2**63 - 1)

# A number of the API with a fraction or an exponent.
FRACTIONS = st.sampled_from(
    [*map(Decimal, ("1.0", "1E3", "0.0", "-0.0", "-0E+7", "1E-400", "1.50E+999999999"))]
) | st.builds(
    lambda digits, power: Decimal(digits).scaleb(power), st.integers(-(10**20), 10**20), st.integers(-500, 500)
)
_SCALARS = st.none() | st.booleans() | st.sampled_from([0, 1, Decimal("1.0")]) | st.integers() | FRACTIONS | TEXTS
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)
EXTRAS: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.dictionaries(TEXTS, _VALUES, max_size=4)

_DAY = datetime(2026, 3, 1, tzinfo=UTC)
STARTS = st.one_of(
    st.datetimes(timezones=st.just(UTC)),
    # Both sides of midnight.
    st.integers(-2_000_001, 2_000_001).map(lambda micros: _DAY + timedelta(microseconds=micros)),
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), _DAY]),
)


def records(
    *, texts: st.SearchStrategy[str] = TEXTS, extras: st.SearchStrategy[dict[str, Any]] = EXTRAS
) -> st.SearchStrategy[CallRecord]:
    """Return a strategy for records. A table that has no place for some texts takes others."""
    optional = st.none() | texts
    return st.builds(
        CallRecord,
        texts,
        STARTS,
        INTEGERS,
        INTEGERS,
        *[optional] * 4,
        st.none() | INTEGERS,
        *[optional] * 3,
        extra=extras,
    )


RECORDS = records()
