"""What the tasks of a scan ask: which time, and how fast.

Pure: no I/O, no clock.

Theory. A task reads a range of one account, and Spark may run the task again, or twice at once. The ranges are half-open, so no
record stands in two. The driver fixes them, so a task that is tried again asks the same.

If no server shares the limits, each task counts its own requests. So the limit of an account is divided among all tasks that may
send within one minute:

- All partitions of an account may run at once.
- A stream begins a batch at most once a minute. So two of its batches may send within one minute, and no three.
- With speculation, two copies of a task run at once, and no three.
- A later attempt does not know how much an earlier one has sent. So a later attempt waits until that has ceased to count.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from attrs import frozen

from unlimcall_async.spark.options import Options

# The parts of a limit that streams and speculation need.
_BATCHES: Final = 2
_COPIES: Final = 2
# Partitions of an account, if a server shares the limits: each takes one request or more, and memory on the driver.
_MOST: Final = 1000
_SECOND: Final = timedelta(seconds=1)
# Seconds: as long as a request counts, and one more, because the API counts a request when it arrives.
_COUNTED: Final = 61.0


@frozen
class Piece:
    """What one task asks.

    Attributes:
        account: The account.
        start: The start of the range.
        end: Its end, which is not part of the range.
        per_minute: The requests a minute that this task may send.
        settled_at: The time by which all records of the range have appeared; `None` to take the range as it is.
    """

    account: str
    start: datetime
    end: datetime
    per_minute: int
    settled_at: datetime | None = None


@frozen
class Attempt:
    """What a task knows of how Spark runs it.

    Attributes:
        number: How many attempts came before; a speculative copy is an attempt.
        speculation: Whether Spark may run two copies at once.
    """

    number: int
    speculation: bool


def pieces_of(
    options: Options, account: str, start: datetime, end: datetime, *, streams: bool = False
) -> tuple[list[Piece], bool]:
    """Return what the tasks of an account ask, in order, and whether they are fewer and longer than `partition` says.

    Args:
        options: The options.
        account: The account.
        start: The start of the account's time.
        end: Its end.
        streams: Whether the tasks are those of a batch of a stream.
    """
    if start >= end:
        return [], False
    batches = _BATCHES if streams else 1
    # The least that a task needs is a request a minute, in each of its copies.
    most = _MOST if options.shares_limits else options.per_minute // (batches * _COPIES)
    wanted = options.partition or end - start
    length = max(wanted, _up_to_seconds((end - start) / most))
    count = -((start - end) // length)
    cuts = [*(start + number * length for number in range(count)), end]
    share = options.per_minute if options.shares_limits else options.per_minute // (count * batches)
    settled_at = end + (options.settle or timedelta(0)) if streams else None
    return [Piece(account, first, last, share, settled_at) for first, last in pairwise(cuts)], length > wanted


def _up_to_seconds(length: timedelta) -> timedelta:
    return -(-length // _SECOND) * _SECOND


def pace_of(piece: Piece, attempt: Attempt) -> tuple[int, float]:
    """Return the requests a minute that an attempt may send, and the seconds that it has to wait first.

    This is for tasks whose limits no server shares.
    """
    share = piece.per_minute // _COPIES if attempt.speculation else piece.per_minute
    return share, _COUNTED if attempt.number else 0.0
