"""The memory of response bodies, which the C library keeps for the next bodies."""

from __future__ import annotations

import os
from functools import cache
from typing import Final

# Bytes: room for some 20 pages of call records below the trim threshold, which becomes twice this. See `keep_body_memory`.
_KEPT: Final = 4 * 1024 * 1024


@cache
def keep_body_memory() -> bool:
    """Make the C library keep the memory of response bodies for the next bodies. The first transport of a process calls this.

    glibc's malloc maps a block of 128 KB or more from the kernel, and unmaps the block when it is freed. It also gives free memory
    at the top of its heap back, beyond 128 KB. Both thresholds are dynamic. When a mapped block is freed, `M_MMAP_THRESHOLD` rises
    to the size of that block, up to 32 MB, and `M_TRIM_THRESHOLD` rises to twice that size.

    The first page of call records raises the thresholds to 0.4 MB and 0.8 MB. Several pages that are held at once exceed 0.8 MB. So
    their memory is given back and taken anew all the time, with a page fault for each 4 KB. One block of 4 MB, allocated and freed,
    raises both thresholds for the life of the process. In exchange the process may keep up to 8 MB of free memory. Other C
    libraries do not have these thresholds; there the block has no effect.

    `tests/client/test_body_memory.py` counts the page faults of eight bodies at once: some 560 without the block, below 10 with it.
    In pulls of 100,000 and 200,000 records (`batches` of `benchmarks/records_ways.py`) the block saves 2 to 7 % of all page faults,
    and no CPU time that stands out from the noise. In an earlier version such faults took a fifth of the CPU time of `cdrs.list`
    (`benchmarks/records_profile.txt`).

    The environment variable `UNLIMCALL_KEEP_BODY_MEMORY=0` turns this off. A threshold that is set by hand, for example by
    `MALLOC_TRIM_THRESHOLD_`, is not dynamic, and stays as it is.

    Returns:
        Whether the block was used.
    """
    keep = os.environ.get("UNLIMCALL_KEEP_BODY_MEMORY") != "0"
    if keep:
        bytes(_KEPT)
    return keep
