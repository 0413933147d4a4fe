"""What a cluster reads while parts of it are killed, against what the server holds.

    python -m tests.with_spark.show --accounts 20 --records 100000

Two executors read many accounts, with speculation; the processes of a task are killed, and then an executor. A stream writes to
Parquet files, and is killed in the middle of its batch. Prints what came, and what the server counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import frozen
from pyarrow import dataset  # type: ignore[import-untyped] # it has no types

from tests.shared.servers import valkey_server
from tests.with_spark.cluster import cluster, failed_tasks, kill_executor, kill_task, meanwhile, once
from tests.with_spark.server import START, Api, account, end_of, rows_of, served, token_of

Rows = Counter[tuple[str, str, int, int, int | None]]


@frozen
class Place:
    """Who is asked, and with what.

    Attributes:
        api: The server.
        accounts: How many accounts there are.
        tokens: The folder with their tokens.
        per_minute: The limit of each.
        redis_url: The server that shares the limits.
    """

    api: Api
    accounts: int
    tokens: Path
    per_minute: int
    redis_url: str

    @property
    def names(self) -> list[str]:
        return [account(number) for number in range(self.accounts)]

    @property
    def options(self) -> dict[str, str]:
        return {
            "accounts": ",".join(self.names),
            "start": START.isoformat(),
            "end": end_of(self.api.records).isoformat(),
            "token_dir": str(self.tokens),
            "base_url": self.api.url,
            "per_minute": str(self.per_minute),
            "redis_url": self.redis_url,
        }

    @property
    def held(self) -> Rows:
        """The records that the accounts have."""
        rows = rows_of(self.api.records)
        return Counter((name, *row) for name in self.names for row in rows)

    def share(self, part: float) -> int:
        """How many requests are a part of those that a pull takes, about."""
        return int(part * self.accounts * max(1, self.api.records // 1000))

    def reached(self, asked: int) -> Any:
        return lambda: self.api.asked() >= asked


def write_tokens(folder: Path, accounts: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(accounts):
        (folder / account(number)).write_text(f"{token_of(account(number))}\n")


def rows_in(folder: Path) -> Rows:
    """The records in Parquet files."""
    columns = ["account", "id", "start_time", "duration", "sell_price_cents"]
    table = dataset.dataset(folder, format="parquet").to_table(columns=columns)
    starts = table["start_time"].cast("int64").to_pylist()
    others = [table[name].to_pylist() for name in columns if name != "start_time"]
    unit = {"us": 1000, "ns": 1_000_000}[table.schema.field("start_time").type.unit]
    return Counter(zip(others[0], others[1], (at // unit for at in starts), *others[2:], strict=True))


def read_while_parts_die(spark: Any, place: Place, out: Path) -> None:
    """Write all records to Parquet files while a task is killed, and an executor."""
    asked = place.api.asked()
    with meanwhile(
        (place.reached(asked + 1 + place.share(0.2)), kill_task),
        (place.reached(asked + 2 + place.share(0.5)), kill_executor),
    ):
        spark.read.format("unlimcall").options(**place.options).load().write.parquet(str(out))


def begin_stream(spark: Any, place: Place, out: Path, **options: str) -> Any:
    """Start a query that writes what is there to Parquet files, and then ends."""
    stream = spark.readStream.format("unlimcall").options(**place.options | options).load()
    return (
        stream.writeStream.format("parquet")
        .option("path", str(out))
        .option("checkpointLocation", f"{out}.checkpoint")
        .trigger(availableNow=True)
        .start()
    )


def stream_that_is_cut_off(spark: Any, place: Place, out: Path) -> None:
    """Run such a query, stop it in the middle of its batch, and run it again until it ends."""
    asked = place.api.asked()
    query = begin_stream(spark, place, out)
    once(place.reached(asked + 2 + place.share(0.3)))
    query.stop()
    begin_stream(spark, place, out).awaitTermination()


def committed_rows(spark: Any, out: Path) -> Rows:
    """The records that the sink has committed, as Spark reads them."""
    copy = out.with_name(f"{out.name}.read")
    spark.read.parquet(str(out)).write.parquet(str(copy))
    return rows_in(copy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--per-minute", type=int, default=600)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        served(given.accounts, given.records, per_minute=given.per_minute, slow=account(0)) as api,
        valkey_server() as valkey,
    ):
        folder = Path(name)
        write_tokens(folder / "tokens", given.accounts)
        url = f"redis://127.0.0.1:{valkey.port}"
        place = Place(api, given.accounts, folder / "tokens", given.per_minute, url)
        with cluster(folder) as spark:
            for title, run in (("batch", read_while_parts_die), ("stream", stream_that_is_cut_off)):
                began, out = time.monotonic(), folder / title
                run(spark, place, out)
                took = time.monotonic() - began
                came, held = (rows_in(out) if title == "batch" else committed_rows(spark, out)), place.held
                counts = api.counts()
                print(
                    f"{title}: {came.total():,} records in {took:.0f} s, {(held - came).total()} lost, "
                    f"{(came - held).total()} too many; so far {sum(counts['asked'].values())} requests, at most "
                    f"{max(counts['most'].values())} of an account in a minute, of {given.per_minute} allowed, "
                    f"{sum(counts['refused'].values())} refused; {failed_tasks(spark)} attempts failed"
                )


if __name__ == "__main__":
    main()
