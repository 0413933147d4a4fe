"""The page names all that is reported, and nothing else; the example shows what it promises."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.examples import load
from tests.telemetry.backend import Backend, attributes_of
from tests.webhooks.oracle import SECRET
from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Close, Sandbox, Status
from unlimcall_async.webhooks import WebhookReceiver

PAGE = (Path(__file__).parents[2] / "docs" / "observing.md").read_text().partition("## OpenTelemetry\n")[2]


async def test_the_page_names_all_that_is_reported_and_nothing_else(
    sandbox: Sandbox, client: AsyncClient, backend: Backend
) -> None:
    observer = backend.observer(name="acme")
    receiver = observer.watch(WebhookReceiver(SECRET))
    await receiver.handle(b"", {})
    sandbox.inject(Status(500, headers={"X-Request-Id": "r-1"}), endpoint="me")
    sandbox.inject(Close(), endpoint="calls")
    view = client.with_options(observer=observer)
    await view.me()
    with suppress(Exception):
        await view.calls.create(ai_agent_id="27", to_number="+14155551234")
    follow = observer.watch(view.cdrs.follow(datetime(2026, 5, 1, tzinfo=UTC)))
    reported = {"unlimcall.attempt"} | set(backend.points())
    for shown in [*backend.spans, *(point for points in backend.points().values() for point in points)]:
        reported |= set(attributes_of(shown))
    for span in backend.spans:
        reported |= {name for event in span.events for name in attributes_of(event)}
    del follow
    # Of attributes of an attempt, the page writes out the first.
    named = set(re.findall(r"`((?:unlimcall|http|server|url|error)\.[\w.-]+)`", PAGE))
    named |= {f"unlimcall.attempt{rest}" for rest in re.findall(r"`(\.\w+)`", PAGE)}
    assert named == reported


async def test_the_example_prints_its_trace_and_its_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    await load("observed_service").main()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "weekly report"
    assert [line for line in lines if line.startswith("attempt")] == ["attempt 1: 503", "attempt 2: 200"]
    assert "2,500  unlimcall.cdrs.kind=stream" in lines
    assert "1  unlimcall.webhook.outcome=refused, error.type=missing" in lines
