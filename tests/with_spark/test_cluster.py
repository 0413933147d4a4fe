"""A cluster of two executors: what it reads while tasks and executors die, and what it keeps of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pytest
from pyspark import TaskContext
from pyspark.errors import AnalysisException, PythonException
from pyspark.sql.functions import udf
from pyspark.sql.types import LongType, StringType, TimestampType

from tests.shared.servers import valkey_server
from tests.with_spark.cluster import failed_tasks, page_of
from tests.with_spark.server import account, served, token_of
from tests.with_spark.show import (
    Place,
    begin_stream,
    committed_rows,
    read_while_parts_die,
    rows_in,
    stream_that_is_cut_off,
    write_tokens,
)

ACCOUNTS, RECORDS, PER_MINUTE = 4, 4_000, 300


@pytest.fixture(scope="module")
def place(folder: Path) -> Iterator[Place]:
    write_tokens(folder / "tokens", ACCOUNTS)
    slow = account(0)
    with served(ACCOUNTS, RECORDS, per_minute=PER_MINUTE, slow=slow) as api, valkey_server() as valkey:
        yield Place(api, ACCOUNTS, folder / "tokens", PER_MINUTE, f"redis://127.0.0.1:{valkey.port}")


def frame(spark: Any, place: Place, **options: str) -> Any:
    return spark.read.format("unlimcall").options(**place.options | options).load()


def test_all_records_come_once_while_a_task_and_an_executor_are_killed(
    spark: Any, place: Place, tmp_path: Path
) -> None:
    read_while_parts_die(spark, place, tmp_path / "calls")
    assert rows_in(tmp_path / "calls") == place.held
    assert max(place.api.counts()["most"].values()) <= PER_MINUTE
    assert not place.api.counts()["refused"]
    assert failed_tasks(spark) > 0


def test_partitions_by_time_hold_each_record_once(spark: Any, place: Place, tmp_path: Path) -> None:
    calls = frame(spark, place, partition="2h", accounts=account(1))
    calls.write.parquet(str(tmp_path / "calls"))
    assert rows_in(tmp_path / "calls") == {row: count for row, count in place.held.items() if row[0] == account(1)}
    assert len([*(tmp_path / "calls").glob("*.parquet")]) == 5
    types = {field.name: field.dataType for field in calls.schema}
    assert types.pop("start_time") == TimestampType()
    assert {name for name, type_ in types.items() if type_ == LongType()} == {"duration", "billsec", "sell_price_cents"}
    assert {*types.values()} == {LongType(), StringType()}
    # Spark's own way from rows to Python agrees.
    first = calls.orderBy("start_time", "id").first()
    assert (first.account, first.sip_username, first.sell_price_cents in {None, 7}) == (account(1), account(1), True)


def test_a_stream_that_is_cut_off_in_its_batch_commits_each_record_once(
    spark: Any, place: Place, tmp_path: Path
) -> None:
    stream_that_is_cut_off(spark, place, tmp_path / "calls")
    assert committed_rows(spark, tmp_path / "calls") == place.held


def test_a_stream_goes_on_where_it_was_with_the_account_that_is_new(spark: Any, place: Place, tmp_path: Path) -> None:
    middle = "2026-01-01T05:00:00Z"
    begin_stream(spark, place, tmp_path / "calls", accounts=account(1), end=middle).awaitTermination()
    begin_stream(spark, place, tmp_path / "calls", accounts=f"{account(1)},{account(2)}").awaitTermination()
    assert committed_rows(spark, tmp_path / "calls") == {
        row: count for row, count in place.held.items() if row[0] in {account(1), account(2)}
    }


def test_an_error_names_the_account_and_an_option_is_checked_on_the_driver(spark: Any, place: Place) -> None:
    with pytest.raises(AnalysisException, match="the option start is missing"):
        spark.read.format("unlimcall").option("accounts", "acme").load()
    with pytest.raises(PythonException, match="the executor has no token of the account nobody"):
        frame(spark, place, accounts="nobody").collect()


def test_a_task_learns_from_spark_whether_it_may_run_twice_at_once(spark: Any) -> None:
    def settings(_: int) -> str:
        context = TaskContext.get()
        assert context is not None
        return " ".join(str(context.getLocalProperty(f"spark.{name}")) for name in ("master", "speculation"))

    told = spark.range(1).select(udf(settings, "string", useArrow=False)("id"))
    assert told.first()[0] == "local-cluster[2,1,1024] true"
    # The source takes this for "maybe".
    assert told.rdd.collect()[0][0] == "None None"


def test_no_token_is_in_what_the_cluster_keeps(spark: Any, place: Place, folder: Path, tmp_path: Path) -> None:
    """The log of events, which is compressed; plans; the pages of the UI; checkpoints; the files of the cluster."""
    calls = frame(spark, place)
    calls.createOrReplaceTempView("calls")
    spark.sql("SELECT account, count(*) FROM calls GROUP BY account").collect()
    begin_stream(spark, place, tmp_path / "calls").awaitTermination()
    secrets = [token_of(name) for name in place.names]
    pages = [
        *(calls._jdf.queryExecution().toString(), calls._jdf.queryExecution().debug().toString()),
        *(page_of(spark, name) for name in ("environment", "sql?details=true", "stages", "jobs")),
    ]
    kept = [
        path
        for root in (folder, tmp_path)
        for path in root.rglob("*")
        if path.is_file() and path.parent.name != "tokens"
    ]
    events = [path for path in kept if "events" in path.parts and path.suffix == ".zstd"]
    assert any("unlimcall" in text_of(path) for path in events)
    texts = [*pages, *(text_of(path) for path in kept)]
    assert not [text for text in texts for secret in secrets if secret in text]


@pytest.mark.parametrize("heading", ["A batch", "A stream"])
def test_the_page_runs_as_it_stands(spark: Any, place: Place, tmp_path: Path, heading: str) -> None:
    page = Path(__file__).parents[2].joinpath("docs/spark.md").read_text()
    block = page.partition(f"## {heading}\n")[2].partition("```python\n")[2].partition("```")[0]
    for name, number in (("acme", 1), ("globex", 2)):
        (tmp_path / name).write_text(token_of(account(number)))
    place_of_tokens = f'"{tmp_path}", base_url="{place.api.url}", per_minute="{PER_MINUTE}"'
    code = block.replace('"/run/secrets/unlimcall"', place_of_tokens).replace("/data", str(tmp_path))
    exec(code, {})  # noqa: S102 # the page's own code
    out = tmp_path / {"A batch": "calls", "A stream": "stream"}[heading]
    assert spark.read.parquet(str(out)).count() == 2 * RECORDS


def text_of(path: Path) -> str:
    """The bytes of a file, behind its compression, up to where it was written."""
    if path.suffix != ".zstd":
        return path.read_bytes().decode("latin-1")
    text = bytearray()
    with pa.input_stream(path, compression="zstd") as stream:
        while piece := stream.read(1 << 16):
            text += piece
    return text.decode("latin-1")
