"""Call records as a data source for Spark, of one account or of many, in batches and as a stream.

source     `UnlimCallDataSource`, which Spark drives
options    its options, read and checked on the driver (pure)
ranges     what the tasks of a scan ask: which time, and how fast (pure)
offsets    how far a stream is (pure)
tokens     where a task finds the token of its account
pulling    one task: the records of one range as Arrow columns

This package needs the extra `spark`, on the driver and on each executor.
"""

from __future__ import annotations

from unlimcall_async._extras import of_extra

with of_extra("unlimcall_async.spark", "spark", "pyspark", "pyarrow"):
    from unlimcall_async.spark.source import UnlimCallDataSource

__all__ = ["UnlimCallDataSource"]
