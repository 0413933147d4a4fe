"""Call records of the right types, with values that no honest server sends."""

from __future__ import annotations

from datetime import UTC

from hypothesis import strategies as st

from unlimcall_async import CallRecord

texts = st.none() | st.text(max_size=20) | st.sampled_from(["ANSWERED", "FAILED", "Germany", "USD", "x" * 10_000])
wholes = st.integers() | st.sampled_from([0, -1, 2**63, -(2**63), 10**400, -(10**5000)])
moments = st.datetimes(timezones=st.just(UTC))

records = st.builds(
    CallRecord,
    id=st.text(max_size=5),
    start_time=moments,
    duration=wholes,
    billsec=wholes,
    src=texts,
    dst=texts,
    disposition=texts,
    sip_username=texts,
    sell_price_cents=st.none() | wholes,
    currency=texts,
    country=texts,
    did=texts,
)
