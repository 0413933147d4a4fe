"""`client.cdrs`: single pages, streams and follows, and the checks of their arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from unlimcall_async import _arguments, _clock
from unlimcall_async._argument_kinds import flag
from unlimcall_async._codec import decode_cdr_list
from unlimcall_async._lazy import LazyModule
from unlimcall_async.cdrs.checkpoint import Checkpoint, StreamCheckpoint
from unlimcall_async.cdrs.follow_checkpoint import FollowCheckpoint
from unlimcall_async.cdrs.learned import Learned
from unlimcall_async.cdrs.unreadable import Unreadable, UnreadableRows
from unlimcall_async.errors import CheckpointError
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CDRS
from unlimcall_async.http.messages import timestamp
from unlimcall_async.http.raw import RawMethods, raw
from unlimcall_async.http.server_clock import LARGE_SKEW
from unlimcall_async.models import CallRecord, CdrPage

if TYPE_CHECKING:
    from unlimcall_async import proof
    from unlimcall_async.cdrs import asking
    from unlimcall_async.cdrs import follow as follows
    from unlimcall_async.cdrs import stream as streams
    from unlimcall_async.proof import comparison, verification
else:
    # A single page needs none of them. They are imported when a stream or a follow is made, and when records are verified.
    asking = LazyModule("unlimcall_async.cdrs.asking")
    comparison = LazyModule("unlimcall_async.proof.comparison")
    follows = LazyModule("unlimcall_async.cdrs.follow")
    proof = LazyModule("unlimcall_async.proof")
    streams = LazyModule("unlimcall_async.cdrs.stream")
    verification = LazyModule("unlimcall_async.proof.verification")

Strategy: TypeAlias = Literal["auto", "divide"]


class Cdrs:
    """Call detail records (reference: `GET /cdrs`, scope `read:cdrs`)."""

    def __init__(self, caller: Caller, learned: Learned) -> None:
        self._caller = caller
        self._learned = learned

    async def list(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 100,
        *,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> CdrPage:
        """Return the page of one window, by one request.

        The page holds at most `limit` rows, and the API has no way to get the others: see `CdrPage.complete`.

        Args:
            start: The window's start, timezone-aware; `None` for 24 hours ago.
            end: The window's end, timezone-aware, at most 31 days after the start; `None` for now.
            limit: Rows, 1 to 1000.
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.

        Raises:
            ValueError, TypeError: An argument is not valid; nothing was sent.
            WindowOrderError: `start` and `end` are the same.
            WindowTooWideError: The window exceeds 31 days.
            AccountNotProvisionedError: The account has no trunk yet.
            UnlimCallError: Any other failure.
        """
        first, last = _arguments.window(start, end)
        limit = _arguments.limit(limit)
        params = {"limit": str(limit)}
        if first is not None:
            params["from"] = timestamp(first)
        if last is not None:
            params["till"] = timestamp(last)
        return await self._caller.fetch(
            CDRS,
            partial(decode_cdr_list, limit=limit, decoder=self._learned.decoder),
            params=params,
            timeout=timeout,
            headers=headers,
        )

    def stream(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        newest_first: bool = False,
        concurrency: int = 4,
        page_size: int = 1000,
        settle: timedelta = timedelta(0),
        strategy: Strategy = "auto",
        unreadable: Unreadable = "raise",
        resume: Checkpoint | None = None,
        manifest: bool = False,
    ) -> streams.CdrStream:
        """Return a stream of all records of `[start, end)`, each once and in order, however many there are.

        The stream sends nothing before it is iterated.

        Args:
            start: The start, timezone-aware.
            end: The end, timezone-aware, which is not part of the range. `None` stands for now less `settle`, read once, by this
                method; with `resume`, for the checkpoint's end.
            newest_first: Hand out the newest first.
            concurrency: How many requests may be under way at once.
            page_size: Rows to ask for at once, 1 to 1000. It must exceed the number of rows on any one instant.
            settle: How far to stay behind now, if `end` is `None`. A record is written when its call ends but dated by its start.
                So a job that goes on where the last one ended needs a `settle` no shorter than its longest call.
            strategy: `"divide"` cuts a window that holds more than a page, and assumes nothing about the server's order. `"auto"`
                does the same until the server is found to sort by time. Then it goes on from the edge of a full page, which
                takes a third of the requests. It checks that each page agrees with the one before, and divides again if a
                page does not.
            unreadable: What becomes of a row that cannot be read. With `"raise"` it is a `ResponseError` in its turn, and
                `resume_after` of the error skips that row alone. With `"keep"` the row goes to `CdrStream.unreadable`, and the
                stream goes on, for at most 10,000 such rows.
            resume: A checkpoint of a stream over the same range in the same direction: the stream goes on with exactly the rest.
                A record that has appeared since then before the checkpoint's place is not part of the rest.
            manifest: Make digests for `CdrStream.manifest` from the first record on. They cost about as much CPU time as all the
                rest of the stream. Otherwise they are made once that is read, which is too late behind 50,000 records.

        Raises:
            ValueError, TypeError: An argument is not valid.
            CheckpointError: The checkpoint is of another range or direction.
        """
        settle = _span("settle", settle)
        flag("manifest", manifest)
        strategy = _check_options(newest_first, strategy, resume)
        unreadable = _choice("unreadable", unreadable, Unreadable)
        if resume is not None and not isinstance(resume, StreamCheckpoint):
            raise CheckpointError("resume is a checkpoint of a follow, not of a stream")
        if end is None:
            end = self._before_now(settle) if resume is None else resume.end
        first, last = _arguments.utc("start", start), _arguments.utc("end", end)
        _arguments.window(first, last)
        concurrency = _arguments.whole("concurrency", concurrency)
        page_size = _arguments.limit(page_size, "page_size")
        seek = strategy == "auto"
        options = asking.StreamOptions(first, last, newest_first, concurrency, page_size, seek=seek, manifest=manifest)
        if resume is not None and (resume.start, resume.end, resume.newest_first) != (first, last, newest_first):
            order = "newest" if resume.newest_first else "oldest"
            span = f"from {resume.start.isoformat()} to {resume.end.isoformat()}, the {order} first"
            raise CheckpointError(
                f"resume is a checkpoint of another range or direction: {span}; pass the same start, end and newest_first"
            )
        place, marks = (None, ()) if resume is None else (resume.place, resume.unplaced)
        rows = UnreadableRows(keep=unreadable == "keep", marks=marks)
        if resume is not None:
            self._learned.server.begin_with(resume.order)
        learned = self._learned
        return streams.CdrStream(self._caller, learned.decoder, options, rows, learned.server, place=place)

    def _before_now(self, settle: timedelta) -> datetime:
        """Return a time before now: by the server's clock, if this machine's clock is known to be ahead of it."""
        skew = self._caller.pool.clock.skew_s
        ahead = timedelta(seconds=skew if skew is not None and skew > LARGE_SKEW else 0)
        try:
            return _clock.utc_now() - ahead - settle
        except OverflowError:
            raise ValueError("settle must not reach back beyond the year 1") from None

    def follow(
        self,
        start: datetime,
        *,
        interval: timedelta = timedelta(seconds=30),
        lookback: timedelta = timedelta(hours=2),
        unreadable: Unreadable = "raise",
        resume: Checkpoint | None = None,
    ) -> follows.CdrFollow:
        """Return a stream that does not end: all records from `start` on, each once, and then new ones as they appear.

        First comes the history, in order. Then, at each `interval`, a poll asks for what has come since, and again for the
        `lookback` before the last poll that succeeded. The reason is that a record is written when its call ends but dated by its
        start. An outage loses nothing, however long it lasts. Within a poll records are in order.

        The polls of a client take at most half of its rate limit of `/cdrs`, and one request a minute at least. The history,
        and what an outage longer than `lookback` has left, take all of the limit. `lookback` may hold more records than half of
        the limit allows to ask for at each interval. Then each poll asks for the newest, and for some of the others in turn.
        Then `stats.lag_s` shows how far the follow is behind.

        The follow sends nothing before it is iterated.

        Args:
            start: The start, timezone-aware.
            interval: The time from the start of a poll to the start of the next one.
            lookback: How long after its start a record may appear. It must cover the longest call.
            unreadable: What becomes of a row that cannot be read: see `stream`.
            resume: A checkpoint of a follow from the same start: the follow goes on with exactly the rest.

        Raises:
            ValueError, TypeError: An argument is not valid.
            CheckpointError: The checkpoint is one of another start, or of a stream.
        """
        first = _arguments.utc("start", start)
        unreadable = _choice("unreadable", unreadable, Unreadable)
        interval, lookback = _span("interval", interval), _span("lookback", lookback)
        if not interval:
            raise ValueError("interval must be above zero")
        _check_resume(resume)
        if resume is not None and not isinstance(resume, FollowCheckpoint):
            raise CheckpointError("resume is a checkpoint of a stream, not of a follow")
        if resume is not None and resume.start != first:
            raise CheckpointError(f"resume is a checkpoint of a follow from another start: {resume.start.isoformat()}")
        place = None if resume is None else resume.place
        if resume is not None:
            self._learned.server.begin_with(resume.order)
        return follows.CdrFollow(
            self._caller,
            self._learned.decoder,
            self._learned.server,
            first,
            place,
            interval=interval,
            lookback=lookback,
            unreadable=unreadable,
        )

    async def verify(
        self,
        pulled: proof.Manifest | Iterable[CallRecord],
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        counts_only: bool = False,
        concurrency: int = 4,
        strategy: Strategy = "auto",
        on_progress: verification.OnProgress | None = None,
    ) -> proof.Verification:
        """Ask the API again, and compare with what was pulled, day by day.

        The time is pulled once more, and nothing is taken from the manifest but its digests: so a record that has come, gone or
        changed in any field since shows, and nothing else does. A day that is under way differs as soon as a call ends.

        Args:
            pulled: A manifest, or all records of `[start, end)` in any order. With records the differences name the records, too.
            start: The start of the records' time, timezone-aware. A manifest has its own.
            end: Its end, which is not part of it.
            counts_only: Ask only how many records there are, in one request for each 31 days, and a few that show how the
                server takes bounds. Pull the days on which the number differs. This misses a record that has changed, and 31
                days in which as many have come as have gone, for example a record that has moved to another day. If `count` of
                the server does not count all records of a window, all is pulled.
            concurrency: How many requests may be under way at once.
            strategy: As for `stream`.
            on_progress: Called with the `Progress` of the pull after each batch.

        Raises:
            ValueError, TypeError: An argument is not valid, or a record starts outside of `[start, end)`.
            UnlimCallError: As for a stream.
        """
        flag("counts_only", counts_only)
        manifest, given = _to_verify(pulled, start, end)

        def stream_of(first: datetime, last: datetime) -> streams.CdrStream:
            return self.stream(first, last, concurrency=concurrency, strategy=strategy, unreadable="keep")

        async def answer_of(first: datetime, last: datetime, limit: int) -> CdrPage:
            return await self.list(first, last, limit)

        if counts_only:
            return await verification.verified_by_counts(manifest, given, stream_of, answer_of, on_progress)
        return await verification.verified(manifest, given, stream_of, on_progress)


class RawCdrs(RawMethods[Cdrs]):
    """`client.raw.cdrs`."""

    list: Final = raw(Cdrs.list)


def _to_verify(
    pulled: object, start: datetime | None, end: datetime | None
) -> tuple[proof.Manifest, Mapping[date, Sequence[CallRecord]] | None]:
    """Return what to verify as a manifest, and the records by day if these were given."""
    if isinstance(pulled, proof.Manifest):
        if start is not None or end is not None:
            raise ValueError("start and end are those of the manifest: pass neither")
        return pulled, None
    if isinstance(pulled, (str, bytes)) or not isinstance(pulled, Iterable):
        raise TypeError(f"pulled must be a Manifest or call records, not {type(pulled).__name__}")
    if start is None or end is None:
        raise ValueError("start and end are needed with records: without them nobody knows what may be missing")
    first, last = _arguments.utc("start", start), _arguments.utc("end", end)
    _arguments.window(first, last)
    given = comparison.by_day(pulled, first, last)
    return proof.Manifest(first, last, days={day: proof.DayDigest.of(given[day]) for day in sorted(given)}), given


def _check_options(newest_first: object, strategy: object, resume: object) -> Strategy:
    flag("newest_first", newest_first)
    chosen: Strategy = _choice("strategy", strategy, Strategy)
    _check_resume(resume)
    return chosen


def _choice(name: str, value: object, choices: object) -> Any:
    """Return the member of a `Literal` that equals the value."""
    known = get_args(choices)
    chosen = next((each for each in known if each == value), None)
    if chosen is None:
        raise ValueError(f"{name} must be one of {', '.join(known)}")
    return chosen


def _span(name: str, value: object) -> timedelta:
    length = _arguments.span(name, value)
    if length < timedelta(0):
        raise ValueError(f"{name} must not be negative")
    return length


def _check_resume(resume: object) -> None:
    if resume is not None and not isinstance(resume, Checkpoint):
        raise TypeError(
            f"resume must be a Checkpoint, not {type(resume).__name__}; Checkpoint.from_json reads a stored one"
        )
