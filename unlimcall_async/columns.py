"""Call records as Arrow columns. This module needs pyarrow, which is in the extra `arrow`.

`stream.arrow()` and `stream.to_arrow()` return the records of a stream as columns. polars, pandas and duckdb read them without a
copy.
"""

from __future__ import annotations

from unlimcall_async._columns import SCHEMA, to_batch

__all__ = ["SCHEMA", "to_batch"]
