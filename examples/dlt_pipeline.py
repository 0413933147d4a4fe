"""A dlt pipeline that keeps a table of call records up to date in any destination of dlt: here in a DuckDB file.

    UNLIMCALL_TOKEN=... python examples/dlt_pipeline.py        (from cron, as often as you like)

A first load of a long range takes several runs of dlt, one for each month: `load_cdrs` runs until all is there. After a crash, the
next start goes on. The example needs the extra `dlt`, and `dlt[duckdb]`.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta

import dlt

from unlimcall_async.integrations.dlt import load_cdrs


def main() -> None:
    """Load, and show the busiest days."""
    if not os.environ.get("UNLIMCALL_TOKEN"):
        sys.exit(
            "Set UNLIMCALL_TOKEN. Without an account, run `unlimcall sandbox --calls 20000` and paste the lines it prints."
        )
    pipeline = dlt.pipeline(
        "call_records", destination=dlt.destinations.duckdb("call_records.duckdb"), dataset_name="telephony"
    )
    for run in load_cdrs(pipeline, datetime.now(UTC) - timedelta(days=90)):
        print(run)
    with pipeline.sql_client() as client:
        busiest = client.execute_sql("SELECT date, count(*) FROM cdrs GROUP BY date ORDER BY 2 DESC LIMIT 3")
    for day, calls in busiest or ():
        print(f"{day} {calls:,} calls")


if __name__ == "__main__":
    main()
