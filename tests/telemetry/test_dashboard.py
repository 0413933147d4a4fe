"""The dashboard asks for what the observer reports, by the names that Prometheus gets, and leaves nothing out."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY

from tests.webhooks.oracle import NOW, OTHER_SECRET, SECRET, event_body, headers
from unlimcall_async import AsyncClient, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Close, Sandbox, Status, generate_traffic
from unlimcall_async.telemetry import OpenTelemetryObserver
from unlimcall_async.webhooks import WebhookReceiver

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
NAME = re.compile(r"\b(?:http_client|unlimcall)_\w+(?={)")
HISTOGRAM = re.compile(r"_(bucket|count|sum)$")
END = datetime(2026, 5, 24, tzinfo=UTC)
# What Prometheus adds to each series when it scrapes.
SCRAPED = {"job", "instance"}


@pytest.fixture
def meters() -> Iterator[MeterProvider]:
    provider = MeterProvider([PrometheusMetricReader()])
    yield provider
    provider.shutdown()


async def labels_by_metric(sandbox: Sandbox, meters: MeterProvider) -> dict[str, set[str]]:
    """The metrics that Prometheus gets of a program in which everything happens once, with all labels that one of them has."""
    observer = OpenTelemetryObserver(meter_provider=meters, name="acme")
    receiver = observer.watch(WebhookReceiver(SECRET, clock=lambda: NOW))
    body = event_body()
    await receiver.handle(body, headers(body))
    await receiver.handle(body, headers(body, OTHER_SECRET))
    sandbox.add_calls(generate_traffic(10, start=END - timedelta(days=1), end=END))
    for fault in (Status(503), Close()):
        sandbox.inject(fault, endpoint="me")
    sandbox.inject(Close(), endpoint="calls")
    retry, limits = RetryPolicy(delays=(0, 0)), RateLimits.unlimited()
    async with AsyncClient(
        sandbox.token, base_url=sandbox.url, observer=observer, retry=retry, rate_limits=limits
    ) as client:
        await client.me()
        with suppress(Exception):
            await client.calls.create(ai_agent_id="27", to_number="+14155551234")
        stream = observer.watch(client.cdrs.stream(END - timedelta(days=1), END))
        await stream.to_list()
        follow = observer.watch(client.cdrs.follow(END - timedelta(days=1)))
        async with follow:
            await anext(aiter(follow))
        found: dict[str, set[str]] = defaultdict(set)
        for metric in REGISTRY.collect():
            for sample in metric.samples:
                found[HISTOGRAM.sub("", sample.name) if metric.type == "histogram" else sample.name] |= set(
                    sample.labels
                )
    return {name: labels for name, labels in found.items() if name.startswith(("http_client", "unlimcall"))}


def queries() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


async def test_each_panel_asks_for_what_there_is_and_nothing_is_left_out(
    sandbox: Sandbox, meters: MeterProvider
) -> None:
    reported = await labels_by_metric(sandbox, meters)
    asked = {HISTOGRAM.sub("", name) for query in queries() for name in NAME.findall(query)}
    assert asked == set(reported)


async def test_each_label_of_a_query_is_one_of_its_metric(sandbox: Sandbox, meters: MeterProvider) -> None:
    reported = await labels_by_metric(sandbox, meters)
    for panel in PANELS:
        for target in panel["targets"]:
            query = target["expr"]
            of_metric = set.union(*(reported[HISTOGRAM.sub("", name)] for name in NAME.findall(query)))
            selected = re.findall(r'(\w+)(?:=~|!~|!=|=)"', query)
            grouped = [label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")]
            assert {*selected, *grouped} <= of_metric | SCRAPED, panel["title"]
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= set(grouped), panel["title"]


def test_a_counter_is_asked_for_its_rate_and_a_gauge_for_its_value() -> None:
    for query in queries():
        for name in NAME.findall(query):
            grows = name.endswith(("_total", "_bucket", "_count"))
            assert bool(re.search(rf"(rate|increase|last_over_time)\({name}{{", query)) is grows, query


def test_the_dashboard_can_be_imported_anywhere() -> None:
    variables: dict[str, Any] = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    assert {*re.findall(r"\$(?!__)(\w+)", json.dumps(queries()))} <= set(variables)
    sources = [panel["datasource"]["uid"] for panel in PANELS]
    sources += [target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]]
    sources += [each["datasource"]["uid"] for each in variables.values() if each["type"] == "query"]
    assert set(sources) == {"${datasource}"}
    # Grafana takes a dashboard without an id for a new one.
    assert "id" not in DASHBOARD


def test_the_panels_have_titles_units_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(panel["fieldConfig"]["defaults"]["unit"] and panel["description"] for panel in PANELS)

    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    for one, other in combinations(DASHBOARD["panels"], 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])
