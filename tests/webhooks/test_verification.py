"""`verify` and `receive`: the clock, and which check comes first."""

from __future__ import annotations

import time

import pytest

from tests.webhooks.oracle import NOW, SECRET, signature
from unlimcall_async import SignatureError
from unlimcall_async.webhooks import receive, verify

BODY = b'{"event":"call.ended"}'


def test_without_a_time_the_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW + 299.5)
    verify(BODY, signature(BODY), SECRET)
    monkeypatch.setattr(time, "time", lambda: NOW + 300.5)
    with pytest.raises(SignatureError):
        verify(BODY, signature(BODY), SECRET)


def test_receive_looks_at_the_signature_first() -> None:
    assert receive(BODY, signature(BODY), SECRET, now=NOW).type == "call.ended"
    with pytest.raises(SignatureError):
        receive(b"no event", signature(BODY), SECRET, now=NOW)
