"""The source for dlt: what its destinations hold after each run. Needs the extra `dlt`; `.ci/run` has a run of its own for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dlt
import pytest
from attrs import evolve
from dlt.pipeline.exceptions import PipelineStepFailed
from psycopg.conninfo import conninfo_to_dict

from tests.examples import load
from tests.sync.places import postgres_server
from unlimcall_async import AsyncClient, RateLimits
from unlimcall_async.integrations.dlt import cdrs_source, load_cdrs
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status, generate_traffic

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def client_of(sandbox: Sandbox) -> Callable[[], AsyncClient]:
    return partial(AsyncClient, sandbox.token, base_url=sandbox.url, rate_limits=RateLimits.unlimited())


@pytest.fixture(params=["duckdb", "postgres"])
def pipeline(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)
    destination: Any
    if request.param == "duckdb":
        destination = dlt.destinations.duckdb(str(tmp_path / "records.duckdb"))
        yield dlt.pipeline("calls", destination=destination, dataset_name="calls", pipelines_dir=str(tmp_path / "runs"))
        return
    (tmp_path / "postgres").mkdir(mode=0o700)
    with postgres_server(tmp_path / "postgres") as url:
        server = conninfo_to_dict(url)
        # dlt puts the folder of the socket into a URL as it is.
        at = {
            "host": quote(str(server["host"]), safe=""),
            "database": server["dbname"],
            "username": server["user"],
            "password": "-",
        }
        destination = dlt.destinations.postgres(at)
        yield dlt.pipeline("calls", destination=destination, dataset_name="calls", pipelines_dir=str(tmp_path / "runs"))


def rows_of(pipeline: Any) -> Counter[tuple[Any, ...]]:
    with pipeline.sql_client() as client:
        found = client.execute_sql("SELECT account, id, start_time, duration, sell_price_cents, deleted FROM cdrs")
    return Counter((account, id_, start.astimezone(UTC), *rest) for account, id_, start, *rest in found)


def held_by(sandbox: Sandbox, account: str, start: datetime, end: datetime) -> Counter[tuple[Any, ...]]:
    return Counter(
        (account, call.id, call.start_time, call.duration, call.sell_price_cents, None)
        for call in sandbox.calls
        if start <= call.start_time < end
    )


def calls(count: int, days: int) -> list[SandboxCall]:
    return generate_traffic(count, start=START, end=START + days * DAY, kind="uniform", seed=2)


def test_each_run_leaves_what_the_api_holds(pipeline: Any) -> None:
    """Legs with one id, equal rows, late rows, rows that change or go, a day that becomes empty, an earlier start."""
    made = calls(300, 6)
    made += [evolve(made[7]), evolve(made[7], duration=made[7].duration + 1), evolve(made[9])]
    load = partial(load_cdrs, pipeline, account="a", lookback=3 * DAY)
    start, end = START + timedelta(hours=30), START + 6 * DAY
    with Sandbox() as sandbox:
        sandbox.add_calls(made)
        load(start, end=START + 4 * DAY, client=client_of(sandbox))
        assert rows_of(pipeline) == held_by(sandbox, "a", start, START + 4 * DAY)

    def is_on(call: SandboxCall, day: int) -> bool:
        return START + day * DAY <= call.start_time < START + (day + 1) * DAY

    with Sandbox() as sandbox:
        kept = [call for call in made if not (is_on(call, 2) or is_on(call, 3))]
        changed = [evolve(call, sell_price_cents=77) for call in made if is_on(call, 3)]
        sandbox.add_calls([*kept, *changed, evolve(made[0], id="late", start_time=START + 3 * DAY)])
        load(START, end=end, client=client_of(sandbox))
        assert rows_of(pipeline) == held_by(sandbox, "a", START, end)
        load(START, end=end, client=client_of(sandbox), account="b")
        assert rows_of(pipeline) == held_by(sandbox, "a", START, end) + held_by(sandbox, "b", START, end)


def test_a_long_range_takes_several_runs_and_a_run_that_fails_loses_nothing(tmp_path: Path) -> None:
    destination = dlt.destinations.duckdb(str(tmp_path / "records.duckdb"))
    pipeline = dlt.pipeline(
        "calls", destination=destination, dataset_name="calls", pipelines_dir=str(tmp_path / "runs")
    )
    with Sandbox() as sandbox:
        sandbox.add_calls(calls(400, 100))
        load = partial(load_cdrs, pipeline, START, end=START + 100 * DAY, account="a", client=client_of(sandbox))
        sandbox.inject(Status(400), "cdrs", skip=2)
        with pytest.raises(PipelineStepFailed, match="400"):
            load()
        runs = load()
        assert len(runs) > 2
        assert rows_of(pipeline) == held_by(sandbox, "a", START, START + 100 * DAY)


def test_a_clock_that_is_ahead_loses_nothing_that_comes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlimcall_async._clock.utc_now", lambda: datetime.now(UTC) + 2 * DAY)
    destination = dlt.destinations.duckdb(str(tmp_path / "records.duckdb"))
    pipeline = dlt.pipeline(
        "calls", destination=destination, dataset_name="calls", pipelines_dir=str(tmp_path / "runs")
    )
    begin = datetime.now(UTC) - DAY
    with Sandbox() as sandbox:
        load = partial(load_cdrs, pipeline, begin, lookback=0 * DAY, account="a", client=client_of(sandbox))
        for number in range(2):
            sandbox.add_calls([SandboxCall(id=f"{number}", start_time=datetime.now(UTC).replace(microsecond=0))])
            assert len(load()) == 1
        assert rows_of(pipeline) == held_by(sandbox, "a", begin, datetime.now(UTC) + DAY)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lookback": -DAY}, "lookback must not be negative"), ({"at_once": DAY / 2}, "at_once must be a day or more")],
)
def test_an_argument_that_is_not_valid_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cdrs_source(START, **options)


def test_the_example_loads_and_shows_the_busiest_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    now = datetime.now(UTC).replace(microsecond=0)
    with Sandbox() as sandbox:
        monkeypatch.setenv("UNLIMCALL_TOKEN", sandbox.token)
        monkeypatch.setenv("UNLIMCALL_BASE_URL", sandbox.url)
        sandbox.add_calls([SandboxCall(id=str(number), start_time=now - 2 * DAY) for number in range(3)])
        load("dlt_pipeline").main()
    assert capsys.readouterr().out.endswith(f"{(now - 2 * DAY).date()} 3 calls\n")
