"""An independent reader of manifests: holds each window against the log of the server that was asked.

It shares nothing with the package but the manifest's fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from aiohttp import web
from attrs import define, field, frozen

from tests.cdrs.raw_server import RawRow, RawServer
from unlimcall_async.proof import Evidence, Manifest

SECOND = timedelta(seconds=1)
# Rows that two pages have to share at least (contract, section 2, promise 8).
OVERLAP = 8


@frozen
class Answer:
    """What the server answered to one request."""

    start: datetime
    till: datetime
    limit: int
    count: int
    rows: tuple[RawRow, ...]


@define
class LoggedServer(RawServer):
    """A server that keeps a log of its answers."""

    log: list[Answer] = field(factory=list)

    async def respond(self, request: web.Request) -> web.Response:
        start, till = (datetime.fromisoformat(request.query[name]) for name in ("from", "till"))
        within, shown = self.select(start, till, int(request.query["limit"]))
        self.log.append(Answer(start, till, int(request.query["limit"]), len(within), tuple(shown)))
        return await super().respond(request)


def complaints(manifest: Manifest, log: Sequence[Answer]) -> Iterator[str]:
    """Yield what a manifest claims, and the log does not show."""
    reached = manifest.start
    for window in manifest.windows:
        if window.start != reached:
            yield f"no window covers {reached} to {window.start}"
        reached = window.end
        answers = [answer for answer in log if _is_of(window, answer)]
        if not answers:
            yield f"{window} was not asked"
        elif not any(_is_complete(window, answer, log) for answer in answers):
            yield f"{window} need not be complete"
    if reached != manifest.end:
        yield f"no window covers {reached} to {manifest.end}"


def _is_of(window: Evidence, answer: Answer) -> bool:
    asked = (window.asked_from, window.asked_till, window.limit, window.rows, window.count)
    return asked == (answer.start, answer.till, answer.limit, len(answer.rows), answer.count)


def _is_complete(window: Evidence, answer: Answer, log: Sequence[Answer]) -> bool:
    if not (answer.start <= window.start and window.end <= answer.till):
        return False
    if window.reason == "short":
        return len(answer.rows) < answer.limit and answer.count <= len(answer.rows) and window.repeated is None
    starts = [row.start for row in answer.rows]
    if starts == sorted(starts):
        holds_all = window.end <= starts[-1] + SECOND
    elif starts == sorted(starts, reverse=True):
        holds_all = starts[-1] - SECOND <= window.start
    else:
        return False
    repeated = max((len({*answer.rows} & {*other.rows}) for other in log if other is not answer), default=0)
    return holds_all and window.repeated is not None and OVERLAP <= window.repeated <= repeated
