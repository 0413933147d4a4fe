"""An Airflow DAG that keeps a table of call records up to date, each night, and a task that asks the table.

Put the file into the folder of your DAGs. The worker needs the package with its extra `postgres`, and the environment variables
UNLIMCALL_TOKEN and CALLS_DATABASE_URL. The place that was reached is in the database, in the same transaction as the rows. So a
task may be retried, cleared, or run by hand at any time, and no run needs Airflow's data interval.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@task(retries=5, retry_delay=timedelta(minutes=10), max_active_tis_per_dag=1)
def sync() -> dict[str, int]:
    """Bring the table up to date, and return what has changed."""
    # Airflow reads this file every few seconds: what takes time to import is imported by the task.
    from unlimcall_async import AsyncClient
    from unlimcall_async.sync import sync_cdrs

    async def run() -> dict[str, int]:
        async with AsyncClient() as client:
            result = await sync_cdrs(client, os.environ["CALLS_DATABASE_URL"], FIRST, lookback=timedelta(days=2))
        return {"inserted": result.inserted, "revised": result.revised, "removed": result.removed}

    return asyncio.run(run())


@task
def report(changes: dict[str, int]) -> None:
    """Show what has changed in the log of the task."""
    print(", ".join(f"{count:,} {name}" for name, count in changes.items()))


@dag(schedule="0 3 * * *", start_date=FIRST, catchup=False, max_active_runs=1, tags=["calls"])
def call_records() -> None:
    """Sync the table, and report."""
    report(sync())


call_records()
